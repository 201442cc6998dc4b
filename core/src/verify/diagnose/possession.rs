//! Binding, token hash and signature: does the peer hold the key the token is bound to?

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Case;
use crate::base64url;
use crate::crypto::Digest;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::looks_like_der;
use crate::json::{Member, Text};
use crate::verify::explain::Failure;
use crate::verify::judge;
use crate::verify::presentation::Context;
use crate::verify::rejection::Rejection;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match case.rejection {
        Rejection::BindingMismatch => binding(case),
        Rejection::AthMismatch => token_hash(case),
        Rejection::SignatureMalformed => malformed(case).unwrap_or_else(|| case.general()),
        _ => invalid(case).unwrap_or_else(|| case.general()),
    }
}

fn binding(case: &Case<'_>) -> Failure {
    let (bound_to, proof) = (
        case.presentation.context.bound_to(),
        judge::claimed_thumbprint(case.verifier, &case.presentation.presented()),
    );
    let (Some(bound_to), Some(proof)) = (bound_to, proof) else {
        return case.general();
    };
    let what = match case.presentation.context {
        Context::TokenEndpoint { .. } => "the code, refresh token or pushed request",
        Context::Resource { .. } => "the access token (cnf.jkt)",
    };
    case.general()
        .expecting(format!(
            "a proof by the key with thumbprint {}, which {what} is bound to",
            case.shown.prefix(&bound_to.to_string())
        ))
        .finding(format!("a proof by the key with thumbprint {}", case.shown.prefix(&proof.to_string())))
}

fn token_hash(case: &Case<'_>) -> Failure {
    let (Some(token), Some(ath)) = (case.token(), case.claims.ath.value().map(Text::to_cow)) else {
        return case.general();
    };
    let hashes = Hashes { digest: case.verifier.crypto.digest };
    let own = hashes.of(&[token]);
    let failure = case
        .general()
        .expecting(format!("ath {}", case.shown.prefix(&base64url::encode(&own))))
        .finding(format!("ath {}", case.shown.prefix(&ath)));
    let failure = if ath.is_empty() { failure.finding("an empty ath") } else { failure };
    match guess(&hashes, token, &own, &ath) {
        Some((cause, fix)) => failure.because(cause).fixed_by(fix),
        None if ath.len() == 43 => failure
            .because("This is the hash of another text: most often of the token before it was refreshed.")
            .fixed_by("Compute ath from the very token that is sent with the request, after any refresh."),
        None => failure,
    }
}

struct Hashes {
    digest: &'static dyn Digest,
}

impl Hashes {
    fn of(&self, parts: &[&str]) -> [u8; 32] {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.digest.sha256(&parts)
    }

    fn is(&self, ath: &str, parts: &[&str]) -> bool {
        base64url::encode(&self.of(parts)) == ath
    }
}

