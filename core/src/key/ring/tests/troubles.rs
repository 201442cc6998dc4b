//! Stores and HSMs that fail.

use super::super::{KeyRefusal, KeyRing, KeyRingRecord, Rotation, SharedError};
use super::{DAY, DUE, Down, HOUR, Trouble, World, at, days, founded, id, policy, rotated, unused};
use alloc::format;
use alloc::string::ToString as _;

#[test]
fn an_outage_is_no_lost_key() {
    let (world, mut ring) = rotated();
    world.keys.out_of_reach.set(true);
    assert_eq!(world.open(policy(), at(DUE)).unwrap_err(), SharedError::Keys(Down));
    assert_eq!(ring.key_for(&id(1), at(DUE)), Ok(&1), "who has the handle signs, or hears it from the HSM");
    assert_eq!(world.rotate(&mut ring, at(2 * DUE)), Err(SharedError::Keys(Down)));
    assert_eq!(world.purge(&mut ring, unused, at(2 * DUE)), Err(SharedError::Keys(Down)));
    world.keys.out_of_reach.set(false);
    assert_eq!(world.rotate(&mut ring, at(2 * DUE)), Ok(Rotation::Rotated));
}

#[test]
fn a_key_that_is_back_is_found_again() {
    let (world, _) = rotated();
    let key = world.keys.keys.borrow_mut().remove(&1).unwrap();
    let mut ring = world.open(policy(), at(DUE)).unwrap();
    assert_eq!((ring.lost(at(DUE)), ring.key_for(&id(1), at(DUE))), ([id(1)].into(), Err(KeyRefusal::Lost)));
    world.rotate(&mut ring, at(DUE)).unwrap();
    assert_eq!(ring.key_for(&id(1), at(DUE)), Err(KeyRefusal::Lost));
    world.keys.keys.borrow_mut().insert(1, key);
    assert_eq!(world.rotate(&mut ring, at(DUE)), Ok(Rotation::NotDue));
    assert_eq!(ring.key_for(&id(1), at(DUE)), Ok(&1));
    assert_eq!(ring.lost(at(DUE)), []);
}

#[test]
fn an_active_key_that_is_gone_is_replaced_on_demand() {
    let (world, mut other) = rotated();
    let key = world.keys.keys.borrow_mut().remove(&2).unwrap();
    assert_eq!(world.open(policy(), at(DUE)).unwrap_err(), SharedError::ActiveKeyLost(id(2)));
    world.keys.out_of_reach.set(true);
    assert_eq!(world.replace_lost(policy(), at(DUE)).unwrap_err(), SharedError::Keys(Down));
    world.keys.out_of_reach.set(false);
    let ring = world.replace_lost(policy(), at(DUE + 1)).unwrap();
    assert_eq!((ring.active(), ring.lost(at(DUE + 1))), ((id(3), &3), [id(2)].into()));
    // Another process, which still has a handle to the key, follows and goes on using it for its tokens.
    assert_eq!(world.rotate(&mut other, at(DUE + 1)), Ok(Rotation::Followed));
    assert_eq!(other.key_for(&id(2), at(DUE + 1)), Ok(&2));
    // It is back: then nothing is replaced.
    world.keys.keys.borrow_mut().insert(2, key);
    assert_eq!(world.replace_lost(policy(), at(DUE + 2)).unwrap().active().0, id(3));
    assert_eq!(world.keys.holds(), [1, 2, 3]);
}

#[test]
fn processes_that_found_the_ring_at_once_share_one_first_key() {
    let world = World::default();
    world.store.trouble.set(Trouble::DoneTwice);
    let ring = world.open(policy(), at(0)).unwrap();
    assert_eq!((ring.active(), world.keys.holds()), ((id(1), &1), [1].into()));
    let other = world.open(days(1, 1), at(0)).unwrap();
    assert_eq!((other.active(), world.keys.made.get()), ((id(1), &1), 1));
    // The model has them do so at the same time.
}

#[test]
fn a_write_without_an_answer_loses_no_key_and_makes_no_second_successor() {
    for trouble in [Trouble::NotDone, Trouble::DoneWithoutAnswer] {
        let (world, mut ring) = founded();
        world.store.trouble.set(trouble);
        assert_eq!(world.rotate(&mut ring, at(DUE)), Err(SharedError::Store(Down)));
        assert_eq!((ring.active(), world.keys.holds()), ((id(1), &1), [1, 2].into()));
        world.rotate(&mut ring, at(DUE)).unwrap();
        assert_eq!(world.store.record().keys().count(), 2);
        for hours in 1..=2 {
            world.purge(&mut ring, unused, at(DUE + hours * HOUR)).unwrap();
        }
        let active = *ring.active().1;
        assert_eq!(world.keys.holds(), [1, active], "the other one is found and deleted");
    }
}

