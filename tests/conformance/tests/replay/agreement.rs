//! Verifiers that share a store agree on it, whatever their crypto provider.

use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use keybound::replay::contract::{Contract, check_store};
use keybound::replay::memory::MemoryStore;
use keybound::{Policy, Rejection, TimeSource, Verifier, VerifyError};
use keybound_conformance::{NOW, make_store, providers, shifted};

use crate::{Client, LONG_BEFORE, policy};

#[test]
fn providers_agree_on_keys_and_settings() {
    let [one, other] = Client::both();
    let proof = one.proof(NOW);
    let verifiers = [&one, &other].map(|client| Verifier::new(Policy::default(), &client.crypto));
    assert_eq!(verifiers[0].replay_agreement(), verifiers[1].replay_agreement());
    let store = make_store(&verifiers[0], &one.crypto, LONG_BEFORE);
    assert!(one.request().consume(&verifiers[0], &proof, NOW, &store).is_ok());
    let by_other = one.request().consume(&verifiers[1], &proof, NOW, &store);
    assert_eq!(by_other.unwrap_err(), VerifyError::Rejected(Rejection::Replayed));
}

#[test]
fn a_store_serves_no_verifier_of_another_policy() {
    for client in Client::both() {
        let verifier = Verifier::new(policy(60, 10, 60), &client.crypto);
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        for other in [
            policy(61, 10, 60),
            policy(60, 11, 60),
            policy(60, 10, 61),
            policy(60, 10, 60).with_time_source(TimeSource::Nonce),
        ] {
            let keys = NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
            let issuer = NonceIssuer::new(client.crypto.mac, keys, "https://api.example.com");
            let nonce = issuer.issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
            let other = Verifier::new(other, &client.crypto).with_nonces(issuer);
            let request = client.request().with_nonce(nonce.as_str());
            let proof = request.proof(&client.key, &client.crypto, NOW);
            let verdict = request.consume(&other, &proof, NOW, &store);
            assert_eq!(verdict.unwrap_err(), VerifyError::Unavailable, "{}", client.provider);
        }
    }
}

/// One verifier times a proof by its nonce, the other, which has no issuer, by `iat`: their records of one proof
/// differ, so they must not be able to share a store.
#[test]
fn verifiers_that_time_a_proof_differently_do_not_accept_it_twice() {
    for client in Client::both() {
        let keys = NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
        let issuer = NonceIssuer::new(client.crypto.mac, keys, "https://api.example.com");
        let nonce = issuer.issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        let policy = || Policy::default().with_time_source(TimeSource::Nonce);
        let with_issuer = Verifier::new(policy(), &client.crypto).with_nonces(issuer);
        let without = Verifier::new(policy(), &client.crypto);
        let store = make_store(&with_issuer, &client.crypto, LONG_BEFORE);
        let request = client.request().with_nonce(nonce.as_str());
        let proof = request.proof(&client.key, &client.crypto, shifted(NOW, 10));
        let first = request.consume(&with_issuer, &proof, NOW, &store);
        let second = request.consume(&without, &proof, NOW, &store);
        assert!(first.is_ok(), "{}", client.provider);
        assert!(second.is_err(), "{}: accepted twice", client.provider);
    }
}

/// The same within one verifier: a host that remembers nonces itself for some requests and not for others.
#[test]
fn a_proof_presented_with_and_without_its_exact_nonce_is_not_accepted_twice() {
    for client in Client::both() {
        let keys = NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
        let issuer = NonceIssuer::new(client.crypto.mac, keys, "https://api.example.com");
        let nonce = issuer.issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        let policy = Policy::default().with_time_source(TimeSource::Nonce);
        let verifier = Verifier::new(policy, &client.crypto).with_nonces(issuer);
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        let request = client.request().with_nonce(nonce.as_str());
        let proof = request.proof(&client.key, &client.crypto, shifted(NOW, 10));
        let first = request.consume(&verifier, &proof, NOW, &store);
        let second = request.present(proof.as_bytes(), |presentation| {
            verifier.verify(&presentation.expecting_nonce(nonce.as_str()), NOW, &store)
        });
        assert!(first.is_ok(), "{}", client.provider);
        assert!(second.is_err(), "{}: accepted twice", client.provider);
    }
}

#[test]
fn the_memory_store_keeps_the_contract() {
    for (provider, crypto) in providers() {
        let verifier = Verifier::new(Policy::default(), &crypto);
        let agreement = verifier.replay_agreement();
        let contract = Contract::new(agreement).with_capacity(6_400).with_share(3_200);
        let make = |now| MemoryStore::new(6_400, agreement, crypto.random, now).expect("randomness");
        let outcome = check_store(make, contract);
        assert!(outcome.is_ok(), "{provider} {outcome:?}");
    }
}
