//! Keys in this process.

use keybound::Crypto;
use keybound::jose::jwk::PublicJwk;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};

use crate::error::{Error, Own};
use crate::plain::algorithm;

/// A key that signs in this process. `Debug` shows no secret.
#[derive(Debug)]
pub struct Key {
    pub(crate) soft: SoftKey,
    crypto: Crypto,
}

impl Key {
    /// A new key for `algorithm`, for example `ES256`.
    ///
    /// # Errors
    /// Misuse, if the provider cannot sign with it.
    pub fn generate(name: &str, crypto: &Crypto) -> Result<Self, Error> {
        Ok(Self { soft: SoftKey::generate(algorithm(name)?, crypto)?, crypto: *crypto })
    }

    /// A private JWK (RFC 7517). Without `name` its own `alg` counts, else the usual one of its type.
    ///
    /// # Errors
    /// Misuse, if it cannot be used.
    pub fn from_jwk(json: &str, name: Option<&str>, crypto: &Crypto) -> Result<Self, Error> {
        Self::read(SoftKey::from_jwk(json, crypto)?, name, crypto)
    }

    /// A PKCS#8 private key in PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// Misuse, if it cannot be used.
    pub fn from_pem(pem: &str, name: Option<&str>, crypto: &Crypto) -> Result<Self, Error> {
        Self::read(SoftKey::from_pkcs8_pem(pem, crypto)?, name, crypto)
    }

    /// A PKCS#8 private key in DER.
    ///
    /// # Errors
    /// Misuse, if it cannot be used.
    pub fn from_der(der: &[u8], name: Option<&str>, crypto: &Crypto) -> Result<Self, Error> {
        Self::read(SoftKey::from_pkcs8_der(der, crypto)?, name, crypto)
    }

    #[cfg(feature = "files")]
    pub(crate) fn of(soft: SoftKey, crypto: &Crypto) -> Self {
        Self { soft, crypto: *crypto }
    }

    pub(crate) fn read(soft: SoftKey, name: Option<&str>, crypto: &Crypto) -> Result<Self, Error> {
        let soft = match name {
            Some(name) => soft.for_algorithm(algorithm(name)?, crypto)?,
            None => soft,
        };
        Ok(Self { soft, crypto: *crypto })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> &'static str {
        self.soft.algorithm().name()
    }

    /// Its public part: a JWK with the required members alone.
    pub fn public_jwk(&self) -> String {
        self.soft.public_key().to_json()
    }

    /// Its SHA-256 thumbprint (RFC 7638): 43 base64url characters.
    pub fn thumbprint(&self) -> String {
        self.soft.public_key().thumbprint(self.crypto.digest).to_string()
    }

    /// A signature as JOSE has it (RFC 7518 section 3.4: R and S side by side).
    ///
    /// # Errors
    /// The provider's failure.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let input = SigningInput::new(self.soft.algorithm(), message, self.crypto.digest);
        let signature = self.soft.sign(&input).map_err(|error| Error::own(Own::SigningFailed, error.to_string()))?;
        Ok(signature.as_bytes().to_vec())
    }

    /// The private key as JWK: a secret.
    ///
    /// # Errors
    /// Misuse, if this kind of key has no such form.
    pub fn danger_private_jwk(&self) -> Result<String, Error> {
        Ok(self.soft.to_jwk()?.expose().into())
    }

    /// The private key as PKCS#8 in PEM: a secret.
    ///
    /// # Errors
    /// Misuse, if this kind of key has no such form.
    pub fn danger_private_pem(&self) -> Result<String, Error> {
        Ok(self.soft.to_pkcs8_pem()?.expose().into())
    }
}

/// The SHA-256 thumbprint of a public JWK (RFC 7638), which is also what `cnf.jkt` and `dpop_jkt` hold.
///
/// # Errors
/// Misuse, if it is no public key for signatures.
pub fn thumbprint(jwk: &str, crypto: &Crypto) -> Result<String, Error> {
    Ok(public_key(jwk)?.thumbprint(crypto.digest).to_string())
}

/// A public key, as a JWK.
///
/// # Errors
/// Misuse, if it is none.
pub fn public_key(jwk: &str) -> Result<PublicJwk, Error> {
    PublicJwk::parse(jwk).map_err(|error| Error::own(Own::KeyUnusable, error.to_string()))
}
