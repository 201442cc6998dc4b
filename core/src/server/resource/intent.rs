//! Carrying out an intent: one request that its token's details permit, once (RFC 9396).

use core::fmt;

use super::ResourceServer;
use super::principal::Principal;
use crate::intent::{IntendedRequest, Intent, IntentDefect};
use crate::json::Value;
use crate::replay::{Insertion, ReplayEntry};
use crate::verify::refusal::RETRY_AFTER;
use crate::{Refusal, UnixTime};

/// An intent that permits the request at hand. Its token has yet to be used up.
#[must_use = "an intent is not carried out until it is settled with the replay store's answer"]
pub struct PendingIntent<'a> {
    server: &'a ResourceServer,
    principal: &'a Principal,
    intent: Intent,
    entry: ReplayEntry,
}

impl ResourceServer {
    /// Compares a request, body included, with the intent of its token, by the details of the type
    /// [`REQUEST_TYPE`](crate::intent::REQUEST_TYPE). `url` is the whole URL, query included.
    ///
    /// ```
    /// use keybound::intent::Intent;
    /// use keybound::replay::ReplayStore;
    /// use keybound::server::resource::{Principal, ResourceServer};
    /// use keybound::{Refusal, UnixTime};
    ///
    /// fn pay<S: ReplayStore>(
    ///     server: &ResourceServer, principal: &Principal, store: &S, body: &[u8], now: UnixTime,
    /// ) -> Result<Intent, Refusal> {
    ///     let pending = server.carry_out(principal, "POST", "https://api.example.com/payments", body, now)?;
    ///     match store.insert(pending.replay_entry(), now) {
    ///         Ok(insertion) => pending.settle(insertion, now),
    ///         Err(_) => Err(pending.unavailable()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The refusal to send: 403 with the [reason](IntentDefect::reason).
    pub fn carry_out<'a>(
        &'a self,
        principal: &'a Principal,
        method: &str,
        url: &str,
        body: &[u8],
        now: UnixTime,
    ) -> Result<PendingIntent<'a>, Refusal> {
        let digest = self.verifier().crypto().digest;
        self.begin_intent(principal, |intent| {
            intent.permits(&IntendedRequest { method, url, body, key: intent.key() }, digest, now)
        })
    }

    /// The same by the application's own rule, which says whether one of the details permits the request.
    ///
    /// # Errors
    /// The refusal to send: 403 with the [reason](IntentDefect::reason).
    pub fn carry_out_by<'a>(
        &'a self,
        principal: &'a Principal,
        now: UnixTime,
        rule: impl FnMut(&Value) -> bool,
    ) -> Result<PendingIntent<'a>, Refusal> {
        self.begin_intent(principal, |intent| intent.permits_by(intent.key(), now, rule))
    }

    fn begin_intent<'a>(
        &'a self,
        principal: &'a Principal,
        permits: impl FnOnce(&Intent) -> Result<(), IntentDefect>,
    ) -> Result<PendingIntent<'a>, Refusal> {
        let agreement = self.verifier().replay_agreement();
        let digest = self.verifier().crypto().digest;
        let pending = Intent::of_token(principal).and_then(|intent| {
            permits(&intent)?;
            let entry = intent.use_up(principal, agreement, digest)?;
            Ok(PendingIntent { server: self, principal, intent, entry })
        });
        pending.map_err(|defect| self.refuse_intent(defect, principal))
    }
}

impl PendingIntent<'_> {
    /// What the replay store inserts, if it is not there yet.
    pub const fn replay_entry(&self) -> &ReplayEntry {
        &self.entry
    }

    /// Carries the intent out, or refuses, by the replay store's answer. `now` is the time after the store answered.
    ///
    /// # Errors
    /// The refusal to send: 403 if the token was used before or is over, 503 if the store could not decide.
    pub fn settle(self, insertion: Insertion, now: UnixTime) -> Result<Intent, Refusal> {
        let defect = match insertion {
            Insertion::Fresh if now < self.intent.expires_at() => return Ok(self.intent),
            Insertion::Fresh => IntentDefect::Expired,
            Insertion::Seen => IntentDefect::Used,
            Insertion::BeforeFloor => IntentDefect::BeforeFloor,
            Insertion::Full => return Err(Refusal::unavailable("store_full", RETRY_AFTER)),
            Insertion::ShareFull => return Err(Refusal::unavailable("store_share_full", RETRY_AFTER)),
            Insertion::Unavailable => return Err(self.unavailable()),
        };
        Err(self.server.refuse_intent(defect, self.principal))
    }

    /// The answer where the store cannot be asked: 503.
    pub fn unavailable(&self) -> Refusal {
        Refusal::unavailable("store_unavailable", RETRY_AFTER)
    }
}

impl fmt::Debug for PendingIntent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingIntent").field("expires_at", &self.intent.expires_at()).finish_non_exhaustive()
    }
}
