//! PS256 to PS512 and RS256 to RS512 with the crate rsa: verification only.

use alloc::boxed::Box;

use ::rsa::sha2::{Digest, Sha256, Sha384, Sha512};
use ::rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};

use crate::crypto::{InvalidKey, InvalidSignature, PreparedKey, VerifyAlgorithm};
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;

pub(super) struct Rsa {
    algorithm: Algorithm,
    verify: VerifyFn,
}

type VerifyFn = fn(&RsaPublicKey, message: &[u8], signature: &[u8]) -> ::rsa::Result<()>;

pub(super) const PS256: Rsa = Rsa { algorithm: Algorithm::Ps256, verify: verify_pss::<Sha256> };
pub(super) const PS384: Rsa = Rsa { algorithm: Algorithm::Ps384, verify: verify_pss::<Sha384> };
pub(super) const PS512: Rsa = Rsa { algorithm: Algorithm::Ps512, verify: verify_pss::<Sha512> };
pub(super) const RS256: Rsa = Rsa { algorithm: Algorithm::Rs256, verify: verify_pkcs1::<Sha256> };
pub(super) const RS384: Rsa = Rsa { algorithm: Algorithm::Rs384, verify: verify_pkcs1::<Sha384> };
pub(super) const RS512: Rsa = Rsa { algorithm: Algorithm::Rs512, verify: verify_pkcs1::<Sha512> };

/// The salt is exactly as long as the hash (RFC 7518 section 3.5).
fn verify_pss<D>(key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> ::rsa::Result<()>
where
    D: 'static + Digest + ::rsa::sha2::digest::DynDigest + ::rsa::sha2::digest::FixedOutputReset + Send + Sync,
{
    key.verify(Pss::new_with_salt::<D>(<D as Digest>::output_size()), &D::digest(message), signature)
}

fn verify_pkcs1<D>(key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> ::rsa::Result<()>
where
    D: Digest + ::rsa::pkcs8::AssociatedOid,
{
    key.verify(Pkcs1v15Sign::new::<D>(), &D::digest(message), signature)
}

fn public_key(key: &PublicJwk) -> Result<RsaPublicKey, InvalidKey> {
    let (n, e) = key.rsa().ok_or(InvalidKey)?;
    RsaPublicKey::new_with_max_size(BigUint::from_bytes_be(n), BigUint::from_bytes_be(e), 8192).map_err(|_| InvalidKey)
}

impl VerifyAlgorithm for Rsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn validate(&self, key: &PublicJwk) -> Result<(), InvalidKey> {
        public_key(key).map(drop)
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = public_key(key).map_err(|_| InvalidSignature)?;
        (self.verify)(&key, message, signature).map_err(|_| InvalidSignature)
    }

    fn prepare(&self, key: &PublicJwk) -> Result<Box<dyn PreparedKey>, InvalidKey> {
        Ok(Box::new(Prepared { key: public_key(key)?, verify: self.verify }))
    }
}

struct Prepared {
    key: RsaPublicKey,
    verify: VerifyFn,
}

impl PreparedKey for Prepared {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(&self.key, message, signature).map_err(|_| InvalidSignature)
    }
}
