//! Key rotation: one active key, keys that are retiring, and keys that have retired.
//!
//! A ring is shared by all processes that use its keys. What the keys are is in a [record](KeyRingRecord), which a
//! [store](KeyRingStore) keeps: [`MemoryKeyRing`], `keybound_files::FileKeyRing`, a row of a database. The keys themselves are
//! wherever the host [keeps them](RingKeys): in an HSM, or in files. [`Shared`] does with both what has to be done;
//! [`AsyncShared`] does the same where they are asynchronous.
//!
//! ```
//! use keybound::key::ring::{KeyRefusal, KeyRing, MemoryKeyRing, RotationPolicy, Shared};
//! use keybound::{Thumbprint, UnixTime};
//! # use keybound::key::ring::{KeptKey, RingKey, RingKeys};
//! # use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};
//! # #[derive(Default)]
//! # struct Keys(RefCell<BTreeMap<u8, UnixTime>>);
//! # impl RingKeys for Keys {
//! #     type Key = u8;
//! #     type Error = Infallible;
//! #     fn create(&self) -> Result<RingKey<u8>, Infallible> {
//! #         let key = self.0.borrow().len() as u8 + 1;
//! #         self.0.borrow_mut().insert(key, UnixTime::from_secs(0));
//! #         Ok(RingKey { thumbprint: Thumbprint::from_bytes([key; 32]), key })
//! #     }
//! #     fn find(&self, thumbprint: &Thumbprint) -> Result<Option<u8>, Infallible> {
//! #         Ok(self.0.borrow().get_key_value(&thumbprint.as_bytes()[0]).map(|found| *found.0))
//! #     }
//! #     fn delete(&self, thumbprint: &Thumbprint) -> Result<(), Infallible> {
//! #         self.0.borrow_mut().remove(&thumbprint.as_bytes()[0]);
//! #         Ok(())
//! #     }
//! #     fn list(&self) -> Result<Vec<KeptKey>, Infallible> { Ok(Vec::new()) }
//! # }
//! # let keys = Keys::default();
//! # fn is_in_use(_: &Thumbprint) -> bool { false }
//! // A new key each month; tokens bound to the one before live for a week at most.
//! let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400)?;
//! let shared = Shared { store: MemoryKeyRing::default(), keys: &keys };
//! let start = UnixTime::from_secs(1_700_000_000);
//! let mut ring: KeyRing<u8> = shared.open(policy, start)?;
//! let old = ring.active().0;
//!
//! // Each process does this at least once an hour. The first one that finds the ring due makes the successor.
//! let now = ring.next_due();
//! shared.rotate(&mut ring, now)?;
//! assert_ne!(ring.active().0, old);
//!
//! // Tokens are used with the key they are bound to, as long as they can live.
//! assert!(ring.key_for(&old, now).is_ok());
//! let a_week_later = now.saturating_add(7 * 86_400);
//! assert_eq!(ring.key_for(&old, a_week_later), Err(KeyRefusal::Retired { since: a_week_later }));
//!
//! // And this, to delete what has retired: one look marks it, another one an hour later deletes it.
//! assert_eq!(shared.purge(&mut ring, is_in_use, a_week_later)?.marked, [old]);
//! let an_hour_later = a_week_later.saturating_add(3_600);
//! assert_eq!(shared.purge(&mut ring, is_in_use, an_hour_later)?.deleted, [old]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How rotation works
//!
//! 1. The key is made, then the record names it as *pending*, then it becomes active. Whichever process finds a pending key makes
//!    it active, so that a crash in between delays nothing. A key that was made and not recorded is found by a
//!    [purge](Shared::purge) in the host's [list of keys](RingKeys::list).
//! 2. Every step compares and sets the record, whose version counts its changes. Of any number of processes one makes the
//!    successor; the others delete what they made in vain.
//! 3. A superseded key retires at the time that the record says. It is written down once and only ever comes nearer.
//! 4. A retired key is deleted in two looks, an hour apart, unless a session still uses it; then the record says that it is gone.
//!
//! # Clocks
//!
//! A record with a time more than five minutes ahead of one's own clock is not taken over: [`SharedError::RecordAhead`]. So a
//! process whose clock is far ahead rotates for itself alone, and its marks for deletion are taken away by the first process that
//! sees them within the hour. Once the clocks are right, [`Shared::set_back`] repairs the record. A ring in memory does not sign with
//! a key that it once saw retired, whatever the clock says later: open it anew once its clock is right.

mod blocking;
mod error;
mod host;
#[cfg(feature = "std")]
mod memory;
mod policy;
mod record;
mod shared;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;

use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

