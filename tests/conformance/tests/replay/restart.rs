//! A store that was restarted: nothing is accepted twice, and clients that follow nonces notice nothing.

use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::nonce::{Nonce, Role};
use keybound::replay::ReplayStore;
use keybound::replay::memory::MemoryStore;
use keybound::{Policy, Rejection, TimeSource, UnixTime, Verifier, VerifyError};
use keybound_conformance::{NOW, make_store, shifted};

use crate::{Client, LONG_BEFORE};

/// A server as it is after a start: a fresh store, and an issuer with the configured key.
fn start(client: &Client, policy: Policy, at: UnixTime) -> (Verifier, MemoryStore) {
    let agreement = policy.replay_agreement(client.crypto.digest);
    let store = MemoryStore::new(100_000, agreement, client.crypto.random, at).expect("randomness");
    let keys = NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
    let issuer = NonceIssuer::new(client.crypto.mac, keys, "https://api.example.com");
    (Verifier::new(policy, &client.crypto).with_nonces(issuer), store)
}

/// The nonce in the server's answer to a refused proof.
fn challenge(
    client: &Client,
    (verifier, store): (&Verifier, &MemoryStore),
    proof: &str,
    rejection: Rejection,
    now: UnixTime,
) -> Nonce {
    client.request().present(proof.as_bytes(), |presentation| {
        let presentation = presentation.in_epoch(store.epoch());
        let refusal = verifier.refuse(rejection, Role::ResourceServer, &presentation, now);
        assert_eq!((refusal.status(), refusal.error()), (401, Some("use_dpop_nonce")));
        refusal.dpop_nonce().expect("a nonce").clone()
    })
}

fn rejection<E: std::fmt::Debug>(verdict: Result<keybound::VerifiedProof, VerifyError<E>>) -> Rejection {
    match verdict {
        Err(VerifyError::Rejected(rejection)) => rejection,
        other => panic!("{other:?} is no rejection"),
    }
}

#[test]
fn a_server_started_a_moment_before_serves_after_one_nonce() {
    for client in Client::both() {
        for source in [TimeSource::IssuedAt, TimeSource::Nonce] {
            for seconds_up in [0, 1, 5, 11] {
                let (verifier, store) = start(&client, Policy::default().with_time_source(source), NOW);
                let now = shifted(NOW, seconds_up);
                let first = client.proof(now);
                let refused = rejection(client.request().consume(&verifier, &first, now, &store));
                assert_eq!(refused, Rejection::NonceMissing, "{}", client.provider);
                let nonce = challenge(&client, (&verifier, &store), &first, refused, now);
                let request = client.request().with_nonce(nonce.as_str());
                let second = request.proof(&client.key, &client.crypto, now);
                assert!(request.consume(&verifier, &second, now, &store).is_ok(), "{}", client.provider);
                let replayed = rejection(request.consume(&verifier, &second, now, &store));
                assert_eq!(replayed, Rejection::Replayed);
            }
        }
    }
}

#[test]
fn a_restart_accepts_nothing_again() {
    for client in Client::both() {
        for source in [TimeSource::IssuedAt, TimeSource::Nonce] {
            let policy = || Policy::default().with_time_source(source);
            let (before, store) = start(&client, policy(), LONG_BEFORE);
            let first = client.proof(NOW);
            let nonce = challenge(&client, (&before, &store), &first, Rejection::NonceMissing, NOW);
            let request = client.request().with_nonce(nonce.as_str());
            // Used before the restart, with clocks ahead, equal and behind.
            let used: Vec<_> =
                (-9..=10).map(|ahead| request.proof(&client.key, &client.crypto, shifted(NOW, ahead))).collect();
            for proof in &used {
                assert!(request.consume(&before, proof, NOW, &store).is_ok(), "{}", client.provider);
            }
            for down in [0, 1, 9, 10, 11, 30] {
                let (after, store) = start(&client, policy(), shifted(NOW, down));
                for second in down..=120 {
                    let now = shifted(NOW, second);
                    for proof in used.iter().step_by(3) {
                        let verdict = request.consume(&after, proof, now, &store);
                        assert!(verdict.is_err(), "{} down {down} at {second}", client.provider);
                    }
                }
            }
        }
    }
}

#[test]
fn a_client_with_a_nonce_of_the_life_before_is_helped_by_a_new_one() {
    for client in Client::both() {
        let (before, lost) = start(&client, Policy::default(), LONG_BEFORE);
        let old = challenge(&client, (&before, &lost), &client.proof(NOW), Rejection::NonceMissing, NOW);
        let (after, store) = start(&client, Policy::default(), NOW);
        let request = client.request().with_nonce(old.as_str());
        let proof = request.proof(&client.key, &client.crypto, NOW);
        let refused = rejection(request.consume(&after, &proof, NOW, &store));
        assert_eq!(refused, Rejection::BeforeStoreFloor, "{}", client.provider);
        let new = challenge(&client, (&after, &store), &proof, refused, NOW);
        let request = client.request().with_nonce(new.as_str());
        let proof = request.proof(&client.key, &client.crypto, NOW);
        assert!(request.consume(&after, &proof, NOW, &store).is_ok(), "{}", client.provider);
    }
}

#[test]
fn without_nonces_a_restart_costs_the_time_clocks_may_be_ahead() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let used: Vec<_> = (-60..=10).map(|ahead| client.proof(shifted(NOW, ahead))).collect();
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        for proof in &used {
            assert!(client.request().consume(&verifier, proof, NOW, &store).is_ok());
        }
        let store = make_store(&verifier, &client.crypto, NOW);
        for second in 0..=20 {
            let now = shifted(NOW, second);
            for proof in &used {
                assert!(client.request().consume(&verifier, proof, now, &store).is_err(), "{second}");
            }
            let verdict = client.request().consume(&verifier, &client.proof(now), now, &store);
            if second <= 10 {
                assert_eq!(rejection(verdict), Rejection::BeforeStoreFloor, "{second}");
            } else {
                assert!(verdict.is_ok(), "{second}");
            }
        }
        // The refusal says when to try again, and does not blame the client.
        client.request().present(used[0].as_bytes(), |presentation| {
            let refusal = verifier.refuse(Rejection::BeforeStoreFloor, Role::ResourceServer, presentation, NOW);
            assert_eq!((refusal.status(), refusal.error()), (503, None));
            assert!(refusal.headers().contains(&("Retry-After", "11".to_owned())));
        });
    }
}
