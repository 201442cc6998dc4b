//! The memory store, as stories with a clock of their own.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use alloc::format;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Barrier;
use std::thread;

use super::MemoryStore;
use crate::Misuse;
use crate::crypto::{RandomUnavailable, SecureRandom};
use crate::jose::thumbprint::Thumbprint;
use crate::replay::contract::{Contract, check_async_store, check_store};
use crate::replay::{Immediate, Insertion, ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, ReplayStore};
use crate::time::UnixTime;

pub(super) const AGREEMENT: ReplayAgreement = ReplayAgreement::from_bytes([3; 16]);
pub(super) const START: UnixTime = UnixTime::from_secs(1_700_000_000);

/// Bytes that differ from call to call and not from run to run.
#[derive(Default)]
pub(super) struct Counting(AtomicU8);

impl SecureRandom for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        out.iter_mut().for_each(|byte| *byte = self.0.fetch_add(7, Ordering::Relaxed).wrapping_mul(29));
        Ok(())
    }
}

struct Broken;

impl SecureRandom for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
        Err(RandomUnavailable)
    }
}

/// What [`entry`] is made from: a proof made by client `client` at `iat`.
pub(super) fn parts(number: u128, client: u64, iat: UnixTime) -> ReplayEntryParts {
    let mut thumbprint = [0; 32];
    thumbprint[..8].copy_from_slice(&client.to_le_bytes());
    ReplayEntryParts {
        key: ReplayKey::from_bytes(number.to_be_bytes()),
        thumbprint: Thumbprint::from_bytes(thumbprint),
        timed_at: iat,
        max_ahead: 10,
        expires_at: iat.saturating_add(60),
        store_margin: 60,
        nonce_epoch: None,
        agreement: AGREEMENT,
    }
}

pub(super) fn entry(number: u128, client: u64, iat: UnixTime) -> ReplayEntry {
    ReplayEntry::from_parts(parts(number, client, iat))
}

fn store(capacity: usize) -> MemoryStore {
    MemoryStore::new(capacity, AGREEMENT, &Counting::default(), START).unwrap()
}

/// The first moment at which a new store vouches for proofs made then.
fn soon() -> UnixTime {
    START.saturating_add(11)
}

#[test]
fn without_randomness_there_is_no_store() {
    assert_eq!(MemoryStore::new(64, AGREEMENT, &Broken, START).err(), Some(Misuse::Random));
    assert!(matches!(MemoryStore::new(0, AGREEMENT, &Counting::default(), START).err(), Some(Misuse::PolicyBound(_))));
}

#[test]
fn a_flood_loses_no_live_entry_and_costs_the_same_to_the_end() {
    let capacity = 65_536;
    let store = store(capacity);
    let now = soon();
    let (mut accepted, mut steps) = (Vec::new(), Vec::new());
    for number in 0..capacity as u128 + 5_000 {
        let entry = entry(number, number as u64, now.saturating_sub(number as u64 % 10).saturating_add(9));
        match store.answer(&entry, now) {
            Insertion::Fresh => {
                steps.push(store.last_steps(&entry, now));
                accepted.push(entry);
            }
            answer => assert!(matches!(answer, Insertion::Full | Insertion::ShareFull), "{answer}"),
        }
    }
    assert!(accepted.len() > capacity * 97 / 100 && accepted.len() <= capacity, "{}", accepted.len());
    assert_eq!(store.held(), accepted.len());
    for entry in &accepted {
        assert_eq!(store.answer(entry, now), Insertion::Seen);
    }
    let mean = |steps: &[usize]| steps.iter().sum::<usize>() / steps.len();
    let means: Vec<_> = steps.chunks(steps.len() / 8).map(mean).collect();
    assert!(means.iter().all(|mean| *mean <= 16), "{means:?}");
}

#[test]
fn jtis_ground_to_share_their_bits_crowd_nowhere() {
    // 10,000 keys alike in their first or last 14 bytes; unkeyed placement would put them into one spot.
    let now = soon();
    for ground in [|number: u128| number << 112, |number: u128| number, |number: u128| (number << 64) | 7] {
        let store = store(20_000);
        let (mut most, mut sum) = (0, 0);
        for number in 0..10_000 {
            let entry = entry(ground(number), number as u64, now);
            assert_eq!(store.answer(&entry, now), Insertion::Fresh);
            let steps = store.last_steps(&entry, now);
            most = most.max(steps);
            sum += steps;
        }
        assert!(most < 500 && sum / 10_000 < 16, "at most {most}, in all {sum}");
    }
}

#[test]
fn thumbprints_ground_to_share_their_bits_do_not_share_their_row() {
    let store = store(6_400);
    let now = soon();
    for client in 0..3_000 {
        assert_eq!(store.answer(&entry(client.into(), client << 40, now), now), Insertion::Fresh);
    }
}

