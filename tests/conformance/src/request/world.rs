//! Whom the stories are about: issuers and clients with keys that everybody knows, their tokens and their proofs.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{RUSTCRYPTO, base64url};
use serde_json::{Map, Value, json};

use crate::{NOW, raw};

/// The resource of all stories.
pub const RESOURCE: &str = "https://api.example.com/";
/// What is asked for.
pub const URL: &str = "https://api.example.com/items";
/// Whose tokens are accepted.
pub const ISSUER: &str = "https://as.example.com";
/// Where its keys are.
pub const JWKS_URI: &str = "https://as.example.com/jwks";

/// The clock at the beginning.
pub const BEGIN: i64 = NOW.secs();

/// A key whose private half is in this file: never use it. What it signs is the same each time.
#[derive(Clone, Copy)]
pub struct KnownKey {
    /// Its name in the sets of issuers.
    pub kid: &'static str,
    x: &'static str,
    d: &'static str,
}

/// The key of the issuer.
pub const ISSUER_KEY: KnownKey = KnownKey {
    kid: "one",
    x: "pu42o0K5B-g_5JeSuLez0J4EizovBevFrz-QdIZTHzU",
    d: "eVZPX0LLfiSkMINEQ0K74B2w4xbOQQ_I7eKM7tjtPQw",
};
/// The key that the issuer has later.
pub const LATER_KEY: KnownKey = KnownKey {
    kid: "two",
    x: "WotYd1wF_13-lYiSjGnC9TCTpFdbLT5oe2mM9lL74uw",
    d: "MtuenT0qmmrdUNAFR-xXNiXJmBKz0oJ0bcRan6pusmQ",
};
/// The client's key: that of RFC 8037 A.1.
pub const CLIENT_KEY: KnownKey = KnownKey {
    kid: "client",
    x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
};

impl KnownKey {
    /// The key.
    ///
    /// # Panics
    /// Never: it is known to be one.
    pub fn key(self) -> SoftKey {
        let Self { x, d, .. } = self;
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "d": d, "alg": "Ed25519" });
        SoftKey::from_jwk(&jwk.to_string(), &RUSTCRYPTO).expect("a key")
    }

    /// Its public half as issuers publish it.
    pub fn published(self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid })
    }

    /// Its thumbprint.
    pub fn thumbprint(self) -> String {
        self.key().public_key().thumbprint(RUSTCRYPTO.digest).to_string()
    }

    /// A JWT.
    pub fn sign(self, header: &Value, claims: &Value) -> String {
        raw::sign(&self.key(), &RUSTCRYPTO, &header.to_string(), &claims.to_string())
    }

    /// An access token of the issuer, signed with this key.
    pub fn token(self, claims: &Value) -> String {
        self.sign(&json!({ "typ": "at+jwt", "alg": "Ed25519", "kid": self.kid }), claims)
    }

    /// A proof of this key with these claims, of [`proof_claims`] mostly, and the hash of this token.
    pub fn proof(self, claims: &Value, token: &str) -> String {
        let mut claims = claims.clone();
        claims["ath"] = json!(base64url::encode(&RUSTCRYPTO.digest.sha256(&[token.as_bytes()])));
        self.bare_proof(&claims)
    }

    /// A proof of this key with these claims.
    pub fn bare_proof(self, claims: &Value) -> String {
        let key: Value = serde_json::from_str(&self.key().public_key().to_json()).expect("a key is JSON");
        self.sign(&json!({ "typ": "dpop+jwt", "alg": "Ed25519", "jwk": key }), claims)
    }
}

/// A JWK set.
pub fn jwk_set(keys: &[KnownKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.published()).collect::<Vec<_>>() })
}

/// The claims of an access token that passes: bound to the client's key, good for five minutes.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "scope": "read", "iat": BEGIN, "exp": BEGIN + 300,
        "cnf": { "jkt": CLIENT_KEY.thumbprint() },
    })
}

/// An object with some members set; null takes a member out.
///
/// # Panics
/// If either is no object.
#[must_use]
pub fn with(object: &Value, members: &Value) -> Value {
    let mut object: Map<String, Value> = object.as_object().expect("an object").clone();
    for (name, value) in members.as_object().expect("an object") {
        match value {
            Value::Null => drop(object.shift_remove(name)),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
    object.into()
}

/// The claims of a proof for GET [`URL`] at this time.
pub fn proof_claims(jti: &str, now: i64) -> Value {
    json!({ "jti": jti, "htm": "GET", "htu": URL, "iat": now })
}

/// GET [`URL`] with these fields.
pub fn get(fields: &[(&str, &str)]) -> Value {
    json!({ "method": "GET", "url": URL, "fields": fields, "epoch": "1" })
}

/// GET [`URL`] with this token and a new proof of the client's.
pub fn bound(token: &str, jti: &str, now: i64) -> Value {
    proven(token, &CLIENT_KEY.proof(&proof_claims(jti, now), token))
}

/// GET [`URL`] with this token and this proof.
pub fn proven(token: &str, proof: &str) -> Value {
    get(&[("Authorization", &format!("DPoP {token}")), ("DPoP", proof)])
}

/// GET [`URL`] with this token alone.
pub fn bearer(token: &str) -> Value {
    get(&[("Authorization", &format!("Bearer {token}"))])
}
