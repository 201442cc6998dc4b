//! ML-DSA-44, -65 and -87 (FIPS 204, RFC 9964), with an empty context.

use aws_lc_rs::signature::{
    KeyPair, ML_DSA_44 as AWS_44, ML_DSA_44_SIGNING, ML_DSA_65 as AWS_65, ML_DSA_65_SIGNING, ML_DSA_87 as AWS_87,
    ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
    UnparsedPublicKey,
};
use keybound::Algorithm;
use keybound::crypto::PrivateKey;
use keybound::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use keybound::jose::jwk::PublicJwk;
use keybound::jose::signature::Signature;
use zeroize::Zeroizing;

use crate::ecdsa::Prepared;

pub(crate) struct MlDsa {
    algorithm: Algorithm,
    verification: &'static PqdsaVerificationAlgorithm,
    signing: &'static PqdsaSigningAlgorithm,
}

pub(crate) const ML_DSA_44: MlDsa =
    MlDsa { algorithm: Algorithm::MlDsa44, verification: &AWS_44, signing: &ML_DSA_44_SIGNING };
pub(crate) const ML_DSA_65: MlDsa =
    MlDsa { algorithm: Algorithm::MlDsa65, verification: &AWS_65, signing: &ML_DSA_65_SIGNING };
pub(crate) const ML_DSA_87: MlDsa =
    MlDsa { algorithm: Algorithm::MlDsa87, verification: &AWS_87, signing: &ML_DSA_87_SIGNING };

impl MlDsa {
    fn public_bytes<'k>(&self, key: &'k PublicJwk) -> Result<&'k [u8], InvalidKey> {
        key.ml_dsa().filter(|_| key.key_type() == self.algorithm.key_type()).ok_or(InvalidKey)
    }
}

impl VerifyAlgorithm for MlDsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Every string of the right length is a public key (FIPS 204 algorithm 23).
    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        self.public_bytes(key).map(drop)
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = self.public_bytes(key).map_err(|_| InvalidSignature)?;
        UnparsedPublicKey::new(self.verification, key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        let parsed = ParsedPublicKey::new(self.verification, self.public_bytes(key)?).map_err(|_| InvalidKey)?;
        Ok(Box::new(Prepared(parsed)))
    }
}

impl SignAlgorithm for MlDsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed)?;
        PrivateKey::new(self.algorithm.key_type(), seed.to_vec()).ok_or(RandomUnavailable)
    }

    fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
        if key.key_type() != self.algorithm.key_type() {
            return Err(InvalidKey);
        }
        let pair = PqdsaKeyPair::from_seed(self.signing, key.expose_bytes()).map_err(|_| InvalidKey)?;
        let public = PublicJwk::from_ml_dsa(pair.public_key().as_ref()).ok_or(InvalidKey)?;
        Ok(Box::new(Loaded { algorithm: self.algorithm, pair, public }))
    }
}

struct Loaded {
    algorithm: Algorithm,
    pair: PqdsaKeyPair,
    public: PublicJwk,
}

impl SigningKey for Loaded {
    fn public_key(&self) -> &PublicJwk {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
        let mut signature = vec![0; self.pair.algorithm().signature_len()];
        let length = self.pair.sign(message, &mut signature).map_err(|_| SigningFailed)?;
        signature.truncate(length);
        Ok(Signature::from_raw(self.algorithm, &signature)?)
    }
}
