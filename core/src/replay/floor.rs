//! The floor of a store: since when it remembers, and for which proofs it can therefore vouch.

use super::entry::{ReplayEntry, StoreEpoch};
use crate::time::UnixTime;

/// Since when a store remembers, and in which of its lives: the instant before which another life may have accepted a proof.
///
/// ```
/// use keybound::UnixTime;
/// use keybound::replay::{StoreEpoch, StoreFloor};
///
/// let floor = StoreFloor::new(UnixTime::from_secs(1_000), StoreEpoch::from_u64(7));
/// assert_eq!(floor.since(), UnixTime::from_secs(1_000));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreFloor {
    since: UnixTime,
    epoch: StoreEpoch,
    first_start: bool,
}

impl StoreFloor {
    /// The floor of a store that began to remember at `since`, in the life `epoch`.
    pub const fn new(since: UnixTime, epoch: StoreEpoch) -> Self {
        Self { since, epoch, first_start: false }
    }

    /// The same for a store that is the first of its namespace: no earlier process accepted proofs.
    ///
    /// It then vouches as well for a proof that could still be accepted when the store began, unless its nonce names another life of a
    /// store: such a nonce shows that there was one. A proof that had expired by then stays refused, so that a clock that goes back
    /// brings no older proof to life.
    ///
    /// # Security
    /// If there was an earlier process, every proof that it accepted shortly before its end can be used once more.
    #[must_use]
    pub const fn danger_first_start(self) -> Self {
        Self { first_start: true, ..self }
    }

    /// When the store began to remember.
    pub const fn since(&self) -> UnixTime {
        self.since
    }

    /// The store's present life, see [`ReplayStore::epoch`](super::ReplayStore::epoch).
    pub const fn epoch(&self) -> StoreEpoch {
        self.epoch
    }

    /// The last time of a proof for which the store does not vouch without a nonce, where proofs may be timed `max_ahead` seconds in the future.
    pub const fn last_unknown(&self, max_ahead: u64) -> UnixTime {
        self.since.saturating_add(max_ahead)
    }

    /// Whether the store knows if `entry` was there before. A store never answers [`Insertion::Fresh`](super::Insertion::Fresh) to another.
    ///
    /// It does where the proof is timed after the floor + `max_ahead`, or its nonce was issued in the present life.
    pub fn vouches_for(&self, entry: &ReplayEntry) -> bool {
        entry.timed_at() > self.last_unknown(entry.max_ahead())
            || entry.nonce_epoch() == Some(self.epoch)
            || (self.first_start && self.was_live_at_start(entry))
    }

    fn was_live_at_start(&self, entry: &ReplayEntry) -> bool {
        entry.expires_at() >= self.since && entry.nonce_epoch().is_none_or(|epoch| epoch == StoreEpoch::UNNAMED)
    }
}

#[cfg(test)]
mod tests {
    use super::StoreFloor;
    use crate::jose::thumbprint::Thumbprint;
    use crate::replay::{ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};
    use crate::time::UnixTime;

    const OWN: StoreEpoch = StoreEpoch::from_u64(1);

    fn entry(timed_at: i64, nonce_epoch: Option<StoreEpoch>) -> ReplayEntry {
        ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::from_bytes([1; 16]),
            thumbprint: Thumbprint::from_bytes([1; 32]),
            timed_at: UnixTime::from_secs(timed_at),
            max_ahead: 10,
            expires_at: UnixTime::from_secs(timed_at).saturating_add(60),
            store_margin: 60,
            nonce_epoch,
            agreement: ReplayAgreement::from_bytes([0; 16]),
        })
    }

    fn floor() -> StoreFloor {
        StoreFloor::new(UnixTime::from_secs(1_000), OWN)
    }

    #[test]
    fn a_floor_is_kept_unless_it_is_said_that_nothing_was_before() {
        for (timed_at, kept, first) in
            [(939, false, false), (940, false, true), (1_010, false, true), (1_011, true, true)]
        {
            assert_eq!(floor().vouches_for(&entry(timed_at, None)), kept, "{timed_at}");
            assert_eq!(floor().danger_first_start().vouches_for(&entry(timed_at, None)), first, "{timed_at}");
        }
    }

    #[test]
    fn a_nonce_of_an_earlier_life_disproves_a_first_start() {
        let first = floor().danger_first_start();
        for (nonce_epoch, vouches) in [(OWN, true), (StoreEpoch::UNNAMED, true), (StoreEpoch::from_u64(2), false)] {
            assert_eq!(first.vouches_for(&entry(1_000, Some(nonce_epoch))), vouches, "{nonce_epoch:?}");
        }
        assert!(first.vouches_for(&entry(1_011, Some(StoreEpoch::from_u64(2)))), "time alone decides after the floor");
    }
}
