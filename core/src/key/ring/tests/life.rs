//! The life of keys in a ring of one process.

use super::super::{
    ConflictReason, FollowError, InvalidPolicy, KeyRefusal, KeyRing, KeyRingRecord, KeyState, RingKey, RotationPolicy,
};
use super::{DAY, DUE, Down, HOUR, at, days, id, policy, unused};
use crate::jose::thumbprint::Thumbprint;
use alloc::format;
use alloc::vec::Vec;

const RETIRED: i64 = DUE + 7 * DAY;

fn ring() -> KeyRing<u8> {
    KeyRing::new(policy(), id(1), 1, at(0))
}

fn rotated() -> KeyRing<u8> {
    let mut ring = ring();
    let ticket = ring.rotation_due(at(DUE)).unwrap();
    ring.install(&ticket, id(2), 2, at(DUE)).unwrap();
    ring
}

fn find(wanted: &Thumbprint) -> Result<Option<u8>, Down> {
    Ok(Some(wanted.as_bytes()[0]))
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
    assert_eq!((ring.next_due(), ring.rotation_due(at(DUE - 1))), (at(DUE), None));
    let tickets: Vec<_> = (0..100).map(|_| ring.rotation_due(at(DUE)).unwrap()).collect();
    let mut refused = Vec::new();
    for (ticket, key) in tickets.iter().zip(2..) {
        if let Err(conflict) = ring.install(ticket, id(key), key, at(DUE)) {
            assert_eq!(conflict.reason, ConflictReason::AlreadyRotated);
            refused.push(conflict.offered);
        }
    }
    assert_eq!(refused, (3..102).map(|key| RingKey { thumbprint: id(key), key }).collect::<Vec<_>>());
    assert_eq!(ring.active(), (id(2), &2));
    for _ in 0..100 {
        assert_eq!(ring.rotation_due(at(DUE)), None);
    }
}

#[test]
fn an_old_token_finds_its_key_until_it_retires() {
    let ring = rotated();
    for second in [DUE, RETIRED - 1] {
        assert_eq!(ring.key_for(&id(1), at(second)), Ok(&1));
        assert_eq!(ring.state(&id(1), at(second)), Some(KeyState::Retiring { until: at(RETIRED) }));
    }
    for second in [RETIRED, RETIRED + 1, i64::MAX] {
        assert_eq!(ring.key_for(&id(1), at(second)), Err(KeyRefusal::Retired { since: at(RETIRED) }));
        assert_eq!(ring.state(&id(1), at(second)), Some(KeyState::Retired { since: at(RETIRED) }));
        assert_eq!(ring.key_for(&id(2), at(second)), Ok(&2));
    }
    assert_eq!(ring.key_for(&id(9), at(0)), Err(KeyRefusal::Unknown));
}

#[test]
fn a_clock_that_steps_back_brings_no_key_to_life() {
    let ring = rotated();
    assert_eq!(ring.key_for(&id(1), at(RETIRED - 1)), Ok(&1));
    assert_eq!(ring.rotation_due(at(RETIRED)), None);
    for second in [RETIRED - 1, DUE, 0, i64::MIN] {
        assert_eq!(ring.key_for(&id(1), at(second)), Err(KeyRefusal::Retired { since: at(RETIRED) }));
    }
    assert!(ring.clone().key_for(&id(1), at(DUE)).is_err(), "a clone has seen the same times");
}

#[test]
fn a_clock_that_steps_back_makes_no_second_successor() {
    let mut ring = rotated();
    for second in [DUE, 0, i64::MIN, 2 * DUE - 1] {
        assert_eq!(ring.rotation_due(at(second)), None, "{second}");
    }
    let ticket = ring.rotation_due(at(2 * DUE)).unwrap();
    // The clock steps back between the ticket and the new key: no time in the record falls.
    ring.install(&ticket, id(3), 3, at(-5)).unwrap();
    assert_eq!(ring.record().active().created_at, at(2 * DUE));
    assert_eq!(ring.state(&id(2), at(0)), Some(KeyState::Retiring { until: at(2 * DUE + 7 * DAY) }));
    assert_eq!(ring.rotation_due(at(3 * DUE - 1)), None);
}

#[test]
fn purged_keys_are_named_once_and_stay_retired() {
    let mut ring = rotated();
    assert_eq!(ring.purge(unused, at(RETIRED - 1)), []);
    assert_eq!(ring.purge(|key| *key == id(1), at(RETIRED)), []);
    assert_eq!(ring.purge(unused, at(RETIRED)), [id(1)]);
    assert_eq!(ring.purge(unused, at(RETIRED)), []);
    assert_eq!(ring.key_for(&id(1), at(0)), Err(KeyRefusal::Retired { since: at(RETIRED) }));
}

