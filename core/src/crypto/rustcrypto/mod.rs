//! The portable provider: the crates of the RustCrypto and dalek projects.
//!
//! ECDSA signatures are deterministic (RFC 6979). RSA is verified only: the `rsa` crate's private key operations
//! have a known timing weakness and are never called.

mod ecdsa;
mod ed25519;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
mod rsa;

use ::hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Sha256, Sha384, Sha512};

#[cfg(feature = "std")]
use super::RandomUnavailable;
use super::{Crypto, Digest, Mac, SecureRandom, SignAlgorithm, VerifyAlgorithm};

/// The portable provider with the operating system's randomness.
#[cfg(feature = "std")]
pub const RUSTCRYPTO: Crypto = with_random(&SystemRandom);

/// The portable provider with a source of randomness of the host's own, for machines without an operating system.
pub const fn with_random(random: &'static dyn SecureRandom) -> Crypto {
    Crypto { digest: &Sha2, mac: &HmacSha256, random, verifiers: VERIFIERS, signers: SIGNERS }
}

/// ES256 and Ed25519 alone, which every client can do, for builds in which size counts: the others have twice the size of these.
pub const fn compact(random: &'static dyn SecureRandom) -> Crypto {
    Crypto { digest: &Sha2, mac: &HmacSha256, random, verifiers: COMPACT_VERIFIERS, signers: COMPACT_SIGNERS }
}

const COMPACT_VERIFIERS: &[&dyn VerifyAlgorithm] = &[&ecdsa::Es256, &ed25519::ED25519, &ed25519::EDDSA];
const COMPACT_SIGNERS: &[&dyn SignAlgorithm] = &[&ecdsa::Es256, &ed25519::ED25519, &ed25519::EDDSA];

const VERIFIERS: &[&dyn VerifyAlgorithm] = &[
    &ecdsa::Es256,
    &ed25519::ED25519,
    &ed25519::EDDSA,
    &rsa::PS256,
    &rsa::PS384,
    &rsa::PS512,
    &ecdsa::Es384,
    &ecdsa::Es512,
    &rsa::RS256,
    &rsa::RS384,
    &rsa::RS512,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa44,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa65,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa87,
];

const SIGNERS: &[&dyn SignAlgorithm] = &[
    &ecdsa::Es256,
    &ed25519::ED25519,
    &ed25519::EDDSA,
    &ecdsa::Es384,
    &ecdsa::Es512,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa44,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa65,
    #[cfg(feature = "ml-dsa")]
    &ml_dsa::MlDsa87,
];

struct Sha2;

impl Digest for Sha2 {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        hash::<Sha256, 32>(parts)
    }

    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
        hash::<Sha384, 48>(parts)
    }

    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64] {
        hash::<Sha512, 64>(parts)
    }
}

fn hash<D: sha2::Digest, const N: usize>(parts: &[&[u8]]) -> [u8; N]
where
    [u8; N]: From<sha2::digest::Output<D>>,
{
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

struct HmacSha256;

impl Mac for HmacSha256 {
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // A key longer than a block is replaced by its hash first (RFC 2104 section 2), so that every key fits.
        let hashed;
        let mut block = [0; 64];
        let key = if key.len() > block.len() {
            hashed = hash::<Sha256, 32>(&[key]);
            &hashed
        } else {
            key
        };
        for (slot, byte) in block.iter_mut().zip(key) {
            *slot = *byte;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        zeroize::Zeroize::zeroize(&mut block);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The operating system's randomness.
#[cfg(feature = "std")]
struct SystemRandom;

#[cfg(feature = "std")]
impl SecureRandom for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(out).map_err(|_| RandomUnavailable)
    }
}