#[test]
fn a_bounded_number_of_bytes_holds_each_entry() {
    let store = store(100_000);
    let mut now = soon();
    let mut number = 0;
    while store.held() < 95_000 {
        for _ in 0..1_000 {
            number += 1;
            let _ = store.answer(&entry(number, number as u64, now), now);
        }
        now = now.saturating_add(1);
    }
    let bytes = store.bytes() / store.held();
    assert!(bytes <= 16, "{bytes}");
}

#[test]
fn an_entry_is_dropped_within_a_generation_of_its_end() {
    for second in 0..16 {
        let store = store(64);
        let now = soon().saturating_add(second);
        assert_eq!(store.answer(&entry(1, 1, now), now), Insertion::Fresh);
        let end = now.saturating_add(120);
        assert_eq!(store.answer(&entry(1, 1, now), end), Insertion::Seen);
        let _ = store.answer(&entry(2, 2, end.saturating_add(16)), end.saturating_add(16));
        assert_eq!(store.held(), 1);
        assert_eq!(store.answer(&entry(1, 1, now), now), Insertion::BeforeFloor, "the clock went back");
    }
}

#[test]
fn a_clock_that_leaps_ahead_and_returns_costs_only_what_was_dropped() {
    let store = store(1_000);
    let now = soon();
    assert_eq!(store.answer(&entry(1, 1, now), now), Insertion::Fresh);
    let leap = now.saturating_add(100_000_000);
    assert_eq!(store.answer(&entry(2, 2, now), leap), Insertion::BeforeFloor);
    assert_eq!(store.held(), 0);
    assert_eq!(store.answer(&entry(1, 1, now), now), Insertion::BeforeFloor);
    let later = now.saturating_add(16);
    assert_eq!(store.answer(&entry(3, 3, later), later), Insertion::Fresh, "a generation that never was");
}

#[test]
fn an_entry_no_policy_yields_is_not_kept() {
    let store = store(1_000);
    let now = soon();
    let longest = ReplayEntryParts { expires_at: now.saturating_add(360), store_margin: 600, ..parts(1, 1, now) };
    assert_eq!(store.answer(&ReplayEntry::from_parts(longest), now), Insertion::Fresh);
    for store_margin in [1_000, 1 << 40, u64::MAX] {
        let odd = ReplayEntryParts { store_margin, ..parts(2, 2, now) };
        assert_eq!(store.answer(&ReplayEntry::from_parts(odd), now), Insertion::Unavailable);
    }
    for iat in [i64::MAX, i64::MAX - 70, 1 << 50] {
        assert_eq!(store.answer(&entry(3, 3, UnixTime::from_secs(iat)), now), Insertion::Unavailable);
    }
    assert_eq!(store.answer(&entry(4, 4, UnixTime::from_secs(i64::MIN)), now), Insertion::BeforeFloor);
    assert_eq!(store.held(), 1);
}

#[test]
fn a_wandering_clock_opens_a_bounded_number_of_generations() {
    let store = store(10_000);
    for step in (0..1_000).rev() {
        let now = START.saturating_add(1_000 + step * 500);
        let _ = store.answer(&entry(step.into(), step, now), now);
    }
    assert!(store.held() <= 128, "{}", store.held());
}

#[test]
fn after_a_restart_only_a_nonce_of_the_new_life_vouches() {
    let now = soon();
    let random = Counting::default();
    let new = |now| MemoryStore::new(64, AGREEMENT, &random, now).unwrap();
    let before = new(START);
    let proof = parts(1, 1, now);
    assert_eq!(before.answer(&ReplayEntry::from_parts(proof), now), Insertion::Fresh);

    let restart = now.saturating_add(5);
    let after = new(restart);
    assert_ne!(before.epoch(), after.epoch());
    let with = |nonce_epoch| ReplayEntry::from_parts(ReplayEntryParts { nonce_epoch, ..proof });
    assert_eq!(after.answer(&with(None), restart), Insertion::BeforeFloor);
    assert_eq!(after.answer(&with(Some(before.epoch())), restart), Insertion::BeforeFloor);
    assert_eq!(after.answer(&with(Some(after.epoch())), restart), Insertion::Fresh);
    assert_eq!(after.answer(&with(Some(after.epoch())), restart), Insertion::Seen);
}

#[test]
fn one_thumbprint_holds_its_share_over_all_times_together() {
    for (capacity, share) in [(640, 10), (6_400, 100), (65_536, 1_024)] {
        let store = store(capacity);
        fill_half(&store, soon());
        let mut fresh = 0;
        for number in 0..4 * share {
            let now = soon().saturating_add(number % 50);
            if store.answer(&entry(number.into(), 1, now), now) == Insertion::Fresh {
                fresh += 1;
            }
        }
        // In several shards the share is reached in one before it is reached in all.
        assert!(fresh <= share && fresh >= share / 2, "{fresh} of {share}");
        let later = soon().saturating_add(300);
        assert_eq!(store.answer(&entry(u128::MAX, 1, later), later), Insertion::Fresh, "the share returns");
    }
}

