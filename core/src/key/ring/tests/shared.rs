//! Processes that share a ring, each with a copy of its own.

use super::super::{
    AsyncKeyRingStore, AsyncRingKeys, AsyncShared, Blocking, KeyRefusal, KeyRing, KeyRingStore as _, KeyState, Purged,
    Rotation, SharedError,
};
use super::{DAY, DUE, Down, HOUR, World, at, days, founded, id, policy, rotated, unused};
use alloc::vec::Vec;

#[test]
fn eight_processes_one_after_the_other_make_one_successor() {
    let (world, ring) = founded();
    let mut rings: Vec<_> = (0..8).map(|_| world.open(policy(), at(0)).unwrap()).collect();
    assert_eq!(ring.record(), rings[0].record());
    for (number, ring) in rings.iter_mut().enumerate() {
        let expected = if number == 0 { Rotation::Rotated } else { Rotation::Followed };
        assert_eq!(world.rotate(ring, at(DUE)), Ok(expected));
        assert_eq!(world.rotate(ring, at(DUE)), Ok(Rotation::NotDue));
        assert_eq!(ring.active(), (id(2), &2));
        assert_eq!(ring.key_for(&id(1), at(DUE)), Ok(&1));
        let retired = at(DUE + 7 * DAY);
        assert_eq!(ring.clone().key_for(&id(1), retired), Err(KeyRefusal::Retired { since: retired }));
    }
    assert_eq!(world.keys.holds(), [1, 2]);
}

/// As a host that serves would: readers sign with one copy while another one is rotated.
#[cfg(feature = "std")]
#[test]
fn eight_threads_rotate_once() {
    use std::sync::Mutex;
    #[derive(Default)]
    struct Keys(Mutex<(Vec<u8>, u8)>);
    impl super::super::RingKeys for Keys {
        type Key = u8;
        type Error = core::convert::Infallible;
        fn create(&self) -> Result<super::super::RingKey<u8>, Self::Error> {
            let mut keys = self.0.lock().unwrap();
            keys.1 += 1;
            let key = keys.1;
            keys.0.push(key);
            Ok(super::super::RingKey { thumbprint: id(key), key })
        }
        fn find(&self, thumbprint: &crate::Thumbprint) -> Result<Option<u8>, Self::Error> {
            Ok(self.0.lock().unwrap().0.iter().copied().find(|key| id(*key) == *thumbprint))
        }
        fn delete(&self, thumbprint: &crate::Thumbprint) -> Result<(), Self::Error> {
            self.0.lock().unwrap().0.retain(|key| id(*key) != *thumbprint);
            Ok(())
        }
        fn list(&self) -> Result<Vec<super::super::KeptKey>, Self::Error> {
            Ok(Vec::new())
        }
    }
    let shared = super::super::Shared { store: super::super::MemoryKeyRing::default(), keys: Keys::default() };
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let mut ring = shared.open(policy(), at(0)).unwrap();
                let first = ring.active().0;
                start.wait();
                for turn in 1..=20 {
                    shared.rotate(&mut ring, at(turn * DUE)).unwrap();
                    start.wait();
                }
                assert!(ring.key_for(&first, at(20 * DUE)).is_err());
            });
        }
    });
    let record = shared.store.load().unwrap().unwrap();
    assert_eq!(record.keys().count(), 21);
    assert_eq!(shared.keys.0.lock().unwrap().0.len(), 21, "what was made in vain is deleted");
}

#[test]
fn a_process_that_has_nothing_to_do_follows_all_the_same() {
    let (world, mut ring) = founded();
    // The other one rotates each day.
    let mut other = world.open(days(1, 1), at(0)).unwrap();
    assert_eq!(world.rotate_now(&mut other, at(DAY)), Ok(Rotation::Rotated));
    assert_eq!(world.rotate(&mut ring, at(DAY)), Ok(Rotation::Followed));
    assert_eq!(world.rotate(&mut other, at(2 * DAY)), Ok(Rotation::Rotated));
    assert_eq!(ring.active(), (id(2), &2));
    world.follow(&mut ring, at(2 * DAY)).unwrap();
    assert_eq!(ring.active(), (id(3), &3));
}

