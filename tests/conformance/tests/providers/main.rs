//! Keys and signatures across providers: formats, published values, secrets that stay in, signers that are checked.
#![allow(missing_docs)]

mod checked;
mod formats;
mod malformed;
mod published;
mod secrets;

use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::{Algorithm, Crypto};
use keybound_conformance::providers;

/// Each algorithm with each provider that can sign with it.
fn signing() -> Vec<(&'static str, Crypto, Algorithm)> {
    let all = Algorithm::ALL.iter().flat_map(|algorithm| providers().map(|(name, crypto)| (name, crypto, *algorithm)));
    all.filter(|(_, crypto, algorithm)| crypto.signer(*algorithm).is_some()).collect()
}

/// The same, with one algorithm for each type of key: RSA keys take long to make.
fn kinds() -> Vec<(&'static str, Crypto, Algorithm)> {
    let mut kinds = signing();
    kinds.retain(|(_, _, algorithm)| {
        let same_type = |other: &&Algorithm| other.key_type() == algorithm.key_type();
        Algorithm::ALL.iter().find(same_type) == Some(algorithm)
    });
    kinds
}

/// Signs with `key` and verifies with both providers under `public`.
fn signs_for(key: &SoftKey, public: &keybound::jose::jwk::PublicJwk) -> bool {
    let message = b"header.payload";
    providers().into_iter().all(|(_, crypto)| {
        let input = SigningInput::new(key.algorithm(), message, crypto.digest);
        let signature = key.sign(&input).expect("a signature");
        let verifier = crypto.verifier(key.algorithm()).expect("both providers verify every algorithm");
        verifier.verify(public, message, signature.as_bytes()).is_ok()
    })
}

#[test]
fn every_algorithm_is_signed_by_some_provider_and_verified_by_both() {
    let signed: std::collections::BTreeSet<_> = signing().iter().map(|(_, _, algorithm)| *algorithm).collect();
    assert_eq!(signed.len(), Algorithm::ALL.len());
    for (_, crypto) in providers() {
        assert!(Algorithm::ALL.iter().all(|algorithm| crypto.verifier(*algorithm).is_some()));
    }
}
