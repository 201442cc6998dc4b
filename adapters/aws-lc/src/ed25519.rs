//! Ed25519, under its own name and as EdDSA.

use aws_lc_rs::signature::{ED25519 as AWS_ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey, UnparsedPublicKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
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

use crate::ecdsa::Prepared;

pub(crate) struct Ed25519(Algorithm);

pub(crate) const ED25519: Ed25519 = Ed25519(Algorithm::Ed25519);
pub(crate) const EDDSA: Ed25519 = Ed25519(Algorithm::EdDsa);

impl VerifyAlgorithm for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    /// aws-lc looks at the point only when it verifies, so whether it is on the curve is asked of another crate.
    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        let point = CompressedEdwardsY(*key.ed25519().ok_or(InvalidKey)?);
        point.decompress().map(drop).ok_or(InvalidKey)
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = key.ed25519().ok_or(InvalidSignature)?;
        UnparsedPublicKey::new(&AWS_ED25519, key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        self.validate(key)?;
        let parsed = ParsedPublicKey::new(&AWS_ED25519, key.ed25519().ok_or(InvalidKey)?).map_err(|_| InvalidKey)?;
        Ok(Box::new(Prepared(parsed)))
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
        let pair = Ed25519KeyPair::from_seed_unchecked(key.expose_bytes()).map_err(|_| InvalidKey)?;
        let x = pair.public_key().as_ref().try_into().map_err(|_| InvalidKey)?;
        let public = PublicJwk::from_ed25519(x).map_err(|_| InvalidKey)?;
        Ok(Box::new(Loaded { algorithm: self.0, pair, public }))
    }
}

struct Loaded {
    algorithm: Algorithm,
    pair: Ed25519KeyPair,
    public: PublicJwk,
}

impl SigningKey for Loaded {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
        let signature = self.pair.try_sign(message).map_err(|_| SigningFailed)?;
        Ok(Signature::from_raw(self.algorithm, signature.as_ref())?)
    }
}
