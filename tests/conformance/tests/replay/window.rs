//! N2: over every second of the window, and beyond it, a consumed proof is never accepted again.

use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::{Inserted, Insertion, StoreEpoch};
use keybound::{Policy, Rejection, SettleError, TimeSource, Verifier};
use keybound_conformance::{NOW, make_store, shifted};

use crate::{Client, LONG_BEFORE, policy};

/// Presents a proof `first` seconds after [`NOW`], then at that second again and at every further one until its record
/// is long gone. Answers whether the first presentation was accepted; two acceptances are a failure.
fn replay_ever_after(client: &Client, policy: &Policy, proof: &str, first: i64, last: i64) -> bool {
    let verifier = Verifier::new(policy.clone(), &client.crypto);
    let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
    let at = |second: i64| client.request().consume(&verifier, proof, shifted(NOW, second), &store).is_ok();
    let accepted_first = at(first);
    let mut acceptances = usize::from(accepted_first);
    for second in first..=last {
        acceptances += usize::from(at(second));
        assert!(acceptances <= 1, "{} presented at {first}, accepted again at {second}", client.provider);
    }
    accepted_first
}

#[test]
fn n2_every_pair_of_seconds_around_a_narrow_window() {
    for (max_age, max_ahead, margin) in [(1, 0, 1), (5, 2, 3), (7, 7, 1), (17, 3, 16)] {
        for client in Client::both() {
            let policy = policy(max_age, max_ahead, margin);
            let proof = client.proof(NOW);
            let (age, ahead, margin) = (max_age as i64, max_ahead as i64, margin as i64);
            for first in -ahead - 2..=age + ahead + 2 {
                let accepted = replay_ever_after(&client, &policy, &proof, first, age + ahead + margin + 40);
                let in_window = (-ahead..=age).contains(&first);
                assert_eq!(accepted, in_window, "{} {first} of {max_age}/{max_ahead}", client.provider);
            }
        }
    }
}

#[test]
fn n2_the_default_window_at_its_edges() {
    for client in Client::both() {
        let proof = client.proof(NOW);
        for policy in [Policy::default(), Policy::mcp()] {
            let (age, ahead, margin) =
                (policy.max_age() as i64, policy.max_ahead() as i64, policy.store_margin() as i64);
            for first in [-ahead, -ahead + 1, 0, age - 1, age] {
                assert!(replay_ever_after(&client, &policy, &proof, first, age + ahead + margin + 20));
            }
            for first in [-ahead - 1, age + 1] {
                assert!(!replay_ever_after(&client, &policy, &proof, first, age + ahead + margin + 20));
            }
        }
    }
}

#[test]
fn a_proof_that_goes_stale_while_the_store_answers_is_refused() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let proof = client.proof(NOW);
        let settle = |checked: i64, settled: i64| {
            client.request().present(proof.as_bytes(), |presentation| {
                let pending = verifier.check(presentation, shifted(NOW, checked)).expect("in time");
                pending
                    .settle(Inserted::new(Insertion::Fresh, StoreEpoch::from_u64(0)), shifted(NOW, settled))
                    .map(drop)
            })
        };
        assert_eq!(settle(60, 60), Ok(()), "{}", client.provider);
        assert_eq!(settle(60, 61), Err(SettleError::Rejected(Rejection::IatTooOld)));
        assert_eq!(settle(0, 1_000), Err(SettleError::Rejected(Rejection::IatTooOld)));
    }
}

#[test]
fn n2_fractions_of_a_second_make_no_gap() {
    use keybound_conformance::raw::{self, Claims};
    for client in Client::both() {
        let policy = policy(5, 2, 3);
        for iat in ["1700000000.999999", "1700000000.000001", "17.000000009e8"] {
            let claims = Claims::good(&client.crypto).with("iat", iat).json();
            let proof = raw::sign(&client.key, &client.crypto, &raw::header(&client.key), &claims);
            for first in -4..=7 {
                let accepted = replay_ever_after(&client, &policy, &proof, first, 60);
                assert_eq!(accepted, (-2..=5).contains(&first), "{} {iat} {first}", client.provider);
            }
        }
    }
}

#[test]
fn n2_nonces_as_the_source_of_time() {
    for client in Client::both() {
        let keys = || NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
        let issuer = || NonceIssuer::new(client.crypto.mac, keys(), "https://api.example.com");
        let policy = policy(5, 2, 3).with_time_source(TimeSource::Nonce);
        let nonce = issuer().issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        // Whatever the client's clock says, the nonce's time counts.
        for client_clock in [NOW, shifted(NOW, -1_000_000), shifted(NOW, 1_000_000_000)] {
            let request = client.request().with_nonce(nonce.as_str());
            let proof = request.proof(&client.key, &client.crypto, client_clock);
            let mut acceptances = 0;
            for first in -65..=95 {
                let verifier = Verifier::new(policy.clone(), &client.crypto).with_nonces(issuer());
                let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
                let at = |second| request.consume(&verifier, &proof, shifted(NOW, second), &store).is_ok();
                if !at(first) {
                    continue;
                }
                acceptances += 1;
                for second in (first..=140).chain(-65..first) {
                    assert!(!at(second), "{} accepted at {first} and again at {second}", client.provider);
                }
            }
            // Three steps of 30 seconds.
            assert_eq!(acceptances, 90, "{} iat {client_clock}", client.provider);
        }
    }
}
