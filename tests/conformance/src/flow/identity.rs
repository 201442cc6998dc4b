//! ID tokens of the stories' server, signed with the key of RFC 7515 appendix A.3.

use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::{RUSTCRYPTO, base64url};
use serde_json::{Value, json};

use super::server::ISSUER;
use crate::raw;

const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fn key() -> SoftKey {
    SoftKey::from_jwk(KEY, &RUSTCRYPTO).expect("a key")
}

/// The server's key set.
///
/// # Panics
/// Never.
pub fn key_set() -> Value {
    let mut public: Value = serde_json::from_str(&key().public_key().to_json()).expect("JSON");
    public["kid"] = json!("id-1");
    json!({ "keys": [public] })
}

/// Claims of an ID token for the client `app`, with `more` in place of them or beside them; null removes one.
///
/// # Panics
/// If `more` is not an object.
pub fn claims(more: &Value) -> Value {
    let mut claims = json!({ "iss": ISSUER, "sub": "alice", "aud": "app", "iat": 1_700_000_000, "exp": 1_700_000_300 });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

/// These claims, signed.
pub fn signed(claims: &Value) -> String {
    raw::sign(&key(), &RUSTCRYPTO, r#"{"alg":"ES256","kid":"id-1"}"#, &claims.to_string())
}

/// The `at_hash` of an access token (OpenID Connect Core section 3.1.3.6).
pub fn at_hash(token: &str) -> String {
    base64url::encode(&RUSTCRYPTO.digest.sha256(&[token.as_bytes()])[..16])
}
