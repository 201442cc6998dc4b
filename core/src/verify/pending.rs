//! A proof that passed every check but the last, and what becomes of it.

use alloc::sync::Arc;
use core::fmt;

use super::refusal::Refusal;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::jose::algorithm::Algorithm;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::issuer::{NonceIssuer, ValidNonce};
use crate::nonce::{Nonce, Role};
use crate::replay::{Inserted, Insertion, ReplayEntry, ReplayKey, StoreEpoch};

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
    /// There if the proof carries a nonce of the verifier's issuer.
    pub(super) next: Option<NextNonce>,
    /// Without its next nonce.
    pub(super) verified: VerifiedProof,
}

/// What decides about the next nonce.
pub(super) struct NextNonce {
    pub(super) issuer: Arc<NonceIssuer>,
    pub(super) role: Role,
    /// The nonce of the proof.
    pub(super) of: ValidNonce,
    /// The store's life as far as it was known before the insert.
    pub(super) epoch: StoreEpoch,
    pub(super) checked_at: UnixTime,
}

impl NextNonce {
    /// The next nonce, if the proof's own is not the one to go on with in `epoch`.
    fn due(&self, thumbprint: &Thumbprint, epoch: StoreEpoch, now: UnixTime) -> Option<Nonce> {
        let renew = self.of.renew || self.of.epoch != epoch;
        renew.then(|| self.issuer.issue(self.role, Some(thumbprint), epoch, now).ok()).flatten()
    }
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

    /// Completes the verification with the replay store's answer, and makes the next nonce for the life that answered.
    ///
    /// `now` is the time after the store answered: a proof gone stale meanwhile is refused.
    ///
    /// # Errors
    /// [`SettleError::Rejected`] if the proof was used before or is too old for the store to know;
    /// [`SettleError::Unavailable`], [`SettleError::Full`] and [`SettleError::ShareFull`] if the store could not decide.
    ///
    /// # Security
    /// An answer of [`Insertion::Fresh`] without an atomic insertion into a store accepts every replay.
    pub fn settle(self, inserted: Inserted, now: UnixTime) -> Result<VerifiedProof, SettleError> {
        match inserted.insertion {
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
        Ok(self.accepted(inserted.epoch, now))
    }

    /// Completes the verification without a replay store.
    ///
    /// # Security
    /// Whoever sees the proof can use it again until [`expires_at`](Self::expires_at).
    pub fn danger_skip_replay_check(self) -> VerifiedProof {
        match &self.next {
            Some(NextNonce { epoch, checked_at, .. }) => {
                let (epoch, checked_at) = (*epoch, *checked_at);
                self.accepted(epoch, checked_at)
            }
            None => self.verified,
        }
    }

    fn accepted(self, epoch: StoreEpoch, now: UnixTime) -> VerifiedProof {
        let next_nonce = self.next.and_then(|next| next.due(&self.verified.thumbprint, epoch, now));
        VerifiedProof { next_nonce, ..self.verified }
    }

    /// Who signed it, and when by its `iat`: the signature was verified, replay was not checked.
    #[cfg(feature = "oauth")]
    pub(crate) const fn proven(&self) -> (Thumbprint, UnixTime) {
        (self.verified.thumbprint, self.verified.issued_at)
    }

    pub(crate) fn into_unconsumed(self) -> UnconsumedProof {
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

impl SettleError {
    /// The stable name, for programs: that of the [`Rejection`], or of what is wrong with the store.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::Unavailable => Refusal::STORE_UNAVAILABLE,
            Self::Full => Refusal::STORE_FULL,
            Self::ShareFull => Refusal::STORE_SHARE_FULL,
        }
    }
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
