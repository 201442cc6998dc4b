//! Keys that sign proofs: in this process, in hardware, or wherever the host keeps them.

pub mod checked;
pub mod private;
mod private_jwk;
mod private_pkcs8;
pub mod ring;
pub mod soft;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::Misuse;
use crate::crypto::{Digest, RandomUnavailable};
use crate::jose::algorithm::{Algorithm, HashFunction};
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::{Signature, SignatureError};

/// Something that signs with one key and one algorithm.
///
/// It offers "sign" and "public key" and nothing else: a key in hardware never has to leave it
/// (RFC 9449 section 11.4).
pub trait Signer {
    /// The algorithm it signs with.
    fn algorithm(&self) -> Algorithm;

    /// The public key that verifies its signatures.
    fn public_key(&self) -> &PublicJwk;

    /// Where the private key lives, as the host claims.
    fn protection(&self) -> KeyProtection;

    /// Signs `input`.
    ///
    /// PKCS #11 wants [`SigningInput::digest`] and gives raw bytes; WebCrypto wants
    /// [`SigningInput::message`] and gives raw bytes; Secure Enclave and Android Keystore give DER. Declare the form
    /// with [`Signature::from_raw`] or [`Signature::from_der`].
    ///
    /// # Errors
    /// [`SignerError`]; the host's own error passes through untouched.
    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError>;
}

/// What is to be signed: the message, and its digest for signers that want that.
#[derive(Clone, Copy)]
pub struct SigningInput<'a> {
    algorithm: Algorithm,
    message: &'a [u8],
    digest: &'static dyn Digest,
}

impl<'a> SigningInput<'a> {
    /// The input for signing `message` with `algorithm`.
    pub fn new(algorithm: Algorithm, message: &'a [u8], digest: &'static dyn Digest) -> Self {
        Self { algorithm, message, digest }
    }

    /// The algorithm to sign with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The message.
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// The message's digest by the algorithm's own hash: 32, 48 or 64 bytes; none for Ed25519 and ML-DSA.
    ///
    /// It is computed at each call, so signers that do not want it do not pay for it.
    pub fn digest(&self) -> Option<Vec<u8>> {
        let message = &[self.message];
        Some(match self.algorithm.hash()? {
            HashFunction::Sha256 => self.digest.sha256(message).to_vec(),
            HashFunction::Sha384 => self.digest.sha384(message).to_vec(),
            HashFunction::Sha512 => self.digest.sha512(message).to_vec(),
        })
    }
}

impl fmt::Debug for SigningInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningInput({}, {} bytes)", self.algorithm, self.message.len())
    }
}

/// Where a private key lives. There is no order among these: policies list the members they accept.
///
/// It is the host's claim, not attestation: no server decides by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum KeyProtection {
    /// In the memory of this process.
    Software,
    /// In a store of the operating system that may hand it out to this user.
    OsStore,
    /// A non-extractable `CryptoKey` of a browser.
    BrowserNonExtractable,
    /// A trusted execution environment.
    Tee,
    /// Android StrongBox.
    StrongBox,
    /// Apple's Secure Enclave.
    SecureEnclave,
    /// A hardware security module.
    Hsm,
    /// A key management service elsewhere.
    RemoteKms,
}

impl KeyProtection {
    /// Every place there is.
    pub const ALL: &'static [Self] = &[
        Self::Software,
        Self::OsStore,
        Self::BrowserNonExtractable,
        Self::Tee,
        Self::StrongBox,
        Self::SecureEnclave,
        Self::Hsm,
        Self::RemoteKms,
    ];

    /// The places a key at [`SecurityLevel::Maximum`](crate::SecurityLevel::Maximum) may live.
    pub const HARDWARE: &'static [Self] =
        &[Self::Tee, Self::StrongBox, Self::SecureEnclave, Self::Hsm, Self::RemoteKms];

    /// The stable name, for example `secure_enclave`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::OsStore => "os_store",
            Self::BrowserNonExtractable => "browser_non_extractable",
            Self::Tee => "tee",
            Self::StrongBox => "strong_box",
            Self::SecureEnclave => "secure_enclave",
            Self::Hsm => "hsm",
            Self::RemoteKms => "remote_kms",
        }
    }

    /// The place of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|protection| protection.name() == name)
    }
}

/// A signer could not sign.
#[non_exhaustive]
pub enum SignerError {
    /// The host's own error, untouched.
    Host(Box<dyn core::error::Error + Send + Sync>),
    /// The signer was used wrongly, or what it gave is no valid signature.
    Misuse(Misuse),
}

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::Misuse(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SignerError {}
debug_as_text!(SignerError);

impl From<Misuse> for SignerError {
    fn from(error: Misuse) -> Self {
        Self::Misuse(error)
    }
}

impl From<SignatureError> for SignerError {
    fn from(error: SignatureError) -> Self {
        Self::Misuse(error.into())
    }
}

impl From<RandomUnavailable> for SignerError {
    fn from(error: RandomUnavailable) -> Self {
        Self::Misuse(error.into())
    }
}

impl<S: Signer + ?Sized> Signer for &S {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn public_key(&self) -> &PublicJwk {
        (**self).public_key()
    }

    fn protection(&self) -> KeyProtection {
        (**self).protection()
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        (**self).sign(input)
    }
}
