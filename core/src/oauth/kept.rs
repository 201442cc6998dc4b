//! One check for everything that a client goes on with: made just now, loaded from a store or handed over by the caller.
//!
//! A store can be edited, restored from a backup, or written by a program with another configuration. So what is loaded is held
//! against the configuration exactly as what is made; this file is the only place that says what fits.

use super::binding::Binding;
use super::client::Inner;
use super::error::{Downgrade, FlowError, StoredDefect};
use super::metadata::{AuthorizationServer, is_same_issuer};
use crate::json::Value;
use crate::{Misuse, SecurityLevel, UnixTime};

/// The newest version of the stored form of sessions and pending logins.
const FORMAT: i64 = 2;
/// How far a clock may have been set back since something was stored, in seconds.
const CLOCK_STEP: u64 = 60;

/// What a session or pending login says of itself.
pub(super) struct Claimed<'a> {
    pub(super) level: SecurityLevel,
    /// The authorization server; none for a token whose origin is unknown.
    pub(super) server: Option<&'a AuthorizationServer>,
    pub(super) binding: Option<&'a Binding>,
    pub(super) has_intent: bool,
    /// Whether the level is the one that was asked for, which the server's answer cannot have lowered yet.
    pub(super) is_pending: bool,
}

/// Why it does not fit.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "dpop"), allow(dead_code, reason = "without DPoP no key is looked at"))]
pub(super) enum Unfit {
    Level,
    /// A server on this machine, where that is not permitted.
    Loopback,
    Issuer,
    /// A level that binds without a key, or the reverse.
    Binding,
    Algorithm,
    KeyProtection,
    /// [`SecurityLevel::Maximum`] without an intent.
    NoIntent,
    /// An intent that is not bound, or could become so.
    UnboundIntent,
}

impl Inner {
    /// Whether this client uses the authorization server with this issuer identifier.
    pub(super) fn accepts(&self, issuer: &str) -> bool {
        self.issuers.is_empty() || self.issuers.iter().any(|known| is_same_issuer(known, issuer))
    }
}

impl Claimed<'_> {
    /// Holds it against the client's configuration.
    pub(super) fn check(&self, client: &Inner) -> Result<(), Unfit> {
        if self.server.is_some_and(|server| client.rule.lacks_loopback(server.issuer())) {
            return Err(Unfit::Loopback);
        }
        let was_lowered = client.accepts_bearer && self.level == SecurityLevel::Standard && !self.is_pending;
        if self.level < client.level && !was_lowered {
            return Err(Unfit::Level);
        }
        if self.server.is_some_and(|server| !client.accepts(server.issuer())) {
            return Err(Unfit::Issuer);
        }
        if self.level.binds() != self.binding.is_some() {
            return Err(Unfit::Binding);
        }
        if let Some(binding) = self.binding {
            binding.check(client, self.level, self.server)?;
        }
        if self.level == SecurityLevel::Maximum && !self.has_intent {
            return Err(Unfit::NoIntent);
        }
        if self.has_intent && (self.binding.is_none() || client.accepts_bearer) {
            return Err(Unfit::UnboundIntent);
        }
        Ok(())
    }
}

impl Unfit {
    /// The error for something that was loaded.
    pub(super) fn stored(self) -> FlowError {
        match self {
            Self::Level => StoredDefect::Level.into(),
            Self::Loopback => StoredDefect::Loopback.into(),
            Self::Issuer => StoredDefect::Issuer.into(),
            Self::Binding => StoredDefect::Malformed.into(),
            Self::Algorithm => StoredDefect::Algorithm.into(),
            Self::KeyProtection => Downgrade::KeyProtection.into(),
            Self::NoIntent => Downgrade::NoIntent.into(),
            Self::UnboundIntent => Misuse::IntentAcceptsBearer.into(),
        }
    }

    /// The error for something that the caller gave.
    #[cfg(feature = "dpop")]
    pub(super) fn given(self) -> FlowError {
        match self {
            Self::Algorithm => Misuse::KeyAlgorithm.into(),
            other => other.stored(),
        }
    }
}

/// Whether something that lasts `longest` seconds at most can have been stored with this end. One that ends later was edited.
pub(super) fn is_plausible_end(end: UnixTime, longest: u64, now: UnixTime) -> bool {
    end <= now.saturating_add(longest.saturating_add(CLOCK_STEP))
}

/// Refuses a stored form that a newer version wrote: it may ask for a check that is not known here.
pub(super) fn check_format(stored: &Value) -> Result<(), StoredDefect> {
    match stored.integer("v") {
        Some(1..=FORMAT) => Ok(()),
        Some(_) => Err(StoredDefect::Version),
        None => Err(StoredDefect::Malformed),
    }
}
