//! What to send when a proof is refused (RFC 9449 sections 5, 7.1, 8 and 9).

use alloc::borrow::ToOwned;
#[cfg(feature = "oauth")]
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Verifier;
use super::judge::{self, AskedNonce};
use super::key::Key;
use super::pending::SettleError;
use super::presentation::{Presentation, PresentedProof};
use super::read::{ReadProof, UnreadProof};
use super::rejection::Rejection;
#[cfg(feature = "oauth")]
use crate::audit::Facts;
#[cfg(feature = "oauth")]
use crate::guard::{LimitedBy, Wait};
use crate::http::challenge::{Challenge, ChallengeError};
use crate::json::Text;
use crate::nonce::issuer::NonceVerdict;
use crate::nonce::{Nonce, Role};
use crate::proof::{DPOP, DPOP_NONCE};
use crate::replay::StoreEpoch;
use crate::{Thumbprint, UnixTime};

/// A response ready to send. Its texts name the defect and hold nothing from the peer.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    reason: &'static str,
    error: Option<&'static str>,
    dpop_nonce: Option<Nonce>,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// There if the server keeps what it learns.
    #[cfg(feature = "oauth")]
    facts: Option<Box<Facts>>,
    #[cfg(feature = "oauth")]
    limited_by: Option<LimitedBy>,
}

impl Refusal {
    /// The HTTP status: 400 at an authorization server, 401 at a resource server, 429 if there are too many requests, 503 if nothing
    /// could decide.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// A stable name of the defect, for logs and metrics, never sent: that of the [`Rejection`], or what the store, the token
    /// or the credentials were refused for.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The wire code: `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_token`, `invalid_grant` and, at a resource server,
    /// `invalid_request` and `insufficient_scope`; none with 429 and 503 and where no credentials were sent.
    pub const fn error(&self) -> Option<&'static str> {
        self.error
    }

    /// The challenge, at a resource server; several stand in one field.
    pub fn www_authenticate(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| *name == WWW_AUTHENTICATE).map(|(_, value)| value.as_str())
    }

    /// The nonce the client is to use, if it is asked to.
    pub const fn dpop_nonce(&self) -> Option<&Nonce> {
        self.dpop_nonce.as_ref()
    }

    /// All fields to send, the challenge and the nonce among them.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The JSON body; empty at a resource server.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// What was verified before the request was refused, for audit records; none unless the server is
    /// [told](crate::server::resource::ResourceServer::audited) to keep it. It is never sent.
    #[cfg(feature = "oauth")]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }

    /// The same with what was verified.
    #[cfg(feature = "oauth")]
    pub(crate) fn with_facts(self, facts: Option<Box<Facts>>) -> Self {
        Self { facts, ..self }
    }

    /// What a request with the reason `rate_limited` was limited by, for logs and metrics, never sent.
    #[cfg(feature = "oauth")]
    pub const fn limited_by(&self) -> Option<LimitedBy> {
        self.limited_by
    }
}

