//! Replay entries, for stores of the host's own, and the store of one process.

use std::sync::Arc;

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::options::VerifierOptions;
use crate::plain::{clock, signed, unsigned};

/// One proof as a replay store sees it. The same proof gives the same entry whenever it comes.
#[derive(Debug, uniffi::Object)]
pub struct ReplayEntry(pub(crate) ffi::Entry);

#[uniffi::export]
impl ReplayEntry {
    /// Names the proof: 16 bytes, the only part that decides whether it was seen.
    pub fn key(&self) -> Vec<u8> {
        self.0.key.to_vec()
    }

    /// The thumbprint of its key, by which a store limits what one client can hold of it.
    pub fn thumbprint(&self) -> String {
        self.0.thumbprint.clone()
    }

    /// The time it is judged by.
    pub fn timed_at(&self) -> i64 {
        self.0.timed_at
    }

    /// How many seconds in the future that may lie. A store that began at `floor` answers `BEFORE_FLOOR` to entries timed at or
    /// before `floor + max_ahead`, unless `nonce_epoch` is its own.
    pub fn max_ahead(&self) -> i64 {
        signed(self.0.max_ahead)
    }

    /// The last instant at which the proof can be accepted.
    pub fn expires_at(&self) -> i64 {
        self.0.expires_at
    }

    /// The last instant at which a store must still know it.
    pub fn keep_until(&self) -> i64 {
        self.0.keep_until
    }

    /// What all verifiers that share a store agree on: 16 bytes. An entry with another one is answered `UNAVAILABLE`.
    pub fn agreement(&self) -> Vec<u8> {
        self.0.agreement.to_vec()
    }

    /// The epoch inside its nonce: a number below 2^64 as text.
    pub fn nonce_epoch(&self) -> Option<String> {
        self.0.nonce_epoch.clone()
    }

    /// For how many seconds from `now` a store must keep it: at least 1.
    #[uniffi::method(default(now = None))]
    pub fn lifetime(&self, now: Option<i64>) -> i64 {
        signed(self.0.lifetime(clock(now)))
    }
}

/// What a replay store answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Insertion {
    /// It was not there, and is now.
    Fresh,
    /// It was there: a replay.
    Seen,
    /// The store cannot tell.
    Unavailable,
    /// There is no room; nothing was forgotten for it.
    Full,
    /// The store fills up, and this key holds its share of it.
    ShareFull,
    /// It may be older than the store's memory.
    BeforeFloor,
}

impl Insertion {
    pub(crate) const fn name(self) -> &'static str {
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

/// The replay store of one process: bounded, and no proof it took is forgotten early. After a fork it answers `UNAVAILABLE`.
#[derive(Debug, uniffi::Object)]
pub struct MemoryReplayStore(pub(crate) ffi::MemoryStore);

#[uniffi::export]
impl MemoryReplayStore {
    /// A store for at most `capacity` proofs (24 bytes each) of verifiers with these options, which begins to remember at `now`. The
    /// capacity is divided into `shares`: once half of it is used, one key holds at most one of them. With 1 one key may hold all.
    ///
    /// `danger_first_start` says that no earlier process accepted proofs, as in a test: the store then takes proofs made before it from its
    /// first second on. If one did, every proof used just before the restart can be used once more.
    ///
    /// Throws misuse, if an option cannot be used; the host's fault, if there is no randomness.
    #[uniffi::constructor(default(capacity = 100000, now = None, shares = 64, danger_first_start = false))]
    pub fn new(
        options: VerifierOptions,
        capacity: i32,
        now: Option<i64>,
        shares: i32,
        danger_first_start: bool,
    ) -> Result<Self, KeyboundError> {
        let capacity = u32::try_from(capacity).unwrap_or_default();
        let options = options.to_value()?.with("shares", unsigned("shares", i64::from(shares))?);
        let options = options.with("danger_first_start", danger_first_start);
        Ok(Self(ffi::MemoryStore::new(capacity, &options.to_json(), &CRYPTO, clock(now))?))
    }

    /// Inserts an entry, if it is not there.
    #[uniffi::method(default(now = None))]
    pub fn insert(&self, entry: &Arc<ReplayEntry>, now: Option<i64>) -> Insertion {
        match self.0.insert(&entry.0, clock(now)) {
            "fresh" => Insertion::Fresh,
            "seen" => Insertion::Seen,
            "full" => Insertion::Full,
            "share_full" => Insertion::ShareFull,
            "before_floor" => Insertion::BeforeFloor,
            _ => Insertion::Unavailable,
        }
    }

    /// How many proofs it holds, for metrics.
    pub fn held(&self) -> i64 {
        i64::try_from(self.0.held()).unwrap_or(i64::MAX)
    }

    /// Whether this is the copy in a forked child.
    pub fn was_forked(&self) -> bool {
        self.0.was_forked()
    }
}
