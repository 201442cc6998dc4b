//! A store for one owner, without locks.

use alloc::vec::Vec;
use core::fmt;

use super::settings::Settings;
use super::shard::Shard;
use crate::crypto::{RandomUnavailable, SecureRandom};
use crate::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, StoreEpoch};
use crate::time::UnixTime;

/// A replay store for one owner: `&mut self`, no locks, no operating system.
///
/// The [module](super) says what it promises and what it costs.
///
/// # Security
/// It protects one process, and cannot tell whether the process was forked: where that can happen, use
/// [`MemoryStore`](super::MemoryStore), which refuses use in the child.
///
/// ```
/// use keybound::crypto::{RandomUnavailable, SecureRandom};
/// use keybound::replay::memory::LocalMemoryStore;
/// use keybound::replay::{Insertion, ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey};
/// use keybound::{Thumbprint, UnixTime};
/// # struct Random;
/// # impl SecureRandom for Random {
/// #     fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> { out.fill(7); Ok(()) }
/// # }
///
/// # fn main() -> Result<(), RandomUnavailable> {
/// let agreement = ReplayAgreement::from_bytes([0; 16]); // normally `ReplayAgreement::new`
/// let mut store = LocalMemoryStore::new(10_000, agreement, &Random, UnixTime::from_secs(900))?;
///
/// let now = UnixTime::from_secs(1_000);
/// let entry = ReplayEntry::from_parts(ReplayEntryParts {
///     key: ReplayKey::from_bytes([7; 16]),
///     thumbprint: Thumbprint::from_bytes([1; 32]),
///     timed_at: now,
///     max_ahead: 10,
///     expires_at: now.saturating_add(60),
///     store_margin: 60,
///     nonce_epoch: None,
///     agreement,
/// });
/// assert_eq!(store.insert(&entry, now).insertion, Insertion::Fresh);
/// assert_eq!(store.insert(&entry, now).insertion, Insertion::Seen);
/// # Ok(())
/// # }
/// ```
pub struct LocalMemoryStore {
    settings: Settings,
    shards: Vec<Shard>,
}

impl LocalMemoryStore {
    /// A store for at most `capacity` entries (at least 1) of verifiers with this `agreement`, which begins to
    /// remember at `now`, its floor.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if `random` gave no hash keys.
    pub fn new(
        capacity: usize,
        agreement: ReplayAgreement,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, RandomUnavailable> {
        let settings = Settings::new(capacity, agreement, random, now)?;
        let shards = (0..settings.shards()).map(|_| Shard::default()).collect();
        Ok(Self { settings, shards })
    }

    /// Inserts `entry` if it is absent and says whether it was.
    pub fn insert(&mut self, entry: &ReplayEntry, now: UnixTime) -> Inserted {
        Inserted::new(self.answer(entry, now), self.settings.epoch())
    }

    fn answer(&mut self, entry: &ReplayEntry, now: UnixTime) -> Insertion {
        let placed = match self.settings.place(entry, now) {
            Ok(placed) => placed,
            Err(answer) => return answer,
        };
        let Some(shard) = self.shards.get_mut(placed.shard) else { return Insertion::Unavailable };
        shard.insert(&placed.tagged, self.settings.limits())
    }

    /// The store's life, for the nonces that vouch for it.
    pub fn epoch(&self) -> StoreEpoch {
        self.settings.epoch()
    }

    /// Divides the capacity into `shares`, 1 to 4,096; 64 unless told otherwise. Once the store is half full, one key holds no more
    /// than one of them.
    ///
    /// With 1 one key may hold all of it: for a gateway that signs everything with one key.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`](crate::Misuse).
    ///
    /// # Security
    /// With few shares few keys fill the store, and then everyone is refused until their proofs expire.
    pub fn with_shares(self, shares: usize) -> Result<Self, crate::Misuse> {
        Ok(Self { settings: self.settings.with_shares(shares)?, ..self })
    }

    /// The instant before which the store cannot vouch: its creation.
    pub fn floor(&self) -> UnixTime {
        self.settings.floor()
    }

    /// How many entries the store may hold.
    pub fn capacity(&self) -> usize {
        self.settings.capacity()
    }

    /// How many entries the store holds, some of them perhaps expired and not dropped yet.
    pub fn held(&self) -> usize {
        self.shards.iter().fold(0, |sum, shard| sum.saturating_add(shard.held()))
    }

    /// Slots the last insert of `entry` looked at.
    #[cfg(test)]
    pub(super) fn last_steps(&self, entry: &ReplayEntry, now: UnixTime) -> usize {
        self.settings.place(entry, now).map_or(0, |placed| self.shards[placed.shard].last_steps)
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.bytes().saturating_add(size_of::<Shard>())).sum()
    }
}

/// Shows sizes only: no hash keys, no entries.
impl fmt::Debug for LocalMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMemoryStore")
            .field("capacity", &self.capacity())
            .field("held", &self.held())
            .field("floor", &self.floor())
            .finish_non_exhaustive()
    }
}
