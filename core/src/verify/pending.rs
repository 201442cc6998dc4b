//! A proof that passed every check but the last, and what becomes of it.

use core::fmt;

use super::rejection::Rejection;
use crate::UnixTime;
use crate::jose::algorithm::Algorithm;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::Nonce;
use crate::replay::{Insertion, ReplayEntry, ReplayKey};

/// A proof that passed every check except replay.
///
/// Nothing can be read from it but what the replay store needs: to get at the key or the time, insert
/// [`replay_entry`](Self::replay_entry) into the store and [`settle`](Self::settle).
#[must_use = "a proof is not accepted until it is settled with the replay store's answer"]
pub struct PendingProof {
    pub(super) entry: ReplayEntry,
    /// What it is refused for once its time is over: its `iat` or its nonce, whichever is the clock.
    pub(super) late: Rejection,
    /// When the proof's own `exp` ends its life, if that is given.
    pub(super) ends: Option<UnixTime>,
    pub(super) verified: VerifiedProof,
}

impl PendingProof {
    /// What the replay store inserts, if it is not there yet.
    pub const fn replay_entry(&self) -> &ReplayEntry {
        &self.entry
    }

    /// The key under which this proof is remembered: 16 bytes.
    pub const fn replay_key(&self) -> ReplayKey {
        *self.entry.key()
    }

    /// The last instant at which this proof can be accepted.
    pub const fn expires_at(&self) -> UnixTime {
        self.entry.expires_at()
    }

    /// Completes the verification with the replay store's answer.
    ///
    /// `now` is the time after the store answered: a proof gone stale meanwhile is refused.
    ///
    /// # Errors
    /// [`SettleError::Rejected`] if the proof was used before or is too old for the store to know;
    /// [`SettleError::Unavailable`], [`SettleError::Full`] and [`SettleError::ShareFull`] if the store could not decide.
    ///
    /// # Security
    /// An answer of [`Insertion::Fresh`] without an atomic insertion into a store accepts every replay.
    pub fn settle(self, insertion: Insertion, now: UnixTime) -> Result<VerifiedProof, SettleError> {
        match insertion {
            Insertion::Fresh => {}
            Insertion::Seen => return Err(SettleError::Rejected(Rejection::Replayed)),
            Insertion::BeforeFloor => return Err(SettleError::Rejected(Rejection::BeforeStoreFloor)),
            Insertion::Unavailable => return Err(SettleError::Unavailable),
            Insertion::Full => return Err(SettleError::Full),
            Insertion::ShareFull => return Err(SettleError::ShareFull),
        }
        if now > self.entry.expires_at() {
            return Err(SettleError::Rejected(self.late));
        }
        if self.ends.is_some_and(|end| now >= end) {
            return Err(SettleError::Rejected(Rejection::Expired));
        }
        Ok(self.verified)
    }

    /// Completes the verification without a replay store.
    ///
    /// # Security
    /// Whoever sees the proof can use it again until [`expires_at`](Self::expires_at).
    pub fn danger_skip_replay_check(self) -> VerifiedProof {
        self.verified
    }

    pub(super) fn into_unconsumed(self) -> UnconsumedProof {
        UnconsumedProof { thumbprint: self.verified.thumbprint }
    }
}

impl fmt::Debug for PendingProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingProof").field("expires_at", &self.expires_at()).finish_non_exhaustive()
    }
}

/// A proof that passed every check, replay included.
#[derive(Clone, Debug)]
#[must_use = "the verified key is what the request may be attributed to"]
pub struct VerifiedProof {
    pub(super) thumbprint: Thumbprint,
    pub(super) algorithm: Algorithm,
    pub(super) issued_at: UnixTime,
    pub(super) next_nonce: Option<Nonce>,
}

impl VerifiedProof {
    /// The thumbprint of the key that made the proof.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The algorithm of the proof.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The proof's `iat`, rounded down.
    pub const fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// The nonce to send in `DPoP-Nonce` with the response, near rotation, so that the client never needs a second try.
    pub const fn next_nonce(&self) -> Option<&Nonce> {
        self.next_nonce.as_ref()
    }
}

/// A proof that passed every check except replay, which somebody behind this one consumes.
///
/// It is another type than [`VerifiedProof`] because it makes no principal: the same proof may have been seen before.
#[derive(Clone, Copy, Debug)]
#[must_use = "an unconsumed proof may be a replay: pass the request on to the service that consumes it"]
pub struct UnconsumedProof {
    thumbprint: Thumbprint,
}

impl UnconsumedProof {
    /// The thumbprint of the key that made the proof, for logs and routing.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}

/// The replay store's answer did not lead to acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettleError {
    /// The proof is refused.
    Rejected(Rejection),
    /// The store could not answer: the request is refused (503), since nobody knows whether the proof was used.
    Unavailable,
    /// The store is full: the request is refused (503), since no live entry may be given up for it.
    Full,
    /// The store fills up and the proof's key holds its share of it: the request is refused (503), so that others are served.
    ShareFull,
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Unavailable => f.write_str("the replay store did not answer"),
            Self::Full => f.write_str("the replay store is full"),
            Self::ShareFull => f.write_str(
                "this key holds its share of the replay store, which is more than half full; give the store more capacity or fewer shares",
            ),
        }
    }
}

impl core::error::Error for SettleError {}

/// A synchronous verification did not lead to acceptance; `E` is the store's own error, untouched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VerifyError<E> {
    /// The proof is refused.
    Rejected(Rejection),
    /// The store answered that it could not decide.
    Unavailable,
    /// The store is full.
    Full,
    /// The proof's key holds its share of a store that fills up.
    ShareFull,
    /// The store failed.
    Store(E),
}

impl<E> From<SettleError> for VerifyError<E> {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Rejected(rejection) => Self::Rejected(rejection),
            SettleError::Unavailable => Self::Unavailable,
            SettleError::Full => Self::Full,
            SettleError::ShareFull => Self::ShareFull,
        }
    }
}

impl<E> From<Rejection> for VerifyError<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E: fmt::Display> fmt::Display for VerifyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Unavailable => SettleError::Unavailable.fmt(f),
            Self::Full => SettleError::Full.fmt(f),
            Self::ShareFull => SettleError::ShareFull.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for VerifyError<E> {}
