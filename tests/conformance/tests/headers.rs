//! The memory of headers changes no verdict: it holds facts about headers that were verified, and no more than it may.
#![allow(missing_docs)]

use std::sync::Arc;

use keybound::jose::jwk::RsaBounds;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, AlgorithmSet, Crypto, HeaderMemory, Policy, Rejection, Thumbprint, UnixTime, Verifier};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, permissive, providers, shifted};

/// Everything a verdict says, comparable.
type Verdict = Result<(Thumbprint, Algorithm, UnixTime), Rejection>;

fn verdict(request: &Request<'_>, verifier: &Verifier, proof: &str, now: UnixTime) -> Verdict {
    let verified = request.judge(verifier, proof, now)?;
    Ok((verified.thumbprint(), verified.algorithm(), verified.issued_at()))
}

/// Good and bad proofs of one key, with the request and clock each is presented with.
fn cases<'a>(key: &SoftKey, crypto: &Crypto) -> Vec<(Request<'a>, String, UnixTime)> {
    let good = Request::resource(key, crypto);
    let header = raw::header(key);
    let claims = Claims::good(crypto);
    let sign = |header: &str, claims: &Claims| raw::sign(key, crypto, header, &claims.json());
    let proof = sign(&header, &claims);
    let (message, signature) = proof.rsplit_once('.').unwrap();
    let (head, tail) = signature.split_at(20);
    let changed = if tail.starts_with('A') { "B" } else { "A" };
    let with = |member: &str| header.replacen('{', &format!("{{{member},"), 1);
    vec![
        (good, proof.clone(), NOW),
        (good, format!("{message}.{head}{changed}{}", &tail[1..]), NOW),
        (good, format!("{message}.AAAA"), NOW),
        (good, format!("{message}."), NOW),
        (good, format!("{message}={signature}"), NOW),
        (Request { method: "POST", ..good }, proof.clone(), NOW),
        (Request { url: "https://api.example.com/other", ..good }, proof.clone(), NOW),
        (Request { token: Some("another"), ..good }, proof.clone(), NOW),
        (Request { bound_to: Some(Thumbprint::from_bytes([7; 32])), ..good }, proof.clone(), NOW),
        (good, proof.clone(), shifted(NOW, 60)),
        (good, proof.clone(), shifted(NOW, 61)),
        (good, proof.clone(), shifted(NOW, -11)),
        (good, sign(&header, &claims.clone().without("jti")), NOW),
        (good, sign(&header, &claims.clone().with("iat", "\"soon\"")), NOW),
        (good, sign(&header, &claims.clone().and("jti", "\"again\"")), NOW),
        (good, sign(&with("\"kid\":\"1\""), &claims), NOW),
        (good, sign(&with("\"crit\":[]"), &claims), NOW),
        (good, sign(&with("\"b64\":false"), &claims), NOW),
        (good, sign(&with("\"typ\":\"dpop+jwt\""), &claims), NOW),
        (good, sign(&header.replacen("dpop+jwt", "JWT", 1), &claims), NOW),
        (good, sign(&header.replacen("\"kty\"", "\"d\":null,\"kty\"", 1), &claims), NOW),
        (good, sign(&header.replacen("\"kty\"", "\"use\":\"enc\",\"kty\"", 1), &claims), NOW),
        (good, sign("[]", &claims), NOW),
        (good, sign(&header, &claims.with("jti", "\"another\"")), NOW),
    ]
}

fn policies() -> Vec<Policy> {
    let narrowed = |algorithms: &[Algorithm]| permissive().with_algorithms(AlgorithmSet::of(algorithms)).unwrap();
    vec![
        permissive(),
        permissive().with_rsa_bounds(RsaBounds::Up8192),
        Policy::default(),
        Policy::haip(),
        narrowed(&[Algorithm::Ed25519]),
        narrowed(&[Algorithm::EdDsa]),
        narrowed(&[Algorithm::Ps256]),
        narrowed(&[Algorithm::Rs512, Algorithm::Es384]),
        Policy::default().with_max_age(1).unwrap(),
        Policy::default().requiring_nonces(),
    ]
}

#[test]
fn verdicts_with_and_without_memory_are_equal_whatever_the_policy() {
    for (provider, crypto) in providers() {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Ps256, Algorithm::Es384] {
            let key = make_key(algorithm, &crypto);
            let cases = cases(&key, &crypto);
            // One memory for all policies: what one verifier learned must not decide for another.
            let memory = Arc::new(HeaderMemory::new(64));
            for round in 0..2 {
                for policy in policies() {
                    let plain = Verifier::new(policy.clone(), &crypto);
                    let remembering = Verifier::new(policy.clone(), &crypto).with_header_memory(Arc::clone(&memory));
                    for (index, (request, proof, now)) in cases.iter().enumerate() {
                        let expected = verdict(request, &plain, proof, *now);
                        let found = verdict(request, &remembering, proof, *now);
                        assert_eq!(found, expected, "{provider} {algorithm} round {round} case {index} {policy:?}");
                    }
                }
            }
            assert!(!memory.is_empty(), "{provider} {algorithm}: the comparison is one of hits as well");
        }
    }
}

