//! Making proofs, and remembering the nonces that servers give.

use std::sync::Arc;

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::key::{Key, Signature};
use crate::plain::{clock, field_bytes};

/// A proof by a key in this process: the value of the `DPoP` field (RFC 9449 section 4.2), with a fresh `jti`.
///
/// Method and URL are those of the request, as they are sent; query and fragment are left out of the proof, the path is kept byte
/// for byte. An access token goes with a request to a resource, without its scheme; the nonce is the server's latest.
///
/// Throws misuse, if the request cannot be proved.
#[uniffi::export(default(access_token = None, nonce = None, now = None))]
pub fn proof(
    method: &str,
    url: &str,
    key: &Arc<Key>,
    access_token: Option<String>,
    nonce: Option<String>,
    now: Option<i64>,
) -> Result<String, KeyboundError> {
    let request = ffi::ProofRequest { method, url, access_token: access_token.as_deref(), nonce: nonce.as_deref() };
    Ok(ffi::proof(&request, &key.0, &CRYPTO, clock(now))?)
}

/// A proof that a key outside of this library has yet to sign, for example one in hardware.
///
/// The public JWK is the key's public part, and the algorithm what it signs with; the rest is as for `proof`.
///
/// Throws misuse, if the request cannot be proved by this key.
#[uniffi::export(default(access_token = None, nonce = None, now = None))]
pub fn prepare(
    method: &str,
    url: &str,
    public_jwk: &str,
    algorithm: &str,
    access_token: Option<String>,
    nonce: Option<String>,
    now: Option<i64>,
) -> Result<UnsignedProof, KeyboundError> {
    let request = ffi::ProofRequest { method, url, access_token: access_token.as_deref(), nonce: nonce.as_deref() };
    Ok(UnsignedProof(ffi::prepare(&request, public_jwk, algorithm, &CRYPTO, clock(now))?))
}

/// A proof without its signature. One signature completes it.
#[derive(uniffi::Object)]
pub struct UnsignedProof(ffi::Unsigned);

#[uniffi::export]
impl UnsignedProof {
    /// What is to be signed: ASCII.
    pub fn message(&self) -> Vec<u8> {
        self.0.message().to_vec()
    }

    /// The message's digest by the algorithm's own hash, for signers that want that; none for Ed25519 and ML-DSA.
    pub fn digest(&self) -> Option<Vec<u8>> {
        self.0.digest().map(<[u8]>::to_vec)
    }

    /// The finished proof, its signature verified.
    ///
    /// Throws misuse, if the signature does not fit, or on second use.
    pub fn attach(&self, signature: Signature) -> Result<String, KeyboundError> {
        Ok(self.0.attach(&signature.bytes, signature.encoding.name())?)
    }
}

/// Which server a nonce is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum ServerRole {
    /// A resource (RFC 9449 section 9).
    Resource,
    /// The authorization server (RFC 9449 section 8).
    Token,
}

impl ServerRole {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Token => "token",
        }
    }
}

/// The nonces that servers gave, by origin, role and key, for those who send requests themselves. It holds 256.
#[derive(Debug, uniffi::Object)]
pub struct NonceCache(ffi::NonceCache);

#[uniffi::export]
impl NonceCache {
    /// An empty cache.
    #[uniffi::constructor]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(ffi::NonceCache::new())
    }

    /// Keeps what a response says: `values` are those of all its `DPoP-Nonce` fields. For every response, success included, under
    /// the origin that answered.
    ///
    /// Throws the peer's fault, if there are two values or one is no nonce; the one known before stays.
    pub fn observe(
        &self,
        origin: &str,
        role: ServerRole,
        thumbprint: &str,
        values: Vec<String>,
    ) -> Result<(), KeyboundError> {
        let values: Vec<Vec<u8>> = values.iter().map(|value| field_bytes(value)).collect();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        Ok(self.0.observe(origin, role.name(), thumbprint, &values)?)
    }

    /// The nonce for the next proof.
    ///
    /// Throws misuse, if the thumbprint is none.
    pub fn nonce(&self, origin: &str, role: ServerRole, thumbprint: &str) -> Result<Option<String>, KeyboundError> {
        Ok(self.0.get(origin, role.name(), thumbprint)?)
    }
}
