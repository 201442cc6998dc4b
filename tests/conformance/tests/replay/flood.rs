//! N15: a store filled to capacity refuses what is new, loses nothing that lives, and serves again when time passes.

use keybound::replay::memory::MemoryStore;
use keybound::replay::{Insertion, ReplayEntry, ReplayEntryParts, ReplayKey, ReplayStore};
use keybound::{Policy, Rejection, Thumbprint, Verifier, VerifyError};
use keybound_conformance::{NOW, shifted};

use crate::{Client, LONG_BEFORE};

const CAPACITY: usize = 6_400;

/// The `i`th proof of a flood, each by a key of its own.
fn stranger(verifier: &Verifier, i: usize) -> ReplayEntry {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&i.to_le_bytes());
    ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::from_bytes(*bytes.first_chunk().unwrap()),
        thumbprint: Thumbprint::from_bytes(bytes),
        timed_at: NOW,
        max_ahead: 10,
        expires_at: shifted(NOW, 60),
        store_margin: 60,
        nonce_epoch: None,
        agreement: verifier.replay_agreement(),
    })
}

#[test]
fn n15_a_flood_to_capacity_loses_no_live_entry() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = MemoryStore::new(CAPACITY, verifier.replay_agreement(), client.crypto.random, LONG_BEFORE).unwrap();
        let consume = |proof: &str, now| client.request().consume(&verifier, proof, now, &store).map(drop);
        let before = client.proof(NOW);
        assert_eq!(consume(&before, NOW), Ok(()));

        let mut kept = Vec::new();
        for i in 0..2 * CAPACITY {
            let entry = stranger(&verifier, i);
            match store.insert(&entry, NOW).unwrap() {
                Insertion::Fresh => kept.push(entry),
                answer => assert_eq!(answer, Insertion::Full, "{}", client.provider),
            }
        }
        assert!(kept.len() >= CAPACITY * 9 / 10 && store.held() <= CAPACITY, "{} kept", kept.len());
        // What is new is refused, what was used stays refused, over the whole life of both.
        for second in [0, 1, 30, 60] {
            let now = shifted(NOW, second);
            let new = client.proof(NOW);
            assert_eq!(consume(&new, now), Err(VerifyError::Full), "{} {second}", client.provider);
            assert_eq!(consume(&before, now), Err(VerifyError::Rejected(Rejection::Replayed)));
            for entry in &kept {
                assert_eq!(store.insert(entry, now).unwrap(), Insertion::Seen, "{}", client.provider);
            }
        }
        // Once the flood has expired, and its margin has passed, the store serves again.
        let later = shifted(NOW, 60 + 60 + 16);
        assert_eq!(consume(&client.proof(later), later), Ok(()), "{}", client.provider);
    }
}

#[test]
fn n15_one_client_cannot_fill_the_store_for_others() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = MemoryStore::new(CAPACITY, verifier.replay_agreement(), client.crypto.random, LONG_BEFORE).unwrap();
        let greedy = client.request().bound_to.unwrap();
        let mut fresh = 0;
        for i in 0..CAPACITY {
            let entry = stranger(&verifier, i);
            let parts = ReplayEntryParts {
                key: *entry.key(),
                thumbprint: greedy,
                timed_at: entry.timed_at(),
                max_ahead: entry.max_ahead(),
                expires_at: entry.expires_at(),
                store_margin: entry.store_margin(),
                nonce_epoch: None,
                agreement: entry.agreement(),
            };
            fresh += usize::from(store.insert(&ReplayEntry::from_parts(parts), NOW).unwrap() == Insertion::Fresh);
        }
        assert!(fresh <= CAPACITY / 64, "{fresh}");
        let refused = client.request().consume(&verifier, &client.proof(NOW), NOW, &store);
        assert_eq!(refused.unwrap_err(), VerifyError::Full);
        let [other, _] = Client::both();
        assert!(other.request().consume(&verifier, &other.proof(NOW), NOW, &store).is_ok());
    }
}