#[test]
fn two_processes_with_different_policies_agree_by_the_record() {
    let (world, mut slow) = founded();
    let mut fast = world.open(days(1, 2), at(0)).unwrap();
    // The first key lives by the policy under which it became active, whatever the others think.
    assert_eq!((fast.next_due(), world.rotate(&mut fast, at(DUE - 1))), (at(DUE), Ok(Rotation::NotDue)));
    world.rotate(&mut fast, at(DUE)).unwrap();
    world.rotate(&mut slow, at(DUE)).unwrap();
    for ring in [&slow, &fast] {
        assert_eq!(ring.state(&id(1), at(DUE)), Some(KeyState::Retiring { until: at(DUE + 7 * DAY) }));
        assert_eq!(ring.next_due(), at(DUE + DAY), "the next one lives by the policy of who made it");
    }
    assert_eq!(world.rotate(&mut slow, at(DUE + DAY)), Ok(Rotation::Rotated));
    world.follow(&mut fast, at(DUE + DAY)).unwrap();
    for ring in [&slow, &fast] {
        assert_eq!(ring.state(&id(2), at(DUE + DAY)), Some(KeyState::Retiring { until: at(DUE + 3 * DAY) }));
        assert_eq!(ring.next_due(), at(DUE + DAY + DUE));
    }
    // One that would let keys retire early purges none that another one needs.
    let third = world.purge(&mut fast, unused, at(DUE + 3 * DAY)).unwrap();
    assert_eq!(third, Purged { deleted: Vec::new(), marked: [id(2)].into() });
    assert_eq!(slow.key_for(&id(1), at(DUE + 3 * DAY)), Ok(&1));
}

#[test]
fn raising_retire_after_makes_no_retired_key_sign() {
    let (world, mut ring) = rotated();
    let retired = at(DUE + 7 * DAY);
    let restarted = world.open(days(30, 365), retired).unwrap();
    assert_eq!(restarted.key_for(&id(1), retired), Err(KeyRefusal::Retired { since: retired }));
    assert_eq!(world.rotate_now(&mut ring, retired), Ok(Rotation::Rotated));
    let restarted = world.open(days(30, 365), retired).unwrap();
    assert_eq!(restarted.key_for(&id(1), retired), Err(KeyRefusal::Retired { since: retired }));
}

#[test]
fn whoever_finds_a_recorded_key_makes_it_active() {
    let (world, mut ring) = founded();
    let key = super::super::RingKeys::create(&world.keys).unwrap();
    world.store.set(&world.store.record().announced(key.thumbprint, at(100)).unwrap());
    assert_eq!(world.rotate(&mut ring, at(200)), Ok(Rotation::Followed));
    assert_eq!((ring.active(), world.keys.made.get()), ((id(2), &2), 2));
}

/// A software key is kept after it was recorded, so its process may have crashed before.
#[test]
fn a_recorded_key_that_is_not_there_is_given_up_after_an_hour() {
    let (world, mut ring) = founded();
    world.store.set(&world.store.record().announced(id(9), at(DUE)).unwrap());
    assert_eq!(world.rotate(&mut ring, at(DUE + HOUR - 1)), Ok(Rotation::Underway));
    assert_eq!((ring.active(), world.keys.made.get()), ((id(1), &1), 1));
    assert_eq!(world.rotate(&mut ring, at(DUE + HOUR)), Ok(Rotation::Rotated));
    assert_eq!(ring.active(), (id(2), &2));
    assert_eq!(ring.state(&id(9), at(DUE)), Some(KeyState::Retired { since: at(DUE) }));
    // Should it be there after all, it is deleted: the record names it.
    world.keys.keys.borrow_mut().insert(9, at(DUE));
    assert_eq!(world.purge(&mut ring, unused, at(DUE + HOUR)).unwrap().marked, [id(9)]);
    assert_eq!(world.purge(&mut ring, unused, at(DUE + 2 * HOUR)).unwrap().deleted, [id(9)]);
    assert_eq!(world.keys.holds(), [1, 2]);
}

#[test]
fn rotate_now_makes_one_successor_of_the_key_that_was_active() {
    let (world, mut ring) = founded();
    let mut other = world.open(policy(), at(0)).unwrap();
    assert_eq!(world.rotate_now(&mut ring, at(DAY)), Ok(Rotation::Rotated));
    assert_eq!(world.rotate_now(&mut other, at(DAY)), Ok(Rotation::Followed));
    assert_eq!(other.key_for(&id(1), at(8 * DAY - 1)), Ok(&1));
    assert_eq!(ring.next_due(), at(DAY + DUE));
}

