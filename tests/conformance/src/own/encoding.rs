//! base64url in its one spelling, in each segment and in each member that holds bytes.

use keybound::Rejection::{AthMismatch, Base64NonCanonical, JwkNonCanonical, JwtMalformed};
use keybound::base64url;

use super::{CRYPTO, Maker, P256, Vector, quoted};
use crate::raw;

const UNPADDED: &str = "RFC 7515 2: base64url without padding, white space or line breaks";
const SPARE_BITS: &str = "RFC 4648 3.5: unused trailing bits are zero";

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = segments(maker);
    vectors.extend(coordinates(maker));
    vectors.extend(token_hash(maker));
    vectors
}

/// Header and payload spelled otherwise, and the signature made over that spelling.
fn segments(maker: &Maker) -> Vec<Vector> {
    // A space more or less makes the length one that has spare bits.
    let encode = |text: &str| {
        let spaced = if text.len().is_multiple_of(3) { format!("{text} ") } else { text.to_owned() };
        base64url::encode(spaced.as_bytes())
    };
    let (header, payload) = (encode(&maker.header()), encode(&maker.claims().json()));
    let sign = |header: &str, payload: &str| raw::sign_segments(&maker.es256, &CRYPTO, header, payload);
    let padded = |text: &str| format!("{text}{}", "=".repeat(4 - text.len() % 4));
    let broken = |text: &str| format!("{}\n{}", &text[..20], &text[20..]);
    let good = sign(&header, &payload);
    vec![
        Vector::refused("header-padded", Base64NonCanonical, sign(&padded(&header), &payload), UNPADDED),
        Vector::refused("header-newline", Base64NonCanonical, sign(&broken(&header), &payload), UNPADDED),
        Vector::refused("header-spare-bits", Base64NonCanonical, sign(&spare_bits(&header), &payload), SPARE_BITS),
        Vector::refused("payload-padded", Base64NonCanonical, sign(&header, &padded(&payload)), UNPADDED),
        Vector::refused("payload-newline", Base64NonCanonical, sign(&header, &broken(&payload)), UNPADDED),
        Vector::refused("payload-spare-bits", Base64NonCanonical, sign(&header, &spare_bits(&payload)), SPARE_BITS),
        Vector::refused("signature-newline", Base64NonCanonical, format!("{good}\n"), UNPADDED),
        Vector::refused("signature-padded", Base64NonCanonical, format!("{good}=="), UNPADDED),
        Vector::refused("leading-space", Base64NonCanonical, format!(" {good}"), UNPADDED),
        Vector::refused("dots-only", JwtMalformed, "....".to_owned(), "4.3 check 2: five parts"),
        Vector::accepted("segments-of-any-length", good, "RFC 8259 2: white space around the object is no defect"),
    ]
}

/// Coordinates that hold the right bytes for a lenient decoder, which then has two thumbprints for one key.
fn coordinates(maker: &Maker) -> Vec<Vector> {
    let member = |name: &str, change: fn(&str) -> String| {
        let (head, rest) = P256.split_once(&format!("\"{name}\":\"")).expect("a coordinate");
        let (value, tail) = rest.split_once('"').expect("its end");
        maker.sign_jwk(&format!("{head}\"{name}\":{}{tail}}}", quoted(&change(value))))
    };
    let padded = |value: &str| format!("{value}=");
    let newline = |value: &str| format!("{value}\n");
    let zero = |value: &str| {
        let bytes = base64url::decode(value.as_bytes()).expect("a coordinate");
        base64url::encode(&[&[0], &bytes[..]].concat())
    };
    let short = |value: &str| {
        let bytes = base64url::decode(value.as_bytes()).expect("a coordinate");
        base64url::encode(&bytes[1..])
    };
    let length = "RFC 7518 6.2.1.2: a coordinate has exactly the length of the field";
    vec![
        Vector::refused("jwk-x-newline", JwkNonCanonical, member("x", newline), UNPADDED),
        Vector::refused("jwk-y-padded", JwkNonCanonical, member("y", padded), UNPADDED),
        Vector::refused("jwk-y-spare-bits", JwkNonCanonical, member("y", spare_bits), SPARE_BITS),
        Vector::refused("jwk-y-leading-zero", JwkNonCanonical, member("y", zero), length),
        Vector::refused("jwk-y-short", JwkNonCanonical, member("y", short), length),
    ]
}

fn token_hash(maker: &Maker) -> Vec<Vector> {
    let ath = base64url::encode(&CRYPTO.digest.sha256(&[crate::TOKEN.as_bytes()]));
    let sign = |ath: &str| maker.sign_claims(&maker.claims().with("ath", &quoted(ath)));
    vec![
        Vector::refused("ath-newline", AthMismatch, sign(&format!("{ath}\n")), UNPADDED),
        Vector::refused("ath-leading-space", AthMismatch, sign(&format!(" {ath}")), UNPADDED),
        Vector::refused("ath-spare-bits", AthMismatch, sign(&spare_bits(&ath)), SPARE_BITS),
    ]
}

/// The same bytes with unused bits that are not zero.
fn spare_bits(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert!(!text.len().is_multiple_of(4), "there are unused bits");
    let (head, last) = text.split_at(text.len() - 1);
    let value = ALPHABET.find(last).expect("base64url");
    format!("{head}{}", &ALPHABET[value + 1..value + 2])
}
