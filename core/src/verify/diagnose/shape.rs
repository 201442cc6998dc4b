//! Fields, size and shape: is there one proof, and is it a signed JWT in compact form?

use alloc::borrow::ToOwned;
use alloc::format;

use super::Case;
use crate::base64url;
use crate::jose::compact::Compact;
use crate::verify::explain::Failure;
use crate::verify::rejection::Rejection;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match case.rejection {
        Rejection::ProofMissing => case.general().finding("no DPoP field"),
        Rejection::MultipleProofs => multiple(case),
        Rejection::ProofTooLarge => {
            let length = case.presentation.proofs.first().map_or(0, |proof| proof.len());
            case.general().finding(format!("a proof of {length} bytes, limit {}", crate::proof::MAX_PROOF_LEN))
        }
        Rejection::JwtMalformed => wrapped(case).unwrap_or_else(|| segments(case)),
        Rejection::Base64NonCanonical => wrapped(case).or_else(|| base64(case)).unwrap_or_else(|| case.general()),
        Rejection::HeaderMalformed => json(case, "header", case.header_json),
        Rejection::ClaimsMalformed => json(case, "payload", case.claims_json),
        Rejection::HeaderDuplicate => duplicate(case, case.header_json),
        _ => case.general(),
    }
}

fn multiple(case: &Case<'_>) -> Failure {
    let proofs = case.presentation.proofs;
    if let [first, rest @ ..] = proofs
        && !rest.is_empty()
    {
        let failure = case.general().finding(format!("{} DPoP fields", proofs.len()));
        return if rest.iter().all(|other| other == first) {
            failure.because("The same proof was added more than once: code that appends the field has run twice.")
        } else {
            failure.because(
                "Two different proofs were added: an interceptor makes its own proof, or a retry appended a second one.",
            )
        };
    }
    if case.proof.trim_ascii_start().first() == Some(&b'{') {
        return case
            .general()
            .finding("one DPoP field that holds a JSON object")
            .because("The JWS was written in its JSON serialization.")
            .fixed_by("Write the proof in the compact serialization: three segments joined by two dots.");
    }
    let count = case.proof.split(|byte| *byte == b',').count();
    case.general().finding(format!("one DPoP field with {count} values joined by commas")).because(
        "Two DPoP fields were folded into one by a proxy or an HTTP library, because the client had added the field twice.",
    )
}

/// Something around the proof that does not belong to it.
fn wrapped(case: &Case<'_>) -> Option<Failure> {
    let text = case.proof;
    let starts = |prefix: &[u8]| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let failure = case.general().expecting("the proof alone as the value of the DPoP field");
    if starts(b"dpop:") {
        return Some(
            failure
                .finding("the name of the field inside its value")
                .because("A whole header line was used as the value of the field.")
                .fixed_by("Give the HTTP library name and value separately."),
        );
    }
    if starts(b"dpop ") || starts(b"bearer ") {
        return Some(
            failure
                .finding("an authentication scheme before the proof")
                .because("The scheme belongs to the access token in Authorization; the DPoP field has none.")
                .fixed_by("Send `Authorization: DPoP <token>` and `DPoP: <proof>`."),
        );
    }
    if matches!(text, [b'"' | b'\'', ..] | [.., b'"' | b'\'']) {
        return Some(
            failure
                .finding("quotes around the proof")
                .because("The proof was serialized as JSON, or quoted in a shell or configuration file.")
                .fixed_by("Send the proof without quotes."),
        );
    }
    if text.first().is_some_and(u8::is_ascii_whitespace) || text.last().is_some_and(u8::is_ascii_whitespace) {
        return Some(
            failure
                .finding("white space around the proof")
                .because("The proof was read from a file or a command's output with its line break.")
                .fixed_by("Trim the proof before it is sent."),
        );
    }
    None
}

fn segments(case: &Case<'_>) -> Failure {
    let failure = case.general().expecting("three segments joined by two dots: header, payload, signature");
    if case.proof.is_empty() {
        return failure
            .finding("an empty DPoP field")
            .because("The variable that should hold the proof is empty.")
            .fixed_by("Make a proof for this request and send it.");
    }
    if case.is_token() {
        return token(failure);
    }
    let dots = case.proof.iter().filter(|byte| **byte == b'.').count();
    match dots {
        0 => failure
            .finding("one segment")
            .because("This is an opaque value, such as an opaque access token or a nonce, and no proof.")
            .fixed_by("Send the token in Authorization and a signed proof in the DPoP field."),
        1 => failure.finding("two segments").because("The signature is missing: the proof was not signed, or was cut."),
        4 => failure
            .finding("five segments")
            .because("This is an encrypted JWT (JWE), usually an access token, and no signed proof.")
            .fixed_by("Send the token in Authorization and a signed proof in the DPoP field."),
        _ => failure.finding(format!("{} segments", dots.saturating_add(1))),
    }
}