pub use blocking::Shared;
pub use error::{ConflictReason, FollowError, InvalidPolicy, KeyRefusal, RotationConflict, SharedError};
pub use host::{AsyncKeyRingStore, AsyncRingKeys, Blocking, KeyRingStore, RingKeys, Swap};
#[cfg(feature = "std")]
pub use memory::MemoryKeyRing;
pub use policy::RotationPolicy;
pub use record::{InvalidRecord, KeptKey, KeyRingRecord, RecordedKey};
pub use shared::{AsyncShared, Purged, Rotation};

use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;
use record::Unannounced;

/// The keys of one client, of which one is active, and the handles through which the host signs with them.
///
/// `S` is whatever the host signs with: a key in memory, a name in an HSM. New tokens are asked for with the
/// active key. A token that exists is used with the key it is bound to, found by thumbprint: a refresh token of a
/// public client works with no other (RFC 9449 section 5). A superseded key therefore goes on signing for
/// [`RotationPolicy::retire_after`], and then no more.
///
/// What the ring answers follows from its record and the latest time it has been shown: a clock that steps back does not bring a
/// retired key to life. The other side of that is that a clock which once ran ahead is believed, until the ring is opened anew. It
/// is not believed where that would do harm: rotation and [`purge`](Self::purge) go by `now` alone.
///
/// Threads that sign need `&self` alone. To rotate while they do, clone the ring (where `S` is cheap to clone, an `Arc`), rotate
/// the clone and put it in place of the other.
///
/// `Debug` shows the record and no handle.
pub struct KeyRing<S> {
    /// What this process brings into force with the next key.
    policy: RotationPolicy,
    record: KeyRingRecord,
    active: S,
    /// Handles of earlier keys, as far as the host has them.
    earlier: Vec<RingKey<S>>,
    latest: Latest,
}

/// What may be done with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// It signs, and new tokens are bound to it.
    Active,
    /// It signs for the tokens that are bound to it, before `until`.
    Retiring {
        /// The first second in which it is retired.
        until: UnixTime,
    },
    /// It does not sign any more.
    Retired {
        /// The first second in which it was retired.
        since: UnixTime,
    },
}

/// Permission to make one successor of the key that was active when it was given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationTicket {
    supersedes: Thumbprint,
    at: UnixTime,
}

/// A key's thumbprint and the host's handle to it. `Debug` does not show the handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RingKey<S> {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// The handle.
    pub key: S,
}

impl RotationTicket {
    /// The key that was active.
    pub const fn supersedes(&self) -> Thumbprint {
        self.supersedes
    }
}

impl<S> KeyRing<S> {
    /// A ring of one active key, made at `now`, for one process alone. Its version is 1. Where others use the keys,
    /// [`Shared::open`] makes the ring.
    pub const fn new(policy: RotationPolicy, thumbprint: Thumbprint, key: S, now: UnixTime) -> Self {
        let record = KeyRingRecord::new(policy, thumbprint, now);
        Self { policy, record, active: key, earlier: Vec::new(), latest: Latest::new(now) }
    }

    /// The ring that `record` describes, for one process alone that kept [its record](Self::record). `resolve` finds the host's
    /// handle of a key; it answers `None` only of a key that is not there. `policy` is in force from the next key on.
    ///
    /// Earlier keys that are not found do not matter here; [`lost`](Self::lost) names those that still should sign.
    ///
    /// # Errors
    /// [`FollowError`]: the record is ahead of `now`, the active key is not found, or `resolve` failed.
    pub fn restore<E>(
        policy: RotationPolicy,
        record: KeyRingRecord,
        now: UnixTime,
        mut resolve: impl FnMut(&Thumbprint) -> Result<Option<S>, E>,
    ) -> Result<Self, FollowError<E>> {
        let record = record.under(&policy);
        if let Some((thumbprint, at)) = record.ahead(now) {
            return Err(FollowError::RecordAhead { thumbprint, at, now });
        }
        let thumbprint = record.active().thumbprint;
        let active = resolve(&thumbprint).map_err(FollowError::Host)?.ok_or(FollowError::ActiveKeyLost(thumbprint))?;
        let mut ring = Self::of(policy, record, active);
        ring.find_missing(now, resolve).map_err(FollowError::Host)?;
        Ok(ring)
    }

    const fn of(policy: RotationPolicy, record: KeyRingRecord, active: S) -> Self {
        let latest = Latest::new(record.active().created_at);
        Self { policy, record, active, earlier: Vec::new(), latest }
    }

    /// How often the record has been changed; see [`KeyRingRecord::version`].
    pub const fn version(&self) -> u64 {
        self.record.version()
    }

    /// What is stored of this ring. Nothing in it is secret.
    pub const fn record(&self) -> &KeyRingRecord {
        &self.record
    }

