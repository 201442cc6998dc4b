//! Key rotation: one active key, keys that are retiring, and keys that have retired.
//!
//! ```
//! use keybound::key::ring::{KeyRefusal, KeyRing, RotationPolicy};
//! use keybound::{Thumbprint, UnixTime};
//!
//! // A new key each month; tokens bound to the one before live for a week at most.
//! let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400)?;
//! let (old, new) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
//! let start = UnixTime::from_secs(1_700_000_000);
//! let mut ring = KeyRing::new(policy, old, "old key", start);
//!
//! let now = start.saturating_add(30 * 86_400);
//! let ticket = ring.rotation_due(now).expect("a month has passed");
//! ring.install(&ticket, new, "new key", now).expect("nobody else has rotated");
//! assert_eq!(ring.active(), (new, &"new key"));
//!
//! // Tokens are used with the key they are bound to, as long as they can live.
//! assert_eq!(ring.key_for(&old, now), Ok(&"old key"));
//! let a_week_later = now.saturating_add(7 * 86_400);
//! assert_eq!(ring.key_for(&old, a_week_later), Err(KeyRefusal::Retired { since: a_week_later }));
//! # Ok::<(), keybound::key::ring::InvalidPolicy>(())
//! ```

mod error;
mod record;
mod shared;

use alloc::vec::Vec;
use core::fmt;

pub use error::{ActiveKeyLost, ConflictReason, FollowError, InvalidPolicy, KeyRefusal, RotationConflict};
pub use record::{InvalidRecord, KeyRingRecord, RecordedKey};
pub use shared::{KeyRingStore, Opened, Rotation, SharedError, SharedErrorCause, Swap, open_shared, rotate_shared};

use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// The keys of one client, of which one is active, and the handles through which the host signs with them.
///
/// `S` is whatever the host signs with: a key in memory, a name in an HSM. New tokens are asked for with the
/// active key. A token that exists is used with the key it is bound to, found by thumbprint: a refresh token of a
/// public client works with no other (RFC 9449 section 5). A superseded key therefore goes on signing for
/// [`RotationPolicy::retire_after`], and then no more.
///
/// What the ring answers follows from its record and the latest time it has been shown. Methods that take `now`
/// take `&mut self` because they remember it: a clock that steps back neither brings a retired key to life nor
/// makes a second successor. The other side of that is that a clock which once ran ahead is believed, and the
/// next rotation waits until true time has caught up with it and [`RotationPolicy::rotate_after`] has passed.
/// What retires a key beyond restarts is its deletion after [`purge`](Self::purge).
///
/// `Debug` shows the record and no handle.
pub struct KeyRing<S> {
    policy: RotationPolicy,
    record: KeyRingRecord,
    active: S,
    /// Handles of earlier keys, as far as the host has them.
    earlier: Vec<RingKey<S>>,
    /// The latest time this ring has been shown.
    latest: UnixTime,
}

/// When keys are superseded and when they retire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationPolicy {
    rotate_after: u64,
    retire_after: u64,
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
    version: u64,
}

/// A key's thumbprint and the host's handle to it. `Debug` does not show the handle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RingKey<S> {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// The handle.
    pub key: S,
}

impl RotationPolicy {
    /// How many keys may be retiring at once.
    pub const MAX_RETIRING: u64 = 64;

    /// A policy: a key is due to be superseded `rotate_after` seconds after it was made, and retires
    /// `retire_after` seconds after it was superseded.
    ///
    /// `retire_after` is the longest life of what may be bound to a key, refresh tokens included; what lives
    /// longer is lost when the key retires.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if either is zero, or `retire_after` is more than 64 times `rotate_after`.
    pub const fn new(rotate_after: u64, retire_after: u64) -> Result<Self, InvalidPolicy> {
        if retire_after == 0 {
            return Err(InvalidPolicy::Zero);
        }
        match retire_after.checked_div(rotate_after) {
            None => Err(InvalidPolicy::Zero),
            Some(retiring) if retiring > Self::MAX_RETIRING => Err(InvalidPolicy::TooManyKeys),
            Some(_) => Ok(Self { rotate_after, retire_after }),
        }
    }

    /// The age in seconds at which the active key is due to be superseded.
    pub const fn rotate_after(&self) -> u64 {
        self.rotate_after
    }

    /// For how many seconds a superseded key still signs.
    pub const fn retire_after(&self) -> u64 {
        self.retire_after
    }
}

impl RotationTicket {
    /// The version of the ring that this ticket was given out for.
    pub const fn version(&self) -> u64 {
        self.version
    }
}