/// The access token stands where the proof should.
pub(super) fn token(failure: Failure) -> Failure {
    failure
        .finding("the access token itself")
        .because("The access token was sent in the DPoP field as well.")
        .fixed_by("Send the token in Authorization only, and a proof signed by the client in the DPoP field.")
}

/// What is wrong with the first segment that is not base64url.
fn base64(case: &Case<'_>) -> Option<Failure> {
    let Compact { header, payload, signature, .. } = case.compact?;
    let (name, text) = [("header", header), ("payload", payload), ("signature", signature)]
        .into_iter()
        .find(|(_, text)| base64url::decode(text).is_err())?;
    let (found, cause, fix) = misspelling(text);
    Some(
        case.general()
            .expecting("base64url without padding in every segment")
            .finding(format!("{found} in the {name} segment"))
            .because(cause)
            .fixed_by(fix),
    )
}

/// Why `text` is no base64url: what it has, the cause, the fix.
pub(super) fn misspelling(text: &[u8]) -> (&'static str, &'static str, &'static str) {
    let has = |characters: &[u8]| text.iter().any(|byte| characters.contains(byte));
    if has(b"+/") {
        (
            "characters of the standard base64 alphabet (+ or /)",
            "It was encoded with standard base64 instead of base64url.",
            "Use the URL-safe alphabet, with - and _, and no padding.",
        )
    } else if has(b"=") {
        ("padding (=)", "It was encoded with a base64url encoder that pads.", "Remove the trailing = signs.")
    } else if has(b" \t\r\n") {
        (
            "white space",
            "It was encoded by an encoder that breaks lines, or copied with a line break.",
            "Encode without line breaks and remove white space.",
        )
    } else if has(b"%") {
        (
            "percent-encoding",
            "The proof was percent-encoded as if it were part of a URL or form.",
            "Send the proof as it is: a header field needs no percent-encoding.",
        )
    } else if !text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
        (
            "a character that is not base64url",
            "It was altered or never encoded.",
            "Send what the encoder gave, unchanged.",
        )
    } else if base64url::decoded_len(text.len()).is_none() {
        (
            "a length that no base64url text has",
            "A character was lost or added: it was cut, or copied incompletely.",
            "Send what the encoder gave, complete and unchanged.",
        )
    } else {
        (
            "unused bits that are not zero",
            "The last character was altered, or the encoder does not clear the bits it does not use.",
            "Use an encoder that follows RFC 4648 section 3.5, and do not alter its output.",
        )
    }
}

fn json(case: &Case<'_>, name: &str, text: &[u8]) -> Failure {
    let failure = case.general().expecting(format!("a JSON object in UTF-8 as {name}"));
    let start = text.trim_ascii_start();
    if start.starts_with(b"eyJ") {
        failure
            .finding(format!("a {name} that was encoded twice"))
            .because("What was encoded was base64url text already.")
            .fixed_by("Encode the JSON text exactly once.")
    } else if start.starts_with(b"{'") {
        failure
            .finding(format!("a {name} with single quotes"))
            .because("A dictionary was printed instead of being serialized as JSON (str() in Python).")
            .fixed_by("Serialize with a JSON library (json.dumps in Python).")
    } else if start.starts_with(b"\"") {
        failure
            .finding(format!("a {name} that is a JSON string"))
            .because("The object was serialized as JSON twice.")
            .fixed_by("Serialize the object exactly once.")
    } else if start.starts_with(b"\xef\xbb\xbf") {
        failure
            .finding(format!("a byte order mark before the {name}"))
            .because("The text was written by an encoder that puts a byte order mark in front.")
            .fixed_by("Encode as UTF-8 without a byte order mark.")
    } else if core::str::from_utf8(text).is_err() {
        failure
            .finding(format!("a {name} that is not UTF-8"))
            .because("It is compressed, encrypted, in another character set, or was altered.")
    } else if start.starts_with(b"[") {
        failure.finding(format!("a {name} that is a JSON array"))
    } else {
        failure
    }
}

/// The duplicate's name, guessed from the text: the reader stops before it would know.
pub(super) fn duplicate(case: &Case<'_>, json: &[u8]) -> Failure {
    const NAMES: [&str; 17] = [
        "jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf", "typ", "alg", "jwk", "kid", "kty", "crv", "x", "y",
        "iss",
    ];
    let text = core::str::from_utf8(json).unwrap_or_default();
    let repeated = NAMES.iter().find(|name| {
        let quoted = format!("\"{name}\"");
        let uses = text.split(&quoted).skip(1).filter(|tail| tail.trim_start().starts_with(':'));
        uses.count() > 1
    });
    let failure = case.general().expecting("each name at most once".to_owned());
    match repeated {
        Some(name) => failure.finding(format!("the name \"{name}\" more than once")),
        None => failure,
    }
}
