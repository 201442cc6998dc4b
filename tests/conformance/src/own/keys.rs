//! Keys that are private, belong to another algorithm, or whose coordinates begin with zeros.

use keybound::Rejection::{
    JwkAlgMismatch, JwkMalformed, JwkNotForSignatures, JwkPrivate, JwkSymmetric, JwkUnsupported, KeyOffCurve,
};
use keybound::key::soft::SoftKey;

use super::{CRYPTO, ED25519, Maker, P256, P256_D, Vector, public, quoted, thumbprint};
use crate::raw;

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = private(maker);
    vectors.extend(confused(maker));
    vectors.extend(malformed(maker));
    vectors.extend(leading_zeros(maker));
    vectors
}

/// Every private member, with a value and null.
fn private(maker: &Maker) -> Vec<Vector> {
    let public = "4.3 check 7: jwk has no private member, whatever its value";
    let with = |member: &str, json: &str| maker.sign_jwk(&format!("{P256},\"{member}\":{json}}}"));
    let mut vectors: Vec<_> = ["d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"]
        .into_iter()
        .flat_map(|member| {
            let value = if member == "oth" { "[]".to_owned() } else { quoted(P256_D) };
            [
                Vector::refused(&format!("jwk-with-{member}"), JwkPrivate, with(member, &value), public),
                Vector::refused(&format!("jwk-with-{member}-null"), JwkPrivate, with(member, "null"), public),
            ]
        })
        .collect();
    vectors.push(Vector::refused("jwk-with-d-escaped", JwkPrivate, with(r"\u0064", &quoted(P256_D)), public));
    let symmetric = maker.sign_jwk(r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODw"}"#);
    let asymmetric = "4.3 check 5: a symmetric key under an asymmetric algorithm";
    vectors.push(Vector::refused("jwk-oct-under-es256", JwkSymmetric, symmetric, asymmetric));
    vectors
}

/// `alg`, `kty` and `crv` that do not go together.
fn confused(maker: &Maker) -> Vec<Vector> {
    let (p256, ed25519) = (format!("{P256}}}"), format!("{ED25519}}}"));
    let fits = "RFC 8725 3.1: the key is of the type that alg names";
    let known = "4.3 check 5: a curve of this key type";
    let coordinates = &P256[P256.find("\"x\"").expect("x")..];
    let okp = |crv: &str| format!(r#"{{"kty":"OKP","crv":"{crv}",{coordinates}}}"#);
    let mut vectors: Vec<_> = ["EdDSA", "Ed25519", "ES384", "ES512", "PS256", "PS512", "RS256", "ML-DSA-44"]
        .into_iter()
        .map(|alg| {
            let proof = maker.sign(&raw::header_with(alg, &p256), &maker.claims());
            Vector::refused(&format!("{}-with-p-256", alg.to_lowercase()), JwkAlgMismatch, proof, fits)
        })
        .collect();
    vectors.extend(["ES256", "ES384", "PS256", "RS256", "ML-DSA-65"].map(|alg| {
        let proof = maker.sign_ed25519(&raw::header_with(alg, &ed25519));
        Vector::refused(&format!("{}-with-ed25519", alg.to_lowercase()), JwkAlgMismatch, proof, fits)
            .of_key(&ed25519, super::okp::SOURCE)
    }));
    let mut jwk = |id, rejection, jwk: String, reason: &str| {
        vectors.push(Vector::refused(id, rejection, maker.sign_jwk(&jwk), reason).set("jkt", thumbprint(&jwk)));
    };
    jwk("jwk-ec-with-crv-ed25519", JwkUnsupported, p256.replacen("P-256", "Ed25519", 1), known);
    jwk("jwk-okp-with-crv-p-256", JwkUnsupported, okp("P-256"), known);
    jwk("jwk-okp-with-coordinates-of-p-256", JwkAlgMismatch, okp("Ed25519"), fits);
    jwk("jwk-rsa-with-coordinates", JwkAlgMismatch, p256.replacen("EC", "RSA", 1), fits);
    jwk("jwk-kty-lower-case", JwkUnsupported, p256.replacen("EC", "ec", 1), "RFC 7517 4.1: kty is case sensitive");
    jwk("jwk-crv-lower-case", JwkUnsupported, p256.replacen("P-256", "p-256", 1), "RFC 7518 6.2.1.1: crv too");
    jwk("jwk-crv-of-another-curve", JwkAlgMismatch, p256.replacen("P-256", "P-384", 1), fits);
    vectors
}

fn malformed(maker: &Maker) -> Vec<Vector> {
    let p256 = format!("{P256}}}");
    let object = "RFC 7517 4: a key is an object with its members";
    let zero = quoted(&"A".repeat(43));
    let (kty_and_crv, _) = P256.split_once(",\"x\"").expect("x");
    let mut vectors: Vec<_> = [
        ("jwk-array", JwkMalformed, format!("[{p256}]"), object),
        ("jwk-null", JwkMalformed, "null".to_owned(), object),
        ("jwk-quoted", JwkMalformed, quoted(&p256), object),
        ("jwk-empty", JwkMalformed, "{}".to_owned(), object),
        ("jwk-no-crv", JwkMalformed, p256.replacen(r#""crv":"P-256","#, "", 1), object),
        ("jwk-no-y", JwkMalformed, format!("{}}}", P256.split_once(",\"y\"").expect("y").0), object),
        ("jwk-x-number", JwkMalformed, format!("{kty_and_crv},\"x\":1,\"y\":{zero}}}"), object),
    ]
    .into_iter()
    .map(|(id, rejection, jwk, reason)| Vector::refused(id, rejection, maker.sign_jwk(&jwk), reason))
    .collect();
    let no_point = format!("{kty_and_crv},\"x\":{zero},\"y\":{zero}}}");
    vectors.push(
        Vector::refused("jwk-zero-point", KeyOffCurve, maker.sign_jwk(&no_point), "RFC 8725 3.4: no point")
            .of_key(&no_point, "made for Keybound with a key that is no point"),
    );
    let with = |member: &str| maker.sign_jwk(&format!("{P256},{member}}}"));
    let purpose = "RFC 7517 4.2, 4.3: the key is for verifying signatures";
    vectors.extend([
        Vector::refused("jwk-key-ops-sign", JwkNotForSignatures, with(r#""key_ops":["sign"]"#), purpose),
        Vector::refused("jwk-key-ops-empty", JwkNotForSignatures, with(r#""key_ops":[]"#), purpose),
        Vector::accepted("jwk-key-ops-verify", with(r#""use":"sig","key_ops":["verify"]"#), purpose),
    ]);
    vectors
}

/// One key in 128 has a coordinate that begins with a zero byte, and it is a key like any other.
fn leading_zeros(maker: &Maker) -> Vec<Vector> {
    [
        (
            "jwk-x-begins-with-zero",
            "made for Keybound with the P-256 key 379",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXs",
            "AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo",
            "u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I",
        ),
        (
            "jwk-y-begins-with-zero",
            "made for Keybound with the P-256 key 43",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACs",
            "mGriUG8f8QTQQjCGHY9LSY9LxMbQCbMPdUTcEpuC0o0",
            "ADzMwKZGDgrjKKTZfTx7YdhvxiicGJ8lJREMRBuwfpc",
        ),
    ]
    .map(|(id, source, d, x, y)| {
        let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{d}"}}"#);
        let key = SoftKey::from_jwk(&jwk, &CRYPTO).expect("a small key is a key");
        let proof = raw::sign(&key, &CRYPTO, &raw::header(&key), &maker.claims().json());
        Vector::accepted(id, proof, "RFC 7518 6.2.1.2: leading zeros are kept").of_key(&public(&key), source)
    })
    .into()
}
