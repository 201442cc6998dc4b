//! N14: 64 threads present one proof at once, and exactly one is accepted.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use keybound::replay::memory::MemoryStore;
use keybound::replay::{Inserted, Insertion, ReplayEntry, ReplayStore, StoreEpoch};
use keybound::{Policy, Rejection, UnixTime, Verifier, VerifyError};
use keybound_conformance::{NOW, make_store};

use crate::{Client, LONG_BEFORE};

const THREADS: usize = 64;

/// How many of 64 simultaneous presentations of one proof are accepted; the others must be refused as replays.
fn accepted<S: ReplayStore<Error = Infallible> + Sync>(client: &Client, verifier: &Verifier, store: &S) -> usize {
    let proof = client.proof(NOW);
    let accepted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| match client.request().consume(verifier, &proof, NOW, store) {
                Ok(_) => {
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => assert_eq!(error, VerifyError::Rejected(Rejection::Replayed)),
            });
        }
    });
    accepted.into_inner()
}

/// Lets all threads arrive before any of them inserts.
struct Together<S> {
    barrier: Barrier,
    store: S,
}

impl<S: ReplayStore> ReplayStore for Together<S> {
    type Error = S::Error;

    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, S::Error> {
        self.barrier.wait();
        self.store.insert(entry, now)
    }

    fn epoch(&self) -> StoreEpoch {
        self.store.epoch()
    }
}

/// What others ship: look, wait for the network, write.
struct LookThenInsert {
    between: Barrier,
    seen: Mutex<HashSet<[u8; 16]>>,
}

impl ReplayStore for LookThenInsert {
    type Error = Infallible;

    fn insert(&self, entry: &ReplayEntry, _now: UnixTime) -> Result<Inserted, Infallible> {
        let key = *entry.key().as_bytes();
        let found = self.seen.lock().unwrap().contains(&key);
        self.between.wait();
        if found {
            return Ok(Inserted::new(Insertion::Seen, self.epoch()));
        }
        self.seen.lock().unwrap().insert(key);
        Ok(Inserted::new(Insertion::Fresh, self.epoch()))
    }

    fn epoch(&self) -> StoreEpoch {
        StoreEpoch::from_u64(0)
    }
}

#[test]
fn n14_one_of_64_is_accepted() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        for _ in 0..8 {
            let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
            assert_eq!(accepted(&client, &verifier, &store), 1, "{}", client.provider);
            let together: Together<MemoryStore> =
                Together { barrier: Barrier::new(THREADS), store: make_store(&verifier, &client.crypto, LONG_BEFORE) };
            assert_eq!(accepted(&client, &verifier, &together), 1, "{}", client.provider);
        }
    }
}

#[test]
fn n14_the_same_test_catches_a_store_that_looks_first_and_writes_later() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = LookThenInsert { between: Barrier::new(THREADS), seen: Mutex::default() };
        assert_eq!(accepted(&client, &verifier, &store), THREADS, "{}", client.provider);
    }
}

#[test]
fn many_proofs_from_many_threads_are_each_accepted_once() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        let proofs: Vec<_> = (0..64).map(|_| client.proof(NOW)).collect();
        let counts: Vec<_> = proofs.iter().map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (proofs, counts, verifier, store, client) = (&proofs, &counts, &verifier, &store, &client);
                scope.spawn(move || {
                    // Each thread begins elsewhere, so that all orders of arrival occur.
                    for step in 0..proofs.len() {
                        let index = (step + thread * 8) % proofs.len();
                        if client.request().consume(verifier, &proofs[index], NOW, store).is_ok() {
                            counts[index].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{}", client.provider);
        assert_eq!(store.held(), proofs.len());
    }
}
