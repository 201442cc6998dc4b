//! Making proofs, and remembering the nonces that servers give.

use std::sync::{Mutex, PoisonError};

use keybound::base64url;
use keybound::jose::signature::Signature;
use keybound::key::SignerError;
use keybound::nonce::Role;
use keybound::nonce::cache::NonceCache as Cache;
use keybound::proof::build::UnsignedProof;
use keybound::{Crypto, ProofBuilder, UnixTime};

use crate::error::{Error, Own};
use crate::key::{Key, public_key};
use crate::plain::{algorithm, one_of, parse_thumbprint};

/// The request that a proof is for.
#[derive(Clone, Copy)]
pub struct ProofRequest<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The absolute URL; query and fragment are left out of the proof (RFC 9449 section 4.2).
    pub url: &'a str,
    /// The access token that goes with it, without scheme; none at a token endpoint.
    pub access_token: Option<&'a str>,
    /// The server's latest nonce.
    pub nonce: Option<&'a str>,
}

impl ProofRequest<'_> {
    fn builder(&self) -> ProofBuilder<'_> {
        let mut builder = ProofBuilder::new(self.method, self.url);
        if let Some(token) = self.access_token {
            builder = builder.access_token(token);
        }
        if let Some(nonce) = self.nonce {
            builder = builder.nonce(nonce);
        }
        builder
    }
}

/// A proof by a key in this process: the value of the `DPoP` field, with a fresh `jti`.
///
/// # Errors
/// Misuse, if the request cannot be proved.
pub fn proof(request: &ProofRequest<'_>, key: &Key, crypto: &Crypto, now: i64) -> Result<String, Error> {
    let made = request.builder().sign(crypto, &key.soft, UnixTime::from_secs(now));
    made.map(|proof| proof.into_string()).map_err(|error| match error {
        SignerError::Misuse(misuse) => misuse.into(),
        error => Error::own(Own::SigningFailed, error.to_string()),
    })
}

/// A proof that an outside key has yet to sign.
///
/// # Errors
/// Misuse, if the request cannot be proved by this key.
pub fn prepare(
    request: &ProofRequest<'_>,
    public_jwk: &str,
    algorithm_name: &str,
    crypto: &Crypto,
    now: i64,
) -> Result<Unsigned, Error> {
    let mut random = [0; 16];
    crypto.random.fill(&mut random).map_err(|error| Error::own(Own::Random, error.to_string()))?;
    let (key, algorithm) = (public_key(public_jwk)?, algorithm(algorithm_name)?);
    let jti = base64url::encode(&random);
    let proof = request.builder().prepare(crypto, &key, algorithm, &jti, UnixTime::from_secs(now))?;
    let (message, digest) = (proof.message().to_vec(), proof.digest());
    Ok(Unsigned { message, digest, proof: Mutex::new(Some(proof)), crypto: *crypto })
}

/// A proof without its signature. One signature completes it.
pub struct Unsigned {
    message: Vec<u8>,
    digest: Option<Vec<u8>>,
    proof: Mutex<Option<UnsignedProof>>,
    crypto: Crypto,
}

impl Unsigned {
    /// What is to be signed: ASCII.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The message's digest by the algorithm's own hash, for signers that want that; none for Ed25519 and ML-DSA.
    pub fn digest(&self) -> Option<&[u8]> {
        self.digest.as_deref()
    }

    /// The finished proof. `encoding` says what the signer gives: `raw` or `der`. The signature is verified, where the build can.
    ///
    /// # Errors
    /// Misuse, if the signature does not fit, or on second use.
    pub fn attach(&self, signature: &[u8], encoding: &str) -> Result<String, Error> {
        let proof = self.proof.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(Error::already_used)?;
        let algorithm = proof.algorithm();
        let signature = decode_signature(algorithm, signature, encoding)?;
        let finished = match self.crypto.verifier(algorithm) {
            Some(_) => proof.attach_verified(signature, &self.crypto)?,
            None => proof.attach(signature)?,
        };
        Ok(finished.into_string())
    }
}

/// A signature in the encoding that its signer declares.
pub(crate) fn decode_signature(
    algorithm: keybound::Algorithm,
    bytes: &[u8],
    encoding: &str,
) -> Result<Signature, Error> {
    let raw = one_of("the encoding of a signature", encoding, &[("raw", true), ("der", false)])?;
    let read = if raw { Signature::from_raw(algorithm, bytes) } else { Signature::from_der(algorithm, bytes) };
    read.map_err(|error| Error::own(Own::SignatureMalformed, error.to_string()))
}

/// Which server a nonce is of: `resource` or `token`.
pub(crate) fn role(name: &str) -> Result<Role, Error> {
    one_of("a role", name, &[("resource", Role::ResourceServer), ("token", Role::AuthorizationServer)])
}

/// The nonces that servers gave, by origin, role and key: for callers who send requests themselves.
#[derive(Debug, Default)]
pub struct NonceCache(Mutex<Cache>);

impl NonceCache {
    /// An empty cache for 256 nonces.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what a response says: to be called with all its `DPoP-Nonce` values for every response, success included.
    ///
    /// # Errors
    /// The peer's fault, if there are two values or one is no nonce; the one known before stays.
    pub fn observe(&self, origin: &str, role_name: &str, thumbprint: &str, values: &[&[u8]]) -> Result<(), Error> {
        let (role, thumbprint) = (role(role_name)?, parse_thumbprint(thumbprint)?);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = cache.observe(origin, role, &thumbprint, values).map(|_| ());
        observed.map_err(|error| Error::own(Own::NonceMalformed, error.to_string()))
    }

    /// The nonce for the next proof.
    ///
    /// # Errors
    /// Misuse, if role or thumbprint are none.
    pub fn get(&self, origin: &str, role_name: &str, thumbprint: &str) -> Result<Option<String>, Error> {
        let (role, thumbprint) = (role(role_name)?, parse_thumbprint(thumbprint)?);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(cache.get(origin, role, &thumbprint).map(|nonce| nonce.as_str().into()))
    }
}
