//! ES256, ES384 and ES512 with the crates p256, p384 and p521.

use alloc::boxed::Box;

use p256::ecdsa::signature::Signer as _;
use zeroize::Zeroizing;

use crate::crypto::PrivateKey;
use crate::crypto::{
    InvalidKey, InvalidSignature, PreparedKey, RandomUnavailable, SecureRandom, SignAlgorithm, SigningFailed,
    SigningKey, VerifyAlgorithm,
};
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;

macro_rules! curve {
    ($name:ident, $curve:ident, $bytes:literal, $top_bits:literal) => {
        pub(super) struct $name;

        impl VerifyAlgorithm for $name {
            fn algorithm(&self) -> Algorithm {
                Algorithm::$name
            }

            fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
                verifying_key::$curve(key).map(drop)
            }

            fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                PreparedKey::verify(&verifying_key::$curve(key).map_err(|_| InvalidSignature)?, message, signature)
            }

            fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
                Ok(Box::new(verifying_key::$curve(key)?))
            }
        }

        impl PreparedKey for $curve::ecdsa::VerifyingKey {
            fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                let signature = $curve::ecdsa::Signature::from_slice(signature).map_err(|_| InvalidSignature)?;
                $curve::ecdsa::signature::Verifier::verify(self, message, &signature).map_err(|_| InvalidSignature)
            }
        }

        impl SignAlgorithm for $name {
            fn algorithm(&self) -> Algorithm {
                Algorithm::$name
            }

            fn generate(&self, random: &dyn SecureRandom) -> Result<PrivateKey, RandomUnavailable> {
                // A candidate is out of range with probability below 2^-32, or one half for no curve: a source that
                // fails this often does not work.
                for _ in 0..8 {
                    let mut scalar = Zeroizing::new([0_u8; $bytes]);
                    random.fill(&mut *scalar)?;
                    let [first, ..] = &mut *scalar;
                    *first &= $top_bits;
                    if $curve::SecretKey::from_slice(&*scalar).is_ok() {
                        let key_type = Algorithm::$name.key_type();
                        return PrivateKey::new(key_type, scalar.to_vec()).ok_or(RandomUnavailable);
                    }
                }
                Err(RandomUnavailable)
            }

            fn load(&self, key: &PrivateKey) -> Result<Box<dyn SigningKey>, InvalidKey> {
                if key.key_type() != Algorithm::$name.key_type() {
                    return Err(InvalidKey);
                }
                let signing = $curve::ecdsa::SigningKey::from_slice(key.expose_bytes()).map_err(|_| InvalidKey)?;
                let point = signing.verifying_key().to_sec1_point(false);
                let public = PublicJwk::from_ec_point(point.as_bytes()).ok_or(InvalidKey)?;
                Ok(Box::new(Loaded { signing, public }))
            }
        }

        impl SigningKey for Loaded<$curve::ecdsa::SigningKey> {
            fn public_key(&self) -> &PublicJwk {
                &self.public
            }

            fn sign(&self, message: &[u8], _random: &dyn SecureRandom) -> Result<Signature, SigningFailed> {
                let signature: $curve::ecdsa::Signature = self.signing.try_sign(message).map_err(|_| SigningFailed)?;
                Ok(Signature::from_raw(Algorithm::$name, &signature.to_bytes())?)
            }
        }
    };
}

struct Loaded<K> {
    signing: K,
    public: PublicJwk,
}

mod verifying_key {
    use super::{InvalidKey, PublicJwk};

    macro_rules! from_jwk {
        ($curve:ident) => {
            pub(super) fn $curve(key: &PublicJwk) -> Result<$curve::ecdsa::VerifyingKey, InvalidKey> {
                let point = key.ec_point().ok_or(InvalidKey)?;
                $curve::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| InvalidKey)
            }
        };
    }

    from_jwk!(p256);
    from_jwk!(p384);
    from_jwk!(p521);
}

curve!(Es256, p256, 32, 0xff);
curve!(Es384, p384, 48, 0xff);
curve!(Es512, p521, 66, 0x01);
