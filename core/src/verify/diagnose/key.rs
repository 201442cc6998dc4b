//! `jwk`: is it a public key, in its one encoding, that fits `alg`?

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Case;
use super::shape;
use crate::base64url;
use crate::jose::algorithm::{Algorithm, KeyType};
use crate::jose::jwk::PublicJwk;
use crate::json::{self, Member, Text};
use crate::verify::explain::Failure;
use crate::verify::rejection::Rejection;

/// The names whose values are key material.
const MATERIAL: [&str; 14] = ["x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "k", "priv", "pub", "oth"];
/// The names that occur in private keys only.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The members of `jwk` as text, and what else in the header could name a key.
#[derive(Default)]
pub(super) struct JwkText<'a> {
    members: Vec<(String, Member<Text<'a>>)>,
    /// Parameters that other tokens use to name a key.
    references: Vec<&'static str>,
    is_text: bool,
}

impl<'a> JwkText<'a> {
    pub(super) fn read(header: &'a [u8]) -> Self {
        let mut jwk = Self::default();
        // What was read before an error serves as well: nothing is decided by it.
        let _ = json::read_object(header, |reader, name| {
            let name = name.to_cow();
            if name == "jwk" {
                let members = &mut jwk.members;
                let is_object = reader.object_or_skip(|reader, name| {
                    members.push((name.to_cow().into_owned(), reader.text()?));
                    Ok(())
                })?;
                jwk.is_text = !is_object;
                return Ok(());
            }
            jwk.references.extend(["kid", "x5c", "jku", "x5u", "x5t"].into_iter().find(|known| name == *known));
            reader.skip()
        });
        jwk
    }

    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    fn text(&self, name: &str) -> Option<Text<'a>> {
        self.members.iter().find(|(member, _)| member == name)?.1.value()
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.text(name).is_some_and(|text| text.is(value))
    }

    /// Everything that must not be shown; the usual exponent is no secret.
    pub(super) fn key_material(&self) -> impl Iterator<Item = Text<'a>> {
        let material = self.members.iter().filter(|(name, _)| MATERIAL.contains(&name.as_str()));
        material.filter_map(|(_, text)| text.value()).filter(|text| !text.is("AQAB"))
    }
}

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match case.rejection {
        Rejection::JwkMissing => missing(case),
        Rejection::JwkMalformed => malformed(case),
        Rejection::JwkSymmetric => case.general().finding("a key with kty \"oct\", which is a shared secret"),
        Rejection::JwkPrivate => private(case),
        Rejection::JwkUnsupported => unsupported(case),
        Rejection::JwkAlgMismatch => mismatch(case),
        Rejection::JwkAlgConflict => conflict(case),
        Rejection::JwkNotForSignatures => use_of_key(case),
        Rejection::JwkNonCanonical => non_canonical(case).unwrap_or_else(|| case.general()),
        Rejection::RsaTooSmall | Rejection::RsaTooLarge => rsa_size(case),
        Rejection::KeyOffCurve => off_curve(case).unwrap_or_else(|| case.general()),
        _ => case.general(),
    }
}

fn missing(case: &Case<'_>) -> Failure {
    let failure = case.general().expecting("the public key in the header, as jwk").finding("no jwk");
    match case.jwk.references.first() {
        Some(reference) => failure.finding(format!("no jwk, but {reference}")).because(format!(
            "The proof names its key by {reference}, as access tokens do; a proof carries the key itself."
        )),
        None => failure,
    }
}

fn malformed(case: &Case<'_>) -> Failure {
    if case.jwk.is_text {
        return case
            .general()
            .expecting("jwk as a JSON object")
            .finding("a jwk that is no object")
            .because("The key was serialized to a string, a PEM or a key identifier before it was put into the header.")
            .fixed_by("Put the key into the header as a nested object, not as a string.");
    }
    let wanted: &[&str] = if case.jwk.is("kty", "EC") {
        &["crv", "x", "y"]
    } else if case.jwk.is("kty", "OKP") {
        &["crv", "x"]
    } else if case.jwk.is("kty", "RSA") {
        &["n", "e"]
    } else if case.jwk.is("kty", "AKP") {
        &["alg", "pub"]
    } else {
        &["kty"]
    };
    let lacking: Vec<&str> = wanted.iter().copied().filter(|name| case.jwk.text(name).is_none()).collect();
    case.general().finding(format!("a jwk without {} as a string", lacking.join(" and ")))
}

fn private(case: &Case<'_>) -> Failure {
    let present: Vec<&str> = PRIVATE.into_iter().filter(|name| case.jwk.has(name)).collect();
    case.general().expecting("public members only").finding(format!("the private member {}", present.join(", ")))
}

