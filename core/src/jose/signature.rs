//! Signatures in the form JOSE wants them, from what signers give.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;

use super::algorithm::{Algorithm, KeyType};

/// A signature in JOSE form: R and S side by side for ECDSA (RFC 7518 section 3.4), the plain bytes otherwise.
///
/// Which form a signer's bytes are in is declared by the constructor, never guessed.
#[derive(Clone)]
pub struct Signature {
    algorithm: Algorithm,
    bytes: Bytes,
}

/// The bytes, in place for elliptic curves.
#[derive(Clone)]
enum Bytes {
    Short([u8; 132], u8),
    Long(Vec<u8>),
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        let mut room = [0; 132];
        match (room.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(out), Ok(length)) => {
                out.copy_from_slice(bytes);
                Self::Short(room, length)
            }
            _ => Self::Long(bytes.to_owned()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(room, length) => room.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// Why bytes are no signature of the declared form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// The length is not the algorithm's: 64, 96 or 132 bytes for ES256, ES384 and ES512.
    Length,
    /// Not the DER form `SEQUENCE { INTEGER r, INTEGER s }` with minimal, positive integers that fit the curve.
    Der,
    /// DER was declared for an algorithm that is not ECDSA.
    NotEcdsa,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the signature does not have its algorithm's length; if the signer gives DER, use from_der",
            Self::Der => "the signature is not DER; if the signer gives R and S side by side, use from_raw",
            Self::NotEcdsa => "only ECDSA signatures have a DER form; use from_raw",
        })
    }
}

impl core::error::Error for SignatureError {}
debug_as_text!(SignatureError);

impl Signature {
    /// A signature whose bytes are already in JOSE form, as PKCS #11 and WebCrypto give them.
    ///
    /// # Errors
    /// [`SignatureError::Length`].
    pub fn from_raw(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, SignatureError> {
        let fits = match algorithm.signature_len() {
            Some(length) => bytes.len() == length,
            None => (256..=1024).contains(&bytes.len()),
        };
        if fits { Ok(Self { algorithm, bytes: Bytes::new(bytes) }) } else { Err(SignatureError::Length) }
    }

    /// An ECDSA signature in the DER form of X9.62, as Secure Enclave, Android Keystore and most KMS give it.
    ///
    /// # Errors
    /// [`SignatureError::Der`], [`SignatureError::NotEcdsa`].
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, SignatureError> {
        let length = match (algorithm.key_type(), algorithm.signature_len()) {
            (KeyType::P256 | KeyType::P384 | KeyType::P521, Some(length)) => length,
            _ => return Err(SignatureError::NotEcdsa),
        };
        let bytes = integers_from_der(der, length).ok_or(SignatureError::Der)?;
        Ok(Self { algorithm, bytes: Bytes::new(&bytes) })
    }

    /// The algorithm it was made with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes in JOSE form.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Signature {}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}, {} bytes)", self.algorithm, self.as_bytes().len())
    }
}

/// Whether `bytes` look like the DER form of an ECDSA signature: for explanations only.
#[cfg(feature = "dpop")]
pub(crate) fn looks_like_der(algorithm: Algorithm, bytes: &[u8]) -> bool {
    Signature::from_der(algorithm, bytes).is_ok()
}

fn integers_from_der(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (body, rest) = der_value(der, 0x30)?;
    let (r, body) = der_value(body, 0x02)?;
    let (s, end) = der_value(body, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut bytes = alloc::vec![0; length];
    let (r_out, s_out) = bytes.split_at_mut_checked(length / 2)?;
    for (integer, out) in [(r, r_out), (s, s_out)] {
        let digits = match integer {
            // Positive and in the fewest bytes: a leading zero only where the next bit is set.
            [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => digits,
            [first, ..] if (1..0x80).contains(first) => integer,
            _ => return None,
        };
        let start = out.len().checked_sub(digits.len())?;
        out.get_mut(start..)?.copy_from_slice(digits);
    }
    Some(bytes)
}

/// The content of one DER value with this tag, and what follows it. Lengths up to 255 bytes suffice for ECDSA.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, content) = match der {
        [found, 0x81, length, content @ ..] if *found == tag && *length >= 0x80 => (*length, content),
        [found, length, content @ ..] if *found == tag && *length < 0x80 => (*length, content),
        _ => return None,
    };
    content.split_at_checked(usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::{Signature, SignatureError};
    use crate::Algorithm::{Ed25519, Es256, Es512, Ps256};
    use alloc::vec;
    use alloc::vec::Vec;

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for integer in [r, s] {
            body.extend([2, u8::try_from(integer.len()).unwrap()]);
            body.extend(integer);
        }
        let mut der = vec![0x30];
        if body.len() > 127 {
            der.push(0x81);
        }
        der.push(u8::try_from(body.len()).unwrap());
        der.extend(body);
        der
    }

    #[test]
    fn der_becomes_fixed_length() {
        let signature = Signature::from_der(Es256, &der(&[1], &[0, 0x80, 7])).unwrap();
        assert_eq!(signature.as_bytes().len(), 64);
        assert_eq!(signature.as_bytes()[31], 1);
        assert_eq!(signature.as_bytes()[62..], [0x80, 7]);
        assert_eq!(Signature::from_der(Es512, &der(&[1; 66], &[1; 66])).unwrap().as_bytes(), [1; 132]);
    }

    #[test]
    fn other_der_is_refused() {
        for wrong in [
            vec![],
            der(&[], &[1]),
            der(&[0], &[1]),
            der(&[0, 1], &[1]),
            der(&[0x80], &[1]),
            der(&[1; 33], &[1]),
            [der(&[1], &[1]), vec![0]].concat(),
            vec![0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            vec![0x30, 7, 2, 1, 1, 2, 1, 1, 0],
            vec![0x31, 6, 2, 1, 1, 2, 1, 1],
        ] {
            assert_eq!(Signature::from_der(Es256, &wrong), Err(SignatureError::Der), "{wrong:?}");
        }
        assert_eq!(Signature::from_der(Ed25519, &der(&[1], &[1])), Err(SignatureError::NotEcdsa));
    }

    #[test]
    fn raw_has_the_length_of_the_algorithm() {
        assert!(Signature::from_raw(Es256, &[0; 64]).is_ok());
        assert!(Signature::from_raw(Ps256, &[0; 256]).is_ok());
        for (algorithm, length) in [(Es256, 63), (Es256, 70), (Es512, 128), (Ps256, 255), (Ps256, 1025)] {
            assert_eq!(Signature::from_raw(algorithm, &vec![1; length]), Err(SignatureError::Length));
        }
    }
}