impl<S> KeyRing<S> {
    /// A ring of one active key, made at `now`. Its version is 1.
    pub const fn new(policy: RotationPolicy, thumbprint: Thumbprint, key: S, now: UnixTime) -> Self {
        let record = KeyRingRecord::new(thumbprint, now);
        Self { policy, record, active: key, earlier: Vec::new(), latest: now }
    }

    /// The ring that `record` describes. `resolve` finds the host's handle of each key, also of retired ones, so
    /// that [`purge`](Self::purge) can hand them out.
    ///
    /// Earlier keys that are not found do not matter here; [`lost`](Self::lost) names those that still should sign.
    ///
    /// # Errors
    /// [`ActiveKeyLost`] if the active key is not found. [`KeyRingRecord::succeeded_by`] says how to go on.
    pub fn restore(
        policy: RotationPolicy,
        record: KeyRingRecord,
        mut resolve: impl FnMut(&Thumbprint) -> Option<S>,
    ) -> Result<Self, ActiveKeyLost> {
        let RecordedKey { thumbprint, created_at, .. } = record.active();
        let active = resolve(&thumbprint).ok_or(ActiveKeyLost { thumbprint })?;
        let mut ring = Self { policy, record, active, earlier: Vec::new(), latest: created_at };
        ring.find_earlier(resolve);
        Ok(ring)
    }

    /// How many keys have been active so far; see [`KeyRingRecord::version`].
    pub const fn version(&self) -> u64 {
        self.record.version()
    }

    /// What is to be stored of this ring. Nothing in it is secret.
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
    pub fn key_for(&mut self, thumbprint: &Thumbprint, now: UnixTime) -> Result<&S, KeyRefusal> {
        match self.state(thumbprint, now).ok_or(KeyRefusal::Unknown)? {
            KeyState::Active => Ok(&self.active),
            KeyState::Retiring { .. } => self.handle(thumbprint).ok_or(KeyRefusal::Lost),
            KeyState::Retired { since } => Err(KeyRefusal::Retired { since }),
        }
    }

    /// What may be done with the key of `thumbprint` at `now`; `None` if the ring does not know it.
    pub fn state(&mut self, thumbprint: &Thumbprint, now: UnixTime) -> Option<KeyState> {
        let now = self.note(now);
        self.record.state(thumbprint, &self.policy, now)
    }

    /// The keys that should still sign at `now` but were not found by the host.
    pub fn lost(&mut self, now: UnixTime) -> Vec<Thumbprint> {
        let now = self.note(now);
        let retiring = self.record.keys().filter(|key| key.state(&self.policy, now).is_retiring());
        retiring.map(|key| key.thumbprint).filter(|thumbprint| self.handle(thumbprint).is_none()).collect()
    }

    /// A ticket to make a successor, if the active key has been active for long enough.
    ///
    /// Asking changes nothing: however often it is done, the first successor [installed](Self::install) makes all
    /// tickets of this version worthless. Where other processes use the same keys, see [`rotate_shared`].
    pub fn rotation_due(&mut self, now: UnixTime) -> Option<RotationTicket> {
        let now = self.note(now);
        let due = now.since(self.record.active().created_at) >= self.policy.rotate_after;
        if due && self.record.has_room(&self.policy, now) {
            Some(RotationTicket { version: self.version() })
        } else {
            None
        }
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
        match self.propose(ticket, thumbprint, now) {
            Ok(record) => {
                self.succeed(record, key);
                Ok(())
            }
            Err(reason) => Err(RotationConflict { reason, offered: RingKey { thumbprint, key } }),
        }
    }

    /// The record that the ring would have after [`install`](Self::install), for the store to compare and set
    /// before anything changes here. Once stored, the ring [follows](Self::follow) it.
    ///
    /// # Errors
    /// [`ConflictReason`], as for [`install`](Self::install).
    pub fn propose(
        &mut self,
        ticket: &RotationTicket,
        thumbprint: Thumbprint,
        now: UnixTime,
    ) -> Result<KeyRingRecord, ConflictReason> {
        let now = self.note(now);
        if ticket.version != self.version() {
            return Err(ConflictReason::AlreadyRotated);
        }
        self.record.succeeded_by(thumbprint, &self.policy, now).ok_or(ConflictReason::KeyKnown)
    }

