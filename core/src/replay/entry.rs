//! What a store is asked to remember about one proof.

use core::fmt;

use super::key::{ReplayAgreement, ReplayKey};
#[cfg(feature = "std")]
use crate::crypto::{RandomUnavailable, SecureRandom};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// Names one continuous life of a store, from the moment it began to remember until it forgets.
///
/// A memory store draws it at random when it is created; a networked store derives it from what its server
/// calls the present run. Nonce issuers put it, authenticated, into the nonces they mint. A nonce that holds
/// the store's present epoch was issued during this life, whatever any clock says, and so no earlier life can
/// have accepted a proof with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreEpoch(u64);

impl StoreEpoch {
    /// That of presentations and nonces for which no store's life is named.
    pub(crate) const UNNAMED: Self = Self(0);

    /// An epoch from its number, 64 unpredictable or never repeated bits.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// An epoch that no other life has.
    #[cfg(feature = "std")]
    pub(super) fn draw(random: &dyn SecureRandom) -> Result<Self, RandomUnavailable> {
        let mut bytes = [0; 8];
        random.fill(&mut bytes)?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }
}

impl fmt::Debug for StoreEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreEpoch({:016x})", self.0)
    }
}

/// One proof as a store sees it.
///
/// The verifier makes it, last of all checks. Two presentations of the same proof give equal entries: all
/// times come from the proof and the policy, none from the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplayEntry(ReplayEntryParts);

/// The parts of a [`ReplayEntry`], for people who test a store of their own.
///
/// Verifiers derive all of this from the proof; see [`ReplayEntry`] for what each part means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplayEntryParts {
    /// See [`ReplayEntry::key`].
    pub key: ReplayKey,
    /// See [`ReplayEntry::thumbprint`].
    pub thumbprint: Thumbprint,
    /// See [`ReplayEntry::timed_at`].
    pub timed_at: UnixTime,
    /// See [`ReplayEntry::max_ahead`].
    pub max_ahead: u64,
    /// See [`ReplayEntry::expires_at`].
    pub expires_at: UnixTime,
    /// See [`ReplayEntry::store_margin`].
    pub store_margin: u64,
    /// See [`ReplayEntry::nonce_epoch`].
    pub nonce_epoch: Option<StoreEpoch>,
    /// See [`ReplayEntry::agreement`].
    pub agreement: ReplayAgreement,
}

impl ReplayEntry {
    /// An entry from its parts.
    ///
    /// # Security
    /// For tests of stores, and for layers that carry entries between processes. An entry that did not come
    /// from a checked proof protects nothing.
    pub const fn from_parts(parts: ReplayEntryParts) -> Self {
        Self(parts)
    }

    /// Names the proof: the only part that decides whether it was seen.
    pub const fn key(&self) -> &ReplayKey {
        &self.0.key
    }

    /// Thumbprint of the proof's key, by which a store limits what one client can hold of it.
    pub const fn thumbprint(&self) -> &Thumbprint {
        &self.0.thumbprint
    }

    /// The time the proof is judged by: its `iat`, or the issue time of its nonce where policy lets a nonce
    /// replace `iat`.
    pub const fn timed_at(&self) -> UnixTime {
        self.0.timed_at
    }

    /// How many seconds in the future `timed_at` may lie.
    pub const fn max_ahead(&self) -> u64 {
        self.0.max_ahead
    }

    /// The last instant at which the proof can be accepted.
    pub const fn expires_at(&self) -> UnixTime {
        self.0.expires_at
    }

    /// Seconds for which the entry is kept beyond [`expires_at`](Self::expires_at): at least what clocks may
    /// disagree by, plus the time a store may take to answer.
    pub const fn store_margin(&self) -> u64 {
        self.0.store_margin
    }

    /// The last instant at which a store must still know the entry.
    pub const fn keep_until(&self) -> UnixTime {
        self.0.expires_at.saturating_add(self.0.store_margin)
    }

    /// The epoch inside the proof's nonce, if the proof has a valid nonce that holds one.
    pub const fn nonce_epoch(&self) -> Option<StoreEpoch> {
        self.0.nonce_epoch
    }

    /// What the verifier that made this entry expects of everybody who uses the store.
    pub const fn agreement(&self) -> ReplayAgreement {
        self.0.agreement
    }

    /// For how many seconds from `now` a store must keep the entry: for stores that take a relative lifetime.
    ///
    /// Always at least 1, and one second longer than the difference, because the instant
    /// [`keep_until`](Self::keep_until) itself is included and clocks are read in whole seconds.
    pub const fn lifetime(&self, now: UnixTime) -> u64 {
        self.keep_until().since(now).saturating_add(1)
    }
}

/// Shows times only, no key and no thumbprint.
impl fmt::Debug for ReplayEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayEntry")
            .field("timed_at", &self.timed_at())
            .field("expires_at", &self.expires_at())
            .field("keep_until", &self.keep_until())
            .field("nonce_epoch", &self.nonce_epoch())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplayEntryParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ReplayEntry(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{ReplayEntry, ReplayEntryParts, StoreEpoch};
    use crate::jose::thumbprint::Thumbprint;
    use crate::replay::{ReplayAgreement, ReplayKey};
    use crate::time::UnixTime;
    use alloc::format;

    fn entry(expires_at: i64, store_margin: u64) -> ReplayEntry {
        ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::from_bytes([0xab; 16]),
            thumbprint: Thumbprint::from_bytes([0xab; 32]),
            timed_at: UnixTime::from_secs(0),
            max_ahead: 10,
            expires_at: UnixTime::from_secs(expires_at),
            store_margin,
            nonce_epoch: Some(StoreEpoch::from_u64(1)),
            agreement: ReplayAgreement::from_bytes([0; 16]),
        })
    }

    #[test]
    fn a_lifetime_is_positive_and_covers_the_last_second() {
        let entry = entry(100, 20);
        assert_eq!(entry.lifetime(UnixTime::from_secs(100)), 21);
        assert_eq!(entry.lifetime(UnixTime::from_secs(120)), 1);
        assert_eq!(entry.lifetime(UnixTime::from_secs(10_000)), 1);
    }

    #[test]
    fn a_lifetime_cannot_overflow() {
        let entry = entry(i64::MAX, u64::MAX);
        assert_eq!(entry.keep_until(), UnixTime::from_secs(i64::MAX));
        assert_eq!(entry.lifetime(UnixTime::from_secs(i64::MIN)), u64::MAX);
    }

    #[test]
    fn debug_shows_neither_key_nor_thumbprint() {
        assert_eq!(
            format!("{:?}", entry(100, 20)),
            "ReplayEntry { timed_at: UnixTime(0), expires_at: UnixTime(100), keep_until: UnixTime(120), \
             nonce_epoch: Some(StoreEpoch(0000000000000001)), .. }"
        );
    }
}
