//! Private key material in the one form every provider takes.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::jose::algorithm::KeyType;

/// A private key in memory: zeroized when dropped, and never shown by `Debug`.
///
/// The bytes are the scalar of an elliptic curve key (32, 48 or 66 bytes, big-endian), the seed of an Ed25519 or
/// ML-DSA key (32 bytes), or an `RSAPrivateKey` in DER (RFC 8017 appendix A.1.2).
pub struct PrivateKey {
    key_type: KeyType,
    bytes: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// A private key from its bytes; `None` if their length is not that of the type.
    ///
    /// `bytes` are taken over and zeroized in any case.
    pub fn new(key_type: KeyType, bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let fits = match key_type {
            KeyType::P256 | KeyType::Ed25519 | KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => {
                bytes.len() == 32
            }
            KeyType::P384 => bytes.len() == 48,
            KeyType::P521 => bytes.len() == 66,
            KeyType::Rsa => !bytes.is_empty(),
        };
        fits.then_some(Self { key_type, bytes })
    }

    /// What kind of key this is.
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The secret bytes, for a provider to load.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, redacted)", self.key_type)
    }
}