#[test]
fn a_revoked_key_does_not_sign_any_more() {
    let (world, mut ring) = rotated();
    let mut other = world.open(policy(), at(DUE)).unwrap();
    world.revoke(&mut ring, &id(1), at(DUE + 1)).unwrap();
    assert_eq!(ring.key_for(&id(1), at(DUE + 1)), Err(KeyRefusal::Retired { since: at(0) }));
    assert_eq!(ring.active().0, id(2));
    world.revoke(&mut ring, &id(1), at(DUE + 1)).unwrap();

    let writes = world.store.writes.get();
    world.revoke(&mut ring, &id(2), at(DUE + 2)).unwrap();
    assert_eq!(world.store.writes.get(), writes + 2, "it retires in the step that makes its successor active");
    assert_eq!(ring.active(), (id(3), &3));
    assert_eq!(ring.key_for(&id(2), at(DUE + 2)), Err(KeyRefusal::Retired { since: at(DUE) }));
    world.follow(&mut other, at(DUE + 2)).unwrap();
    assert_eq!(other.key_for(&id(2), at(DUE + 2)), Err(KeyRefusal::Retired { since: at(DUE) }));
    assert_eq!(world.revoke(&mut ring, &id(8), at(DUE + 2)), Err(SharedError::Unknown(id(8))));

    // Not by any clock: one that is behind does not bring it back.
    assert!(world.open(policy(), at(DUE - 200)).unwrap().key_for(&id(2), at(DUE - 200)).is_err());
}

#[test]
fn a_pending_key_can_be_revoked() {
    let (world, mut ring) = founded();
    let key = super::super::RingKeys::create(&world.keys).unwrap();
    world.store.set(&world.store.record().announced(key.thumbprint, at(100)).unwrap());
    world.revoke(&mut ring, &id(2), at(100)).unwrap();
    assert_eq!(world.rotate(&mut ring, at(100)), Ok(Rotation::NotDue));
    assert!(ring.key_for(&id(2), at(0)).is_err());
    // The active one, while another process's key is recorded and not there: it is not waited for.
    world.store.set(&world.store.record().announced(id(9), at(100)).unwrap());
    world.revoke(&mut ring, &id(1), at(101)).unwrap();
    assert_eq!(ring.active(), (id(3), &3));
    assert!(ring.key_for(&id(1), at(101)).is_err());
}

#[test]
fn a_purge_looks_twice_and_leaves_what_is_used() {
    let (world, mut ring) = rotated();
    let retired = DUE + 7 * DAY;
    let in_use = |key: &crate::Thumbprint| *key == id(1);
    assert_eq!(world.purge(&mut ring, unused, at(retired - 1)), Ok(Purged::default()));
    assert_eq!(world.purge(&mut ring, in_use, at(retired)), Ok(Purged::default()));
    assert_eq!(world.purge(&mut ring, unused, at(retired)).unwrap().marked, [id(1)]);
    assert_eq!(world.purge(&mut ring, unused, at(retired + HOUR - 1)), Ok(Purged::default()));
    assert_eq!(world.purge(&mut ring, in_use, at(retired + HOUR)), Ok(Purged::default()));
    assert_eq!(world.keys.holds(), [1, 2]);
    assert_eq!(world.purge(&mut ring, unused, at(retired + HOUR)).unwrap().deleted, [id(1)]);
    assert_eq!(world.keys.holds(), [2]);
    assert!(world.store.record().keys().next().unwrap().deleted);
    assert_eq!(world.purge(&mut ring, unused, at(retired + 9 * HOUR)), Ok(Purged::default()));
}

#[test]
fn a_crash_between_making_and_recording_leaves_a_key_that_purge_finds() {
    let (world, mut ring) = founded();
    world.keys.clock.set(at(100));
    super::super::RingKeys::create(&world.keys).unwrap();
    assert_eq!(world.purge(&mut ring, unused, at(100 + HOUR - 1)), Ok(Purged::default()));
    assert_eq!(world.purge(&mut ring, |key| *key == id(2), at(100 + HOUR)), Ok(Purged::default()));
    assert_eq!(world.purge(&mut ring, unused, at(100 + HOUR)).unwrap().marked, [id(2)]);
    assert_eq!(world.purge(&mut ring, unused, at(100 + 2 * HOUR)).unwrap().deleted, [id(2)]);
    assert_eq!(world.keys.holds(), [1]);
}

