//! `uri`: one normal form for each target, and claims that are compared by it.

use keybound::http::uri::{MAX_URI_LEN, UriError};
use keybound::{ProofBuilder, RUSTCRYPTO, Rejection, TargetUri};

use crate::story::{HEADER, KEY, NOW, Request, resource, sign};

/// The input is one URI, or two on a line each.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    for uri in [first, second] {
        if let Ok(target) = TargetUri::parse(uri) {
            check_normal(uri, &target);
        }
    }
    if let Ok(target) = TargetUri::parse(second) {
        check_claim(first, &target);
    }
}

fn check_normal(uri: &str, target: &TargetUri) {
    let normal = target.as_str();
    let (_, after_scheme) = normal.split_once("://").expect("a scheme");
    let (host, path) = after_scheme.split_at(after_scheme.find('/').expect("a path"));
    assert!(!host.is_empty() && !host.contains(['@', '\\']) && host == host.to_ascii_lowercase() || host.contains('%'));
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)), "{normal}");
    assert!(!path.contains("/./") && !path.contains("/../"), "{normal}");
    assert!(!path.ends_with("/.") && !path.ends_with("/.."), "{normal}");
    // The slash of an empty path may be the one byte too many.
    if normal.len() <= MAX_URI_LEN {
        assert_eq!(TargetUri::parse(normal).as_ref(), Ok(target), "the normal form has another one");
    }
    for tail in ["?", "#", "?a=b#c"] {
        let longer = format!("{}{tail}", uri.split(['?', '#']).next().unwrap_or_default());
        if longer.len() <= MAX_URI_LEN {
            assert_eq!(TargetUri::parse(&longer).as_ref(), Ok(target), "query and fragment count");
        }
    }
    if let Ok(proof) = ProofBuilder::new("GET", uri).sign(&RUSTCRYPTO, &*KEY, NOW) {
        let proof = proof.into_string();
        assert_eq!(request(target).judge(proof.as_bytes()), Ok(()), "a proof we made is refused");
    }
}

/// A claim is compared with a target as the two are read.
fn check_claim(claim: &str, target: &TargetUri) {
    let htu = serde_json::to_string(claim).expect("a text");
    let claims = format!(r#"{{"jti":"a","htm":"GET","htu":{htu},"iat":{}}}"#, NOW.secs());
    let proof = sign(HEADER.as_bytes(), claims.as_bytes());
    if proof.len() > keybound::proof::MAX_PROOF_LEN {
        return;
    }
    let expected = match TargetUri::parse(claim) {
        Ok(claimed) if claimed == *target => Ok(()),
        Ok(_) => Err(Rejection::TargetMismatch),
        Err(error) => {
            let _: UriError = error;
            Err(Rejection::HtuMalformed)
        }
    };
    assert_eq!(request(target).judge(proof.as_bytes()), expected, "{claim:?} against {target}");
}

fn request(target: &TargetUri) -> Request<'_> {
    Request { target, token: None, ..resource() }
}
