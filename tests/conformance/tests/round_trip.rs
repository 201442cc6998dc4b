//! What the maker makes, the verifier accepts; what differs from it by anything, it refuses; both providers agree.
#![allow(missing_docs)]

use std::sync::OnceLock;

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{
    Algorithm, Context, Misuse, Policy, Presentation, ProofBuilder, Rejection, TargetUri, Thumbprint, UnixTime,
    Verifier, base64url,
};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, permissive, providers, shifted};
use proptest::prelude::*;

/// One key of each algorithm, made once: RSA takes a while.
fn keys() -> &'static [SoftKey] {
    static KEYS: OnceLock<Vec<SoftKey>> = OnceLock::new();
    KEYS.get_or_init(|| Algorithm::ALL.iter().map(|algorithm| make_key(*algorithm, &keybound_aws_lc::AWS_LC)).collect())
}

fn key_for(algorithm: Algorithm) -> &'static SoftKey {
    keys().iter().find(|key| key.algorithm() == algorithm).unwrap()
}

/// The verdict about a proof for [`Request::resource`]: the same from both providers.
fn verdict(key: &SoftKey, policy: &Policy, proof: &[u8]) -> Result<Thumbprint, Rejection> {
    let [first, second] = providers().map(|(_, crypto)| {
        let request = Request::resource(key, &crypto);
        let verifier = Verifier::new(policy.clone(), &crypto);
        request.judge_bytes(&verifier, proof, NOW).map(|verified| verified.thumbprint())
    });
    assert_eq!(first, second, "providers differ about {}", String::from_utf8_lossy(proof));
    first
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

prop_compose! {
    fn url()(
        scheme in prop::sample::select(vec!["http", "https"]),
        host in "[a-z][a-z0-9-]{0,20}[a-z0-9](\\.[a-z]{2,8}){0,2}|127\\.0\\.0\\.1|\\[::1\\]",
        port in prop::option::of(1024..65535_u16),
        path in prop::collection::vec("([A-Za-z0-9._~!$&'()*+,;=:@-]|%2[0-9A-E]|%C3%A9){0,12}", 0..5),
        query in prop::option::of("[A-Za-z0-9=&?/%2C]{0,12}"),
        fragment in prop::option::of("[A-Za-z0-9?/]{0,12}"),
    ) -> String {
        let mut url = format!("{scheme}://{host}");
        url.extend(port.map(|port| format!(":{port}")));
        path.iter().for_each(|segment| url.extend(["/", segment]));
        url.extend(query.map(|query| format!("?{}", query.replace('%', ""))));
        url.extend(fragment.map(|fragment| format!("#{fragment}")));
        url
    }
}

prop_compose! {
    /// 1 to 512 bytes, of any characters: escapes, controls and other planes among them.
    fn jti()(text in prop_oneof!["[A-Za-z0-9_-]{22}", "\\PC{1,40}", any::<String>(), "[\\x00-\\x1f\"\\\\/]{1,60}"]) -> String {
        let end = text.char_indices().map(|(at, character)| at + character.len_utf8()).take_while(|end| *end <= 512).last();
        if text.is_empty() { "j".into() } else { text[..end.unwrap_or(0)].to_owned() }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_made_is_accepted(
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
        method in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}",
        url in url(),
        token in prop::option::of("[!-~]{1,120}"),
        nonce in prop::option::of("[!#-\\[\\]-~]{1,80}"),
        jti in jti(),
        texts in prop::collection::vec(("\\PC{0,8}", any::<String>()), 0..3),
        json in prop::sample::select(vec!["1", "null", "[1,{\"a\":[]}]", " {\"a\": \"\\u0000\"} ", "-1.5e-7", "true"]),
        skew in -60..=10_i64,
    ) {
        let key = key_for(algorithm);
        let names: Vec<_> = texts.iter().enumerate().map(|(i, (name, _))| format!("x{i}{name}")).collect();
        for (provider, crypto) in providers() {
            let mut builder = ProofBuilder::new(&method, &url).claim_json("x-json", json).header_json("kid", json);
            for (name, (_, text)) in names.iter().zip(&texts) {
                builder = builder.claim_text(name, text);
            }
            if let Some(token) = &token {
                builder = builder.access_token(token);
            }
            if let Some(nonce) = &nonce {
                builder = builder.nonce(nonce);
            }
            let unsigned = match builder.prepare(&crypto, key.public_key(), algorithm, &jti, shifted(NOW, skew)) {
                Ok(unsigned) => unsigned,
                Err(error) => {
                    // Only the signatures of ML-DSA are so long that something of this size may not fit.
                    prop_assert_eq!(error, Misuse::ProofTooLong);
                    prop_assert!(algorithm.name().starts_with("ML-DSA"), "{}", algorithm);
                    continue;
                }
            };
            let signature = key.sign(&unsigned.signing_input()).unwrap();
            let proof = unsigned.attach_verified(signature, &crypto).unwrap();
            let target = TargetUri::parse(&url).unwrap();
            let thumbprint = key.public_key().thumbprint(crypto.digest);
            let context = match &token {
                Some(access_token) => Context::Resource { access_token, bound_to: thumbprint },
                None => Context::TokenEndpoint { dpop_jkt: Some(thumbprint) },
            };
            let proofs = [proof.as_str().as_bytes()];
            let mut presentation = Presentation::new(&method, &target, &proofs, context);
            if let Some(nonce) = &nonce {
                presentation = presentation.expecting_nonce(nonce);
            }
            let verified = Verifier::new(permissive(), &crypto).check(&presentation, NOW);
            prop_assert!(verified.is_ok(), "{provider} {algorithm} {:?} {}", verified, proof.as_str());
            let verified = verified.unwrap().danger_skip_replay_check();
            prop_assert_eq!(verified.thumbprint(), thumbprint);
            prop_assert_eq!(verified.issued_at(), shifted(NOW, skew));
        }
    }

}

proptest! {
    #![proptest_config(cases(2048))]

    /// Any text at all: no panic, and one verdict from both providers.
    #[test]
    fn any_bytes_have_one_verdict(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(verdict(key_for(Algorithm::Es256), &permissive(), &bytes).is_err());
    }

    /// Any header and claims, signed as they stand: one verdict from both providers.
    #[test]
    fn signed_json_with_a_change_has_one_verdict(
        algorithm in prop::sample::select(vec![Algorithm::Es256, Algorithm::Ed25519]),
        in_header in any::<bool>(),
        place in any::<prop::sample::Index>(),
        change in prop_oneof!["[ -~]", "[ -~]{2}", "\\PC", Just(String::new())],
        length in 0..3_usize,
    ) {
        let key = key_for(algorithm);
        let crypto = keybound::RUSTCRYPTO;
        let (mut header, mut claims) = (raw::header(key), Claims::good(&crypto).json());
        let text = if in_header { &mut header } else { &mut claims };
        let at = place.index(text.len());
        text.replace_range(at..text.len().min(at + length), &change);
        let proof = raw::sign(key, &crypto, &header, &claims);
        let _ = verdict(key, &permissive(), proof.as_bytes());
    }
}

/// Each text that differs from `text` by one character left out, put in or replaced.
fn neighbours(text: &str, characters: &str) -> Vec<String> {
    let mut neighbours = Vec::new();
    for at in 0..text.len() {
        let (head, tail) = text.split_at(at);
        neighbours.push(format!("{head}{}", &tail[1..]));
        for character in characters.chars() {
            neighbours.push(format!("{head}{character}{tail}"));
            neighbours.push(format!("{head}{character}{}", &tail[1..]));
        }
        // The nearest character: one bit less or more.
        let near = char::from(tail.as_bytes()[0] ^ 1);
        neighbours.push(format!("{head}{near}{}", &tail[1..]));
    }
    neighbours.extend(characters.chars().map(|character| format!("{text}{character}")));
    neighbours.retain(|neighbour| neighbour != text);
    neighbours
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Ed25519];

fn good_proof(algorithm: Algorithm) -> (&'static SoftKey, String) {
    let key = key_for(algorithm);
    let crypto = keybound_aws_lc::AWS_LC;
    let proof = raw::sign(key, &crypto, &raw::header(key), &Claims::good(&crypto).json());
    assert!(verdict(key, &permissive(), proof.as_bytes()).is_ok());
    (key, proof)
}

#[test]
fn no_neighbour_of_an_accepted_proof_is_accepted() {
    for algorithm in ALGORITHMS {
        let (key, proof) = good_proof(algorithm);
        let neighbours = neighbours(&proof, "Aw_.= ,");
        assert!(neighbours.len() > 5_000);
        for neighbour in neighbours {
            assert!(verdict(key, &permissive(), neighbour.as_bytes()).is_err(), "{neighbour}");
        }
    }
}

#[test]
fn no_change_of_the_signed_json_is_accepted() {
    for algorithm in ALGORITHMS {
        let (key, proof) = good_proof(algorithm);
        let segments: Vec<_> = proof.split('.').collect();
        for segment in [0, 1] {
            let json = String::from_utf8(base64url::decode(segments[segment].as_bytes()).unwrap()).unwrap();
            for neighbour in neighbours(&json, " 0\"\\") {
                let mut changed: Vec<_> = segments.iter().map(|segment| (*segment).to_owned()).collect();
                changed[segment] = base64url::encode(neighbour.as_bytes());
                assert!(verdict(key, &permissive(), changed.join(".").as_bytes()).is_err(), "{neighbour}");
            }
        }
    }
}

#[test]
fn no_other_arrangement_of_segments_is_accepted() {
    for algorithm in ALGORITHMS {
        let (key, one) = good_proof(algorithm);
        let crypto = keybound_aws_lc::AWS_LC;
        let two = raw::sign(key, &crypto, &raw::header(key), &Claims::good(&crypto).with("jti", "\"2\"").json());
        let segments: Vec<_> = one.split('.').chain(two.split('.')).collect();
        let mut arrangements = 0;
        for first in 0..6 {
            for second in 0..6 {
                for third in 0..6 {
                    let text = [segments[first], segments[second], segments[third]].join(".");
                    if text != one && text != two {
                        arrangements += 1;
                        assert!(verdict(key, &permissive(), text.as_bytes()).is_err(), "{text}");
                    }
                }
            }
        }
        assert!(arrangements > 200);
    }
}

#[test]
fn no_bit_of_a_signature_can_change() {
    for key in keys() {
        let crypto = keybound_aws_lc::AWS_LC;
        let proof = raw::sign(key, &crypto, &raw::header(key), &Claims::good(&crypto).json());
        let (message, signature) = proof.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        // Every bit of short signatures, some of longer ones.
        let step = match signature.len() {
            ..=64 => 1,
            65..=132 => 7,
            _ => 61,
        };
        for bit in (0..signature.len() * 8).step_by(step) {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{message}.{}", base64url::encode(&changed));
            let refused = verdict(key, &permissive(), text.as_bytes());
            assert_eq!(refused, Err(Rejection::SignatureInvalid), "{} bit {bit}", key.algorithm());
        }
    }
}

#[test]
fn times_before_1970_are_not_made() {
    let key = key_for(Algorithm::Es256);
    for secs in [-1, i64::MIN] {
        let made = ProofBuilder::new("GET", keybound_conformance::URL).prepare(
            &keybound::RUSTCRYPTO,
            key.public_key(),
            Algorithm::Es256,
            "jti",
            UnixTime::from_secs(secs),
        );
        assert_eq!(made.unwrap_err(), Misuse::Time);
    }
}