    /// Takes over a newer record of this ring from the store. `resolve` finds the handles of keys that are not
    /// known here. The ring's own record changes nothing.
    ///
    /// # Errors
    /// [`FollowError`]; nothing has changed then.
    pub fn follow(
        &mut self,
        record: KeyRingRecord,
        mut resolve: impl FnMut(&Thumbprint) -> Option<S>,
    ) -> Result<(), FollowError> {
        if record == self.record {
            return Ok(());
        }
        let rotations = record.version().checked_sub(self.version()).filter(|rotations| *rotations > 0);
        let rotations = rotations.ok_or(FollowError::NotNewer)?;
        let next = record.active().thumbprint;
        let mine = self.record.active().thumbprint;
        // No descendant forgets a key before as many newer ones have retired as it remembers.
        let forgettable = usize::try_from(rotations).map_or(true, |rotations| rotations > KeyRingRecord::MAX_RETIRED);
        let descends = forgettable || record.keys().any(|key| key.thumbprint == mine);
        if !descends || self.record.keys().any(|key| key.thumbprint == next) {
            return Err(FollowError::Foreign);
        }
        let key = resolve(&next).ok_or(FollowError::ActiveKeyLost(next))?;
        self.succeed(record, key);
        self.find_earlier(resolve);
        Ok(())
    }

    /// Takes the handles of retired keys out of the ring, for the host to delete the keys. Their thumbprints stay
    /// known as retired.
    ///
    /// Of processes that share their keys, each may do this; deleting a key that is gone already is no error.
    pub fn purge(&mut self, now: UnixTime) -> Vec<RingKey<S>> {
        let now = self.note(now);
        let (kept, retired) = core::mem::take(&mut self.earlier)
            .into_iter()
            .partition(|key| self.record.state(&key.thumbprint, &self.policy, now).is_some_and(KeyState::is_retiring));
        self.earlier = kept;
        retired
    }

