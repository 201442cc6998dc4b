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
            match store.insert(&entry, NOW).unwrap().insertion {
                Insertion::Fresh => kept.push(entry),
                answer => assert!(matches!(answer, Insertion::Full | Insertion::ShareFull), "{answer}"),
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
                assert_eq!(store.insert(entry, now).unwrap().insertion, Insertion::Seen, "{}", client.provider);
            }
        }
        // Once the flood has expired, and its margin has passed, the store serves again.
        let later = shifted(NOW, 60 + 60 + 16);
        assert_eq!(consume(&client.proof(later), later), Ok(()), "{}", client.provider);
    }
}

/// The `i`th proof of the key that `thumbprint` names.
fn by(verifier: &Verifier, thumbprint: Thumbprint, i: usize) -> ReplayEntry {
    let entry = stranger(verifier, i);
    ReplayEntry::from_parts(ReplayEntryParts {
        key: *entry.key(),
        thumbprint,
        timed_at: entry.timed_at(),
        max_ahead: entry.max_ahead(),
        expires_at: entry.expires_at(),
        store_margin: entry.store_margin(),
        nonce_epoch: None,
        agreement: entry.agreement(),
    })
}

#[test]
fn n15_one_client_cannot_fill_the_store_for_others() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = MemoryStore::new(CAPACITY, verifier.replay_agreement(), client.crypto.random, LONG_BEFORE).unwrap();
        let greedy = client.request().bound_to.unwrap();
        let mut fresh = 0;
        for i in 0..CAPACITY {
            fresh += usize::from(store.insert(&by(&verifier, greedy, i), NOW).unwrap().insertion == Insertion::Fresh);
        }
        assert_eq!(fresh, CAPACITY / 2, "a busy client is served while there is room, and no further");
        let refused = client.request().consume(&verifier, &client.proof(NOW), NOW, &store).unwrap_err();
        assert_eq!(refused, VerifyError::ShareFull);
        assert!(refused.to_string().contains("this key holds its share"), "{refused}");
        let [other, _] = Client::both();
        assert!(other.request().consume(&verifier, &other.proof(NOW), NOW, &store).is_ok());
    }
}

#[test]
fn n15_thirty_two_clients_leave_room_for_the_rest() {
    const LARGE: usize = 32_000;
    const KEYS: u8 = 32;
    let [client, _] = Client::both();
    let verifier = Verifier::new(Policy::default(), &client.crypto);
    let greedy = |key: u8| Thumbprint::from_bytes([key; 32]);
    // Each key takes a proof in its turn, or all it gets before the next one begins: the worst that they can do together.
    for (name, at_once, left) in [("in turns", 1, LARGE * 2 / 5), ("one after the other", LARGE, LARGE / 64)] {
        let store = MemoryStore::new(LARGE, verifier.replay_agreement(), client.crypto.random, LONG_BEFORE).unwrap();
        let mut proofs = 0;
        let mut insert = |thumbprint| {
            proofs += 1;
            store.insert(&by(&verifier, thumbprint, proofs), NOW).unwrap().insertion == Insertion::Fresh
        };
        let mut taking: Vec<u8> = (0..KEYS).collect();
        while !taking.is_empty() {
            taking.retain(|key| (0..at_once).all(|_| insert(greedy(*key))));
        }
        let room = LARGE - store.held();
        assert!(room >= left, "{name}: room for {room}");
        // Others find it: an eighth of them, as a rule, meets a row that is used up.
        let others = room / 2;
        let served = (0..others).filter(|i| insert(*stranger(&verifier, LARGE * 2 + i).thumbprint())).count();
        assert!(served * 4 >= others * 3, "{name}: {served} of {others} are served");
    }
}
