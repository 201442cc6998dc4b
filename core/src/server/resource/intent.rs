//! Carrying out an intent: one request that its token's details permit, once (RFC 9396).

use alloc::boxed::Box;

use super::ResourceServer;
use super::principal::Principal;
use super::refuse::Sender;
use crate::flow::Flow;
use crate::flow::step::Step;
use crate::intent::{IntendedRequest, Intent, IntentDefect};
use crate::json::Value;
use crate::oauth::FlowError;
use crate::replay::Insertion;
use crate::verify::refusal::RETRY_AFTER;
use crate::{Refusal, UnixTime};

/// What carrying out an intent came to.
pub type CarriedOut = Result<Intent, Box<Refusal>>;

impl ResourceServer {
    /// Carries out the intent of an admitted request's token: compares the request, body included, with its details of the type
    /// [`REQUEST_TYPE`](crate::intent::REQUEST_TYPE), and uses the token up. `url` is the whole URL, query included.
    ///
    /// ```
    /// use keybound::intent::Intent;
    /// use keybound::oauth::{FlowError, Step};
    /// use keybound::server::resource::{Principal, ResourceServer};
    /// use keybound::{Refusal, UnixTime};
    ///
    /// fn pay(server: &ResourceServer, principal: &Principal, body: &[u8], now: UnixTime) -> Result<(), FlowError> {
    ///     let step = server.carry_out(principal, "POST", "https://api.example.com/payments", body, now)?;
    ///     match step.finished() {
    ///         Some(Ok(intent)) => { /* pay, now */ }
    ///         Some(Err(refusal)) => { /* send it */ }
    ///         None => { /* insert into the host's replay store */ }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The result is the intent, or the refusal to send: 403 with the [reason](IntentDefect::reason) if the request is another one,
    /// or the token was used before or is over; 503 if the store cannot tell.
    ///
    /// # Errors
    /// [`FlowError::Interrupted`], when a step is resumed in a way that its types do not permit.
    pub fn carry_out(
        &self,
        principal: &Principal,
        method: &str,
        url: &str,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Step<CarriedOut>, FlowError> {
        let digest = self.verifier().crypto().digest;
        self.use_up(principal, now, |intent| {
            intent.permits(&IntendedRequest { method, url, body, key: intent.key() }, digest, now)
        })
    }

    /// The same by the application's own rule, which says whether one of the details permits the request.
    ///
    /// # Errors
    /// As of [`carry_out`](Self::carry_out).
    pub fn carry_out_by(
        &self,
        principal: &Principal,
        now: UnixTime,
        rule: impl FnMut(&Value) -> bool,
    ) -> Result<Step<CarriedOut>, FlowError> {
        self.use_up(principal, now, |intent| intent.permits_by(intent.key(), now, rule))
    }

    fn use_up(
        &self,
        principal: &Principal,
        now: UnixTime,
        permits: impl FnOnce(&Intent) -> Result<(), IntentDefect>,
    ) -> Result<Step<CarriedOut>, FlowError> {
        let agreement = self.verifier().replay_agreement();
        let digest = self.verifier().crypto().digest;
        let pending = Intent::of_token(principal).and_then(|intent| {
            permits(&intent)?;
            let entry = intent.use_up(principal, agreement, digest)?;
            Ok((intent, entry))
        });
        let sender = Sender::of(principal);
        let (intent, entry) = match pending {
            Ok(pending) => pending,
            Err(defect) => return Ok(Step::Done(Err(Box::new(self.refuse_intent(defect, sender))))),
        };
        let (server, at) = (self.clone(), principal.at);
        Flow::start(now, move |io| async move {
            let later = |reason, seconds| Err(Refusal::unavailable(reason, seconds).with_facts(sender.facts()));
            let inserted = server.consumption().insert(&io, entry, server.watch(), at).await;
            let insertion = inserted.map(|inserted| inserted.insertion);
            let settled = match insertion {
                Some(Insertion::Fresh) if io.now() < intent.expires_at() => Ok(intent),
                Some(Insertion::Fresh) => Err(server.refuse_intent(IntentDefect::Expired, sender)),
                Some(Insertion::Seen) => Err(server.refuse_intent(IntentDefect::Used, sender)),
                Some(Insertion::BeforeFloor) => Err(server.refuse_intent(IntentDefect::BeforeFloor, sender)),
                Some(Insertion::Full) => later(Refusal::STORE_FULL, RETRY_AFTER),
                Some(Insertion::ShareFull) => later(Refusal::STORE_SHARE_FULL, RETRY_AFTER),
                Some(Insertion::Unavailable) | None => later(Refusal::STORE_UNAVAILABLE, server.watch().retry_after()),
            };
            Ok(settled.map_err(Box::new))
        })
    }
}