    /// The latest time shown to this ring, `now` included.
    fn note(&mut self, now: UnixTime) -> UnixTime {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn handle(&self, thumbprint: &Thumbprint) -> Option<&S> {
        self.earlier.iter().find(|earlier| earlier.thumbprint == *thumbprint).map(|earlier| &earlier.key)
    }

    fn succeed(&mut self, record: KeyRingRecord, key: S) {
        let thumbprint = self.record.active().thumbprint;
        self.earlier.push(RingKey { thumbprint, key: core::mem::replace(&mut self.active, key) });
        self.note(record.active().created_at);
        self.record = record;
    }

    fn find_earlier(&mut self, mut resolve: impl FnMut(&Thumbprint) -> Option<S>) {
        for RecordedKey { thumbprint, superseded_at, .. } in self.record.keys() {
            let missing = superseded_at.is_some() && !self.earlier.iter().any(|key| key.thumbprint == thumbprint);
            if let Some(key) = missing.then(|| resolve(&thumbprint)).flatten() {
                self.earlier.push(RingKey { thumbprint, key });
            }
        }
    }
}

impl KeyState {
    const fn is_retiring(self) -> bool {
        matches!(self, Self::Retiring { .. })
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::{
        ActiveKeyLost, ConflictReason, FollowError, InvalidPolicy, KeyRefusal, KeyRing, KeyRingRecord, KeyState,
        RingKey, RotationPolicy,
    };
    use crate::jose::thumbprint::Thumbprint;
    use crate::time::UnixTime;
    use alloc::format;
    use alloc::vec::Vec;

    /// A new key each 1000 s; what is bound to one lives for 300 s at most.
    fn policy() -> RotationPolicy {
        RotationPolicy::new(1000, 300).unwrap()
    }

    fn id(number: u8) -> Thumbprint {
        Thumbprint::from_bytes([number; 32])
    }

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn ring() -> KeyRing<u8> {
        KeyRing::new(policy(), id(1), 1, at(0))
    }

    /// A ring whose second key became active at 1000.
    fn rotated() -> KeyRing<u8> {
        let mut ring = ring();
        let ticket = ring.rotation_due(at(1000)).unwrap();
        ring.install(&ticket, id(2), 2, at(1000)).unwrap();
        ring
    }

    #[test]
    fn policies_that_make_no_sense_are_refused() {
        for (rotate, retire, error) in [
            (0, 1, InvalidPolicy::Zero),
            (1, 0, InvalidPolicy::Zero),
            (10, 650, InvalidPolicy::TooManyKeys),
            (1, u64::MAX, InvalidPolicy::TooManyKeys),
        ] {
            assert_eq!(RotationPolicy::new(rotate, retire), Err(error), "{rotate} {retire}");
        }
        assert!(RotationPolicy::new(10, 649).is_ok());
        assert!(RotationPolicy::new(u64::MAX, u64::MAX).is_ok());
    }

    #[test]
    fn a_hundred_rotation_checks_make_one_successor() {
        let mut ring = ring();
        assert_eq!(ring.rotation_due(at(999)), None);
        let tickets: Vec<_> = (0..100).map(|_| ring.rotation_due(at(1000)).unwrap()).collect();
        let mut refused = Vec::new();
        for (ticket, key) in tickets.iter().zip(2..) {
            if let Err(conflict) = ring.install(ticket, id(key), key, at(1000)) {
                assert_eq!(conflict.reason, ConflictReason::AlreadyRotated);
                refused.push(conflict.offered);
            }
        }
        assert_eq!(refused, (3..102).map(|key| RingKey { thumbprint: id(key), key }).collect::<Vec<_>>());
        assert_eq!((ring.version(), ring.active()), (2, (id(2), &2)));
        for _ in 0..100 {
            assert_eq!(ring.rotation_due(at(1000)), None);
        }
    }

    #[test]
    fn an_old_token_finds_its_key_until_it_retires() {
        let mut ring = rotated();
        for second in [1000, 1299] {
            assert_eq!(ring.key_for(&id(1), at(second)), Ok(&1));
            assert_eq!(ring.state(&id(1), at(second)), Some(KeyState::Retiring { until: at(1300) }));
        }
        for second in [1300, 1301, i64::MAX] {
            assert_eq!(ring.key_for(&id(1), at(second)), Err(KeyRefusal::Retired { since: at(1300) }));
            assert_eq!(ring.state(&id(1), at(second)), Some(KeyState::Retired { since: at(1300) }));
            assert_eq!(ring.key_for(&id(2), at(second)), Ok(&2));
        }
        assert_eq!(ring.key_for(&id(9), at(0)), Err(KeyRefusal::Unknown));
    }

    #[test]
    fn a_clock_that_steps_back_brings_no_key_to_life() {
        let mut ring = rotated();
        assert_eq!(ring.key_for(&id(1), at(1299)), Ok(&1));
        assert_eq!(ring.rotation_due(at(1300)), None);
        for second in [1299, 1000, 0, i64::MIN] {
            assert_eq!(ring.key_for(&id(1), at(second)), Err(KeyRefusal::Retired { since: at(1300) }));
        }
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_second_successor() {
        let mut ring = rotated();
        for second in [1000, 0, i64::MIN, 1999] {
            assert_eq!(ring.rotation_due(at(second)), None, "{second}");
        }
        let ticket = ring.rotation_due(at(2000)).unwrap();
        // The clock steps back between the ticket and the new key: no time in the record falls.
        ring.install(&ticket, id(3), 3, at(-5)).unwrap();
        assert_eq!(ring.record().active().created_at, at(2000));
        assert_eq!(ring.state(&id(2), at(0)), Some(KeyState::Retiring { until: at(2300) }));
        assert_eq!(ring.rotation_due(at(2999)), None);
    }

    #[test]
    fn purged_keys_are_handed_out_once_and_stay_retired() {
        let mut ring = rotated();
        assert_eq!(ring.purge(at(1299)), []);
        assert_eq!(ring.purge(at(1300)), [RingKey { thumbprint: id(1), key: 1 }]);
        assert_eq!(ring.purge(at(1300)), []);
        assert_eq!(ring.key_for(&id(1), at(0)), Err(KeyRefusal::Retired { since: at(1300) }));
    }

    #[test]
    fn a_key_that_was_in_the_ring_does_not_come_back() {
        let mut ring = rotated();
        ring.purge(at(2000));
        let ticket = ring.rotation_due(at(2000)).unwrap();
        for known in [1, 2] {
            let conflict = ring.install(&ticket, id(known), known, at(2000)).unwrap_err();
            assert_eq!((conflict.reason, conflict.offered.key), (ConflictReason::KeyKnown, known));
        }
        assert_eq!(ring.active(), (id(2), &2));
        ring.install(&ticket, id(3), 3, at(2000)).unwrap();
    }

    #[test]
    fn a_restored_ring_is_the_same_and_names_lost_keys() {
        let text = rotated().record().to_text();
        let record = KeyRingRecord::parse(&text).unwrap();
        let mut restored = KeyRing::restore(policy(), record.clone(), |wanted| Some(wanted.as_bytes()[0])).unwrap();
        assert_eq!(restored.record().to_text(), text);
        assert_eq!(restored.key_for(&id(1), at(0)), Ok(&1));
        assert_eq!(restored.lost(at(0)), []);
        assert_eq!(restored.rotation_due(at(1999)), None);
        assert!(restored.rotation_due(at(2000)).is_some());

        let only = |number: u8| move |wanted: &Thumbprint| (*wanted == id(number)).then_some(number);
        let mut restored = KeyRing::restore(policy(), record.clone(), only(2)).unwrap();
        assert_eq!(restored.lost(at(1299)), [id(1)]);
        assert_eq!(restored.key_for(&id(1), at(1299)), Err(KeyRefusal::Lost));
        assert_eq!(restored.lost(at(1300)), []);

        let lost = KeyRing::restore(policy(), record.clone(), only(1)).unwrap_err();
        assert_eq!(lost, ActiveKeyLost { thumbprint: id(2) });
        let replaced = record.succeeded_by(id(3), &policy(), at(1100)).unwrap();
        let mut ring = KeyRing::restore(policy(), replaced, only(3)).unwrap();
        assert_eq!((ring.version(), ring.active()), (3, (id(3), &3)));
        assert_eq!(ring.lost(at(1100)), [id(1), id(2)]);
    }

    #[test]
    fn only_a_newer_record_of_the_same_ring_is_followed() {
        let find = |wanted: &Thumbprint| Some(wanted.as_bytes()[0]);
        let mut ring = rotated();
        ring.follow(rotated().record().clone(), |_| None).unwrap();
        let first = KeyRingRecord::new(id(1), at(0));
        assert_eq!(ring.follow(first.clone(), find), Err(FollowError::NotNewer));
        let twin = first.succeeded_by(id(9), &policy(), at(1000)).unwrap();
        assert_eq!(ring.follow(twin.clone(), find), Err(FollowError::NotNewer));
        let of_the_twin = twin.succeeded_by(id(8), &policy(), at(2000)).unwrap();
        assert_eq!(ring.follow(of_the_twin, find), Err(FollowError::Foreign));
        let returned = twin.succeeded_by(id(2), &policy(), at(2000)).unwrap();
        assert_eq!(ring.follow(returned, find), Err(FollowError::Foreign));
        let next = ring.record().succeeded_by(id(3), &policy(), at(2000)).unwrap();
        assert_eq!(ring.follow(next.clone(), |_| None), Err(FollowError::ActiveKeyLost(id(3))));
        assert_eq!(ring.active(), (id(2), &2));
        ring.follow(next, find).unwrap();
        assert_eq!(ring.active(), (id(3), &3));
    }

    /// A process that slept through a hundred rotations finds its way back.
    #[test]
    fn a_long_sleep_ends_with_the_present_key() {
        let mut record = ring().record().clone();
        for number in 2..=100 {
            record = record.succeeded_by(id(number), &policy(), at(i64::from(number) * 1000)).unwrap();
        }
        let mut ring = ring();
        ring.follow(record, |wanted| Some(wanted.as_bytes()[0]).filter(|number| *number >= 99)).unwrap();
        assert_eq!(ring.active(), (id(100), &100));
        assert_eq!(ring.key_for(&id(99), at(0)), Ok(&99));
        assert_eq!(ring.key_for(&id(1), at(0)), Err(KeyRefusal::Unknown));
        assert_eq!(ring.purge(at(0)), [RingKey { thumbprint: id(1), key: 1 }]);
    }

    /// Where a stricter policy has left too many keys retiring, rotation waits and no key is pushed out.
    #[test]
    fn no_retiring_key_is_pushed_out() {
        let fast = RotationPolicy::new(1, 64).unwrap();
        let slow = RotationPolicy::new(1000, 60_000).unwrap();
        let mut record = KeyRingRecord::new(id(0), at(0));
        for number in 1..128 {
            record = record.succeeded_by(id(number), &slow, at(i64::from(number))).unwrap();
        }
        assert_eq!(record.keys().count(), 128);
        let mut ring = KeyRing::restore(slow, record.clone(), |_| Some(())).unwrap();
        assert_eq!(ring.rotation_due(at(59_999)), None);
        assert!(ring.rotation_due(at(61_000)).is_some());
        let mut ring = KeyRing::restore(fast, record, |_| Some(())).unwrap();
        assert!(ring.rotation_due(at(128)).is_some());
    }

    #[test]
    fn debug_shows_no_handle() {
        let ring = KeyRing::new(policy(), id(1), "handle of a key", at(0));
        assert!(!format!("{ring:?}").contains("handle of"));
        assert!(!format!("{:?}", RingKey { thumbprint: id(1), key: "handle of a key" }).contains("handle of"));
    }
}
