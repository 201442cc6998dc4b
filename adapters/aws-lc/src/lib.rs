//! Keybound's crypto provider on aws-lc-rs, of the same shape as the portable one.
//!
//! It signs with RSA, which the portable provider does not, and verifies ES256 several times faster. ECDSA and PSS
//! signatures are randomised.
//!
//! ```toml
//! [dependencies]
//! keybound = "0.1"
//! keybound-aws-lc = "0.1"
//! ```
//!
//! ```
//! use keybound::{Algorithm, Misuse, key::{Signer, soft::SoftKey}};
//! use keybound_aws_lc::AWS_LC;
//!
//! fn main() -> Result<(), Misuse> {
//!     let key = SoftKey::generate(Algorithm::Ps256, &AWS_LC)?;
//!     assert_eq!(key.algorithm(), Algorithm::Ps256);
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]

mod ecdsa;
mod ed25519;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
mod rsa;

use aws_lc_rs::{digest, hmac, rand};
use keybound::crypto::{Crypto, Digest, Mac, RandomUnavailable, SecureRandom, SignAlgorithm, VerifyAlgorithm};

/// The provider on aws-lc-rs, with its randomness.
pub const AWS_LC: Crypto =
    Crypto { digest: &Sha2, mac: &HmacSha256, random: &SystemRandom, verifiers: VERIFIERS, signers: SIGNERS };

const VERIFIERS: &[&dyn VerifyAlgorithm] = &[
    &ecdsa::ES256,
    &ed25519::ED25519,
    &ed25519::EDDSA,
    &rsa::PS256,
    &rsa::PS384,
    &rsa::PS512,
    &ecdsa::ES384,
    &ecdsa::ES512,
    &rsa::RS256,
    &rsa::RS384,
    &rsa::RS512,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_44,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_65,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_87,
];

const SIGNERS: &[&dyn SignAlgorithm] = &[
    &ecdsa::ES256,
    &ed25519::ED25519,
    &ed25519::EDDSA,
    &rsa::PS256,
    &rsa::PS384,
    &rsa::PS512,
    &ecdsa::ES384,
    &ecdsa::ES512,
    &rsa::RS256,
    &rsa::RS384,
    &rsa::RS512,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_44,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_65,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::ML_DSA_87,
];

struct Sha2;

impl Digest for Sha2 {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        hash(&digest::SHA256, parts)
    }

    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
        hash(&digest::SHA384, parts)
    }

    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64] {
        hash(&digest::SHA512, parts)
    }
}

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    // Each call into aws-lc costs as much as hashing a block, so short parts are joined first.
    let mut room = [0; 256];
    let value = match parts {
        [whole] => digest::digest(algorithm, whole),
        parts => match join(parts, &mut room) {
            Some(whole) => digest::digest(algorithm, whole),
            None => {
                let mut context = digest::Context::new(algorithm);
                parts.iter().for_each(|part| context.update(part));
                context.finish()
            }
        },
    };
    let mut out = [0; N];
    out.copy_from_slice(value.as_ref());
    out
}

/// The parts in one piece, if there is room.
fn join<'r>(parts: &[&[u8]], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length = 0_usize;
    for part in parts {
        let end = length.checked_add(part.len())?;
        room.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    room.get(..length)
}

struct HmacSha256;

impl Mac for HmacSha256 {
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        parts.iter().for_each(|part| context.update(part));
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        rand::fill(out).map_err(|_| RandomUnavailable)
    }
}