/// Entries of strangers, each with a key of its own, to just beyond half of the capacity.
fn fill_half(store: &MemoryStore, now: UnixTime) {
    let beyond = store.capacity() * 51 / 100 + 1;
    let mut number = 1 << 32;
    while store.held() < beyond {
        number += 1;
        let _ = store.answer(&entry(u128::from(number) << 64, number, now), now);
    }
}

#[test]
fn a_busy_key_is_not_refused_while_there_is_room() {
    let store = store(65_536);
    let now = soon();
    for number in 0..20_000 {
        assert_eq!(store.answer(&entry(number, 1, now), now), Insertion::Fresh, "{number} of 65,536 held");
    }
}

#[test]
fn the_share_is_an_option() {
    let now = soon();
    let held_by_one = |shares| {
        let store = store(6_400).with_shares(shares).unwrap();
        fill_half(&store, now);
        let answers: Vec<_> = (0..6_400).map(|number| store.answer(&entry(number, 1, now), now)).collect();
        let refused = answers.iter().find(|answer| **answer != Insertion::Fresh).copied();
        (answers.iter().filter(|answer| **answer == Insertion::Fresh).count(), refused)
    };
    let (few, refused) = held_by_one(64);
    assert!((50..=100).contains(&few) && refused == Some(Insertion::ShareFull), "{few}");
    let (more, refused) = held_by_one(4);
    assert!((1_500..=1_600).contains(&more) && refused == Some(Insertion::ShareFull), "{more}");
    let (all, refused) = held_by_one(1);
    assert!(all > 3_000 && refused == Some(Insertion::Full), "{all}");
}

#[test]
fn a_client_within_three_quarters_of_its_share_is_not_refused_at_half_load() {
    let store = store(16_384);
    let now = soon();
    for number in 0..8_192 {
        assert_eq!(store.answer(&entry(number, number as u64 + 2, now), now), Insertion::Fresh);
    }
    for number in 0..192 {
        assert_eq!(store.answer(&entry(1 << 90 | number, 1, now), now), Insertion::Fresh, "{number}");
    }
}

#[test]
fn the_store_keeps_the_contract() {
    for capacity in [4_096, 10_000, 70_000] {
        let make = |now| MemoryStore::new(capacity, AGREEMENT, &Counting::default(), now).unwrap();
        let contract = Contract::new(AGREEMENT).with_capacity(capacity).with_share(capacity / 2);
        check_store(make, contract).unwrap();

        let suite = check_async_store(async |now| Immediate::new(make(now)), contract);
        let outcome = pin!(suite).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(outcome, Poll::Ready(Ok(())));
    }
}

#[test]
fn of_64_threads_with_one_proof_exactly_one_is_accepted() {
    let store = store(1_000);
    for round in 0..50 {
        let start = Barrier::new(64);
        let proof = entry(round, 1, soon());
        let fresh = thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        store.answer(&proof, soon())
                    })
                })
                .collect();
            let answers = threads.into_iter().map(|thread| thread.join().unwrap());
            answers.filter(|answer| *answer == Insertion::Fresh).count()
        });
        assert_eq!(fresh, 1);
    }
    assert_eq!(store.held(), 50);
}

#[test]
fn the_first_store_of_a_namespace_accepts_each_proof_once_from_its_first_second() {
    let first = store(64).danger_first_start();
    for (number, age) in [(0, 0), (1, 60)] {
        let proof = entry(number, 1, START.saturating_sub(age));
        assert_eq!(store(64).answer(&proof, START), Insertion::BeforeFloor);
        assert_eq!(first.answer(&proof, START), Insertion::Fresh);
        assert_eq!(first.answer(&proof, START), Insertion::Seen);
    }
}

#[test]
fn a_clock_that_goes_back_brings_no_proof_to_life_at_a_first_start() {
    let first = store(64).danger_first_start();
    let (before, used) = (entry(0, 1, START.saturating_sub(61)), entry(1, 1, START));
    let back = START.saturating_sub(30);
    assert_eq!(first.answer(&before, back), Insertion::BeforeFloor, "it had expired when the store began");
    assert_eq!(first.answer(&used, START), Insertion::Fresh);
    let later = START.saturating_add(10_000);
    assert_eq!(
        first.answer(&entry(2, 1, later), later),
        Insertion::Fresh,
        "the clock goes ahead, and the first proofs are dropped"
    );
    assert_eq!(first.answer(&used, START), Insertion::BeforeFloor, "it was dropped, and stays closed");
}

#[test]
fn debug_shows_settings_only() {
    assert_eq!(
        format!("{:?}", store(64)),
        "MemoryStore { capacity: 64, floor: UnixTime(1700000000), was_forked: false, .. }"
    );
}