/// The store repeats a write whose answer got lost, and calls its own first attempt a conflict.
#[test]
fn a_conflict_with_oneself_is_a_success() {
    let (world, mut ring) = founded();
    world.store.trouble.set(Trouble::DoneTwice);
    assert_eq!(world.rotate(&mut ring, at(DUE)), Ok(Rotation::Rotated));
    assert_eq!((ring.active(), world.keys.holds()), ((id(2), &2), [1, 2].into()));
}

#[test]
fn a_store_that_lost_or_changed_its_record_is_not_overwritten() {
    let (world, mut ring) = rotated();
    let (present, writes) = (world.store.record(), world.store.writes.get());
    *world.store.text.borrow_mut() = None;
    assert_eq!(world.rotate(&mut ring, at(2 * DUE)), Err(SharedError::RecordMissing));
    let first = KeyRingRecord::new(policy(), id(1), at(0));
    let next = |record: &KeyRingRecord, number: u8, now| {
        record.announced(id(number), at(now)).unwrap().activated(policy(), at(now), false).unwrap()
    };
    let twin = next(&first, 9, DUE);
    for foreign in [
        first.clone(),
        twin.clone(),
        next(&twin, 8, DUE),
        next(&next(&KeyRingRecord::new(policy(), id(2), at(0)), 9, DUE), 1, DUE),
        KeyRingRecord::new(policy(), id(9), at(0)),
    ] {
        world.store.set(&foreign);
        assert_eq!(world.rotate(&mut ring, at(2 * DUE)), Err(SharedError::RecordForeign), "{foreign:?}");
        assert_eq!(world.purge(&mut ring, unused, at(2 * DUE)), Err(SharedError::RecordForeign));
    }
    world.store.set(&next(&present, 7, DUE));
    assert_eq!(world.rotate(&mut ring, at(2 * DUE)), Err(SharedError::ActiveKeyLost(id(7))));
    assert_eq!((ring.active(), world.store.writes.get()), ((id(2), &2), writes));
}

#[test]
fn a_host_that_makes_the_same_key_again_keeps_it() {
    let (world, mut ring) = founded();
    world.keys.made.set(0);
    assert_eq!(world.rotate(&mut ring, at(DUE)), Err(SharedError::KeyKnown(id(1))));
    assert_eq!((world.keys.holds(), ring.active()), ([1].into(), (id(1), &1)));
}

/// What was deleted is recorded also where the next one cannot be.
#[test]
fn a_purge_that_fails_halfway_is_completed_by_the_next_one() {
    let (world, mut ring) = founded();
    for turn in 1..=3 {
        world.rotate(&mut ring, at(turn * DUE)).unwrap();
    }
    assert_eq!(world.purge(&mut ring, unused, at(4 * DUE)).unwrap().marked, [id(1), id(2), id(3)]);
    world.store.trouble.set(Trouble::NotDone);
    assert_eq!(world.purge(&mut ring, unused, at(4 * DUE + HOUR)), Err(SharedError::Store(Down)));
    assert_eq!(world.keys.holds(), [4]);
    let again = world.purge(&mut ring, unused, at(4 * DUE + HOUR)).unwrap();
    assert_eq!(again.deleted, [id(1), id(2), id(3)]);
    assert!(world.store.record().keys().take(3).all(|key| key.deleted));
}

/// A record of the first format says no policy; the first change writes it down.
#[test]
fn a_ring_of_the_first_format_goes_on() {
    let world = World::default();
    world.keys.made.set(2);
    world.keys.keys.borrow_mut().extend([(1, at(0)), (2, at(DUE))]);
    let text = format!("keybound-key-ring 1\nversion 2\nkey {} 0\nkey {} {DUE}\n", id(1), id(2));
    *world.store.text.borrow_mut() = Some(text);
    let mut ring: KeyRing<u8> = world.open(policy(), at(DUE)).unwrap();
    assert_eq!((ring.active(), ring.key_for(&id(1), at(DUE + 7 * DAY - 1))), ((id(2), &2), Ok(&1)));
    assert_eq!(world.rotate(&mut ring, at(DUE)), Ok(Rotation::NotDue));
    let mut other = world.open(days(30, 60), at(DUE)).unwrap();
    assert_eq!(world.purge(&mut ring, unused, at(DUE + 7 * DAY)).unwrap().marked, [id(1)]);
    assert_eq!(world.store.record().policy(), Some(policy()));
    world.follow(&mut other, at(DUE + 7 * DAY)).unwrap();
    assert!(other.key_for(&id(1), at(DUE + 7 * DAY)).is_err());
    assert_eq!(world.rotate(&mut other, at(2 * DUE)), Ok(Rotation::Rotated));
}

#[test]
fn errors_say_what_to_do() {
    let said = SharedError::<&str, &str>::RecordAhead { thumbprint: id(1), at: at(1000), now: at(0) }.to_string();
    assert!(said.contains(&id(1).to_string()) && said.contains("1000 s ahead") && said.contains("set the record back"));
    assert_eq!(SharedError::<&str, &str>::Keys("the slot is empty").to_string(), "the slot is empty");
}
