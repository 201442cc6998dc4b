//! Two threads at one store, in every interleaving (loom): beside the turnover of generations, a full share, a full store.
#![allow(clippy::arithmetic_side_effects)]

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use std::sync::Mutex;

use super::MemoryStore;
use super::lock::exploring;
use super::tests::{AGREEMENT, Counting, START, entry};
use crate::replay::{Insertion, ReplayEntry};
use crate::time::UnixTime;

/// What one thread asks for, one after the other, and the time it has read before it asks.
type Asked = Vec<(ReplayEntry, UnixTime)>;
/// The answers to one thread, those to the other, and how many entries are held at the end.
type Outcome = (Vec<&'static str>, Vec<&'static str>, usize);

/// A proof that is kept for 120 s, until the last second of a generation: [`evening`].
fn old(number: u128, client: u64) -> ReplayEntry {
    let generation = START.saturating_add(160).secs() >> 4;
    let evening = UnixTime::from_secs((generation << 4) + 15);
    entry(number, client, evening.saturating_sub(120))
}

/// A proof that is kept longer.
fn young(number: u128, client: u64) -> ReplayEntry {
    entry(number, client, noon())
}

/// The last second in which an [`old`] proof is kept.
fn evening() -> UnixTime {
    old(1, 1).keep_until()
}

/// The second after it: the generation turns over.
fn noon() -> UnixTime {
    evening().saturating_add(1)
}

/// Lets two threads ask a store for `capacity` entries that holds `before`, in every interleaving.
///
/// Gives every outcome that some interleaving has.
fn outcomes(capacity: usize, before: Asked, one: Asked, other: Asked) -> BTreeSet<Outcome> {
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let outcomes = Arc::clone(&found);
    exploring(move || {
        let store = Arc::new(MemoryStore::new(capacity, AGREEMENT, &Counting::default(), START).unwrap());
        for (entry, now) in &before {
            assert_eq!(store.answer(entry, *now), Insertion::Fresh);
        }
        let thread = |asked: &Asked| {
            let (store, asked) = (Arc::clone(&store), asked.clone());
            move || asked.iter().map(|(entry, now)| store.answer(entry, *now).name()).collect::<Vec<_>>()
        };
        let other = loom::thread::spawn(thread(&other));
        let one = thread(&one)();
        let other = other.join().unwrap();
        found.lock().unwrap().insert((one, other, store.held()));
    });
    let outcomes = outcomes.lock().unwrap();
    outcomes.clone()
}

/// The outcomes a test expects, written as `("fresh", "seen before_floor", 1)`.
fn expected<const N: usize>(outcomes: [(&'static str, &'static str, usize); N]) -> BTreeSet<Outcome> {
    let split = |answers: &'static str| answers.split(' ').collect();
    outcomes.into_iter().map(|(one, other, held)| (split(one), split(other), held)).collect()
}

/// `count` old proofs of as many strangers, asked for in time.
fn strangers(count: u64) -> Asked {
    (0..count).map(|number| (old(u128::from(number) << 64, 1_000 + number), evening())).collect()
}

#[test]
fn one_proof_is_accepted_once() {
    let proof = vec![(young(1, 1), evening())];
    let found = outcomes(64, Vec::new(), proof.clone(), proof);
    assert_eq!(found, expected([("fresh", "seen", 1), ("seen", "fresh", 1)]));
}

#[test]
fn one_proof_beside_the_turnover_of_its_generation() {
    let late = vec![(young(2, 2), noon()), (old(1, 1), evening())];
    let found = outcomes(64, strangers(1), vec![(old(1, 1), evening())], late);
    assert_eq!(found, expected([("fresh", "fresh before_floor", 1), ("before_floor", "fresh before_floor", 1)]));
}

#[test]
fn one_proof_beside_the_turnover_of_a_generation_that_never_was() {
    let late = vec![(young(2, 2), noon()), (old(1, 1), evening())];
    let found = outcomes(64, Vec::new(), vec![(old(1, 1), evening())], late);
    let kept = [("fresh", "fresh seen", 2), ("seen", "fresh fresh", 2), ("fresh", "fresh before_floor", 1)];
    assert_eq!(found, expected(kept));
}

#[test]
fn the_last_place_of_a_share_is_given_once() {
    let found = outcomes(64, strangers(32), vec![(young(1, 1), evening())], vec![(young(2, 1), evening())]);
    assert_eq!(found, expected([("fresh", "share_full", 33), ("share_full", "fresh", 33)]));
}

#[test]
fn a_full_share_beside_the_turnover_that_makes_room_for_everyone() {
    let before = [strangers(32), vec![(young(1, 1), evening())]].concat();
    let found = outcomes(64, before, vec![(young(2, 1), evening())], vec![(young(3, 3), noon())]);
    assert_eq!(found, expected([("share_full", "fresh", 2), ("fresh", "fresh", 3)]));
}

#[test]
fn the_last_place_of_a_store_is_given_once() {
    let found = outcomes(1, Vec::new(), vec![(young(1, 1), evening())], vec![(young(2, 2), evening())]);
    assert_eq!(found, expected([("fresh", "full", 1), ("full", "fresh", 1)]));
}

#[test]
fn a_full_store_beside_the_turnover_that_empties_it() {
    let late = vec![(young(2, 2), noon()), (young(3, 3), noon())];
    let found = outcomes(2, strangers(2), vec![(young(1, 1), evening())], late);
    let outcomes = [("full", "fresh fresh", 2), ("fresh", "fresh full", 2)];
    assert_eq!(found, expected(outcomes));
}
