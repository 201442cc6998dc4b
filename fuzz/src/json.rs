//! `json`: the reader of headers, claims and keys against `serde_json`, kept to the same rules.

use keybound::base64url::encode;
use keybound::jose::jwk::{JwkError, PublicJwk};
use keybound::{ProofBuilder, RUSTCRYPTO, Rejection};

use crate::story::{HEADER, KEY, NOW, resource};
use crate::strict_json::is_strict_object;

/// Longer inputs would be refused for their size before anything reads them.
const MAX_LEN: usize = 8 * 1024;

/// As claims, as a header, as a key and as a claim's value, the input is read exactly if `serde_json` reads it.
pub fn json(data: &[u8]) {
    if data.len() > MAX_LEN {
        return;
    }
    let Some(expected) = is_strict_object(data) else { return };

    let unsigned = encode(&[0; 64]);
    let as_claims = format!("{}.{}.{unsigned}", encode(HEADER.as_bytes()), encode(data));
    let read = !matches!(
        resource().judge(as_claims.as_bytes()),
        Err(Rejection::ClaimsMalformed | Rejection::ClaimsDuplicate | Rejection::ClaimsTooComplex)
    );
    assert_eq!(read, expected, "as claims");

    let as_header = format!("{}.{}.{unsigned}", encode(data), encode(b"{}"));
    let read = !matches!(
        resource().judge(as_header.as_bytes()),
        Err(Rejection::HeaderMalformed | Rejection::HeaderDuplicate | Rejection::HeaderTooComplex)
    );
    assert_eq!(read, expected, "as header");

    let Ok(text) = std::str::from_utf8(data) else { return };
    if !expected {
        assert_eq!(PublicJwk::parse(text), Err(JwkError::Malformed), "as a key");
    }

    // A proof that carries it must be one that we read ourselves; the object around it counts as one level.
    let built = ProofBuilder::new("GET", "https://resource.example.org/protectedresource").claim_json("x", text);
    if let Ok(proof) = built.sign(&RUSTCRYPTO, &*KEY, NOW) {
        let proof = proof.into_string();
        if proof.len() <= keybound::proof::MAX_PROOF_LEN {
            let request = crate::story::Request { token: None, ..resource() };
            assert_eq!(request.judge(proof.as_bytes()), Ok(()), "a proof we made is refused");
        }
    } else {
        let wrapped = is_strict_object(format!(r#"{{"x":{text}}}"#).as_bytes());
        assert_ne!((expected, wrapped), (true, Some(true)), "a good claim is refused");
    }
}
