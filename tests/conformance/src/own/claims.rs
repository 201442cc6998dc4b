//! Claims: methods, `jti`, duplicates, sizes.

use keybound::Rejection::{
    ClaimsDuplicate, ClaimsMalformed, ClaimsTooComplex, JtiInvalid, JtiTooLong, MethodMismatch, NonceInvalid,
    ProofTooLarge,
};
use keybound::base64url;

use super::{CRYPTO, Maker, Vector, quoted};
use crate::raw;

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = methods(maker);
    vectors.extend(identifiers(maker));
    vectors.extend(duplicates(maker));
    vectors.extend(shapes(maker));
    vectors.extend(sizes(maker));
    vectors
}

fn methods(maker: &Maker) -> Vec<Vector> {
    let htm = |json: &str| maker.sign_claims(&maker.claims().with("htm", json));
    let exact = "RFC 9110 9.1: methods are case sensitive, and nothing is folded or trimmed";
    let mut vectors: Vec<_> = [
        ("htm-mixed-case", "GET", "Get"),
        ("htm-long-s", "POST", "PO\u{17f}T"),
        ("htm-long-s-lower-case", "POST", "po\u{17f}t"),
        ("htm-surrounding-space", "GET", " GET "),
        ("htm-nul", "GET", "GET\0"),
        ("htm-newline", "GET", "GET\r\n"),
        ("htm-empty", "GET", ""),
        ("htm-prefix", "GET", "GE"),
        ("htm-head-for-get", "GET", "HEAD"),
    ]
    .into_iter()
    .map(|(id, method, text)| Vector::refused(id, MethodMismatch, htm(&quoted(text)), exact).set("method", method))
    .collect();
    vectors.extend(["PROPFIND", "PATCH", "QUERY"].map(|method| {
        let id = format!("htm-{}", method.to_lowercase());
        Vector::accepted(&id, htm(&quoted(method)), "RFC 9110 9.1: any method token").set("method", method)
    }));
    vectors.push(Vector::accepted("htm-escaped", htm(r#""\u0047ET""#), "RFC 8259 7: escapes change no value"));
    vectors
}

fn identifiers(maker: &Maker) -> Vec<Vector> {
    let jti = |json: &str| maker.sign_claims(&maker.claims().with("jti", json));
    let string = "4.2: jti is a string that identifies the proof";
    let long = "11.1: a jti of more than 512 bytes is refused rather than stored";
    let nonce = maker.sign_claims(&maker.claims().with("nonce", "null"));
    vec![
        Vector::refused("jti-null", JtiInvalid, jti("null"), string),
        Vector::refused("jti-array", JtiInvalid, jti(r#"["a"]"#), string),
        Vector::refused("jti-513-bytes", JtiTooLong, jti(&quoted(&"a".repeat(513))), long),
        Vector::refused("jti-514-bytes-257-letters", JtiTooLong, jti(&quoted(&"é".repeat(257))), long),
        Vector::accepted("jti-512-bytes", jti(&quoted(&"a".repeat(512))), long),
        Vector::accepted("jti-512-bytes-escaped", jti(&format!("\"{}\"", "\\u0061".repeat(512))), long),
        Vector::refused("nonce-null", NonceInvalid, nonce, "4.2: nonce is a string"),
    ]
}

fn duplicates(maker: &Maker) -> Vec<Vector> {
    [
        ("duplicate-jti-escaped", r"j\u0074i", r#""another""#),
        ("duplicate-htu-escaped", r"h\u0074u", r#""https://evil.example/""#),
        ("duplicate-iat-same-value", "iat", "1700000000"),
        ("duplicate-ath-null", "ath", "null"),
        ("duplicate-nested", "any", r#"{"a":{"b":1,"b":1}}"#),
        ("duplicate-nested-escaped", "any", r#"[{"a":1,"\u0061":1}]"#),
    ]
    .map(|(id, name, json)| {
        let proof = maker.sign_claims(&maker.claims().and(name, json));
        Vector::refused(id, ClaimsDuplicate, proof, "RFC 7519 4: claim names are unique, however they are spelled")
    })
    .into()
}

fn shapes(maker: &Maker) -> Vec<Vector> {
    let good = maker.claims().json();
    let inner = &good[1..good.len() - 1];
    let sign = |claims: &str| raw::sign(&maker.es256, &CRYPTO, &maker.header(), claims);
    let object = "RFC 7519 7.2: the claims set is one JSON object";
    [
        ("claims-array-of-object", format!("[{good}]")),
        ("claims-array-of-pairs", format!("[{}]", inner.replace("\":", "\","))),
        ("claims-string", quoted(&good)),
        ("claims-null", "null".to_owned()),
        ("claims-twice", format!("{good}{good}")),
        ("claims-trailing-comma", format!("{{{inner},}}")),
        ("claims-comment", format!("{{{inner}/**/}}")),
        ("claims-byte-order-mark", format!("\u{feff}{good}")),
        ("claims-half-surrogate", format!(r#"{{{inner},"any":"\ud800"}}"#)),
    ]
    .map(|(id, claims)| Vector::refused(id, ClaimsMalformed, sign(&claims), object))
    .into()
}

fn sizes(maker: &Maker) -> Vec<Vector> {
    let with = |json: &str| maker.sign_claims(&maker.claims().and("any", json));
    let complex = "RFC 7519 7.2: at most 8 levels and 64 members to an object are read";
    let long = "4.3 check 2: a proof of more than 16 KiB is refused unread";
    vec![
        Vector::refused("claims-9-levels", ClaimsTooComplex, with(&super::header::nested(8)), complex),
        Vector::accepted("claims-8-levels", with(&super::header::nested(7)), complex),
        Vector::refused("claims-65-members", ClaimsTooComplex, with(&super::header::members(65)), complex),
        Vector::accepted("claims-64-members", with(&super::header::members(64)), complex),
        Vector::refused("proof-16385-bytes", ProofTooLarge, of_length(maker, 16_385), long),
        Vector::accepted("proof-16384-bytes", of_length(maker, 16_384), long),
    ]
}

/// A proof of `length` characters, filled up with an unknown claim.
fn of_length(maker: &Maker, length: usize) -> String {
    let claims = |padding: usize| maker.claims().and("padding", &quoted(&"x".repeat(padding))).json();
    let bare = maker.sign_claims(&maker.claims()).len();
    // Spaces in the header reach the lengths that claims alone pass over.
    for spaces in 0..3 {
        let header = format!("{}{}", maker.header(), " ".repeat(spaces));
        let header = base64url::encode(header.as_bytes());
        for padding in (length - bare) / 4 * 3 - 40..(length - bare) / 4 * 3 + 4 {
            let payload = base64url::encode(claims(padding).as_bytes());
            if header.len() + payload.len() + 2 + 86 == length {
                return raw::sign_segments(&maker.es256, &CRYPTO, &header, &payload);
            }
        }
    }
    unreachable!("three headers and forty claims give every length")
}
