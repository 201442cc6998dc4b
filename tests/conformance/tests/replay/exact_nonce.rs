//! Where nonces are the clock, they are the clock for every proof: also for one that has to carry the exact nonce of its client.

use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use keybound::{Policy, Rejection, TimeSource, Verifier, VerifyError};
use keybound_conformance::{NOW, make_store, shifted};

use crate::{Client, LONG_BEFORE};

#[test]
fn a_proof_with_its_exact_nonce_is_remembered_by_the_nonces_time() {
    for client in Client::both() {
        let issuer = || {
            let key = NonceKey::from_secret(1, [7; 32]).unwrap();
            NonceIssuer::new(client.crypto.mac, NonceKeys::new(key), "https://api.example.com")
        };
        let policy = Policy::default().with_time_source(TimeSource::Nonce);
        let verifier = Verifier::new(policy, &client.crypto).with_nonces(issuer());
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        let nonce = issuer().issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        let present = |nonce: &str, iat, now| {
            let request = client.request().with_nonce(nonce);
            let proof = request.proof(&client.key, &client.crypto, iat);
            request.present(proof.as_bytes(), |presentation| {
                let presentation = presentation.expecting_nonce(nonce);
                [(); 2].map(|()| verifier.verify(&presentation, now, &store).map(drop))
            })
        };
        let replayed = Err(VerifyError::Rejected(Rejection::Replayed));
        // A clock that is days wrong does not matter, in either direction. What does is that the proof is remembered for as long as
        // its nonce lives: by its `iat` it would be forgotten at once, or be before the store's time.
        for days in [-1, 0, 1] {
            let iat = shifted(NOW, days * 86_400);
            assert_eq!(present(nonce.as_str(), iat, NOW), [Ok(()), replayed], "{} {days}", client.provider);
        }
        // A nonce that the issuer did not make tells no time, though it be the one that was agreed on.
        let mismatch = Err(VerifyError::Rejected(Rejection::NonceMismatch));
        assert_eq!(present("made-up", NOW, NOW), [mismatch, mismatch], "{}", client.provider);
        let stale = Err(VerifyError::Rejected(Rejection::NonceStale));
        assert_eq!(present(nonce.as_str(), shifted(NOW, 300), shifted(NOW, 300)), [stale, stale]);
    }
}