/// What `ath` is in place of the hash: the cause and the fix.
fn guess(hashes: &Hashes, token: &str, own: &[u8; 32], ath: &str) -> Option<(&'static str, &'static str)> {
    const EXACT: &str = "Hash the token exactly as it is sent, without scheme, quotes and white space.";
    let expected = base64url::encode(own);
    let url_safe: String = ath
        .trim()
        .trim_end_matches('=')
        .chars()
        .map(|character| match character {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let hex: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
    let half = own.get(..16).map(base64url::encode).unwrap_or_default();
    let texts = ["undefined", "null", "None"];
    Some(if ath == token {
        ("ath is the access token itself, not its hash.", "Set ath to the base64url SHA-256 of the token.")
    } else if ath.is_empty() {
        ("ath is empty.", "Set ath to the base64url SHA-256 of the token.")
    } else if url_safe == expected && ath.trim() != ath {
        ("The hash is right, but has white space around it.", "Trim ath.")
    } else if url_safe == expected && ath.contains(['+', '/']) {
        (
            "The hash is right, but in standard base64 instead of base64url.",
            "Use the URL-safe alphabet, without padding.",
        )
    } else if url_safe == expected {
        ("The hash is right, but padded with =.", "Remove the trailing = signs.")
    } else if ath.eq_ignore_ascii_case(&hex) {
        ("The hash is right, but in hexadecimal.", "Encode the 32 bytes of the hash as base64url.")
    } else if ath == base64url::encode(hex.as_bytes()) {
        (
            "The hexadecimal text of the hash was encoded instead of its bytes.",
            "Encode the 32 bytes of the hash as base64url.",
        )
    } else if url_safe == half {
        ("This is the left half of the hash, as at_hash of OpenID Connect has it.", "Encode all 32 bytes of the hash.")
    } else if hashes.is(ath, &["DPoP ", token])
        || hashes.is(ath, &["Bearer ", token])
        || hashes.is(ath, &["dpop ", token])
    {
        ("The token was hashed together with its scheme, as the Authorization field has it.", EXACT)
    } else if hashes.is(ath, &[token, "\n"]) || hashes.is(ath, &[token, "\r\n"]) {
        ("The token was hashed together with a line break.", EXACT)
    } else if hashes.is(ath, &["\"", token, "\""]) {
        ("The token was hashed together with quotes.", EXACT)
    } else if hashes.is(ath, &[""]) {
        ("This is the hash of an empty text: the token was not known where the proof was made.", EXACT)
    } else if texts.iter().any(|text| hashes.is(ath, &[text])) {
        (
            "This is the hash of the word undefined, null or None: the token was not known where the proof was made.",
            EXACT,
        )
    } else if ath == base64url::encode(&hashes.digest.sha512(&[token.as_bytes()]))
        || ath == base64url::encode(&hashes.digest.sha384(&[token.as_bytes()]))
    {
        ("The token was hashed with SHA-384 or SHA-512.", "ath is always SHA-256, whatever alg is.")
    } else {
        return None;
    })
}

fn key(case: &Case<'_>) -> Option<PublicJwk> {
    match &case.header.jwk {
        Member::Is(jwk) => jwk.decode(jwk.key_type().ok()?, case.verifier.policy().rsa_bounds()).ok(),
        Member::Absent | Member::Wrong => None,
    }
}

fn malformed(case: &Case<'_>) -> Option<Failure> {
    let algorithm = case.algorithm()?;
    let signature = base64url::decode(case.compact?.signature).ok()?;
    let length = algorithm.signature_len().or(key(case)?.rsa_modulus_len())?;
    let failure = case
        .general()
        .expecting(format!("a signature of {length} bytes for {algorithm}"))
        .finding(format!("a signature of {} bytes", signature.len()));
    Some(if signature.is_empty() {
        failure
            .finding("an empty signature segment")
            .because("The proof was not signed, or its signature was cut off.")
            .fixed_by("Sign the proof with the private key that belongs to jwk.")
    } else if looks_like_der(algorithm, &signature) {
        failure
            .finding(format!("a signature of {} bytes in DER form", signature.len()))
            .because("The signer gave DER (ASN.1), as OpenSSL, Java, Secure Enclave, Android Keystore and most KMS do.")
            .fixed_by(format!("Convert it to R and S side by side, {length} bytes together (other libraries call this the P1363 format)."))
    } else if signature.len() == length.saturating_mul(2) && signature.iter().all(u8::is_ascii_hexdigit) {
        failure
            .because("The hexadecimal text of the signature was encoded instead of its bytes.")
            .fixed_by("Encode the bytes of the signature as base64url.")
    } else if signature.starts_with(b"ey") || signature.len() == base64url::encoded_len(length) {
        failure.because("The signature was encoded as base64url twice.").fixed_by("Encode it once.")
    } else if Algorithm::ALL.iter().any(|other| *other != algorithm && other.signature_len() == Some(signature.len())) {
        failure
            .because("The length is that of another algorithm: the proof was signed with another key or algorithm than its header says.")
            .fixed_by("Derive alg and jwk from the very key that signs.")
    } else if matches!(algorithm, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512) && signature.len() < length {
        failure
            .because("Leading zero bytes of R or S were dropped, or the signature was cut.")
            .fixed_by(format!("Pad R and S with zero bytes on the left to {} bytes each.", length / 2))
    } else {
        failure
    })
}

fn invalid(case: &Case<'_>) -> Option<Failure> {
    let (algorithm, key, compact) = (case.algorithm()?, key(case)?, case.compact?);
    let signature = base64url::decode(compact.signature).ok()?;
    let failure = case
        .general()
        .expecting(format!("a signature by {algorithm} over the first two segments and the dot between them"))
        .finding("a signature that does not verify");
    if signature.iter().all(|byte| *byte == 0) {
        return Some(
            failure
                .finding("a signature of zero bytes only")
                .because("The signer failed, or a placeholder was sent.")
                .fixed_by("Check the result of the signer before it is used."),
        );
    }
    let capability = case.verifier.crypto.verifier(algorithm)?;
    let signs = |message: &[u8]| capability.verify(&key, message, &signature).is_ok();
    let digest = case.verifier.crypto.digest;
    // A handful of tries, so that the work stays bounded.
    let hash = match algorithm.signature_len() {
        Some(96) => digest.sha384(&[compact.signing_input]).to_vec(),
        Some(132) => digest.sha512(&[compact.signing_input]).to_vec(),
        _ => digest.sha256(&[compact.signing_input]).to_vec(),
    };
    if signs(&hash) {
        return Some(
            failure
                .finding("a signature over the hash of the hash")
                .because("The message was hashed before it was given to a signer that hashes by itself.")
                .fixed_by("Give the message to the signer, or its digest to one that takes digests; not both."),
        );
    }
    let decoded = [case.header_json, b".", case.claims_json].concat();
    if signs(compact.payload) || signs(case.claims_json) || signs(&decoded) {
        return Some(
            failure
                .finding("a signature over another part of the proof")
                .because("Only the payload, or the text before it was encoded, was signed.")
                .fixed_by("Sign the encoded header, a dot and the encoded payload."),
        );
    }
    let middle = signature.len() / 2;
    if let Some((r, s)) = signature.split_at_checked(middle).filter(|_| algorithm.hash().is_some()) {
        let swapped = [s, r].concat();
        if capability.verify(&key, compact.signing_input, &swapped).is_ok() {
            return Some(failure.finding("a signature with S before R").fixed_by("Write R first."));
        }
    }
    let sibling = Algorithm::ALL.iter().copied().filter(|other| *other != algorithm).find(|other| {
        other.key_type() == algorithm.key_type()
            && case
                .verifier
                .crypto
                .verifier(*other)
                .is_some_and(|capability| capability.verify(&key, compact.signing_input, &signature).is_ok())
    });
    if let Some(sibling) = sibling {
        return Some(
            failure
                .finding(format!("a signature by {sibling}"))
                .because("alg in the header and the algorithm of the signer differ.")
                .fixed_by(format!("Write alg {sibling}, if it is permitted, or sign with {algorithm}.")),
        );
    }
    Some(failure.because(
        "The proof was signed with another key than jwk, or its header or payload was changed after it was signed, for example serialized a second time.",
    ))
}
