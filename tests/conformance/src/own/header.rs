//! Headers: `crit`, `b64`, duplicates, and JSON that is no object.

use keybound::Rejection::{
    AlgUnknown, CritUnsupported, HeaderDuplicate, HeaderMalformed, HeaderTooComplex, PayloadUnencoded, TypMismatch,
};

use super::{Maker, P256, Vector, quoted};

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = extensions(maker);
    vectors.extend(duplicates(maker));
    vectors.extend(shapes(maker));
    vectors.extend(names(maker));
    vectors
}

fn extensions(maker: &Maker) -> Vec<Vector> {
    let with = |member: &str| maker.sign(&maker.header_and(member), &maker.claims());
    let critical = "RFC 7515 4.1.11: crit is there, and nothing it could name is understood";
    vec![
        Vector::refused("crit-string", CritUnsupported, with(r#""crit":"exp""#), critical),
        Vector::refused("crit-null", CritUnsupported, with(r#""crit":null"#), critical),
        Vector::refused("crit-names-typ", CritUnsupported, with(r#""crit":["typ"]"#), critical),
        Vector::refused("crit-escaped", CritUnsupported, with(r#""cr\u0069t":["exp"],"exp":1"#), critical),
        Vector::refused(
            "b64-false",
            PayloadUnencoded,
            with(r#""b64":false"#),
            "RFC 7797 7: b64 of a JWT is never false",
        ),
        Vector::accepted("kid", with(r#""kid":"any""#), "RFC 7515 4.1.4: what is not needed is ignored"),
    ]
}

fn duplicates(maker: &Maker) -> Vec<Vector> {
    let jwk = |member: &str| maker.sign_jwk(&format!("{P256},{member}}}"));
    let with = |member: &str| maker.sign(&maker.header_and(member), &maker.claims());
    [
        ("duplicate-alg-escaped", with(r#""\u0061lg":"none""#)),
        ("duplicate-typ", with(r#""typ":"dpop+jwt""#)),
        ("duplicate-jwk-null", with(r#""jwk":null"#)),
        ("duplicate-unknown-member", with(r#""any":1,"an\u0079":2"#)),
        ("duplicate-in-jwk", jwk(r#""kty":"EC""#)),
        ("duplicate-in-jwk-escaped", jwk(r#""\u0078":"AA""#)),
        ("duplicate-nested-in-header", with(r#""any":[{"a":1,"\u0061":1}]"#)),
    ]
    .map(|(id, proof)| {
        Vector::refused(id, HeaderDuplicate, proof, "RFC 7515 4: names are unique, however they are spelled")
    })
    .into()
}

fn shapes(maker: &Maker) -> Vec<Vector> {
    let good = maker.header();
    let inner = &good[1..good.len() - 1];
    let with = |member: &str| maker.sign(&maker.header_and(member), &maker.claims());
    let object = "RFC 7515 4: the header is one JSON object";
    let complex = "RFC 7515 4: at most 8 levels and 64 members to an object are read";
    let mut vectors: Vec<_> = [
        ("header-array-of-object", format!("[{good}]")),
        ("header-array-of-pairs", format!("[{}]", inner.replace("\":", "\","))),
        ("header-string", quoted(&good)),
        ("header-null", "null".to_owned()),
        ("header-twice", format!("{good}{good}")),
        ("header-trailing-comma", format!("{{{inner},}}")),
        ("header-byte-order-mark", format!("\u{feff}{good}")),
    ]
    .into_iter()
    .map(|(id, header)| Vector::refused(id, HeaderMalformed, maker.sign(&header, &maker.claims()), object))
    .collect();
    vectors.extend([
        Vector::refused("header-9-levels", HeaderTooComplex, with(&format!(r#""any":{}"#, nested(8))), complex),
        Vector::accepted("header-8-levels", with(&format!(r#""any":{}"#, nested(7))), complex),
        Vector::refused("header-65-members", HeaderTooComplex, with(&format!(r#""any":{}"#, members(65))), complex),
        Vector::accepted("header-64-members", with(&format!(r#""any":{}"#, members(64))), complex),
    ]);
    vectors
}

fn names(maker: &Maker) -> Vec<Vector> {
    let typ = |typ: &str| maker.sign(&maker.header().replacen("dpop+jwt", typ, 1), &maker.claims());
    let alg = |alg: &str| maker.sign(&maker.header().replacen("ES256", alg, 1), &maker.claims());
    let exact = "4.3 check 4: typ is compared as it stands";
    let name = "4.3 check 5: alg is compared as it stands";
    vec![
        Vector::refused("typ-upper-case", TypMismatch, typ("DPOP+JWT"), exact),
        Vector::refused("typ-trailing-space", TypMismatch, typ("dpop+jwt "), exact),
        Vector::accepted("typ-escaped", typ("dpop\\u002bjwt"), "RFC 8259 7: escapes change no value"),
        Vector::refused("alg-trailing-space", AlgUnknown, alg("ES256 "), name),
        Vector::refused("alg-es256k", AlgUnknown, alg("ES256K"), "4.3 check 5: another curve's algorithm"),
    ]
}

/// An array `depth` levels deep.
pub(super) fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// An object of `count` members.
pub(super) fn members(count: usize) -> String {
    let members: Vec<_> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
    format!("{{{}}}", members.join(","))
}