fn unsupported(case: &Case<'_>) -> Failure {
    let kty = case.jwk.text("kty").map(Text::to_cow).unwrap_or_default();
    let crv = case.jwk.text("crv").map(Text::to_cow).unwrap_or_default();
    let found = match &*crv {
        "" => format!("kty {}", case.shown.peer(&kty)),
        _ => format!("kty {} with crv {}", case.shown.peer(&kty), case.shown.peer(&crv)),
    };
    let failure =
        case.general().expecting("EC with P-256, P-384 or P-521, OKP with Ed25519, RSA, or AKP").finding(found);
    let named = |text: &str, names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    // Another spelling of a supported name, not the name itself.
    let misspelt = |text: &str, right: &[&str], others: &[&str]| {
        !right.contains(&text) && (named(text, right) || named(text, others))
    };
    if named(&crv, &["X25519", "X448"]) {
        failure.because("This curve is for key agreement and cannot sign.").fixed_by("Make an Ed25519 key for signing.")
    } else if named(&crv, &["Ed448"]) {
        failure.because("Ed448 is not supported.").fixed_by("Make an Ed25519 key, or a P-256 key for ES256.")
    } else if named(&crv, &["secp256k1", "P-256K"]) {
        failure
            .because("secp256k1 (ES256K), the curve of blockchains, is not supported.")
            .fixed_by("Make a key on P-256 and sign with ES256.")
    } else if misspelt(
        &crv,
        &["P-256", "P-384", "P-521"],
        &["P256", "prime256v1", "secp256r1", "P384", "secp384r1", "P521", "secp521r1"],
    ) {
        failure
            .because("The curve goes by another name in JOSE; names are case sensitive.")
            .fixed_by("Write P-256, P-384 or P-521.")
    } else if misspelt(&kty, &["EC", "RSA", "OKP"], &["ECDSA", "EdDSA"]) {
        failure
            .because("The key type goes by another name in JOSE; names are case sensitive.")
            .fixed_by("Write EC, RSA or OKP.")
    } else {
        failure
    }
}

/// The name of the one algorithm that is usual for a type of key.
const fn usual(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::P256 => "ES256",
        KeyType::P384 => "ES384",
        KeyType::P521 => "ES512",
        KeyType::Ed25519 => "Ed25519",
        KeyType::Rsa => "PS256",
        KeyType::MlDsa44 => "ML-DSA-44",
        KeyType::MlDsa65 => "ML-DSA-65",
        KeyType::MlDsa87 => "ML-DSA-87",
    }
}

/// A type of key in the words of a JWK.
const fn describe(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::P256 => "EC key on P-256",
        KeyType::P384 => "EC key on P-384",
        KeyType::P521 => "EC key on P-521",
        KeyType::Ed25519 => "OKP key on Ed25519",
        KeyType::Rsa => "RSA key",
        KeyType::MlDsa44 => "AKP key for ML-DSA-44",
        KeyType::MlDsa65 => "AKP key for ML-DSA-65",
        KeyType::MlDsa87 => "AKP key for ML-DSA-87",
    }
}

fn key_type(case: &Case<'_>) -> Option<KeyType> {
    match &case.header.jwk {
        Member::Is(jwk) => jwk.key_type().ok(),
        Member::Absent | Member::Wrong => None,
    }
}

fn mismatch(case: &Case<'_>) -> Failure {
    let (Some(algorithm), Some(key_type)) = (case.algorithm(), key_type(case)) else {
        return case.general();
    };
    case.general()
        .expecting(format!("an {} for alg {algorithm}", describe(algorithm.key_type())))
        .finding(format!("an {}", describe(key_type)))
        .fixed_by(format!("Set alg to {} for this key, or make a key for {algorithm}.", usual(key_type)))
}

fn conflict(case: &Case<'_>) -> Failure {
    let own = case.jwk.text("alg").map(Text::to_cow);
    let own = own.map_or_else(|| String::from("no string"), |own| case.shown.peer(&own));
    let alg = case.algorithm().map_or("", Algorithm::name);
    case.general().expecting(format!("alg \"{alg}\" in jwk, as in the header")).finding(format!("alg {own} in jwk"))
}

fn use_of_key(case: &Case<'_>) -> Failure {
    match case.jwk.text("use").map(Text::to_cow) {
        Some(usage) if usage != "sig" => {
            case.general().expecting("use \"sig\" or no use").finding(format!("use {}", case.shown.peer(&usage)))
        }
        _ => case
            .general()
            .expecting("key_ops with \"verify\", or no key_ops")
            .finding("key_ops without \"verify\"")
            .because("key_ops were exported from the private key, whose operation is sign."),
    }
}

