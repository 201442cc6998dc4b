//! What a crypto provider offers: a plain struct of small capabilities, chosen by the application.
//!
//! [`RUSTCRYPTO`](crate::RUSTCRYPTO) is the portable provider; `keybound-aws-lc` has the same shape and is
//! what servers and native packages use.

mod private;
#[cfg(feature = "rustcrypto")]
pub mod rustcrypto;
#[cfg(feature = "dpop")]
pub(crate) mod secret;

use alloc::boxed::Box;
use core::fmt;

use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::{Signature, SignatureError};

pub use private::PrivateKey;

/// The capabilities that making and judging proofs need.
///
/// A provider is a constant of this type; an application may replace single members, for example the
/// source of randomness on a machine without an operating system.
#[derive(Clone, Copy)]
pub struct Crypto {
    /// SHA-2.
    pub digest: &'static dyn Digest,
    /// HMAC-SHA-256, for nonces.
    pub mac: &'static dyn Mac,
    /// Unpredictable bytes, for `jti`, keys and hash seeds.
    pub random: &'static dyn SecureRandom,
    /// One entry for each signature algorithm this build can verify.
    pub verifiers: &'static [&'static dyn VerifyAlgorithm],
    /// One entry for each signature algorithm this build can sign with a key in this process.
    pub signers: &'static [&'static dyn SignAlgorithm],
}

impl Crypto {
    /// The capability that verifies signatures of `algorithm`, if this build has it.
    pub fn verifier(&self, algorithm: Algorithm) -> Option<&'static dyn VerifyAlgorithm> {
        self.verifiers.iter().copied().find(|candidate| candidate.algorithm() == algorithm)
    }

    /// The capability that signs with keys of `algorithm` in this process, if this build has it.
    pub fn signer(&self, algorithm: Algorithm) -> Option<&'static dyn SignAlgorithm> {
        self.signers.iter().copied().find(|candidate| candidate.algorithm() == algorithm)
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms = self.verifiers.iter().map(|verifier| verifier.algorithm());
        f.debug_list().entries(algorithms).finish()
    }
}

/// The SHA-2 functions. Each hashes the concatenation of `parts`.
pub trait Digest: Send + Sync {
    /// SHA-256, 32 bytes.
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32];
    /// SHA-384, 48 bytes.
    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48];
    /// SHA-512, 64 bytes.
    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64];
}

/// A message authentication code.
pub trait Mac: Send + Sync {
    /// HMAC-SHA-256 (RFC 2104) of the concatenation of `parts` under `key`, 32 bytes.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];
}

/// A cryptographically secure source of random bytes.
pub trait SecureRandom: Send + Sync {
    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if the source failed; `out` must then not be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The source of randomness failed. Nothing was made with predictable bytes instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RandomUnavailable;

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of randomness failed")
    }
}

impl core::error::Error for RandomUnavailable {}
debug_as_text!(RandomUnavailable);

/// Verification of signatures of one algorithm.
pub trait VerifyAlgorithm: Send + Sync {
    /// Which algorithm.
    fn algorithm(&self) -> Algorithm;

    /// Checks that `key` is a valid point or modulus, beyond what its encoding already shows.
    ///
    /// The caller has checked encoding, lengths, the bounds of RSA and small-order Ed25519 points; what is
    /// left is whether the point lies on its curve (RFC 8725 section 3.4).
    ///
    /// # Errors
    /// [`InvalidKey`] if it does not.
    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey>;

    /// Checks `signature` (in JOSE form: R and S side by side for ECDSA) over `message`.
    ///
    /// # Errors
    /// [`InvalidSignature`] if it does not verify, the key does not fit the algorithm, or its point is not on the curve.
    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>;

    /// Prepares `key` for repeated use.
    ///
    /// # Errors
    /// [`InvalidKey`] as for [`validate`](Self::validate).
    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey>;
}

/// A public key whose parsing has been paid for once.
pub trait PreparedKey: Send + Sync {
    /// Checks `signature` over `message`, as [`VerifyAlgorithm::verify`] does.
    ///
    /// # Errors
    /// [`InvalidSignature`] if it does not verify.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>;
}

/// Signing with keys of one algorithm held in this process.
pub trait SignAlgorithm: Send + Sync {
    /// Which algorithm.
    fn algorithm(&self) -> Algorithm;

    /// Makes a new private key.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if `random` failed.
    fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable>;

    /// Prepares `key` for signing and recomputes its public part.
    ///
    /// # Errors
    /// [`InvalidKey`] if `key` is of another type or not a valid private key.
    fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey>;
}

/// A private key in this process, ready to sign.
pub trait SigningKey: Send + Sync {
    /// The public part, computed from the private one.
    fn public_key(&self) -> &PublicJwk;

    /// Signs `message`.
    ///
    /// # Errors
    /// [`SigningFailed`] if the provider failed, for example for want of randomness.
    fn sign(&self, message: &[u8], random: &dyn SecureRandom) -> Result<Signature, SigningFailed>;
}

/// The key is not a valid key of its algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidKey;

/// The signature does not verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidSignature;

/// The provider could not sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigningFailed;

impl From<SignatureError> for SigningFailed {
    fn from(_: SignatureError) -> Self {
        Self
    }
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key is not valid for its algorithm")
    }
}

impl fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provider could not sign")
    }
}

impl core::error::Error for InvalidKey {}
impl core::error::Error for InvalidSignature {}
impl core::error::Error for SigningFailed {}
