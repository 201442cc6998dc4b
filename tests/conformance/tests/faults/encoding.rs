//! N11: base64url in its one spelling, in every segment and in every member that holds bytes.

use keybound::{Algorithm, Rejection, base64url};
use keybound_conformance::{NOW, raw};

use crate::Bench;

/// Other spellings of `text` that lenient decoders take for the same bytes, and a few that hold others.
fn other_spellings(text: &str) -> Vec<String> {
    let (head, tail) = text.split_at(text.len() / 2);
    let mut spellings = vec![
        format!("{text}="),
        format!("{text}=="),
        format!("{text}==="),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\n"),
        format!("{text}\r\n"),
        format!("{text}\t"),
        format!("{text}\0"),
        format!("{text}%3D"),
        format!("{head} {tail}"),
        format!("{head}\n{tail}"),
        format!("{head}={tail}"),
        format!("{head}+{}", &tail[1..]),
        format!("{head}/{}", &tail[1..]),
        format!("{head}é{tail}"),
        format!("{head}\u{212a}{tail}"),
    ];
    spellings.extend(spare_bits(text));
    spellings
}

/// The same bytes with unused bits that are not zero; there is none if the length is a multiple of four.
fn spare_bits(text: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if text.len().is_multiple_of(4) {
        return None;
    }
    let (head, last) = text.split_at(text.len() - 1);
    let value = ALPHABET.find(last)?;
    Some(format!("{head}{}", &ALPHABET[value + 1..value + 2]))
}

#[test]
fn n11_segments_have_one_spelling() {
    for bench in Bench::both() {
        let header = base64url::encode(raw::header(&bench.key).as_bytes());
        let sign = |header: &str, payload: &str| raw::sign_segments(&bench.key, &bench.crypto, header, payload);
        for spaces in 0..3 {
            let claims = format!("{}{}", bench.good_claims().json(), " ".repeat(spaces));
            let payload = base64url::encode(claims.as_bytes());
            assert_eq!(bench.judge_text(&sign(&header, &payload), NOW), Ok(()));
            for other in other_spellings(&payload) {
                let verdict = bench.judge_text(&sign(&header, &other), NOW);
                assert_eq!(verdict, Err(Rejection::Base64NonCanonical), "{} payload {other:?}", bench.provider);
            }
            let padded = base64url::encode(format!("{}{}", raw::header(&bench.key), " ".repeat(spaces)).as_bytes());
            assert_eq!(bench.judge_text(&sign(&padded, &payload), NOW), Ok(()));
            for other in other_spellings(&padded) {
                let verdict = bench.judge_text(&sign(&other, &payload), NOW);
                assert_eq!(verdict, Err(Rejection::Base64NonCanonical), "{} header {other:?}", bench.provider);
            }
        }
    }
}

#[test]
fn n11_signatures_have_one_spelling() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::Ed25519, Algorithm::Ps256] {
        for bench in Bench::both_with(algorithm) {
            let proof = bench.request().proof(&bench.key, &bench.crypto, NOW);
            let (message, signature) = proof.rsplit_once('.').unwrap();
            for other in other_spellings(signature) {
                let verdict = bench.judge_text(&format!("{message}.{other}"), NOW);
                let expected = Err(Rejection::Base64NonCanonical);
                assert_eq!(verdict, expected, "{} {algorithm} {other:?}", bench.provider);
            }
            // The right bytes with more or fewer around them.
            let bytes = base64url::decode(signature.as_bytes()).unwrap();
            for wrong in [[&bytes[..], &[0]].concat(), [&[0], &bytes[..]].concat(), bytes[1..].to_vec(), vec![0]] {
                let verdict = bench.judge_text(&format!("{message}.{}", base64url::encode(&wrong)), NOW);
                assert_eq!(verdict, Err(Rejection::SignatureMalformed), "{} {algorithm}", bench.provider);
            }
        }
    }
}

#[test]
fn n11_the_key_has_one_spelling() {
    let members: &[(Algorithm, &[&str])] = &[
        (Algorithm::Es256, &["x", "y"]),
        (Algorithm::Es384, &["x", "y"]),
        (Algorithm::Es512, &["x", "y"]),
        (Algorithm::Ed25519, &["x"]),
        (Algorithm::Ps256, &["n", "e"]),
    ];
    for (algorithm, members) in members {
        for bench in Bench::both_with(*algorithm) {
            let jwk = format!("{}}}", bench.open_jwk());
            let values: serde_json::Value = serde_json::from_str(&jwk).unwrap();
            for member in *members {
                let value = values[member].as_str().unwrap();
                let mut others = other_spellings(value);
                let bytes = base64url::decode(value.as_bytes()).unwrap();
                others.push(base64url::encode(&[&[0], &bytes[..]].concat()));
                others.push(base64url::encode(&[&[0, 0, 0, 0], &bytes[..]].concat()));
                others.push(String::new());
                for other in others {
                    // Control characters have to be escaped to be JSON at all.
                    let quoted = serde_json::to_string(&other).unwrap();
                    let changed =
                        jwk.replacen(&format!("\"{member}\":\"{value}\""), &format!("\"{member}\":{quoted}"), 1);
                    assert_ne!(changed, jwk);
                    let verdict = bench.judge_jwk(&changed);
                    let expected = Err(Rejection::JwkNonCanonical);
                    assert_eq!(verdict, expected, "{} {algorithm} {member} {other:?}", bench.provider);
                }
            }
        }
    }
}

#[test]
fn n11_the_token_hash_has_one_spelling() {
    for bench in Bench::both() {
        let claims: serde_json::Value = serde_json::from_str(&bench.good_claims().json()).unwrap();
        let ath = claims["ath"].as_str().unwrap();
        let bytes = base64url::decode(ath.as_bytes()).unwrap();
        let mut others = other_spellings(ath);
        others.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        others.push(base64url::encode(&bytes[..16]));
        others.push(String::new());
        for other in others {
            let claims = bench.good_claims().with("ath", &serde_json::to_string(&other).unwrap());
            assert_eq!(bench.judge_claims(&claims), Err(Rejection::AthMismatch), "{} {other:?}", bench.provider);
        }
    }
}
