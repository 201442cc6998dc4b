//! Clocks that differ, step back or jump: still at most one acceptance.

use keybound::{Policy, Verifier};
use keybound_conformance::{NOW, make_store, shifted};
use proptest::prelude::*;

use crate::{Client, LONG_BEFORE, policy};

#[test]
fn two_verifiers_whose_clocks_differ_by_up_to_the_margin() {
    let (age, ahead, margin) = (10, 4, 20);
    for client in Client::both() {
        let policy = policy(10, 4, 20);
        let proof = client.proof(NOW);
        for apart in -margin..=margin {
            for first in [-ahead, 0, age] {
                let verifier = Verifier::new(policy.clone(), &client.crypto);
                let other = Verifier::new(policy.clone(), &client.crypto);
                let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
                let request = client.request();
                assert!(request.consume(&verifier, &proof, shifted(NOW, first), &store).is_ok());
                // From here on both see it at every second, the other one by its own clock.
                for second in first..=age + margin + ahead + 20 {
                    let by_own = request.consume(&verifier, &proof, shifted(NOW, second), &store);
                    let by_other = request.consume(&other, &proof, shifted(NOW, second + apart), &store);
                    assert!(by_own.is_err() && by_other.is_err(), "{} {apart} s apart, {second}", client.provider);
                }
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_ahead_and_back_accepts_nothing_twice() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let proof = client.proof(NOW);
        for jump in [61, 120, 121, 136, 137, 1_000, 1_000_000, i64::MAX / 2] {
            let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
            let request = client.request();
            assert!(request.consume(&verifier, &proof, NOW, &store).is_ok());
            // Another client is served at the wrong time, which lets the store forget what expired.
            let later = client.proof(shifted(NOW, jump));
            assert!(request.consume(&verifier, &later, shifted(NOW, jump), &store).is_ok(), "{jump}");
            for back in 0..=60 {
                let again = request.consume(&verifier, &proof, shifted(NOW, back), &store);
                assert!(again.is_err(), "{} after a jump of {jump} s", client.provider);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any walk of the clock over any presentations of eight proofs: each is accepted at most once.
    #[test]
    fn any_walk_of_the_clock(walk in prop::collection::vec((0..8_usize, -200..400_i64), 1..120)) {
        for client in Client::both() {
            let verifier = Verifier::new(policy(60, 10, 60), &client.crypto);
            let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
            let proofs: Vec<_> = (0..8).map(|i| client.proof(shifted(NOW, i * 25))).collect();
            let mut accepted = [0; 8];
            for (index, clock) in &walk {
                let verdict = client.request().consume(&verifier, &proofs[*index], shifted(NOW, *clock), &store);
                accepted[*index] += usize::from(verdict.is_ok());
            }
            prop_assert!(accepted.iter().all(|count| *count <= 1), "{:?}", accepted);
        }
    }
}
