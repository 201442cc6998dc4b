//! Keys held in the memory of this process.

use alloc::boxed::Box;
use core::fmt;

use pkcs8::SecretDocument;
use pkcs8::der::pem::LineEnding;

use super::private::{SecretBytes, SecretText};
use super::{KeyProtection, Signer, SignerError, SigningInput, private_jwk, private_pkcs8};
use crate::Misuse;
use crate::crypto::{Crypto, PrivateKey, SecureRandom, SigningKey};
use crate::jose::algorithm::{Algorithm, KeyType};
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;

/// A private key in this process.
///
/// Whatever its source, the public part is recomputed from the private one and compared with what came along. The
/// secret is zeroized when dropped and `Debug` shows the public key alone. Where the platform can keep a key that
/// nobody can export, prefer that (RFC 9449 section 11.4).
///
/// ```
/// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
/// use keybound::{Algorithm, RUSTCRYPTO, key::{Signer, soft::SoftKey}};
/// let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
/// let again = SoftKey::from_jwk(key.to_jwk()?.expose(), &RUSTCRYPTO)?;
/// assert_eq!(key.public_key(), again.public_key());
/// # }
/// # Ok::<(), keybound::Misuse>(())
/// ```
pub struct SoftKey {
    algorithm: Algorithm,
    private: PrivateKey,
    signing: Box<dyn SigningKey>,
    random: &'static dyn SecureRandom,
}

impl SoftKey {
    /// Makes a new key for `algorithm`.
    ///
    /// # Errors
    /// [`Misuse::AlgorithmUnavailable`] if this build cannot sign with it, [`Misuse::Random`].
    pub fn generate(algorithm: Algorithm, crypto: &Crypto) -> Result<Self, Misuse> {
        let signer = crypto.signer(algorithm).ok_or(Misuse::AlgorithmUnavailable(algorithm))?;
        Self::load(signer.generate(crypto.random)?, algorithm, crypto)
    }

    /// Reads a private JWK. Its `alg` decides the algorithm; without one it is the usual one for its type of key
    /// (ES256, ES384, ES512, Ed25519, PS256, ML-DSA).
    ///
    /// # Errors
    /// [`Misuse::Key`], [`Misuse::PrivateKey`], [`Misuse::AlgorithmUnavailable`], [`Misuse::AlgorithmKey`].
    pub fn from_jwk(json: &str, crypto: &Crypto) -> Result<Self, Misuse> {
        let parsed = private_jwk::parse(json)?;
        let algorithm = parsed.algorithm.unwrap_or_else(|| usual_algorithm(parsed.private.key_type()));
        let key = Self::load(parsed.private, algorithm, crypto)?;
        if *key.public_key() == parsed.public { Ok(key) } else { Err(Misuse::PrivateKey) }
    }

    /// Reads a PKCS #8 `PrivateKeyInfo` in DER. The algorithm is the usual one for its type of key.
    ///
    /// # Errors
    /// As for [`from_jwk`](Self::from_jwk).
    pub fn from_pkcs8_der(der: &[u8], crypto: &Crypto) -> Result<Self, Misuse> {
        let (private, public) = private_pkcs8::parse(der)?;
        let algorithm = usual_algorithm(private.key_type());
        let key = Self::load(private, algorithm, crypto)?;
        match public {
            Some(public) if !is_encoding_of(&public, key.public_key()) => Err(Misuse::PrivateKey),
            _ => Ok(key),
        }
    }

    /// Reads a PKCS #8 `PRIVATE KEY` in PEM.
    ///
    /// # Errors
    /// As for [`from_jwk`](Self::from_jwk).
    pub fn from_pkcs8_pem(pem: &str, crypto: &Crypto) -> Result<Self, Misuse> {
        match SecretDocument::from_pem(pem) {
            Ok(("PRIVATE KEY", document)) => Self::from_pkcs8_der(document.as_bytes(), crypto),
            _ => Err(wrong_pem(pem)),
        }
    }

    /// The same key for another algorithm of its type, for example RS256 instead of PS256.
    ///
    /// # Errors
    /// [`Misuse::AlgorithmKey`], [`Misuse::AlgorithmUnavailable`].
    pub fn for_algorithm(self, algorithm: Algorithm, crypto: &Crypto) -> Result<Self, Misuse> {
        Self::load(self.private, algorithm, crypto)
    }

