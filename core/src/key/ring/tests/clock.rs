//! One clock far ahead, or behind, among several.

use super::super::{KeyRefusal, KeyState, Purged, RingKeys, Rotation, SharedError};
use super::{DAY, DUE, HOUR, World, at, founded, id, policy, rotated, unused};

const YEAR: i64 = 365 * DAY;

fn ahead<T, K>(number: u8, time: i64, now: i64) -> SharedError<T, K> {
    SharedError::RecordAhead { thumbprint: id(number), at: at(time), now: at(now) }
}

#[test]
fn a_clock_far_ahead_rotates_for_itself_alone() {
    let (world, mut right) = founded();
    let mut wrong = right.clone();
    assert_eq!(world.rotate(&mut wrong, at(YEAR)), Ok(Rotation::Rotated));
    for _ in 0..3 {
        assert_eq!(world.rotate(&mut right, at(DAY)), Err(ahead(2, YEAR, DAY)));
    }
    assert_eq!(world.open(policy(), at(DAY)).unwrap_err(), ahead(2, YEAR, DAY));
    assert_eq!((right.active(), right.key_for(&id(1), at(DAY))), ((id(1), &1), Ok(&1)), "the others go on");

    // An operator sets the clock and the record right.
    world.set_back(policy(), at(2 * DAY)).unwrap();
    assert_eq!(world.rotate(&mut right, at(2 * DAY)), Ok(Rotation::Followed));
    assert_eq!((right.active(), right.next_due()), ((id(2), &2), at(2 * DAY + DUE)));
    assert_eq!(right.state(&id(1), at(2 * DAY)), Some(KeyState::Retiring { until: at(9 * DAY) }));
    assert_eq!(world.rotate(&mut wrong, at(2 * DAY)), Ok(Rotation::NotDue));
    // It saw the key retire, so that it refuses until it is opened anew.
    assert!(matches!(wrong.clone().key_for(&id(1), at(YEAR + 7 * DAY)), Err(KeyRefusal::Retired { .. })));
    assert_eq!(world.open(policy(), at(2 * DAY)).unwrap().key_for(&id(1), at(2 * DAY)), Ok(&1));
    let record = world.store.record();
    world.set_back(policy(), at(2 * DAY)).unwrap();
    assert_eq!(world.store.record(), record, "once is enough");
}

/// The clock is far ahead when keys are purged, not when they are made.
#[test]
fn a_clock_far_ahead_purges_nothing_that_others_need() {
    let (world, mut right) = rotated();
    let mut wrong = right.clone();
    for hour in 0..5 {
        let (now, mistaken) = (DUE + hour * HOUR, YEAR + hour * HOUR);
        let purged = world.purge(&mut wrong, unused, at(mistaken)).unwrap();
        assert_eq!(purged, Purged { deleted: [].into(), marked: [id(1)].into() }, "{hour}");
        assert_eq!(world.rotate(&mut right, at(now)), Err(ahead(1, mistaken, now)));
        assert_eq!(world.rotate(&mut right, at(now)), Ok(Rotation::NotDue), "the mark is gone");
        assert_eq!(right.key_for(&id(1), at(now)), Ok(&1));
    }
    assert_eq!(world.keys.holds(), [1, 2]);
}

/// What another process is just making looks old to it.
#[test]
fn a_clock_far_ahead_leaves_no_orphan_from_the_future() {
    let (world, mut right) = rotated();
    let mut wrong = right.clone();
    world.keys.clock.set(at(DUE));
    RingKeys::create(&world.keys).unwrap();
    assert_eq!(world.purge(&mut wrong, unused, at(YEAR)).unwrap().marked, [id(1), id(3)]);
    assert_eq!(world.rotate(&mut right, at(DUE)), Err(ahead(1, YEAR, DUE)));
    assert_eq!(world.rotate(&mut right, at(DUE)), Ok(Rotation::NotDue));
    assert_eq!((right.key_for(&id(1), at(DUE)), world.keys.holds()), (Ok(&1), [1, 2, 3].into()));
    // It is an orphan by now, and retired by the record.
    assert_eq!(world.purge(&mut right, unused, at(DUE + HOUR)).unwrap().marked, [id(3)]);
    assert_eq!(world.purge(&mut right, unused, at(DUE + 2 * HOUR)).unwrap().deleted, [id(3)]);
}

#[test]
fn a_clock_far_behind_changes_nothing() {
    let (world, mut ring) = rotated();
    let writes = world.store.writes.get();
    assert_eq!(world.rotate(&mut ring, at(DAY)), Err(ahead(2, DUE, DAY)));
    assert_eq!(world.purge(&mut ring, unused, at(DAY)), Err(ahead(2, DUE, DAY)));
    assert_eq!(world.revoke(&mut ring, &id(1), at(DAY)), Err(ahead(2, DUE, DAY)));
    assert_eq!(world.store.writes.get(), writes);
    assert_eq!((ring.active(), ring.key_for(&id(1), at(DAY))), ((id(2), &2), Ok(&1)));
}

#[test]
fn five_minutes_are_within_what_clocks_differ() {
    let (world, _) = rotated();
    assert!(world.open(policy(), at(DUE - 300)).is_ok());
    assert!(world.open(policy(), at(DUE - 301)).is_err());
    let pending = world.store.record().announced(id(3), at(DUE + 500)).unwrap();
    world.store.set(&pending);
    assert_eq!(world.open(policy(), at(DUE)).unwrap_err(), ahead(3, DUE + 500, DUE));
}

#[test]
fn setting_back_a_record_leaves_retired_what_is_retired() {
    let world = World::default();
    let mut ring = world.open(policy(), at(0)).unwrap();
    world.rotate(&mut ring, at(DUE)).unwrap();
    world.revoke(&mut ring, &id(1), at(DUE)).unwrap();
    world.rotate(&mut ring, at(YEAR)).unwrap();
    world.rotate_now(&mut ring, at(YEAR + DAY)).unwrap();
    let now = DUE + DAY;
    world.set_back(policy(), at(now)).unwrap();
    let ring = world.open(policy(), at(now)).unwrap();
    assert_eq!(ring.active(), (id(4), &4));
    assert_eq!(ring.state(&id(1), at(now)), Some(KeyState::Retired { since: at(0) }));
    for number in [2, 3] {
        assert_eq!(ring.state(&id(number), at(now)), Some(KeyState::Retiring { until: at(now + 7 * DAY) }));
    }
}
