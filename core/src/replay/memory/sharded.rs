//! The store of one process, for all its threads.

use alloc::boxed::Box;
use core::convert::Infallible;
use core::fmt;
use std::sync::PoisonError;

use super::birthplace::Birthplace;
use super::lock::Mutex;
use super::settings::Settings;
use super::shard::Shard;
use crate::crypto::SecureRandom;
use crate::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, ReplayStore, StoreEpoch, StoreFloor};
use crate::time::UnixTime;

/// The replay store of one process, shared by all its threads.
///
/// The [module](super) says what it promises and what it costs. Each insert holds the lock of one shard for
/// well under a microsecond, a little more when a small table grows or a generation is dropped.
///
/// # Security
/// It protects one process only. After a fork the child holds a copy that no longer learns what the parent
/// accepts, so in the child every answer is [`Insertion::Unavailable`]: create the store after forking, and
/// where several workers serve one address, use a networked store. The fork is noticed through the C library's
/// `fork` (as in Python, PHP, gunicorn, uWSGI); bare `clone` system calls and snapshots of virtual machines
/// are not.
///
/// ```
/// use keybound::Misuse;
/// use keybound::crypto::{RandomUnavailable, SecureRandom};
/// use keybound::replay::memory::MemoryStore;
/// use keybound::replay::{ReplayAgreement, ReplayStore};
/// use keybound::UnixTime;
/// # struct Random;
/// # impl SecureRandom for Random {
/// #     fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
/// #         getrandom::fill(out).map_err(|_| RandomUnavailable)
/// #     }
/// # }
///
/// # fn main() -> Result<(), Misuse> {
/// let agreement = ReplayAgreement::from_bytes([0; 16]); // normally `ReplayAgreement::new`
/// let store = MemoryStore::new(1_000_000, agreement, &Random, UnixTime::now())?;
/// assert_eq!(store.held(), 0);
/// let for_nonces = store.epoch();
/// # let _ = for_nonces;
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    settings: Settings,
    birthplace: Birthplace,
    shards: Box<[Padded]>,
}

/// Keeps neighbouring shards out of each other's cache lines.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

impl MemoryStore {
    /// A store for at most `capacity` entries of verifiers with this `agreement`, which begins to
    /// remember at `now`, its floor.
    ///
    /// Memory is allocated as entries arrive: 10 to 16 bytes for each, plus 16 KiB for each of the
    /// `capacity / 16,384` shards (rounded down to a power of two).
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`](crate::Misuse) for a capacity of 0; [`Misuse::Random`](crate::Misuse) if `random` gave no hash keys.
    pub fn new(
        capacity: usize,
        agreement: ReplayAgreement,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, crate::Misuse> {
        let settings = Settings::new(capacity, agreement, random, now)?;
        let shards = (0..settings.shards()).map(|_| Padded(Mutex::default())).collect();
        Ok(Self { settings, birthplace: Birthplace::here(), shards })
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

    /// Skips the start-up window, in which proofs made before the store are refused, for a store that is the first of its namespace: no
    /// earlier process accepted proofs. For tests, and for programs that make the proofs they check.
    ///
    /// All else stays: a forked child gets no answer but [`Insertion::Unavailable`], entries are never evicted, a proof that had expired
    /// when the store was made is refused after the clock went back, and so is one whose nonce names an earlier life of a store. See
    /// [`StoreFloor::danger_first_start`].
    ///
    /// # Security
    /// If a process served this namespace before, every proof that it accepted shortly before its end can be used once more. A server that
    /// restarts needs nonces instead: then the window costs each client one round trip and no request.
    #[must_use]
    pub fn danger_first_start(self) -> Self {
        Self { settings: self.settings.danger_first_start(), ..self }
    }

    /// How many entries the store may hold.
    pub fn capacity(&self) -> usize {
        self.settings.capacity()
    }

    /// How many entries the store holds, some of them perhaps expired and not dropped yet.
    ///
    /// Looks at one shard after the other: for metrics, not for decisions.
    pub fn held(&self) -> usize {
        let held = |shard: &Padded| shard.0.lock().unwrap_or_else(PoisonError::into_inner).held();
        self.shards.iter().fold(0, |sum, shard| sum.saturating_add(held(shard)))
    }

    /// Whether this is the copy of a store in a forked child, which answers [`Insertion::Unavailable`] to
    /// everything.
    pub fn was_forked(&self) -> bool {
        self.birthplace.was_left()
    }

    pub(super) fn answer(&self, entry: &ReplayEntry, now: UnixTime) -> Insertion {
        // Before any lock: another thread of the parent may have held it when the process was forked.
        if self.was_forked() {
            return Insertion::Unavailable;
        }
        let placed = match self.settings.place(entry, now) {
            Ok(placed) => placed,
            Err(answer) => return answer,
        };
        let Some(Padded(shard)) = self.shards.get(placed.shard) else { return Insertion::Unavailable };
        // A thread that died inside left a shard that may have lost its last entry.
        let Ok(mut shard) = shard.lock() else { return Insertion::Unavailable };
        shard.insert(&placed.tagged, self.settings.limits())
    }

    /// Slots the last insert of `entry` looked at.
    #[cfg(test)]
    pub(super) fn last_steps(&self, entry: &ReplayEntry, now: UnixTime) -> usize {
        self.settings.place(entry, now).map_or(0, |placed| self.shards[placed.shard].0.lock().unwrap().last_steps)
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let bytes = |shard: &Padded| shard.0.lock().unwrap().bytes().saturating_add(size_of::<Padded>());
        self.shards.iter().map(bytes).sum()
    }
}

impl ReplayStore for MemoryStore {
    type Error = Infallible;

    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, Infallible> {
        Ok(Inserted::new(self.answer(entry, now), self.epoch()))
    }

    fn epoch(&self) -> StoreEpoch {
        self.settings.floor().epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        Some(self.settings.agreement())
    }

    fn floor(&self) -> Option<StoreFloor> {
        Some(self.settings.floor())
    }
}

/// Shows settings only: no hash keys, no entries, and takes no lock.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("capacity", &self.capacity())
            .field("floor", &self.settings.floor().since())
            .field("was_forked", &self.was_forked())
            .finish_non_exhaustive()
    }
}