/// It was not crashed but slow: an HSM hung for two hours. The key it made must not become active once it is to be deleted.
#[test]
fn a_key_that_a_purge_has_marked_is_never_made_active() {
    let (world, mut ring) = founded();
    world.keys.clock.set(at(DUE - 2 * HOUR));
    super::super::RingKeys::create(&world.keys).unwrap();
    let before = world.store.record();
    world.purge(&mut ring, unused, at(DUE)).unwrap();
    let late = before.announced(id(2), at(DUE)).unwrap();
    assert_eq!(world.store.compare_and_set(Some(before.version()), &late), Ok(super::super::Swap::Conflict));
    assert!(world.store.record().announced(id(2), at(DUE)).is_err());
    assert_eq!(world.rotate(&mut ring, at(DUE)), Ok(Rotation::Rotated));
    assert_eq!(ring.active().0, id(3));
}

#[test]
fn a_full_record_says_to_purge() {
    let world = World::default();
    let mut ring = world.open(days(1, 1), at(0)).unwrap();
    for turn in 1..128 {
        world.rotate(&mut ring, at(turn * DAY)).unwrap();
    }
    let made = world.keys.holds().len();
    let full = world.rotate(&mut ring, at(128 * DAY)).unwrap_err();
    assert_eq!(full, SharedError::Full { retired: 127 });
    assert_eq!(world.keys.holds().len(), made, "no key is made then");
    world.purge(&mut ring, unused, at(128 * DAY)).unwrap();
    world.purge(&mut ring, unused, at(128 * DAY + HOUR)).unwrap();
    assert_eq!(world.rotate(&mut ring, at(128 * DAY + HOUR)), Ok(Rotation::Rotated));
    assert_eq!(world.keys.holds(), [128, 129]);
}

#[test]
fn a_long_sleep_ends_with_the_present_key() {
    let (world, mut sleeper) = founded();
    let mut ring = sleeper.clone();
    for turn in 1..100 {
        world.rotate(&mut ring, at(turn * DUE)).unwrap();
        world.purge(&mut ring, unused, at(turn * DUE)).unwrap();
    }
    assert_eq!(world.rotate(&mut sleeper, at(99 * DUE)), Ok(Rotation::Followed));
    assert_eq!(sleeper.active(), (id(100), &100));
    assert_eq!(sleeper.key_for(&id(99), at(99 * DUE)), Ok(&99));
    assert_eq!(sleeper.key_for(&id(1), at(99 * DUE)), Err(KeyRefusal::Unknown));
    // Sixteen deleted ones, two on their way there, one retiring and the active one.
    assert!(ring.record().keys().count() <= 20);
}

/// Futures can be spawned where store and keys permit it.
#[cfg(feature = "std")]
#[test]
fn futures_are_send_if_their_parts_are() {
    fn is_send<T: Send>(_: T) {}
    fn check<T: AsyncKeyRingStore, K: AsyncRingKeys>(_: &AsyncShared<T, K>, _: Option<KeyRing<K::Key>>) {}
    #[derive(Default)]
    struct Keys;
    impl AsyncRingKeys for Keys {
        type Key = std::sync::Arc<str>;
        type Error = Down;
        async fn create(&self) -> Result<super::super::RingKey<Self::Key>, Down> {
            Err(Down)
        }
        async fn find(&self, _: &crate::Thumbprint) -> Result<Option<Self::Key>, Down> {
            Err(Down)
        }
        async fn delete(&self, _: &crate::Thumbprint) -> Result<(), Down> {
            Err(Down)
        }
        async fn list(&self) -> Result<Vec<super::super::KeptKey>, Down> {
            Err(Down)
        }
    }
    let shared = AsyncShared { store: Blocking(super::super::MemoryKeyRing::default()), keys: Keys };
    check(&shared, None);
    let mut ring = KeyRing::new(policy(), id(1), "key".into(), at(0));
    is_send(shared.open(policy(), at(0)));
    is_send(shared.rotate(&mut ring, at(0)));
    is_send(shared.purge(&mut ring, unused, at(0)));
    is_send(shared.revoke(&mut ring, &id(1), at(0)));
    is_send(shared.replace_lost(policy(), at(0)));
}