fn non_canonical(case: &Case<'_>) -> Option<Failure> {
    let key_type = key_type(case)?;
    let length = match key_type {
        KeyType::P256 | KeyType::Ed25519 => Some(32),
        KeyType::P384 => Some(48),
        KeyType::P521 => Some(66),
        _ => None,
    };
    let names: &[&str] = match key_type {
        KeyType::P256 | KeyType::P384 | KeyType::P521 => &["x", "y"],
        KeyType::Ed25519 => &["x"],
        KeyType::Rsa => &["n", "e"],
        _ => &["pub"],
    };
    names.iter().find_map(|name| {
        let text = case.jwk.text(name)?.to_cow();
        let failure = case.general().expecting(match length {
            Some(length) => format!("{name} of {length} bytes in base64url without padding"),
            None => format!("{name} in the fewest bytes, in base64url without padding"),
        });
        let Ok(bytes) = base64url::decode(text.as_bytes()) else {
            let (found, cause, fix) = shape::misspelling(text.as_bytes());
            return Some(failure.finding(format!("{found} in {name}")).because(cause).fixed_by(fix));
        };
        match length {
            Some(length) => wrong_length(failure, name, &text, &bytes, length),
            None if bytes.first() == Some(&0) => Some(
                failure
                    .finding(format!("a leading zero byte in {name}"))
                    .because("The sign byte of a big integer (BigInteger, ASN.1) was left in.")
                    .fixed_by("Remove leading zero bytes before encoding."),
            ),
            None => None,
        }
    })
}

fn wrong_length(failure: Failure, name: &str, text: &str, bytes: &[u8], length: usize) -> Option<Failure> {
    let found = bytes.len();
    if found == length {
        return None;
    }
    let failure = failure.finding(format!("{name} of {found} bytes"));
    let failure = if found == length.saturating_add(1) && bytes.first() == Some(&0) {
        failure
            .because("A leading zero byte was added: the sign byte of a big integer (BigInteger, ASN.1).")
            .fixed_by(format!("Remove the leading zero, so that {name} has {length} bytes."))
    } else if found < length && found.saturating_add(3) > length {
        failure
            .because("Leading zero bytes were dropped when the coordinate was turned from a number into bytes.")
            .fixed_by(format!("Pad {name} with zero bytes on the left to {length} bytes."))
    } else if bytes.first() == Some(&4) && found == length.saturating_mul(2).saturating_add(1) {
        failure
            .because("This is the whole uncompressed point (04, X, Y), not one coordinate.")
            .fixed_by(format!("Cut the point into x and y of {length} bytes each."))
    } else if text.len() == length.saturating_mul(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        failure.because("The coordinate was written in hexadecimal.").fixed_by("Encode its bytes as base64url.")
    } else {
        failure
    };
    Some(failure)
}

fn rsa_size(case: &Case<'_>) -> Failure {
    let Some(n) = case.jwk.text("n").map(Text::to_cow) else { return case.general() };
    // From the length of the text: decoding a modulus that is far too long would be work for nothing.
    let bits = base64url::decoded_len(n.len()).unwrap_or(0).saturating_mul(8);
    case.general()
        .expecting("a modulus of at least 2048 bits and within the policy's bound")
        .finding(format!("a modulus of about {bits} bits"))
}

fn off_curve(case: &Case<'_>) -> Option<Failure> {
    let (algorithm, capability) = (case.algorithm()?, case.verifier.crypto.verifier(case.algorithm()?)?);
    let decode = |name: &str| base64url::decode(case.jwk.text(name)?.to_cow().as_bytes()).ok();
    let (x, y) = (decode("x")?, decode("y")?);
    let valid = |first: &[u8], second: &[u8]| {
        let point = [&[4], first, second].concat();
        PublicJwk::from_ec_point(&point).is_some_and(|key| capability.validate(&key).is_ok())
    };
    let failure = case.general().expecting(format!("a point on the curve of {algorithm}"));
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    if x == y {
        Some(failure.finding("x and y are the same").because("The same coordinate was written twice."))
    } else if valid(&y, &x) {
        Some(failure.finding("x and y are swapped").fixed_by("Write x first: the first half of the point."))
    } else if valid(&reversed(&x), &reversed(&y)) {
        Some(
            failure
                .finding("coordinates in little-endian byte order")
                .because("The platform exports coordinates with the least significant byte first.")
                .fixed_by("Reverse the bytes of x and y: JWKs are big-endian."),
        )
    } else {
        None
    }
}
