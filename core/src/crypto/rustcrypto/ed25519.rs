//! Ed25519, under its own name and as EdDSA, with the crate ed25519-dalek.

use alloc::boxed::Box;

use ed25519_dalek::{Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use crate::crypto::PrivateKey;
use crate::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use crate::jose::algorithm::{Algorithm, KeyType};
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;

pub(super) struct Ed25519(Algorithm);

pub(super) const ED25519: Ed25519 = Ed25519(Algorithm::Ed25519);
pub(super) const EDDSA: Ed25519 = Ed25519(Algorithm::EdDsa);

fn verifying_key(key: &PublicJwk) -> Result<VerifyingKey, InvalidKey> {
    VerifyingKey::from_bytes(key.ed25519().ok_or(InvalidKey)?).map_err(|_| InvalidKey)
}

impl VerifyAlgorithm for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        verifying_key(key).map(drop)
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        PreparedKey::verify(&verifying_key(key).map_err(|_| InvalidSignature)?, message, signature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        Ok(Box::new(verifying_key(key)?))
    }
}

impl PreparedKey for VerifyingKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
        // Keys of small order are refused before; so this equation and aws-lc's accept the same signatures.
        ed25519_dalek::Verifier::verify(self, message, &signature).map_err(|_| InvalidSignature)
    }
}

impl SignAlgorithm for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed)?;
        PrivateKey::new(KeyType::Ed25519, seed.to_vec()).ok_or(RandomUnavailable)
    }

    fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
        if key.key_type() != KeyType::Ed25519 {
            return Err(InvalidKey);
        }
        let seed = Zeroizing::new(<[u8; 32]>::try_from(key.expose_bytes()).map_err(|_| InvalidKey)?);
        let signing = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = PublicJwk::from_ed25519(signing.verifying_key().to_bytes()).map_err(|_| InvalidKey)?;
        Ok(Box::new(Loaded { algorithm: self.0, signing, public }))
    }
}

struct Loaded {
    algorithm: Algorithm,
    signing: ed25519_dalek::SigningKey,
    public: PublicJwk,
}

impl SigningKey for Loaded {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
        Ok(Signature::from_raw(self.algorithm, &self.signing.sign(message).to_bytes())?)
    }
}
