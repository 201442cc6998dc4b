//! Keybound's own vectors: entries for every rejection and for faults seen elsewhere that no published proof covers.
//!
//! Everything here is a function of constants: the same bytes come out on every run.
//!
//! ```
//! let files = keybound_conformance::own::files();
//! assert!(files["own-accepted.json"].starts_with("[\n  {\n"));
//! ```

mod claims;
mod encoding;
mod explained;
mod header;
mod keys;
mod okp;
mod rsa;
mod state;
mod target;
mod time;
mod tokens;

use std::collections::BTreeMap;

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Crypto, RUSTCRYPTO, Rejection, base64url};
use serde_json::{Map, Value, json};

use crate::raw::{self, Claims};
use crate::{NOW, TOKEN, URL};

/// The key of RFC 7515 A.3 without its last brace: open for more members.
const P256: &str = concat!(
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
    r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#
);
const P256_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// The key of RFC 8037 A.1, likewise.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
const ED25519_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const CRYPTO: Crypto = RUSTCRYPTO;

/// The text of every file, by name.
pub fn files() -> BTreeMap<String, String> {
    let maker = Maker::new();
    let groups = [
        header::vectors,
        encoding::vectors,
        keys::vectors,
        okp::vectors,
        rsa::vectors,
        claims::vectors,
        target::vectors,
        time::vectors,
        state::vectors,
    ];
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for vector in groups.iter().flat_map(|group| group(&maker)) {
        files.entry(format!("own-{}.json", vector.file)).or_default().push(Value::Object(vector.entry));
    }
    let to_text = |file: Value| serde_json::to_string_pretty(&file).expect("values are JSON") + "\n";
    let mut files: BTreeMap<_, _> = files.into_iter().map(|(name, entries)| (name, to_text(entries.into()))).collect();
    let more = tokens::files(&maker).chain(explained::files(&maker));
    files.extend(more.map(|(name, file)| (name, to_text(file))));
    files
}

/// Makes proofs with published keys and deterministic signatures.
struct Maker {
    es256: SoftKey,
    ed25519: SoftKey,
}

impl Maker {
    fn new() -> Self {
        let read = |jwk: String| SoftKey::from_jwk(&jwk, &CRYPTO).expect("a published key");
        Self {
            es256: read(format!(r#"{P256},"d":"{P256_D}"}}"#)),
            ed25519: read(format!(r#"{ED25519},"d":"{ED25519_D}","alg":"EdDSA"}}"#)),
        }
    }

    /// Good claims, to be changed.
    fn claims(&self) -> Claims {
        Claims::good(&CRYPTO)
    }

    /// The header of a good ES256 proof.
    fn header(&self) -> String {
        raw::header(&self.es256)
    }

    /// A good header with `member` added.
    fn header_and(&self, member: &str) -> String {
        let header = self.header();
        format!("{},{member}}}", &header[..header.len() - 1])
    }

    fn good(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }

    /// ES256 over this header and these claims.
    fn sign(&self, header: &str, claims: &Claims) -> String {
        raw::sign(&self.es256, &CRYPTO, header, &claims.json())
    }

    fn sign_claims(&self, claims: &Claims) -> String {
        self.sign(&self.header(), claims)
    }

    /// Good claims under a header with this `jwk`.
    fn sign_jwk(&self, jwk: &str) -> String {
        self.sign(&raw::header_with("ES256", jwk), &self.claims())
    }

    /// Good claims under this header, signed with the Ed25519 key.
    fn sign_ed25519(&self, header: &str) -> String {
        raw::sign(&self.ed25519, &CRYPTO, header, &self.claims().json())
    }
}

/// One entry, and the file it goes to.
struct Vector {
    file: &'static str,
    entry: Map<String, Value>,
}

impl Vector {
    /// An entry to refuse. All but the proof is a good GET for the ES256 key, unless [`set`](Self::set).
    fn refused(id: &str, rejection: Rejection, proof: impl Into<Value>, reason: &str) -> Self {
        let vector = Self::new(rejection.check().name(), id, proof.into(), "reject", reason);
        vector.set("rejection", rejection.reason())
    }

    /// An entry to accept, with the same defaults.
    fn accepted(id: &str, proof: impl Into<Value>, reason: &str) -> Self {
        Self::new("accepted", id, proof.into(), "accept", reason)
    }

    fn new(file: &'static str, id: &str, proof: Value, expect: &str, reason: &str) -> Self {
        let entry = json!({
            "id": format!("own-{id}"),
            "source": "made for Keybound with the RFC 7515 A.3 P-256 key",
            "proof": proof,
            "method": "GET",
            "url": URL,
            "now": NOW.secs(),
            "access_token": TOKEN,
            "nonce": null,
            "jkt": thumbprint(&format!("{P256}}}")),
            "ath": base64url::encode(&CRYPTO.digest.sha256(&[TOKEN.as_bytes()])),
            "expect": expect,
            "reason": reason,
        });
        let Value::Object(entry) = entry else { unreachable!("written as one above") };
        Self { file, entry }
    }

    /// Sets a member, in its place if it is there.
    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.entry.insert(name.to_owned(), value.into());
        self
    }

    /// For another key than the usual one: its thumbprint, and where it comes from.
    fn of_key(self, jwk: &str, source: &str) -> Self {
        self.set("source", source).set("jkt", thumbprint(jwk))
    }
}

/// The thumbprint of any key, be it one that no parser here lets through.
fn thumbprint(jwk: &str) -> String {
    let jwk: BTreeMap<String, Value> = serde_json::from_str(jwk).expect("a key is a JSON object");
    let required = jwk.iter().filter(|(name, _)| ["crv", "e", "k", "kty", "n", "x", "y"].contains(&name.as_str()));
    let members: Vec<_> = required.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    base64url::encode(&CRYPTO.digest.sha256(&[format!("{{{}}}", members.join(",")).as_bytes()]))
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The public half of `key` as JSON.
fn public(key: &SoftKey) -> String {
    key.public_key().to_json()
}
