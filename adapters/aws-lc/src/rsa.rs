//! PS256 to PS512 and RS256 to RS512.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaParameters, RsaPublicKeyComponents,
};
use keybound::Algorithm;
use keybound::crypto::PrivateKey;
use keybound::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use keybound::jose::algorithm::KeyType;
use keybound::jose::jwk::{PublicJwk, RsaBounds};
use keybound::jose::signature::Signature;

use crate::ecdsa::Prepared;

pub(crate) struct Rsa {
    algorithm: Algorithm,
    verification: &'static RsaParameters,
    signing: &'static dyn RsaEncoding,
}

pub(crate) const PS256: Rsa =
    Rsa { algorithm: Algorithm::Ps256, verification: &RSA_PSS_2048_8192_SHA256, signing: &RSA_PSS_SHA256 };
pub(crate) const PS384: Rsa =
    Rsa { algorithm: Algorithm::Ps384, verification: &RSA_PSS_2048_8192_SHA384, signing: &RSA_PSS_SHA384 };
pub(crate) const PS512: Rsa =
    Rsa { algorithm: Algorithm::Ps512, verification: &RSA_PSS_2048_8192_SHA512, signing: &RSA_PSS_SHA512 };
pub(crate) const RS256: Rsa =
    Rsa { algorithm: Algorithm::Rs256, verification: &RSA_PKCS1_2048_8192_SHA256, signing: &RSA_PKCS1_SHA256 };
pub(crate) const RS384: Rsa =
    Rsa { algorithm: Algorithm::Rs384, verification: &RSA_PKCS1_2048_8192_SHA384, signing: &RSA_PKCS1_SHA384 };
pub(crate) const RS512: Rsa =
    Rsa { algorithm: Algorithm::Rs512, verification: &RSA_PKCS1_2048_8192_SHA512, signing: &RSA_PKCS1_SHA512 };

impl VerifyAlgorithm for Rsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The core has checked the bounds; there is no curve to be on.
    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        key.rsa().map(drop).ok_or(InvalidKey)
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let (n, e) = key.rsa().ok_or(InvalidSignature)?;
        RsaPublicKeyComponents { n, e }.verify(self.verification, message, signature).map_err(|_| InvalidSignature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        let (n, e) = key.rsa().ok_or(InvalidKey)?;
        let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(self.verification).map_err(|_| InvalidKey)?;
        Ok(Box::new(Prepared(parsed)))
    }
}

impl SignAlgorithm for Rsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A key of 2048 bits, from aws-lc's own randomness: it takes no other for RSA.
    fn generate(&self, _random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| RandomUnavailable)?;
        let der = pair.as_der().map_err(|_| RandomUnavailable)?;
        PrivateKey::from_pkcs8_der(der.as_ref()).ok_or(RandomUnavailable)
    }

    fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
        if key.key_type() != KeyType::Rsa {
            return Err(InvalidKey);
        }
        let pair = RsaKeyPair::from_der(key.expose_bytes()).map_err(|_| InvalidKey)?;
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        let public = PublicJwk::from_rsa(&modulus, &exponent, RsaBounds::Up8192).map_err(|_| InvalidKey)?;
        Ok(Box::new(Loaded { algorithm: self.algorithm, pair, public, encoding: self.signing }))
    }
}

struct Loaded {
    algorithm: Algorithm,
    pair: RsaKeyPair,
    public: PublicJwk,
    encoding: &'static dyn RsaEncoding,
}

impl SigningKey for Loaded {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    /// The salt of PSS comes from aws-lc itself.
    fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(self.encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| SigningFailed)?;
        Ok(Signature::from_raw(self.algorithm, &signature)?)
    }
}