/// One wrong time retires keys for this ring, and deletes none.
#[test]
fn a_time_that_was_taken_back_purges_nothing() {
    let mut ring = rotated();
    assert!(ring.key_for(&id(1), at(100 * DUE)).is_err());
    assert_eq!(ring.purge(unused, at(DUE + DAY)), []);
    let mut restored = KeyRing::restore(policy(), ring.record().clone(), at(DUE + DAY), find).unwrap();
    assert_eq!(restored.key_for(&id(1), at(DUE + DAY)), Ok(&1), "opened anew, with the clock set right");
    // Nor does the next key come from the future.
    let ticket = ring.rotation_due(at(2 * DUE)).unwrap();
    ring.install(&ticket, id(3), 3, at(2 * DUE)).unwrap();
    assert_eq!(ring.record().active().created_at, at(2 * DUE));
    assert_eq!(restored.purge(unused, at(RETIRED)), [id(1)]);
}

/// However short the policy: a token response may still be on its way to who asked for it with this key.
#[test]
fn a_key_of_less_than_an_hour_is_not_purged() {
    let mut ring = KeyRing::new(RotationPolicy::new(10, 10).unwrap(), id(1), 1, at(0));
    let ticket = ring.rotation_due(at(10)).unwrap();
    ring.install(&ticket, id(2), 2, at(10)).unwrap();
    assert_eq!(ring.purge(unused, at(HOUR - 1)), []);
    assert_eq!(ring.purge(unused, at(HOUR)), [id(1)]);
}

#[test]
fn a_key_that_was_in_the_ring_does_not_come_back() {
    let mut ring = rotated();
    ring.purge(unused, at(2 * DUE));
    let ticket = ring.rotation_due(at(2 * DUE)).unwrap();
    for known in [1, 2] {
        let conflict = ring.install(&ticket, id(known), known, at(2 * DUE)).unwrap_err();
        assert_eq!((conflict.reason, conflict.offered.key), (ConflictReason::KeyKnown, known));
    }
    assert_eq!(ring.active(), (id(2), &2));
    ring.install(&ticket, id(3), 3, at(2 * DUE)).unwrap();
}

#[test]
fn a_restored_ring_is_the_same_and_names_lost_keys() {
    let text = rotated().record().to_text();
    let record = KeyRingRecord::parse(&text).unwrap();
    let restored = KeyRing::restore(policy(), record.clone(), at(DUE), find).unwrap();
    assert_eq!(restored.record().to_text(), text);
    assert_eq!(restored.key_for(&id(1), at(0)), Ok(&1));
    assert_eq!(restored.lost(at(0)), []);
    assert_eq!(restored.rotation_due(at(2 * DUE - 1)), None);
    assert!(restored.rotation_due(at(2 * DUE)).is_some());

    let only = |number: u8| move |wanted: &Thumbprint| Ok::<_, Down>((*wanted == id(number)).then_some(number));
    let mut restored = KeyRing::restore(policy(), record.clone(), at(DUE), only(2)).unwrap();
    assert_eq!(restored.lost(at(DUE)), [id(1)]);
    assert_eq!(restored.key_for(&id(1), at(DUE)), Err(KeyRefusal::Lost));
    assert_eq!(restored.find_missing(at(DUE), |_| Err(Down)), Err(Down));
    restored.find_missing(at(DUE), only(1)).unwrap();
    assert_eq!(restored.key_for(&id(1), at(DUE)), Ok(&1), "a key that is back is found again");

    let lost = KeyRing::restore(policy(), record.clone(), at(DUE), only(1)).unwrap_err();
    assert_eq!(lost, FollowError::ActiveKeyLost(id(2)));
    let outage = KeyRing::<u8>::restore(policy(), record, at(DUE), |_| Err(Down)).unwrap_err();
    assert_eq!(outage, FollowError::Host(Down));
}

/// Where more keys are retiring than there is room for, rotation waits and no key is pushed out.
#[test]
fn no_retiring_key_is_pushed_out() {
    let mut ring = KeyRing::new(days(1, 64), id(0), 0, at(0));
    for number in 1..=127 {
        let ticket = ring.rotation_due(at(i64::from(number) * DAY)).unwrap();
        ring.install(&ticket, id(number), number, at(i64::from(number) * DAY)).unwrap();
    }
    assert_eq!(ring.record().keys().count(), 128);
    assert_eq!(ring.rotation_due(at(128 * DAY)), None);
    let gone = ring.purge(unused, at(128 * DAY));
    assert_eq!(gone.len(), 64);
    let ticket = ring.rotation_due(at(128 * DAY)).unwrap();
    ring.install(&ticket, id(128), 128, at(128 * DAY)).unwrap();
    assert_eq!(ring.record().keys().filter(|key| key.deleted).count(), KeyRingRecord::MAX_DELETED);
    assert_eq!(ring.key_for(&id(65), at(128 * DAY)), Ok(&65));
}

#[test]
fn debug_shows_no_handle() {
    let ring = KeyRing::new(policy(), id(1), "handle of a key", at(0));
    assert!(!format!("{ring:?}").contains("handle of"));
    assert!(!format!("{:?}", RingKey { thumbprint: id(1), key: "handle of a key" }).contains("handle of"));
}