#[test]
fn a_large_rsa_key_stays_a_choice_of_each_policy() {
    let crypto = keybound_aws_lc::AWS_LC;
    let large = include_str!("keys/rsa8192.pem");
    let key = SoftKey::from_pkcs8_pem(large, &crypto).unwrap();
    for (provider, crypto) in providers() {
        let memory = Arc::new(HeaderMemory::new(8));
        let verifier = |policy| Verifier::new(policy, &crypto).with_header_memory(Arc::clone(&memory));
        let request = Request::resource(&key, &crypto);
        let proof = request.proof(&key, &crypto, NOW);
        let takes_large = verifier(permissive().with_rsa_bounds(RsaBounds::Up8192));
        let default = verifier(permissive());
        assert_eq!(verdict(&request, &default, &proof, NOW).unwrap_err(), Rejection::RsaTooLarge, "{provider}");
        assert!(verdict(&request, &takes_large, &proof, NOW).is_ok(), "{provider}");
        assert_eq!(memory.len(), 1);
        assert_eq!(verdict(&request, &default, &proof, NOW).unwrap_err(), Rejection::RsaTooLarge, "{provider}");
    }
}

#[test]
fn only_a_verified_proof_is_remembered() {
    for (provider, crypto) in providers() {
        let key = make_key(Algorithm::Es256, &crypto);
        let memory = Arc::new(HeaderMemory::new(64));
        let verifier = Verifier::new(Policy::default(), &crypto).with_header_memory(Arc::clone(&memory));
        let mut cases = cases(&key, &crypto);
        let (good, proof, now) = cases.remove(0);
        let refused: Vec<_> =
            cases.iter().filter(|(request, proof, now)| verdict(request, &verifier, proof, *now).is_err()).collect();
        assert!(refused.len() >= 18, "{provider} {}", refused.len());
        let memory = Arc::new(HeaderMemory::new(64));
        let verifier = Verifier::new(Policy::default(), &crypto).with_header_memory(Arc::clone(&memory));
        for (request, proof, now) in refused {
            assert!(verdict(request, &verifier, proof, *now).is_err());
            assert!(memory.is_empty(), "{provider}");
        }
        assert!(verdict(&good, &verifier, &proof, now).is_ok());
        assert_eq!(memory.len(), 1, "{provider}");
    }
}

#[test]
fn a_remembered_header_does_not_vouch_for_another_key_s_signature() {
    for (provider, crypto) in providers() {
        let [owner, thief] = [(); 2].map(|()| make_key(Algorithm::Es256, &crypto));
        let verifier = Verifier::new(Policy::default(), &crypto).with_header_memory(Arc::new(HeaderMemory::new(64)));
        let request = Request::resource(&owner, &crypto);
        assert!(verdict(&request, &verifier, &request.proof(&owner, &crypto, NOW), NOW).is_ok(), "{provider}");
        let forged = raw::sign(&thief, &crypto, &raw::header(&owner), &Claims::good(&crypto).json());
        assert_eq!(verdict(&request, &verifier, &forged, NOW), Err(Rejection::SignatureInvalid), "{provider}");
    }
}

#[test]
fn one_key_takes_four_places_and_all_keys_no_more_than_the_capacity() {
    for (provider, crypto) in providers() {
        let memory = Arc::new(HeaderMemory::new(16));
        let verifier = Verifier::new(Policy::default(), &crypto).with_header_memory(Arc::clone(&memory));
        let accept = |key: &SoftKey, kid: usize| {
            let header = raw::header(key).replacen('{', &format!("{{\"kid\":\"{kid}\","), 1);
            let proof = raw::sign(key, &crypto, &header, &Claims::good(&crypto).json());
            assert!(verdict(&Request::resource(key, &crypto), &verifier, &proof, NOW).is_ok(), "{provider}");
        };
        let first = make_key(Algorithm::Ed25519, &crypto);
        for kid in 0..20 {
            accept(&first, kid);
            assert_eq!(memory.len(), (kid + 1).min(4), "{provider}");
        }
        let keys: Vec<_> = (0..40).map(|_| make_key(Algorithm::Ed25519, &crypto)).collect();
        for (count, key) in keys.iter().enumerate() {
            accept(key, 0);
            assert_eq!(memory.len(), (4 + count + 1).min(16), "{provider}");
        }
        // What was used is still served after all that, remembered or not.
        for kid in 0..20 {
            accept(&first, kid);
            assert!(memory.len() <= 16, "{provider}");
        }
    }
}

#[test]
fn what_is_too_long_or_has_no_room_is_served_all_the_same() {
    for (provider, crypto) in providers() {
        let key = make_key(Algorithm::Es256, &crypto);
        let request = Request::resource(&key, &crypto);
        let long = raw::header(&key).replacen('{', &format!("{{\"kid\":\"{}\",", "k".repeat(4096)), 1);
        let proof = raw::sign(&key, &crypto, &long, &Claims::good(&crypto).json());
        for (capacity, proof) in [(64, &proof), (0, &request.proof(&key, &crypto, NOW))] {
            let memory = Arc::new(HeaderMemory::new(capacity));
            let verifier = Verifier::new(Policy::default(), &crypto).with_header_memory(Arc::clone(&memory));
            for _ in 0..3 {
                assert!(verdict(&request, &verifier, proof, NOW).is_ok(), "{provider}");
                assert!(memory.is_empty(), "{provider}");
            }
        }
    }
}