    /// The key for new tokens. There always is one: a key that is overdue stays active until it has a successor.
    pub const fn active(&self) -> (Thumbprint, &S) {
        (self.record.active().thumbprint, &self.active)
    }

    /// The key to sign with at `now` for a token that is bound to `thumbprint`.
    ///
    /// # Errors
    /// [`KeyRefusal`]. There is no other key that would do: the token has to be obtained anew.
    pub fn key_for(&self, thumbprint: &Thumbprint, now: UnixTime) -> Result<&S, KeyRefusal> {
        match self.state(thumbprint, now).ok_or(KeyRefusal::Unknown)? {
            KeyState::Active => Ok(&self.active),
            KeyState::Retiring { .. } => self.handle(thumbprint).ok_or(KeyRefusal::Lost),
            KeyState::Retired { since } => Err(KeyRefusal::Retired { since }),
        }
    }

    /// What may be done with the key of `thumbprint` at `now`; `None` if the ring does not know it.
    pub fn state(&self, thumbprint: &Thumbprint, now: UnixTime) -> Option<KeyState> {
        self.record.state(thumbprint, self.latest.note(now))
    }

    /// The first time at which the active key is due to be superseded: when to call [`rotate`](Shared::rotate) next, if not
    /// sooner for news from other processes.
    pub fn next_due(&self) -> UnixTime {
        self.record.due_at()
    }

    /// The keys that should still sign at `now` but were not found by the host.
    pub fn lost(&self, now: UnixTime) -> Vec<Thumbprint> {
        let now = self.latest.note(now);
        let retiring = self.record.keys().filter(|key| key.state(now).is_retiring()).map(|key| key.thumbprint);
        retiring.filter(|thumbprint| self.handle(thumbprint).is_none()).collect()
    }

    /// Looks again for the [lost](Self::lost) keys. Shared rings do so by themselves, each time they are rotated.
    ///
    /// # Errors
    /// What `resolve` failed with. Keys that it found before stay.
    pub fn find_missing<E>(
        &mut self,
        now: UnixTime,
        mut resolve: impl FnMut(&Thumbprint) -> Result<Option<S>, E>,
    ) -> Result<(), E> {
        for thumbprint in self.lost(now) {
            self.earlier.extend(resolve(&thumbprint)?.map(|key| RingKey { thumbprint, key }));
        }
        Ok(())
    }

    /// A ticket to make a successor, if the active key has been active for long enough and there is room for one more.
    ///
    /// Asking changes nothing: however often it is done, the first successor [installed](Self::install) makes all
    /// tickets for this key worthless. Where other processes use the same keys, see [`Shared::rotate`].
    pub fn rotation_due(&self, now: UnixTime) -> Option<RotationTicket> {
        self.latest.note(now);
        let due = self.record.due_at() <= now && !self.record.is_full();
        due.then_some(RotationTicket { supersedes: self.active().0, at: now })
    }

    /// Makes `key` the active one and begins the retirement of the one before.
    ///
    /// # Errors
    /// [`RotationConflict`] if the ring has been rotated since the ticket was given out, or if the key is or was in
    /// the ring. Nothing has changed then, and the error holds the key.
    pub fn install(
        &mut self,
        ticket: &RotationTicket,
        thumbprint: Thumbprint,
        key: S,
        now: UnixTime,
    ) -> Result<(), RotationConflict<S>> {
        // The clock may have stepped back while the key was made.
        let now = now.max(ticket.at);
        let announced = match self.record.announced(thumbprint, now) {
            _ if ticket.supersedes != self.active().0 => Err(ConflictReason::AlreadyRotated),
            Err(Unannounced::Full) => Err(ConflictReason::Full),
            Err(Unannounced::Known) => Err(ConflictReason::KeyKnown),
            Ok(record) => record.activated(self.policy, now, false).ok_or(ConflictReason::AlreadyRotated),
        };
        match announced {
            Ok(record) => {
                self.take_over(record, Vec::from([RingKey { thumbprint, key }]));
                Ok(())
            }
            Err(reason) => Err(RotationConflict { reason, offered: RingKey { thumbprint, key } }),
        }
    }

    /// Forgets the handles of retired keys, and names these keys for the host to delete. They stay known as retired. For a ring of one process
    /// alone, which stores its record once they are deleted; see [`Shared::purge`] for others.
    ///
    /// Kept are keys that are less than an hour old, those that are `in_use` by a session or a refresh token, and those that are
    /// retired only by an earlier, later clock.
    pub fn purge(&mut self, in_use: impl Fn(&Thumbprint) -> bool, now: UnixTime) -> Vec<Thumbprint> {
        let retired = self.record.keys().filter(|key| {
            let old = now.since(key.created_at) >= KeyRingRecord::MIN_ORPHAN_AGE;
            old && !key.deleted && !key.state(now).is_signing() && !in_use(&key.thumbprint)
        });
        let deleted: Vec<Thumbprint> = retired.map(|key| key.thumbprint).collect();
        if let Some(record) = self.record.without(&deleted) {
            self.take_over(record, Vec::new());
        }
        deleted
    }

