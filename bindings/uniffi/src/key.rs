//! Keys in this process, and signatures by others.

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::plain::shown_by_methods;

/// A key in this process, for tools, tests and hosts without hardware keys. Its private part is shown by `danger` methods alone.
#[derive(Debug, uniffi::Object)]
#[uniffi::export(Display)]
pub struct Key(pub(crate) ffi::Key);

shown_by_methods!(Key { algorithm, thumbprint });

#[uniffi::export]
impl Key {
    /// A new key for an algorithm as JOSE names it, ES256 unless another is named.
    ///
    /// Throws misuse, if this build cannot sign with it.
    #[uniffi::constructor(default(algorithm = "ES256"))]
    pub fn generate(algorithm: &str) -> Result<Self, KeyboundError> {
        Ok(Self(ffi::Key::generate(algorithm, &CRYPTO)?))
    }

    /// A private JWK (RFC 7517). Without `algorithm` its own `alg` counts, else the usual one of its type.
    ///
    /// Throws misuse, if it cannot be used.
    #[uniffi::constructor(default(algorithm = None))]
    pub fn from_jwk(jwk: &str, algorithm: Option<String>) -> Result<Self, KeyboundError> {
        Ok(Self(ffi::Key::from_jwk(jwk, algorithm.as_deref(), &CRYPTO)?))
    }

    /// A private key in PEM: PKCS #8, SEC 1 or PKCS #1, without a password.
    ///
    /// Throws misuse, if it cannot be used.
    #[uniffi::constructor(default(algorithm = None))]
    pub fn from_pem(pem: &str, algorithm: Option<String>) -> Result<Self, KeyboundError> {
        Ok(Self(ffi::Key::from_pem(pem, algorithm.as_deref(), &CRYPTO)?))
    }

    /// A private key in DER: PKCS #8, SEC 1 or PKCS #1.
    ///
    /// Throws misuse, if it cannot be used.
    #[uniffi::constructor(default(algorithm = None))]
    pub fn from_der(der: Vec<u8>, algorithm: Option<String>) -> Result<Self, KeyboundError> {
        Ok(Self(ffi::Key::from_der(&der, algorithm.as_deref(), &CRYPTO)?))
    }

    /// Its algorithm as JOSE names it, for example `ES256`.
    pub fn algorithm(&self) -> String {
        self.0.algorithm().into()
    }

    /// The public part: a JWK (RFC 7517) with its required members alone.
    pub fn public_jwk(&self) -> String {
        self.0.public_jwk()
    }

    /// The SHA-256 thumbprint of the public part (RFC 7638): 43 characters of base64url.
    pub fn thumbprint(&self) -> String {
        self.0.thumbprint()
    }

    /// The signature of a message as JOSE has it (for ES256, R and S side by side: 64 bytes).
    ///
    /// Throws the host's fault, if there is no randomness.
    pub fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, KeyboundError> {
        Ok(self.0.sign(&message)?)
    }

    /// The private key as a JWK: a secret.
    ///
    /// Throws misuse, if the key cannot be written so.
    pub fn danger_private_jwk(&self) -> Result<String, KeyboundError> {
        Ok(self.0.danger_private_jwk()?)
    }

    /// The private key as PEM (PKCS #8): a secret.
    ///
    /// Throws misuse, if the key cannot be written so.
    pub fn danger_private_pem(&self) -> Result<String, KeyboundError> {
        Ok(self.0.danger_private_pem()?)
    }
}

/// How a signature is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum SignatureEncoding {
    /// As JOSE has it: for ECDSA, R and S side by side (RFC 7518 section 3.4).
    Raw,
    /// ECDSA in ASN.1 DER: what the Secure Enclave, Android's Keystore and Java's `Signature` give.
    Der,
}

impl SignatureEncoding {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Der => "der",
        }
    }
}

/// A signature by a key outside of this library.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Signature {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How they are written.
    pub encoding: SignatureEncoding,
}

/// The SHA-256 thumbprint (RFC 7638) of a public JWK: 43 characters of base64url.
///
/// Throws misuse, if it is no public key.
#[uniffi::export]
pub fn thumbprint(public_jwk: &str) -> Result<String, KeyboundError> {
    Ok(ffi::thumbprint(public_jwk, &CRYPTO)?)
}
