//! N8, N9 and N10: `crit`, duplicate members, and JSON that is no object.

use keybound::Rejection;
use keybound_conformance::raw;

use crate::Bench;

#[test]
fn n8_crit_is_refused_whatever_it_says() {
    for bench in Bench::both() {
        let judge = |name: &str, value: &str| {
            let header = raw::header(&bench.key).replacen('{', &format!("{{\"{name}\":{value},"), 1);
            bench.judge_header(&header)
        };
        for crit in ["[\"exp\"]", "[]", "\"exp\"", "null", "[\"b64\"]", "{}", "0", "[\"crit\"]"] {
            assert_eq!(judge("crit", crit), Err(Rejection::CritUnsupported), "{} {crit}", bench.provider);
            assert_eq!(judge("cr\\u0069t", crit), Err(Rejection::CritUnsupported), "{} {crit}", bench.provider);
        }
        assert_eq!(judge("b64", "false"), Err(Rejection::PayloadUnencoded));
        assert_eq!(judge("b64\":false,\"crit", "[\"b64\"]"), Err(Rejection::CritUnsupported));
        assert_eq!(judge("kid", "\"any\""), Ok(()));
        assert_eq!(judge("x5c", "[\"ignored\"]"), Ok(()));
    }
}

#[test]
fn n9_a_name_occurs_once_in_the_header_and_in_the_key() {
    for bench in Bench::both() {
        let good = raw::header(&bench.key);
        let jwk = keybound::key::Signer::public_key(&bench.key).to_json();
        let in_header = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
        let after = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]);
        let in_key = |member: &str| good.replacen(&jwk, &format!("{},{member}}}", bench.open_jwk()), 1);
        for header in [
            in_header(r#""typ":"dpop+jwt""#),
            in_header(r#""t\u0079p":"JWT""#),
            in_header(r#""alg":"none""#),
            in_header(r#""\u0061lg":"ES256""#),
            in_header(&format!("\"jwk\":{jwk}")),
            after(r#""jwk":null"#),
            after(r#""alg":"ES256""#),
            after(r#""any":1,"any":2"#),
            after(r#""any":1,"an\u0079":2"#),
            after(r#""any":{"deep":[{"a":1,"\u0061":1}]}"#),
            in_key(r#""kty":"EC""#),
            in_key(r#""x":"AA""#),
            in_key(r#""\u0078":"AA""#),
            in_key(r#""any":1,"any":1"#),
        ] {
            assert_eq!(bench.judge_header(&header), Err(Rejection::HeaderDuplicate), "{} {header}", bench.provider);
        }
        assert_eq!(bench.judge_header(&after(r#""any":{"a":1,"A":1}"#)), Ok(()));
    }
}

#[test]
fn n9_a_name_occurs_once_in_the_claims() {
    for bench in Bench::both() {
        for (name, json) in [
            ("jti", "\"another\""),
            ("j\\u0074i", "\"another\""),
            ("\\u006a\\u0074\\u0069", "\"another\""),
            ("htm", "\"GET\""),
            ("h\\u0074u", "\"https://evil.example\""),
            ("iat", "1700000000"),
            ("i\\u0061t", "1700000000"),
            ("ath", "null"),
            ("any", "{\"a\":{\"b\":1,\"b\":1}}"),
            ("any", "[{\"a\":1,\"\\u0061\":1}]"),
        ] {
            let claims = bench.good_claims().and(name, json);
            assert_eq!(bench.judge_claims(&claims), Err(Rejection::ClaimsDuplicate), "{} {name}", bench.provider);
        }
    }
}

#[test]
fn n10_header_claims_and_key_are_objects() {
    for bench in Bench::both() {
        let (header, claims) = (raw::header(&bench.key), bench.good_claims().json());
        for other in no_objects(&header) {
            assert_eq!(bench.judge_header(&other), Err(Rejection::HeaderMalformed), "{} {other}", bench.provider);
        }
        for other in no_objects(&claims) {
            assert_eq!(bench.judge(&header, &other), Err(Rejection::ClaimsMalformed), "{} {other}", bench.provider);
        }
        for jwk in ["[]", "null", "\"P-256\"", "1", "true", "[\"EC\",\"P-256\",\"x\",\"y\"]", "{}"] {
            assert_eq!(bench.judge_jwk(jwk), Err(Rejection::JwkMalformed), "{} {jwk}", bench.provider);
        }
        let without = |member: &str| header.replacen(member, "\"other\":", 1);
        assert_eq!(bench.judge_header(&without("\"jwk\":")), Err(Rejection::JwkMissing));
        assert_eq!(bench.judge_header(&without("\"alg\":")), Err(Rejection::AlgMissing));
        assert_eq!(bench.judge_header(&without("\"typ\":")), Err(Rejection::TypMissing));
    }
}

/// Texts that lenient readers take for the object `good`, or for some object.
fn no_objects(good: &str) -> Vec<String> {
    let inner = &good[1..good.len() - 1];
    vec![
        format!("[{good}]"),
        format!("[{}]", inner.replace("\":", "\",")),
        "[]".into(),
        "null".into(),
        "true".into(),
        "0".into(),
        "\"{}\"".into(),
        format!("{good}{good}"),
        format!("{good},"),
        format!("{good}\0"),
        format!("{good}x"),
        format!("\u{feff}{good}"),
        format!("{{{inner},}}"),
        format!("{{,{inner}}}"),
        format!("{{{inner}"),
        format!("{{{inner},\"any\"}}"),
        format!("{{{inner},any:1}}"),
        format!("{{{inner},'any':1}}"),
        format!("{{{inner},\"any\":1 /* */}}"),
        format!("{{{inner},\"any\":\"\n\"}}"),
        format!("{{{inner},\"any\":\"\\x\"}}"),
        format!("{{{inner},\"any\":\"\\ud800\"}}"),
        format!("{{{inner},\"any\":\"\\udc00\\ud800\"}}"),
        format!("{{{inner},\"any\":TRUE}}"),
        format!("{{{inner},\"any\":undefined}}"),
        good.replacen(':', "=", 1),
    ]
}

#[test]
fn white_space_between_tokens_changes_nothing() {
    for bench in Bench::both() {
        let space = |text: &str| format!(" \r\n{}\t ", text.replace("\":", "\" :\n").replace(",\"", " ,\t\""));
        let (header, claims) = (space(&raw::header(&bench.key)), space(&bench.good_claims().json()));
        assert_eq!(bench.judge(&header, &claims), Ok(()), "{}", bench.provider);
    }
}

#[test]
fn text_is_utf_8() {
    use keybound::base64url;
    for bench in Bench::both() {
        let (header, claims) = (raw::header(&bench.key), bench.good_claims().json());
        for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"] {
            let spoil = |text: &str| {
                let mut spoiled = text.as_bytes()[..text.len() - 1].to_vec();
                spoiled.extend([&b",\"any\":\""[..], bytes, b"\"}"].concat());
                base64url::encode(&spoiled)
            };
            let sign = |header: &str, payload: &str| raw::sign_segments(&bench.key, &bench.crypto, header, payload);
            let encode = |text: &str| base64url::encode(text.as_bytes());
            let verdict = bench.judge_text(&sign(&spoil(&header), &encode(&claims)), crate::NOW);
            assert_eq!(verdict, Err(Rejection::HeaderMalformed), "{} {bytes:x?}", bench.provider);
            let verdict = bench.judge_text(&sign(&encode(&header), &spoil(&claims)), crate::NOW);
            assert_eq!(verdict, Err(Rejection::ClaimsMalformed), "{} {bytes:x?}", bench.provider);
        }
    }
}

#[test]
fn nesting_and_members_are_bounded() {
    for bench in Bench::both() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let members = |count: usize| -> String {
            let members: Vec<_> = (0..count).map(|i| format!("\"m{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        let judge = |json: &str| bench.judge_claims(&bench.good_claims().and("any", json));
        assert_eq!(judge(&nested(7)), Ok(()), "{}", bench.provider);
        assert_eq!(judge(&nested(8)), Err(Rejection::ClaimsTooComplex));
        assert_eq!(judge(&nested(5000)), Err(Rejection::ClaimsTooComplex));
        assert_eq!(judge(&members(64)), Ok(()));
        assert_eq!(judge(&members(65)), Err(Rejection::ClaimsTooComplex));
        let header = raw::header(&bench.key).replacen('{', &format!("{{\"any\":{},", nested(8)), 1);
        assert_eq!(bench.judge_header(&header), Err(Rejection::HeaderTooComplex));
    }
}
