//! N12 and N13: what fails burns nothing, one `jti` belongs to one key, and a proof is more than its spelling.

use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use keybound::{Algorithm, Policy, Rejection, Thumbprint, Verifier, VerifyError, base64url};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, make_store, providers, shifted};

use crate::{Client, LONG_BEFORE};

#[test]
fn n12_a_failing_proof_burns_nothing() {
    for client in Client::both() {
        let keys = NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
        let issuer = NonceIssuer::new(client.crypto.mac, keys, "https://api.example.com");
        let nonce = issuer.issue(Role::ResourceServer, None, StoreEpoch::from_u64(0), NOW).unwrap();
        let verifier = Verifier::new(Policy::default(), &client.crypto).with_nonces(issuer);
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);

        let good = client.request().with_nonce(nonce.as_str());
        let claims = Claims::good(&client.crypto).with("nonce", &format!("\"{}\"", nonce.as_str()));
        let sign = |claims: &Claims| raw::sign(&client.key, &client.crypto, &raw::header(&client.key), &claims.json());
        let proof = sign(&claims);
        let (message, signature) = proof.rsplit_once('.').unwrap();
        let mut bytes = base64url::decode(signature.as_bytes()).unwrap();
        bytes[40] ^= 1;
        let broken = format!("{message}.{}", base64url::encode(&bytes));
        let thief = make_key(Algorithm::Ed25519, &client.crypto);
        let by_thief = raw::sign(&thief, &client.crypto, &raw::header(&thief), &claims.json());
        let stranger = Thumbprint::from_bytes([7; 32]);
        let elsewhere = "https://api.example.com/items/8";

        for (request, proof, clock, rejection) in [
            (Request { method: "POST", ..good }, &proof, NOW, Rejection::MethodMismatch),
            (good, &sign(&claims.clone().with("htm", "\"POST\"")), NOW, Rejection::MethodMismatch),
            (Request { url: elsewhere, ..good }, &proof, NOW, Rejection::TargetMismatch),
            (Request { token: Some("another"), ..good }, &proof, NOW, Rejection::AthMismatch),
            (Request { bound_to: Some(stranger), ..good }, &proof, NOW, Rejection::BindingMismatch),
            (good, &by_thief, NOW, Rejection::BindingMismatch),
            (good, &broken, NOW, Rejection::SignatureInvalid),
            (good, &sign(&claims.clone().without("nonce")), NOW, Rejection::NonceMissing),
            (good, &sign(&claims.clone().with("nonce", "\"eyJ7S_zG.eyJH0-Z\"")), NOW, Rejection::NonceMismatch),
            (good, &proof, shifted(NOW, -11), Rejection::IatInFuture),
            (good, &proof, shifted(NOW, 61), Rejection::IatTooOld),
        ] {
            let verdict = request.consume(&verifier, proof, clock, &store);
            assert_eq!(verdict.unwrap_err(), VerifyError::Rejected(rejection), "{}", client.provider);
            assert_eq!(store.held(), 0, "{} {rejection:?}", client.provider);
        }
        assert!(good.consume(&verifier, &proof, NOW, &store).is_ok(), "{}", client.provider);
        let again = good.consume(&verifier, &proof, NOW, &store);
        assert_eq!(again.unwrap_err(), VerifyError::Rejected(Rejection::Replayed));
    }
}

#[test]
fn n13_one_jti_under_two_keys_is_two_proofs() {
    for client in Client::both() {
        let verifier = Verifier::new(Policy::default(), &client.crypto);
        let store = make_store(&verifier, &client.crypto, LONG_BEFORE);
        for _ in 0..3 {
            let key = make_key(Algorithm::Ed25519, &client.crypto);
            let request = Request::resource(&key, &client.crypto);
            let claims = Claims::good(&client.crypto).json();
            let proof = raw::sign(&key, &client.crypto, &raw::header(&key), &claims);
            assert!(request.consume(&verifier, &proof, NOW, &store).is_ok(), "{}", client.provider);
            assert!(request.consume(&verifier, &proof, NOW, &store).is_err(), "{}", client.provider);
        }
    }
}

#[test]
fn one_key_and_jti_is_one_proof_however_it_is_spelled() {
    for (provider, crypto) in providers() {
        let key = make_key(Algorithm::Es256, &crypto);
        let request = Request::resource(&key, &crypto);
        let verifier = Verifier::new(Policy::default(), &crypto);
        let store = make_store(&verifier, &crypto, LONG_BEFORE);
        let claims = Claims::good(&crypto);
        let header = raw::header(&key);
        let proof = raw::sign(&key, &crypto, &header, &claims.json());
        assert!(request.consume(&verifier, &proof, NOW, &store).is_ok(), "{provider}");
        let escaped = claims.clone().with("jti", r#""\u0065\u0031j3V_bKic8-LAEB""#);
        for other in [
            raw::sign(&key, &crypto, &header, &claims.json()),
            raw::sign(&key, &crypto, &header, &escaped.json()),
            raw::sign(&key, &crypto, &header, &claims.clone().and("any", "1").json()),
            raw::sign(&key, &crypto, &header, &format!(" {} ", claims.json())),
            raw::sign(&key, &crypto, &header.replacen('{', "{\"kid\":\"1\",", 1), &claims.json()),
            other_signature(&proof),
        ] {
            let again = request.consume(&verifier, &other, NOW, &store);
            assert_eq!(again.unwrap_err(), VerifyError::Rejected(Rejection::Replayed), "{provider}");
        }
    }
}

/// The same ES256 proof with S replaced by the order of the curve minus S, which verifies as well.
fn other_signature(proof: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (message, signature) = proof.rsplit_once('.').unwrap();
    let mut bytes = base64url::decode(signature.as_bytes()).unwrap();
    let mut borrow = 0;
    for (digit, order) in bytes[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let other = format!("{message}.{}", base64url::encode(&bytes));
    assert_ne!(other, proof);
    other
}

#[test]
fn gateway_and_service_consume_in_their_own_namespaces() {
    for client in Client::both() {
        let verifier = |namespace| Verifier::new(Policy::default().with_namespace(namespace), &client.crypto);
        let (gateway, service) = (verifier("gateway"), verifier("service"));
        let store = make_store(&gateway, &client.crypto, LONG_BEFORE);
        let proof = client.proof(NOW);
        for verifier in [&gateway, &service] {
            assert!(client.request().consume(verifier, &proof, NOW, &store).is_ok(), "{}", client.provider);
        }
        for verifier in [&gateway, &service] {
            assert!(client.request().consume(verifier, &proof, NOW, &store).is_err(), "{}", client.provider);
        }
    }
}
