//! Audit records: what was decided about a request, by which key and token, as one line of JSON.
//!
//! A record holds no token, proof, key, nonce, URL or subject. The route is the host's template (`/items/{id}`), the token is named by an HMAC
//! under a key of the host's. Client, thumbprint and token are there only once the signature they rest on was verified: what a stranger
//! merely claims is null.
//!
//! A server keeps what it learns for a record if it is told to, by [`ResourceServer::audited`](crate::server::resource::ResourceServer::audited)
//! or [`AuthorizationServer::audited`](crate::server::authorization::AuthorizationServer::audited); otherwise nothing is kept or allocated.
//! Principal, admission and refusal hand it out as [`Facts`].
//!
//! ```
//! use keybound::UnixTime;
//! use keybound::audit::{AuditRecord, Occasion, Operation};
//! use keybound::server::resource::Admission;
//!
//! fn line(admission: &Admission, now: UnixTime) -> String {
//!     let occasion = Occasion { route: Some("/items/{id}"), ..Occasion::new(Operation::Admission, now) };
//!     let record = match admission {
//!         Ok(principal) => AuditRecord::admitted(&occasion, principal.facts()),
//!         Err(refusal) => AuditRecord::refused(&occasion, refusal),
//!     };
//!     record.to_json()
//! }
//! ```

mod facts;
#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

pub use facts::{Audit, AuditKey, AuditKeyError, Facts};

use alloc::string::String;
use core::fmt::{self, Write as _};
use core::time::Duration;

use crate::intent::IntentDefect;
use crate::json::Value;
use crate::verify::refusal::Refusal;
use crate::{Rejection, Thumbprint, UnixTime, base64url};

/// How many characters of a client's identifier or a route are written, before escapes.
pub const MAX_TEXT: usize = 128;

/// What was decided, about whom: a line of an audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When it was decided, by the host's clock.
    pub time: UnixTime,
    /// What was asked for.
    pub operation: Operation,
    /// The template of the route, as the host calls it; never the path of the request.
    pub route: Option<String>,
    /// What was decided.
    pub verdict: Verdict,
    /// Why it was not admitted: one of the reasons of `docs/errors`.
    pub reason: Option<&'static str>,
    /// The key that made the proof, once its signature was verified.
    pub thumbprint: Option<Thumbprint>,
    /// The client that the token was issued to, once the token was verified.
    pub client: Option<String>,
    /// The HMAC-SHA-256 of the token's `jti`, or of the token's SHA-256 hash if it has none, once the token was verified.
    pub token: Option<[u8; 32]>,
    /// How long the decision took.
    pub latency: Option<Duration>,
}

/// What the host adds to what a server or client knows.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// When it was decided.
    pub time: UnixTime,
    /// The template of the route.
    pub route: Option<&'a str>,
    /// How long the decision took.
    pub latency: Option<Duration>,
}

impl Occasion<'_> {
    /// An occasion without route and latency.
    pub const fn new(operation: Operation, time: UnixTime) -> Self {
        Self { operation, time, route: None, latency: None }
    }
}

/// What was asked for, as a record names it. A flow of a client that a program begins is [`oauth::Operation`](crate::oauth::Operation).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// A request to a protected resource.
    Admission,
    /// Carrying out an intent.
    Intent,
    /// A request to an authorization server.
    Grant,
    /// A client obtained tokens.
    Issue,
    /// A client renewed its tokens.
    Refresh,
    /// A client took another key for its proofs, or a key ring made another key active.
    Rotation,
    /// A host deleted a key that nothing uses any more.
    Deletion,
    /// A client sent a request to a resource.
    Request,
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It was permitted, or succeeded.
    Admitted,
    /// The client was asked for a proof with a nonce of the server's.
    Challenged,
    /// It was refused.
    Refused,
    /// Nothing could decide: 503.
    Undecided,
}

impl AuditRecord {
    /// A record of what was permitted. `facts` are those of the principal or admission.
    pub fn admitted(occasion: &Occasion<'_>, facts: Option<&Facts>) -> Self {
        Self::new(occasion, Verdict::Admitted, None, facts)
    }