/// Writes the reasons of refusals that are about neither the proof nor the token, and the list of them.
macro_rules! other_reasons {
    ($($(#[$doc:meta])* $name:ident = $reason:literal;)*) => {
        impl Refusal {
            /// What [`reason`](Self::reason) can return besides the reasons of [`Rejection`], of
            /// `TokenRejection` and of `IntentDefect`.
            pub const OTHER_REASONS: &'static [&'static str] = &[$(Self::$name,)*];

            $($(#[$doc])* pub(crate) const $name: &'static str = $reason;)*
        }
    };
}

other_reasons! {
    /// The replay store did not answer.
    STORE_UNAVAILABLE = "store_unavailable";
    /// The replay store has no room.
    STORE_FULL = "store_full";
    /// The replay store has no room for this key.
    STORE_SHARE_FULL = "store_share_full";
    /// The host ended the flow before it was decided.
    UNDECIDED = "undecided";
    /// Too many requests.
    RATE_LIMITED = "rate_limited";
    /// The issuer's keys cannot be read now.
    KEYS_UNAVAILABLE = "keys_unavailable";
    /// The authorization server does not say now whether the token is active.
    INTROSPECTION_UNAVAILABLE = "introspection_unavailable";
    /// A `dpop_jkt` that is not a thumbprint (RFC 9449 section 10).
    DPOP_JKT_MALFORMED = "dpop_jkt_malformed";
    /// The tokens of a token exchange are bound to two keys.
    TOKENS_OF_TWO_KEYS = "tokens_of_two_keys";
    /// A preflight of an origin that is not permitted.
    CORS_ORIGIN = "cors_origin";
    /// A preflight that was answered. Nothing is wrong with it.
    PREFLIGHT = "preflight";
}

impl Refusal {
    /// A refusal without a body.
    pub(crate) fn new(
        status: u16,
        reason: &'static str,
        error: Option<&'static str>,
        www_authenticate: Option<String>,
        dpop_nonce: Option<Nonce>,
    ) -> Self {
        let mut headers = alloc::vec![("Cache-Control", "no-store".to_owned())];
        headers.push(("Access-Control-Expose-Headers", EXPOSED_FIELDS.to_owned()));
        if let Some(challenges) = www_authenticate {
            headers.push((WWW_AUTHENTICATE, challenges));
        }
        if let Some(nonce) = &dpop_nonce {
            headers.push((DPOP_NONCE, nonce.as_str().to_owned()));
        }
        Self::with_headers(status, reason, error, dpop_nonce, headers)
    }

    pub(crate) fn with_headers(
        status: u16,
        reason: &'static str,
        error: Option<&'static str>,
        dpop_nonce: Option<Nonce>,
        headers: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            status,
            reason,
            error,
            dpop_nonce,
            headers,
            body: String::new(),
            #[cfg(feature = "oauth")]
            facts: None,
            #[cfg(feature = "oauth")]
            limited_by: None,
        }
    }

    /// A refusal of an authorization server: 400 with the error in a JSON body (RFC 6749 section 5.2). `error` and `description`
    /// are texts of this crate, without quotes.
    pub(crate) fn with_body(
        reason: &'static str,
        error: &'static str,
        description: &str,
        dpop_nonce: Option<Nonce>,
    ) -> Self {
        let mut refusal = Self::new(400, reason, Some(error), None, dpop_nonce);
        refusal.headers.push(("Content-Type", "application/json".to_owned()));
        refusal.body = format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"}}");
        refusal
    }

    /// The answer where a proof was not settled: 503 if the store could not decide, because accepting would be a guess. One that did
    /// not answer is worth another try after `retry_after` seconds.
    pub(crate) fn of_settling(error: SettleError, retry_after: u64, refuse: impl FnOnce(Rejection) -> Self) -> Self {
        match error {
            SettleError::Rejected(rejection) => refuse(rejection),
            SettleError::Unavailable => Self::unavailable(error.reason(), retry_after),
            SettleError::Full | SettleError::ShareFull => Self::unavailable(error.reason(), RETRY_AFTER),
        }
    }

    /// The answer where a host ended a flow before it was decided: 503.
    pub fn undecided() -> Self {
        Self::unavailable(Self::UNDECIDED, RETRY_AFTER)
    }

    /// A refusal because nothing could decide; the client may try again after so many seconds.
    pub(crate) fn unavailable(reason: &'static str, retry_after: u64) -> Self {
        Self::later(503, reason, retry_after)
    }

    /// A refusal because there were too many requests: 429 (RFC 6585 section 4). The peer is told when to come back, and not what
    /// it was limited by.
    #[cfg(feature = "oauth")]
    pub(crate) fn limited(by: LimitedBy, wait: Wait) -> Self {
        Self { limited_by: Some(by), ..Self::later(429, Self::RATE_LIMITED, wait.seconds()) }
    }

    fn later(status: u16, reason: &'static str, retry_after: u64) -> Self {
        let headers = alloc::vec![("Cache-Control", "no-store".to_owned()), ("Retry-After", retry_after.to_string())];
        Self::with_headers(status, reason, None, None, headers)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("error", &self.error)
            .field("www_authenticate", &self.www_authenticate())
            .field("dpop_nonce", &self.dpop_nonce.is_some())
            .finish_non_exhaustive()
    }
}

const WWW_AUTHENTICATE: &str = "WWW-Authenticate";
/// How long a client should wait before it tries again where nobody could decide, in seconds.
pub(crate) const RETRY_AFTER: u64 = 5;
/// The fields that scripts in browsers have to read (RFC 9449 sections 7.1 and 8), as the value of
/// `Access-Control-Expose-Headers`; `Date` shows them how wrong their clock is.
pub const EXPOSED_FIELDS: &str = "WWW-Authenticate, DPoP-Nonce, Date";

impl Verifier {
    /// The response to a proof that was refused: the only place where the wire code is chosen.
    ///
    /// A nonce is asked for where a new one helps: if the proof had none or a bad one, if it was too old or too new
    /// and carried no valid nonce, or if the store cannot know whether it was used.
    pub fn refuse(&self, rejection: Rejection, role: Role, presentation: &Presentation<'_>, now: UnixTime) -> Refusal {
        let presented = PresentedProof { role, ..presentation.presented() };
        let asked = AskedNonce { exact: presented.nonce, role, epoch: presented.epoch };
        let has_valid = || matches!(judge::nonce_verdict(self, &presented, now), Some(NonceVerdict::Valid(_)));
        let thumbprint = || judge::claimed_thumbprint(self, &presented);
        let helps = self.nonce_that_helps(rejection, &asked, &thumbprint, &has_valid, now);
        self.answer(rejection, role, helps)
    }

    /// The same of a proof that could not be [read](Self::read).
    pub fn refuse_unread(&self, unread: UnreadProof) -> Refusal {
        self.answer(unread.rejection, unread.role, unread.helps)
    }

    /// The same of a proof that was read, for the life of the store that answered last.
    pub fn refuse_read(&self, rejection: Rejection, read: &ReadProof, epoch: StoreEpoch, now: UnixTime) -> Refusal {
        let asked = AskedNonce { epoch, ..read.asked() };
        let helps = self.nonce_for(rejection, &asked, Some(&read.key), read.nonce.as_deref(), now);
        self.answer(rejection, read.role, helps)
    }

    /// A proof that could not be read: what is known of it by now is its key, and its nonce where the clock is wrong.
    pub(super) fn unread(
        &self,
        rejection: Rejection,
        presented: &PresentedProof<'_>,
        key: Option<&Key>,
        nonce: Option<Text<'_>>,
        now: UnixTime,
    ) -> UnreadProof {
        let PresentedProof { nonce: exact, role, epoch, .. } = *presented;
        let nonce = nonce.map(|nonce| judge::bounded_nonce(nonce, None));
        let helps = self.nonce_for(rejection, &AskedNonce { exact, role, epoch }, key, nonce.as_deref(), now);
        UnreadProof { rejection, role, helps }
    }

    /// The nonce that helps the holder of `key`, whose proof carried `given`.
    fn nonce_for(
        &self,
        rejection: Rejection,
        asked: &AskedNonce<'_>,
        key: Option<&Key>,
        given: Option<&str>,
        now: UnixTime,
    ) -> Option<Nonce> {
        let thumbprint = || key.map(|key| key.thumbprint(self));
        let has_valid = || {
            let verdict = match (&self.nonces, given, thumbprint()) {
                (Some(issuer), Some(given), Some(thumbprint)) => {
                    Some(issuer.check(given, asked.role, &thumbprint, asked.epoch, now))
                }
                _ => None,
            };
            matches!(verdict, Some(NonceVerdict::Valid(_)))
        };
        self.nonce_that_helps(rejection, asked, &thumbprint, &has_valid, now)
    }

    fn answer(&self, rejection: Rejection, role: Role, helps: Option<Nonce>) -> Refusal {
        if let Some(nonce) = helps {
            return self.refusal(role, "use_dpop_nonce", rejection, Some(nonce));
        }
        match (rejection, role) {
            // Without nonces only time helps: the client's proof is not at fault.
            (Rejection::BeforeStoreFloor, _) => {
                Refusal::unavailable(rejection.reason(), self.policy.max_ahead().saturating_add(1))
            }
            (Rejection::BindingMismatch, Role::ResourceServer) => self.refusal(role, "invalid_token", rejection, None),
            (Rejection::BindingMismatch, Role::AuthorizationServer) => {
                self.refusal(role, "invalid_grant", rejection, None)
            }
            _ => self.refusal(role, "invalid_dpop_proof", rejection, None),
        }
    }

    /// The response where the replay store could not decide: 503, because accepting would be a guess. `presentation` is in the
    /// epoch of the store's answer, so that a nonce vouches for that.
    pub fn refuse_undecided(
        &self,
        error: SettleError,
        role: Role,
        presentation: &Presentation<'_>,
        now: UnixTime,
    ) -> Refusal {
        Refusal::of_settling(error, RETRY_AFTER, |rejection| self.refuse(rejection, role, presentation, now))
    }

    /// A nonce for the next proof of any key, for hosts that hand out more nonces than come due; none without an issuer, or
    /// where the issuer binds its nonces to keys.
    pub fn fresh_nonce(&self, role: Role, epoch: StoreEpoch, now: UnixTime) -> Option<Nonce> {
        self.nonces.as_ref()?.issue(role, None, epoch, now).ok()
    }

    fn nonce_that_helps(
        &self,
        rejection: Rejection,
        asked: &AskedNonce<'_>,
        thumbprint: &dyn Fn() -> Option<Thumbprint>,
        has_valid: &dyn Fn() -> bool,
        now: UnixTime,
    ) -> Option<Nonce> {
        let asks = match rejection {
            Rejection::NonceMissing | Rejection::NonceStale | Rejection::NonceMismatch | Rejection::NonceInvalid => {
                true
            }
            Rejection::BeforeStoreFloor => self.nonces.is_some(),
            // A wrong clock: the nonce's answer lets the client learn ours, but only once.
            Rejection::IatTooOld | Rejection::IatInFuture => self.nonces.is_some() && !has_valid(),
            _ => false,
        };
        if !asks {
            return None;
        }
        if let Some(exact) = asked.exact {
            return Nonce::parse(exact.as_bytes()).ok();
        }
        let issuer = self.nonces.as_ref()?;
        issuer.issue(asked.role, thumbprint().as_ref(), asked.epoch, now).ok()
    }

    fn refusal(&self, role: Role, error: &'static str, rejection: Rejection, dpop_nonce: Option<Nonce>) -> Refusal {
        let description = rejection.to_string();
        match role {
            Role::ResourceServer => {
                let challenge = self.challenge(error, &description).map(|challenge| challenge.to_string()).ok();
                Refusal::new(401, rejection.reason(), Some(error), challenge, dpop_nonce)
            }
            Role::AuthorizationServer => Refusal::with_body(rejection.reason(), error, &description, dpop_nonce),
        }
    }

    /// The challenge of RFC 9449 section 7.1, which names the accepted algorithms.
    fn challenge(&self, error: &str, description: &str) -> Result<Challenge, ChallengeError> {
        Challenge::new(DPOP)?
            .with_param("error", error)?
            .with_param("error_description", description)?
            .with_param("algs", &self.policy.algorithms().to_string())
    }
}
