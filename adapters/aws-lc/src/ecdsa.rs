//! ES256, ES384 and ES512.

use aws_lc_rs::agreement;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, ParsedPublicKey, UnparsedPublicKey,
};
use keybound::Algorithm;
use keybound::crypto::PrivateKey;
use keybound::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use keybound::jose::algorithm::KeyType;
use keybound::jose::jwk::PublicJwk;
use keybound::jose::signature::Signature;
use zeroize::Zeroizing;

pub(crate) struct Ecdsa {
    algorithm: Algorithm,
    verification: &'static EcdsaVerificationAlgorithm,
    signing: &'static EcdsaSigningAlgorithm,
    agreement: &'static agreement::Algorithm,
    scalar_len: usize,
    top_bits: u8,
}

pub(crate) const ES256: Ecdsa = Ecdsa {
    algorithm: Algorithm::Es256,
    verification: &ECDSA_P256_SHA256_FIXED,
    signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
    agreement: &agreement::ECDH_P256,
    scalar_len: 32,
    top_bits: 0xff,
};
pub(crate) const ES384: Ecdsa = Ecdsa {
    algorithm: Algorithm::Es384,
    verification: &ECDSA_P384_SHA384_FIXED,
    signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
    agreement: &agreement::ECDH_P384,
    scalar_len: 48,
    top_bits: 0xff,
};
pub(crate) const ES512: Ecdsa = Ecdsa {
    algorithm: Algorithm::Es512,
    verification: &ECDSA_P521_SHA512_FIXED,
    signing: &ECDSA_P521_SHA512_FIXED_SIGNING,
    agreement: &agreement::ECDH_P521,
    scalar_len: 66,
    top_bits: 0x01,
};

impl Ecdsa {
    fn parse(&self, key: &PublicJwk) -> Result<ParsedPublicKey, InvalidKey> {
        if key.key_type() != self.algorithm.key_type() {
            return Err(InvalidKey);
        }
        ParsedPublicKey::new(self.verification, key.ec_point().ok_or(InvalidKey)?).map_err(|_| InvalidKey)
    }

    /// The scalar's point, which also checks that it is in range.
    fn public_point(&self, scalar: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        let private = agreement::PrivateKey::from_private_key(self.agreement, scalar).map_err(|_| InvalidKey)?;
        Ok(private.compute_public_key().map_err(|_| InvalidKey)?.as_ref().to_vec())
    }
}

impl VerifyAlgorithm for Ecdsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        match (self.algorithm.key_type(), key.ec_point()) {
            // The same question to the portable crate costs a fifth of parsing here, and a stranger with fresh keys can
            // make a server ask it. The verification asks it again in its own way.
            (KeyType::P256, Some(point)) => p256::PublicKey::from_sec1_bytes(point).map(drop).map_err(|_| InvalidKey),
            _ => self.parse(key).map(drop),
        }
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let point = key.ec_point().ok_or(InvalidSignature)?;
        UnparsedPublicKey::new(self.verification, point).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        Ok(Box::new(Prepared(self.parse(key)?)))
    }
}

/// A key that aws-lc has parsed.
pub(crate) struct Prepared(pub(crate) ParsedPublicKey);

impl PreparedKey for Prepared {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.0.verify_sig(message, signature).map_err(|_| InvalidSignature)
    }
}

impl SignAlgorithm for Ecdsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
        // A candidate is out of range with probability below 2^-32: a source that fails this often does not work.
        for _ in 0..8 {
            let mut scalar = Zeroizing::new(vec![0; self.scalar_len]);
            random.fill(&mut scalar)?;
            if let Some(top) = scalar.first_mut() {
                *top &= self.top_bits;
            }
            if self.public_point(&scalar).is_ok() {
                return PrivateKey::new(self.algorithm.key_type(), scalar.to_vec()).ok_or(RandomUnavailable);
            }
        }
        Err(RandomUnavailable)
    }

    fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
        if key.key_type() != self.algorithm.key_type() {
            return Err(InvalidKey);
        }
        let scalar = key.expose_bytes();
        let point = self.public_point(scalar)?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(self.signing, scalar, &point).map_err(|_| InvalidKey)?;
        let public = PublicJwk::from_ec_point(&point).ok_or(InvalidKey)?;
        Ok(Box::new(Loaded { algorithm: self.algorithm, pair, public }))
    }
}

struct Loaded {
    algorithm: Algorithm,
    pair: EcdsaKeyPair,
    public: PublicJwk,
}

impl SigningKey for Loaded {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    /// The nonce of ECDSA comes from aws-lc itself.
    fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| SigningFailed)?;
        Ok(Signature::from_raw(self.algorithm, signature.as_ref())?)
    }
}
