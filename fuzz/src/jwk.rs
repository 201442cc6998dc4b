//! `jwk`: keys in one encoding each, and private keys only where they are asked for.

use std::collections::BTreeMap;

use keybound::jose::jwk::PublicJwk;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, Thumbprint};

/// The input is a JWK, public or private.
pub fn jwk(data: &[u8]) {
    let Ok(json) = std::str::from_utf8(data) else { return };
    let public = PublicJwk::parse(json);
    if let Ok(key) = &public {
        check_public(json, key);
    }
    if let Ok(key) = SoftKey::from_jwk(json, &RUSTCRYPTO) {
        assert!(public.is_err(), "a private key passes for a public one");
        check_private(&key);
    }
}

fn check_public(json: &str, key: &PublicJwk) {
    let lenient: serde_json::Value = match serde_json::from_str(json) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.to_string().starts_with("number out of range"), "serde_json refuses it: {error}");
            return;
        }
    };
    assert!(lenient.get("d").is_none() && lenient.get("k").is_none(), "private members");

    let written = key.to_json();
    let again = PublicJwk::parse(&written).expect("what is written parses");
    assert_eq!(&again, key);
    assert_eq!(again.to_json(), written);
    let thumbprint = key.thumbprint(RUSTCRYPTO.digest);
    assert_eq!(again.thumbprint(RUSTCRYPTO.digest), thumbprint);
    assert_eq!(Thumbprint::parse(&thumbprint.to_string()), Some(thumbprint));

    // RFC 7638 by other hands, from what the lenient reader saw in the input.
    let members: BTreeMap<String, String> = serde_json::from_str(&written).expect("an object of texts");
    for (name, value) in &members {
        assert_eq!(lenient[name].as_str(), Some(value.as_str()), "{name} is not as it came");
    }
    let canonical = serde_json::to_string(&members).expect("JSON");
    assert_eq!(thumbprint.as_bytes(), &RUSTCRYPTO.digest.sha256(&[canonical.as_bytes()]));

    for algorithm in AlgorithmSet::ALL.iter() {
        let Some(verifier) = RUSTCRYPTO.verifier(algorithm) else { continue };
        let message: &[u8] = b"message";
        let signature = vec![1; algorithm.signature_len().unwrap_or(256)];
        assert!(verifier.verify(key, message, &signature).is_err(), "a signature out of nothing");
        let fits = algorithm.key_type() == key.key_type();
        assert!(fits || verifier.validate(key).is_err(), "a key of another type is valid");
        assert_eq!(verifier.validate(key).is_ok(), verifier.prepare(key).is_ok(), "validate and prepare differ");
    }
}

fn check_private(key: &SoftKey) {
    let written = key.to_jwk().expect("what was read can be written");
    let again = SoftKey::from_jwk(written.expose(), &RUSTCRYPTO).expect("what is written parses");
    assert_eq!((again.public_key(), again.algorithm()), (key.public_key(), key.algorithm()));
    let public = key.public_key();
    assert_eq!(PublicJwk::parse(&public.to_json()).as_ref(), Ok(public));
    let _: Algorithm = key.algorithm();
}
