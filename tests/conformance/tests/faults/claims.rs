//! N7 and N17: methods and `jti`; and the maker's `htu` (N27).

use keybound::{ProofBuilder, Rejection, Verifier, base64url};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request};

use crate::Bench;

#[test]
fn n7_methods_are_compared_exactly() {
    for bench in Bench::both() {
        let judge = |method: &str, htm: &str| {
            let claims = bench.good_claims().with("htm", &serde_json::to_string(htm).unwrap()).json();
            let proof = raw::sign(&bench.key, &bench.crypto, &raw::header(&bench.key), &claims);
            let request = Request { method, ..bench.request() };
            request.judge(&bench.verifier, &proof, NOW).map(drop)
        };
        for method in ["GET", "POST", "PROPFIND", "PATCH", "QUERY", "M-SEARCH", "get", "X"] {
            assert_eq!(judge(method, method), Ok(()), "{} {method}", bench.provider);
        }
        for (method, htm) in [
            ("GET", "get"),
            ("GET", "Get"),
            ("get", "GET"),
            ("POST", "po\u{17f}t"),
            ("POST", "PO\u{17f}T"),
            ("GET", " GET "),
            ("GET", "GET "),
            ("GET", "\tGET"),
            ("GET", "GET\0"),
            ("GET", "GET\r\n"),
            ("GET", "G\u{200b}ET"),
            ("GET", ""),
            ("GET", "POST"),
            ("GET", "GE"),
            ("GE", "GET"),
            ("HEAD", "GET"),
        ] {
            assert_eq!(judge(method, htm), Err(Rejection::MethodMismatch), "{} {method} {htm:?}", bench.provider);
        }
    }
}

#[test]
fn n7_another_spelling_of_the_same_json_string_is_the_same_method() {
    for bench in Bench::both() {
        let claims = bench.good_claims().with("htm", r#""\u0047\u0045T""#);
        assert_eq!(bench.judge_claims(&claims), Ok(()), "{}", bench.provider);
    }
}

#[test]
fn n17_jti_is_there_and_has_one_to_512_bytes() {
    for bench in Bench::both() {
        let judge = |jti: &str| bench.judge_claims(&bench.good_claims().with("jti", jti));
        let quoted = |text: &str| format!("\"{text}\"");
        assert_eq!(bench.judge_claims(&bench.good_claims().without("jti")), Err(Rejection::JtiMissing));
        for wrong in ["null", "\"\"", "1", "true", "[]", "[\"a\"]", "{\"a\":1}"] {
            assert_eq!(judge(wrong), Err(Rejection::JtiInvalid), "{} {wrong}", bench.provider);
        }
        assert_eq!(judge(&quoted("a")), Ok(()));
        assert_eq!(judge(&quoted(&"a".repeat(512))), Ok(()));
        assert_eq!(judge(&quoted(&"é".repeat(256))), Ok(()));
        // What counts is the value, not its spelling.
        assert_eq!(judge(&quoted(&"\\u0061".repeat(512))), Ok(()));
        assert_eq!(judge(&quoted(&"a".repeat(513))), Err(Rejection::JtiTooLong));
        assert_eq!(judge(&quoted(&"\\u0061".repeat(513))), Err(Rejection::JtiTooLong));
        assert_eq!(judge(&quoted(&"é".repeat(257))), Err(Rejection::JtiTooLong));
        assert_eq!(judge(&quoted(&"a".repeat(1 << 20))), Err(Rejection::ProofTooLarge));
    }
}

#[test]
fn every_required_claim_is_asked_for() {
    for bench in Bench::both() {
        for (name, missing, wrong) in [
            ("jti", Rejection::JtiMissing, Rejection::JtiInvalid),
            ("htm", Rejection::HtmMissing, Rejection::HtmInvalid),
            ("htu", Rejection::HtuMissing, Rejection::HtuInvalid),
            ("iat", Rejection::IatMissing, Rejection::IatInvalid),
            ("ath", Rejection::AthMissing, Rejection::AthInvalid),
        ] {
            assert_eq!(bench.judge_claims(&bench.good_claims().without(name)), Err(missing), "{name}");
            for value in ["null", "[]", "{}", "false"] {
                let claims = bench.good_claims().with(name, value);
                assert_eq!(bench.judge_claims(&claims), Err(wrong), "{} {name} {value}", bench.provider);
            }
        }
        let claims = bench.good_claims().with("nonce", "null");
        assert_eq!(bench.judge_claims(&claims), Err(Rejection::NonceInvalid));
    }
}

#[test]
fn names_are_compared_exactly() {
    for bench in Bench::both() {
        for (name, other, missing) in [
            ("jti", "JTI", Rejection::JtiMissing),
            ("jti", "jti ", Rejection::JtiMissing),
            ("jti", "jti\\u0000", Rejection::JtiMissing),
            ("htm", "Htm", Rejection::HtmMissing),
            ("ath", "a\\u0074H", Rejection::AthMissing),
        ] {
            let claims = Claims::good(&bench.crypto).without(name).with(other, "\"GET\"");
            assert_eq!(bench.judge_claims(&claims), Err(missing), "{} {other}", bench.provider);
        }
    }
}

#[test]
fn n27_the_maker_leaves_query_and_fragment_out() {
    for bench in Bench::both() {
        for target in [
            "https://api.example.com/items?page=2",
            "https://api.example.com/items#top",
            "https://api.example.com/items?page=2#top?x",
            "https://api.example.com/items#top?x=#",
            "https://api.example.com/items?",
            "https://api.example.com/items#",
        ] {
            let proof = ProofBuilder::new("GET", target).sign(&bench.crypto, &bench.key, NOW).unwrap();
            let payload = base64url::decode(proof.as_str().split('.').nth(1).unwrap().as_bytes()).unwrap();
            let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(claims["htu"], "https://api.example.com/items", "{} {target}", bench.provider);
            let request = Request { method: "GET", url: target, ..Request::token_endpoint() };
            let verifier = Verifier::new(keybound::Policy::default().requiring_bare_htu(), &bench.crypto);
            assert!(request.judge(&verifier, proof.as_str(), NOW).is_ok(), "{} {target}", bench.provider);
        }
    }
}
