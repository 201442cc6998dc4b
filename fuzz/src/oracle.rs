//! A second opinion about proofs that were accepted: lenient readers must find in them what RFC 9449 asks for.

use base64ct::{Base64UrlUnpadded, Encoding};
use keybound::{RUSTCRYPTO, TargetUri};
use serde_json::Value;

use crate::story::Request;

/// Panics unless `proof` is, by other readers, a proof for `request`.
pub(crate) fn check_accepted(proof: &str, request: &Request<'_>) {
    let segments: Vec<&str> = proof.split('.').collect();
    let [header, claims, signature] = segments[..] else { panic!("accepted, but not three segments") };
    assert!(Base64UrlUnpadded::decode_vec(signature).is_ok(), "accepted, but the signature is not base64url");
    if let Some(header) = object(header) {
        assert_eq!(header["typ"], "dpop+jwt");
        assert!(header["alg"].as_str().is_some_and(|alg| alg != "none" && !alg.starts_with("HS")));
        assert!(header["jwk"].is_object() && header["jwk"].get("d").is_none() && header["jwk"].get("k").is_none());
        assert!(header.get("crit").is_none());
    }
    if let Some(claims) = object(claims) {
        check_claims(&claims, request);
    }
}

fn check_claims(claims: &Value, request: &Request<'_>) {
    let now = request.now.secs() as f64;
    // A float may round up to the next second, which an exact reader does not.
    let latest = now + 11.0;
    let number = |name: &str| claims.get(name).map(|value| value.as_f64().expect("a number").floor());
    assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
    assert_eq!(claims["htm"], request.method);
    let htu = claims["htu"].as_str().expect("htu is text");
    assert_eq!(TargetUri::parse(htu).as_ref(), Ok(request.target));
    assert!(number("iat").is_some_and(|iat| (now - 60.0..=latest).contains(&iat)));
    assert!(number("exp").is_none_or(|exp| exp > now));
    assert!(number("nbf").is_none_or(|nbf| nbf <= latest));
    if let Some(token) = request.token {
        let hash = RUSTCRYPTO.digest.sha256(&[token.as_bytes()]);
        assert_eq!(claims["ath"], Base64UrlUnpadded::encode_string(&hash));
    }
}

/// The object in a segment; none only where a number is too large for `serde_json`'s floats, which is no error.
fn object(segment: &str) -> Option<Value> {
    let json = Base64UrlUnpadded::decode_vec(segment).expect("accepted, but not base64url");
    match serde_json::from_slice::<Value>(&json) {
        Ok(value) => {
            assert!(value.is_object(), "accepted, but no object");
            Some(value)
        }
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(error) => panic!("accepted, but not JSON: {error}"),
    }
}
