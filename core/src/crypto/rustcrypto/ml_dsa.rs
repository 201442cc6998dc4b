//! ML-DSA-44, -65 and -87 (FIPS 204, RFC 9964) with the crate ml-dsa: deterministic, with an empty context.

use alloc::boxed::Box;

use ::ml_dsa::signature::{Keypair, Signer as _};
use ::ml_dsa::{B32, EncodedVerifyingKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::crypto::PrivateKey;
use crate::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;

macro_rules! parameter_set {
    ($name:ident) => {
        pub(super) struct $name;

        impl $name {
            fn verifying_key(key: &PublicJwk) -> Result<VerifyingKey<::ml_dsa::$name>, InvalidKey> {
                let encoded = key.ml_dsa().ok_or(InvalidKey)?;
                let encoded = EncodedVerifyingKey::<::ml_dsa::$name>::try_from(encoded).map_err(|_| InvalidKey)?;
                Ok(VerifyingKey::decode(&encoded))
            }
        }

        impl VerifyAlgorithm for $name {
            fn algorithm(&self) -> Algorithm {
                Algorithm::$name
            }

            fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
                // Every string of the right length is a public key (FIPS 204 algorithm 23).
                if key.key_type() == Algorithm::$name.key_type() { Ok(()) } else { Err(InvalidKey) }
            }

            fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                PreparedKey::verify(&Self::verifying_key(key).map_err(|_| InvalidSignature)?, message, signature)
            }

            fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
                Ok(Box::new(Self::verifying_key(key)?))
            }
        }

        impl PreparedKey for VerifyingKey<::ml_dsa::$name> {
            fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                let signature =
                    ::ml_dsa::Signature::<::ml_dsa::$name>::try_from(signature).map_err(|_| InvalidSignature)?;
                ::ml_dsa::signature::Verifier::verify(self, message, &signature).map_err(|_| InvalidSignature)
            }
        }

        impl SignAlgorithm for $name {
            fn algorithm(&self) -> Algorithm {
                Algorithm::$name
            }

            fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
                let mut seed = Zeroizing::new([0; 32]);
                random.fill(&mut *seed)?;
                PrivateKey::new(Algorithm::$name.key_type(), seed.to_vec()).ok_or(RandomUnavailable)
            }

            fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
                if key.key_type() != Algorithm::$name.key_type() {
                    return Err(InvalidKey);
                }
                let seed = Zeroizing::new(B32::try_from(key.expose_bytes()).map_err(|_| InvalidKey)?);
                let signing = ::ml_dsa::SigningKey::<::ml_dsa::$name>::from_seed(&seed);
                let public = PublicJwk::from_ml_dsa(&signing.verifying_key().encode()).ok_or(InvalidKey)?;
                Ok(Box::new(Loaded { signing, public }))
            }
        }

        impl SigningKey for Loaded<::ml_dsa::SigningKey<::ml_dsa::$name>> {
            fn public_key(&self) -> &PublicJwk {
                &self.public
            }

            fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
                let signature = self.signing.try_sign(message).map_err(|_| SigningFailed)?;
                Ok(Signature::from_raw(Algorithm::$name, &signature.encode())?)
            }
        }
    };
}

struct Loaded<K> {
    signing: K,
    public: PublicJwk,
}

parameter_set!(MlDsa44);
parameter_set!(MlDsa65);
parameter_set!(MlDsa87);
