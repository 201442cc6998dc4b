//! What a store answers.

use core::fmt;

use super::entry::StoreEpoch;

/// A store's answer to one entry, and the life of the store that gave it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "only `Fresh` accepts a proof"]
pub struct Inserted {
    /// The answer.
    pub insertion: Insertion,
    /// The store's life at the time of the answer.
    ///
    /// # Security
    /// A refusal after [`Insertion::BeforeFloor`] carries a nonce of this life. An epoch that ended before the store forgot
    /// something, given here, would let nonces vouch for proofs that the store no longer knows; one that is merely out of date
    /// costs an honest client a further request.
    pub epoch: StoreEpoch,
    /// Why the store did not answer, if this is [`Insertion::Unavailable`] and the store says why: see [`unavailable`](Self::unavailable).
    pub fault: Option<&'static str>,
}

impl Inserted {
    /// `insertion`, answered in `epoch`.
    pub const fn new(insertion: Insertion, epoch: StoreEpoch) -> Self {
        Self { insertion, epoch, fault: None }
    }

    /// [`Insertion::Unavailable`] and why, for metrics to count by: a short name of lower case letters, digits and `_` that does not change
    /// from version to version, and one of few. A store that gives no names uses [`new`](Self::new).
    pub const fn unavailable(fault: &'static str, epoch: StoreEpoch) -> Self {
        Self { insertion: Insertion::Unavailable, epoch, fault: Some(fault) }
    }
}

/// A store's answer to one entry. Only [`Fresh`](Self::Fresh) accepts the proof; all others refuse it.
///
/// # Security
/// `Fresh` answered wrongly, once, is a replayed request. Every other answer given wrongly costs an honest
/// client one request and an attacker nothing. A store that does not know must therefore never say `Fresh`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "only `Fresh` accepts a proof"]
pub enum Insertion {
    /// The entry was not there and now is, in one atomic step.
    ///
    /// Wrong if two callers can both hear it for one key, or if the entry can be lost before its
    /// [`keep_until`](super::ReplayEntry::keep_until) by eviction, restart or a change of clock: a stolen proof
    /// is then accepted again.
    Fresh,
    /// The entry was there before: the proof is a replay.
    ///
    /// Wrong if another client's `jti`, or a proof that failed an earlier check, can cause it: strangers could
    /// then burn the proofs of others. Answered for a first presentation it refuses an honest client.
    Seen,
    /// The store cannot answer now, or the entry is one it does not serve: another
    /// [`ReplayAgreement`](super::ReplayAgreement), an expiry that no policy yields, a forked process.
    ///
    /// Always safe to answer. Treating it as `Fresh` would let whoever can disturb the store replay at will.
    Unavailable,
    /// The store is used up.
    ///
    /// Answering `Fresh` without keeping the entry, or by evicting a live one, lets an attacker flood the store
    /// and then replay what it forgot. Answered too early it denies service to honest clients.
    Full,
    /// The store fills up, and this proof's key holds its share of it: other keys are served.
    ///
    /// Answering `Full` instead is as safe, and hides from the operator that one client is the reason.
    ShareFull,
    /// The store cannot vouch for the time the proof speaks of: an earlier life of the store, of which it knows
    /// nothing, may have accepted it, or its generation has been dropped already.
    ///
    /// The way out is a nonce issued during the store's present life. Answering `Fresh` instead accepts again,
    /// after each restart, every proof seen shortly before it.
    BeforeFloor,
}

impl Insertion {
    /// Stable name, for logs and metrics: `fresh`, `seen`, `unavailable`, `full`, `share_full`, `before_floor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Seen => "seen",
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::ShareFull => "share_full",
            Self::BeforeFloor => "before_floor",
        }
    }
}

impl fmt::Display for Insertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