    /// A record of what was refused.
    pub fn refused(occasion: &Occasion<'_>, refusal: &Refusal) -> Self {
        Self::new(occasion, Verdict::of(refusal), Some(refusal.reason()), refusal.facts())
    }

    /// A record of a client: of what it did, or what it was refused for.
    #[cfg(feature = "audit")]
    pub(crate) fn of_client(occasion: &Occasion<'_>, reason: Option<&'static str>, facts: &Facts) -> Self {
        let verdict = if reason.is_some() { Verdict::Refused } else { Verdict::Admitted };
        Self::new(occasion, verdict, reason, Some(facts))
    }

    /// A record of what was done with a key of the host.
    pub fn of_key(occasion: &Occasion<'_>, thumbprint: Thumbprint) -> Self {
        Self { thumbprint: Some(thumbprint), ..Self::new(occasion, Verdict::Admitted, None, None) }
    }

    fn new(occasion: &Occasion<'_>, verdict: Verdict, reason: Option<&'static str>, facts: Option<&Facts>) -> Self {
        let Occasion { operation, time, route, latency } = *occasion;
        Self {
            time,
            operation,
            route: route.map(cut),
            verdict,
            reason,
            thumbprint: facts.and_then(Facts::thumbprint),
            client: facts.and_then(Facts::client).map(cut),
            token: facts.and_then(Facts::token),
            latency,
        }
    }

    /// The same record, with what the host knows once the decision is there: its time, the route and how long it took.
    #[must_use]
    pub fn told(self, occasion: &Occasion<'_>) -> Self {
        let Occasion { time, route, latency, .. } = *occasion;
        Self { time, route: route.map(cut), latency, ..self }
    }

    /// Whether a record must not be crowded out by others: what was permitted, replays, and tokens shown with another key. Anyone can cause
    /// any number of the others.
    pub fn is_vital(&self) -> bool {
        let stolen = [Rejection::Replayed.reason(), Rejection::BindingMismatch.reason(), IntentDefect::Used.reason()];
        self.verdict == Verdict::Admitted || self.reason.is_some_and(|reason| stolen.contains(&reason))
    }

    /// The record as a JSON object without a line break; what is unknown is null. Texts hold visible ASCII alone: other characters and
    /// backslashes are written as `\u{…}`.
    pub fn to_json(&self) -> String {
        let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
        let micros = self.latency.map(|latency| i64::try_from(latency.as_micros()).unwrap_or(i64::MAX));
        Value::object()
            .with("time", self.time)
            .with("what", self.operation.name())
            .with("route", text(self.route.as_deref().map(escaped)))
            .with("verdict", self.verdict.name())
            .with("reason", self.reason.map_or(Value::Null, Value::from))
            .with("thumbprint", text(self.thumbprint.map(|thumbprint| alloc::format!("{thumbprint}"))))
            .with("client", text(self.client.as_deref().map(escaped)))
            .with("token", text(self.token.map(|token| base64url::encode(&token))))
            .with("latency_us", micros.map_or(Value::Null, Value::from))
            .to_json()
    }
}

impl Operation {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Intent => "intent",
            Self::Grant => "grant",
            Self::Issue => "issue",
            Self::Refresh => "refresh",
            Self::Rotation => "rotation",
            Self::Deletion => "deletion",
            Self::Request => "request",
        }
    }
}

impl Verdict {
    /// The verdict that a refusal stands for.
    pub fn of(refusal: &Refusal) -> Self {
        match (refusal.status(), refusal.error()) {
            (503, _) => Self::Undecided,
            (_, Some("use_dpop_nonce")) => Self::Challenged,
            _ => Self::Refused,
        }
    }

    /// Its name in records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Challenged => "challenged",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }
}

/// The record as JSON.
impl fmt::Display for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// The first characters of a text, with a mark if some are left out.
fn cut(text: &str) -> String {
    let mut kept: String = text.chars().take(MAX_TEXT).collect();
    if kept.len() < text.len() {
        kept.push_str("...");
    }
    kept
}

/// A text in which nothing moves the cursor, ends the line or runs backwards. Two different texts stay different.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\u{5c}"),
            ' '..='~' => escaped.push(c),
            // Writing to a string does not fail.
            _ => drop(write!(escaped, "{}", c.escape_unicode())),
        }
    }
    escaped
}
