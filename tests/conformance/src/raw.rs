//! Proofs from raw text: header and claims exactly as written, properly signed.

use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::{Crypto, base64url};

use crate::{NOW, TOKEN, URL};

/// Signs `header` and `claims` as they stand.
///
/// # Panics
/// If the key does not sign.
pub fn sign(key: &SoftKey, crypto: &Crypto, header: &str, claims: &str) -> String {
    sign_segments(key, crypto, &base64url::encode(header.as_bytes()), &base64url::encode(claims.as_bytes()))
}

/// Signs two segments as they stand, encoded or not.
///
/// # Panics
/// If the key does not sign.
pub fn sign_segments(key: &SoftKey, crypto: &Crypto, header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    let input = SigningInput::new(key.algorithm(), message.as_bytes(), crypto.digest);
    let signature = key.sign(&input).expect("a signature");
    format!("{message}.{}", base64url::encode(signature.as_bytes()))
}

/// The header a proof of `key` has.
pub fn header(key: &SoftKey) -> String {
    header_with(key.algorithm().name(), &key.public_key().to_json())
}

/// A header with this `alg` and this text as `jwk`.
pub fn header_with(alg: &str, jwk: &str) -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"{alg}","jwk":{jwk}}}"#)
}

/// The claims of a proof for [`Request::resource`](crate::Request::resource), member by member, to be changed.
#[derive(Clone, Debug)]
pub struct Claims(Vec<(String, String)>);

impl Claims {
    /// The claims of a good proof made at [`NOW`].
    pub fn good(crypto: &Crypto) -> Self {
        let ath = base64url::encode(&crypto.digest.sha256(&[TOKEN.as_bytes()]));
        let text = |text: &str| format!("\"{text}\"");
        let members = [
            ("jti", text("e1j3V_bKic8-LAEB")),
            ("htm", text("GET")),
            ("htu", text(URL)),
            ("iat", NOW.to_string()),
            ("ath", text(&ath)),
        ];
        Self(members.into_iter().map(|(name, json)| (name.to_owned(), json)).collect())
    }

    /// Sets the member `name` to `json`, written as it stands; adds it if it is not there.
    #[must_use]
    pub fn with(mut self, name: &str, json: &str) -> Self {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, value)) => json.clone_into(value),
            None => self.0.push((name.to_owned(), json.to_owned())),
        }
        self
    }

    /// Adds a member at the end, even if its name is there already.
    #[must_use]
    pub fn and(mut self, name: &str, json: &str) -> Self {
        self.0.push((name.to_owned(), json.to_owned()));
        self
    }

    /// Leaves the member out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self
    }

    /// The JSON text.
    pub fn json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        format!("{{{}}}", members.join(","))
    }
}