    /// Whether `record` is this ring's own, or descends from it.
    ///
    /// # Errors
    /// [`FollowError::NotNewer`] and [`FollowError::Foreign`].
    fn accepts<E>(&self, record: &KeyRingRecord) -> Result<(), FollowError<E>> {
        if *record == self.record {
            return Ok(());
        }
        let changes = record.version().checked_sub(self.version()).filter(|changes| *changes > 0);
        let changes = changes.ok_or(FollowError::NotNewer)?;
        let (mine, next) = (self.record.active().thumbprint, record.active().thumbprint);
        // No descendant forgets a key before as many later ones have been deleted as it remembers.
        let forgettable = usize::try_from(changes).map_or(true, |changes| changes > KeyRingRecord::MAX_DELETED);
        let descends = forgettable || record.names(&mine);
        let returns = next != mine && self.record.keys().any(|key| key.thumbprint == next);
        if !descends || returns { Err(FollowError::Foreign) } else { Ok(()) }
    }

    /// The keys that are needed to take over `record` at `now`, and not at hand: the active one first.
    fn wanted(&self, record: &KeyRingRecord, now: UnixTime) -> Vec<Thumbprint> {
        let mine = self.record.active().thumbprint;
        let (active, earlier): (Vec<_>, Vec<_>) =
            record.keys().filter(|key| key.state(now).is_signing()).partition(|key| key.retires_at.is_none());
        let keys = active.into_iter().chain(earlier).map(|key| key.thumbprint);
        keys.filter(|thumbprint| *thumbprint != mine && self.handle(thumbprint).is_none()).collect()
    }

    /// Takes over a record that this ring [accepts](Self::accepts), with handles of [wanted](Self::wanted) keys. If that of the
    /// active key is not among them, nothing changes.
    fn take_over(&mut self, record: KeyRingRecord, mut found: Vec<RingKey<S>>) {
        let (mine, next) = (self.record.active().thumbprint, record.active().thumbprint);
        if next != mine {
            let Some(place) = found.iter().position(|key| key.thumbprint == next) else { return };
            let key = core::mem::replace(&mut self.active, found.swap_remove(place).key);
            self.earlier.push(RingKey { thumbprint: mine, key });
        }
        self.earlier.append(&mut found);
        self.earlier.retain(|handle| record.keys().any(|key| key.thumbprint == handle.thumbprint && !key.deleted));
        self.record = record;
    }

    fn handle(&self, thumbprint: &Thumbprint) -> Option<&S> {
        self.earlier.iter().find(|earlier| earlier.thumbprint == *thumbprint).map(|earlier| &earlier.key)
    }
}

impl KeyState {
    const fn is_retiring(self) -> bool {
        matches!(self, Self::Retiring { .. })
    }

    const fn is_signing(self) -> bool {
        !matches!(self, Self::Retired { .. })
    }
}

/// The latest time a ring was shown, as whole seconds after `base`: atomics of 64 bits are not everywhere. It cannot tell
/// times more than 136 years later from one another.
struct Latest {
    base: UnixTime,
    seconds: AtomicU32,
}

impl Latest {
    const fn new(base: UnixTime) -> Self {
        Self { base, seconds: AtomicU32::new(0) }
    }

    /// The latest time shown, `now` included.
    fn note(&self, now: UnixTime) -> UnixTime {
        let seconds = u32::try_from(now.since(self.base)).unwrap_or(u32::MAX);
        let seconds = self.seconds.fetch_max(seconds, Ordering::Relaxed).max(seconds);
        now.max(self.base.saturating_add(seconds.into()))
    }
}

impl Clone for Latest {
    fn clone(&self) -> Self {
        Self { base: self.base, seconds: AtomicU32::new(self.seconds.load(Ordering::Relaxed)) }
    }
}

impl<S: Clone> Clone for KeyRing<S> {
    fn clone(&self) -> Self {
        let Self { policy, record, active, earlier, latest } = self;
        let earlier = earlier.iter().map(|key| RingKey { thumbprint: key.thumbprint, key: key.key.clone() }).collect();
        Self { policy: *policy, record: record.clone(), active: active.clone(), earlier, latest: latest.clone() }
    }
}

impl<S> fmt::Debug for KeyRing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("policy", &self.policy).field("record", &self.record).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for RingKey<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}
