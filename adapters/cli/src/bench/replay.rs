//! T6: remembering used proofs, against a concurrent map.
//!
//! The base is `DashMap<String, i64>`, the map under the replay stores of other libraries: they key it by text. What
//! the same map takes with our 16-byte keys is told beside it.

use std::hint::black_box;

use cpu_time::ThreadTime;
use dashmap::DashMap;
use keybound::replay::memory::MemoryStore;
use keybound::replay::{Insertion, ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, ReplayStore};
use keybound::{Policy, Thumbprint, UnixTime};
use keybound_aws_lc::AWS_LC;
use stats_alloc::INSTRUMENTED_SYSTEM;

use super::measure::summary;
use super::proofs::NOW;
use super::{BenchError, Figure, Reading};

const TIMED: usize = 1_000_000;
const HELD: usize = 10_000_000;
const SLICES: usize = 10;
/// Over how many seconds a fill is spread: within the life of the entries, so that none is dropped.
const SPREAD: i64 = 110;
const RUNS: usize = 3;
/// When the entries of the maps end.
const LIVES_UNTIL: i64 = NOW.secs() + 120;

pub(super) fn insert() -> Result<Figure, BenchError> {
    let agreement = Policy::default().replay_agreement(AWS_LC.digest);
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut theirs_short = Vec::new();
    let thumbprints: Vec<Thumbprint> = (0..4096).map(thumbprint).collect();
    for run in 0..RUNS {
        let keys: Vec<[u8; 16]> = (0..TIMED).map(|number| key(number, run)).collect();
        // Whole fills from empty to a million, in turns, so that growing is part of what is measured.
        let store = new_store(2 * TIMED, agreement)?;
        let map: DashMap<String, i64> = DashMap::new();
        let short_map: DashMap<[u8; 16], i64> = DashMap::new();
        let (mut store_time, mut map_time, mut short_time) = (0.0, 0.0, 0.0);
        for slice in 0..SLICES {
            let keys = &keys[slice * (TIMED / SLICES)..(slice + 1) * (TIMED / SLICES)];
            let start = ThreadTime::now();
            for (number, (key, thumbprint)) in keys.iter().zip(thumbprints.iter().cycle()).enumerate() {
                let now = at(slice * (TIMED / SLICES) + number, TIMED);
                insert_one(&store, agreement, *key, *thumbprint, now)?;
            }
            store_time += start.elapsed().as_nanos() as f64;
            // The jti a client would send: 22 characters, which come as a string of the request anyway.
            let texts: Vec<String> = keys.iter().map(|key| keybound::base64url::encode(key)).collect();
            let start = ThreadTime::now();
            for text in texts {
                must_be_new(map.insert(text, LIVES_UNTIL))?;
            }
            map_time += start.elapsed().as_nanos() as f64;
            let start = ThreadTime::now();
            for key in keys {
                must_be_new(short_map.insert(*key, LIVES_UNTIL))?;
            }
            short_time += start.elapsed().as_nanos() as f64;
        }
        ours.push(store_time / TIMED as f64);
        theirs.push(map_time / TIMED as f64);
        theirs_short.push(short_time / TIMED as f64);
    }
    let (ours, theirs, theirs_short) = (summary(ours), summary(theirs), summary(theirs_short));

    let before = INSTRUMENTED_SYSTEM.stats();
    let store = new_store(HELD + HELD / 8, agreement)?;
    for number in 0..HELD {
        insert_one(&store, agreement, key(number, 0), thumbprints[number % thumbprints.len()], at(number, HELD))?;
    }
    let change = INSTRUMENTED_SYSTEM.stats() - before;
    let held = (change.bytes_allocated as f64 - change.bytes_deallocated as f64 + change.bytes_reallocated as f64)
        / HELD as f64;
    if held < 1.0 {
        return Err(BenchError("the counting allocator is not in place; run this in the program keybound".into()));
    }
    drop(store);
    Ok(Figure {
        id: "T6",
        title: "remembering a used proof in memory / dashmap keyed by jti, while filling to 1,000,000",
        readings: vec![
            Reading {
                name: "insert",
                value: ours.ratio_to(theirs),
                target: 0.3,
                note: format!(
                    "{:.0} ns against {:.0} ns; dashmap with 16-byte keys {:.0} ns",
                    ours.min, theirs.min, theirs_short.min
                ),
            },
            Reading {
                name: "bytes_per_entry",
                value: held,
                target: 24.0,
                note: "at 10,000,000 entries, all that the store allocated".into(),
            },
        ],
    })
}

fn new_store(capacity: usize, agreement: ReplayAgreement) -> Result<MemoryStore, BenchError> {
    // Made long before, so that its floor is out of the way.
    let made = UnixTime::from_secs(NOW.secs() - 3600);
    MemoryStore::new(capacity, agreement, AWS_LC.random, made).map_err(|error| BenchError(format!("no store: {error}")))
}

/// A key nobody has twice: a bijection of the number.
fn key(number: usize, run: usize) -> [u8; 16] {
    let scramble = |value: u64| {
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    let low = scramble(number as u64 + 1);
    let high = scramble(low ^ run as u64);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&low.to_le_bytes());
    key[8..].copy_from_slice(&high.to_le_bytes());
    key
}

/// When entry `number` of `total` arrives.
fn at(number: usize, total: usize) -> UnixTime {
    UnixTime::from_secs(NOW.secs() + number as i64 * SPREAD / total as i64)
}

fn must_be_new(previous: Option<i64>) -> Result<(), BenchError> {
    match black_box(previous) {
        None => Ok(()),
        Some(_) => Err(BenchError("two keys collided".into())),
    }
}

fn thumbprint(number: usize) -> Thumbprint {
    let mut thumbprint = [0; 32];
    thumbprint[..16].copy_from_slice(&key(number, RUNS));
    Thumbprint::from_bytes(thumbprint)
}

fn insert_one(
    store: &MemoryStore,
    agreement: ReplayAgreement,
    key: [u8; 16],
    thumbprint: Thumbprint,
    now: UnixTime,
) -> Result<(), BenchError> {
    let entry = ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::from_bytes(key),
        thumbprint,
        timed_at: now,
        max_ahead: 10,
        expires_at: now.saturating_add(60),
        store_margin: 60,
        nonce_epoch: None,
        agreement,
    });
    match store.insert(&entry, now).map(|inserted| inserted.insertion) {
        Ok(Insertion::Fresh) => Ok(()),
        other => Err(BenchError(format!("the store answered {other:?}"))),
    }
}