    fn load(private: PrivateKey, algorithm: Algorithm, crypto: &Crypto) -> Result<Self, Misuse> {
        if private.key_type() != algorithm.key_type() {
            return Err(Misuse::AlgorithmKey(algorithm));
        }
        let signer = crypto.signer(algorithm).ok_or(Misuse::AlgorithmUnavailable(algorithm))?;
        let signing = signer
            .load(&private)
            .map_err(|_| private_pkcs8::unsupported_rsa(&private).map_or(Misuse::PrivateKey, Misuse::PrivateKeyKind))?;
        Ok(Self { algorithm, private, signing, random: crypto.random })
    }

    /// The private key as a JWK with its `alg`.
    ///
    /// # Errors
    /// [`Misuse::PrivateKey`] if an RSA key has no standard form.
    pub fn to_jwk(&self) -> Result<SecretText, Misuse> {
        private_jwk::write(&self.private, self.public_key(), self.algorithm)
    }

    /// The private key as PKCS #8 in DER.
    ///
    /// # Errors
    /// [`Misuse::PrivateKey`] if the key has no standard form.
    pub fn to_pkcs8_der(&self) -> Result<SecretBytes, Misuse> {
        private_pkcs8::write(&self.private, self.public_key())
    }

    /// The private key as PKCS #8 in PEM.
    ///
    /// # Errors
    /// As for [`to_pkcs8_der`](Self::to_pkcs8_der).
    pub fn to_pkcs8_pem(&self) -> Result<SecretText, Misuse> {
        let der = self.to_pkcs8_der()?;
        let document = SecretDocument::try_from(der.expose()).map_err(|_| Misuse::PrivateKey)?;
        let mut pem = document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|_| Misuse::PrivateKey)?;
        Ok(SecretText::new(core::mem::take(&mut *pem)))
    }
}

/// Why a text is not a PKCS #8 private key in PEM. Nothing of it is shown.
fn wrong_pem(text: &str) -> Misuse {
    let Some((_, label)) = text.split_once("-----BEGIN ") else {
        return Misuse::PrivateKeyForm(
            "it has no line BEGIN PRIVATE KEY; if it is the path of a file, read the file and give what is in it",
        );
    };
    let label = label.split_once("-----").map_or("", |(label, _)| label);
    match label {
        "PRIVATE KEY" => Misuse::PrivateKey,
        "ENCRYPTED PRIVATE KEY" => Misuse::PrivateKeyForm(
            "it is encrypted; decrypt it first, for example with openssl pkey -in key.pem -out plain.pem",
        ),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            Misuse::PrivateKeyForm("it is a public key, which cannot sign; give the private one")
        }
        "CERTIFICATE" => Misuse::PrivateKeyForm("it is a certificate; give the private key that belongs to it"),
        "EC PRIVATE KEY" | "RSA PRIVATE KEY" => Misuse::PrivateKeyForm(
            "it is a key in an older form; convert it to PKCS #8 with openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem",
        ),
        _ => Misuse::PrivateKeyForm("its first line says something else than BEGIN PRIVATE KEY"),
    }
}

impl Signer for SoftKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &PublicJwk {
        self.signing.public_key()
    }

    fn protection(&self) -> KeyProtection {
        KeyProtection::Software
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        self.signing.sign(input.message(), self.random).map_err(|failed| SignerError::Host(Box::new(failed)))
    }
}

impl fmt::Debug for SoftKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftKey({}, {:?}, private part redacted)", self.algorithm, self.public_key())
    }
}

const fn usual_algorithm(key_type: KeyType) -> Algorithm {
    match key_type {
        KeyType::P256 => Algorithm::Es256,
        KeyType::P384 => Algorithm::Es384,
        KeyType::P521 => Algorithm::Es512,
        KeyType::Ed25519 => Algorithm::Ed25519,
        KeyType::Rsa => Algorithm::Ps256,
        KeyType::MlDsa44 => Algorithm::MlDsa44,
        KeyType::MlDsa65 => Algorithm::MlDsa65,
        KeyType::MlDsa87 => Algorithm::MlDsa87,
    }
}

fn is_encoding_of(encoded: &[u8], key: &PublicJwk) -> bool {
    let own = key.ec_point().or(key.ed25519().map(<[u8; 32]>::as_slice)).or(key.ml_dsa());
    own == Some(encoded)
}
