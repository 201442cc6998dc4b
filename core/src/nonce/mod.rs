//! Server-provided nonces (RFC 9449 sections 8 and 9): what one is, who issues it and who remembers it.
//!
//! A server that wants proofs to be fresh by its own clock hands out nonces with [`issuer::NonceIssuer`];
//! a client keeps the latest one of each server in a [`cache::NonceCache`].
//!
//! ```
//! use keybound::nonce::{Nonce, NonceError};
//!
//! let nonce = Nonce::from_fields(&[b"eyJ7S_zG.eyJH0-Z.HX4w-7v"])?.expect("one field");
//! assert_eq!(nonce.as_str(), "eyJ7S_zG.eyJH0-Z.HX4w-7v");
//! assert_eq!(Nonce::from_fields(&[b"a", b"b"]), Err(NonceError::Repeated));
//! assert_eq!(Nonce::from_fields(&[]), Ok(None));
//! # Ok::<(), NonceError>(())
//! ```

pub mod cache;
pub mod issuer;
mod keys;

use alloc::boxed::Box;
use core::fmt;

/// Which side of OAuth a server stands on. A nonce issued for one role is worthless in the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The authorization server: token, PAR and revocation endpoints.
    AuthorizationServer,
    /// A resource server: the protected API.
    ResourceServer,
}

/// The text of one nonce: 1 to 4096 of the characters RFC 9449 section 8.1 allows.
///
/// These are printable ASCII without space, `"` and `\`, so a nonce can be put into a header field and a JSON
/// string as it is. To a client the text means nothing beyond that. `Debug` shows no more than the first six
/// characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// The longest nonce that is accepted, in bytes.
    ///
    /// The RFC names no limit; this one keeps a server from filling the memory of its clients.
    pub const MAX_LEN: usize = 4096;

    /// How many characters `Debug` shows.
    const SHOWN: usize = 6;

    /// Reads the value of one `DPoP-Nonce` field, or of a `nonce` claim, without white space around it.
    ///
    /// # Errors
    /// [`NonceError::Empty`], [`NonceError::TooLong`] or [`NonceError::InvalidCharacter`]
    /// (RFC 9449 section 8.1).
    pub fn parse(value: &[u8]) -> Result<Self, NonceError> {
        Self::check(value).map(|text| Self(text.into()))
    }

    /// Checks what [`parse`](Self::parse) checks, and keeps nothing.
    pub(crate) fn check(value: &[u8]) -> Result<&str, NonceError> {
        if value.is_empty() {
            return Err(NonceError::Empty);
        }
        if value.len() > Self::MAX_LEN {
            return Err(NonceError::TooLong);
        }
        if !value.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(NonceError::InvalidCharacter);
        }
        core::str::from_utf8(value).map_err(|_| NonceError::InvalidCharacter)
    }

    /// Reads the `DPoP-Nonce` fields of one response, one slice for each field line; `None` if there is none.
    ///
    /// # Errors
    /// [`NonceError::Repeated`] if there is more than one (RFC 9449 section 8: at most one is allowed, and
    /// guessing which one counts would let an intermediary choose), else the errors of [`parse`](Self::parse).
    pub fn from_fields(fields: &[&[u8]]) -> Result<Option<Self>, NonceError> {
        match fields {
            [] => Ok(None),
            [value] => Self::parse(value).map(Some),
            _ => Err(NonceError::Repeated),
        }
    }

    /// The text, ready for a header field or a claim.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..Self::SHOWN) {
            Some(shown) if shown.len() < self.0.len() => write!(f, "Nonce({shown}…)"),
            _ => write!(f, "Nonce({})", self.0),
        }
    }
}

/// Why something is not a nonce.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NonceError {
    /// It has no characters.
    Empty,
    /// It is longer than [`Nonce::MAX_LEN`].
    TooLong,
    /// It has a character outside of %x21, %x23-5B and %x5D-7E, for example a space or a comma's folded list.
    InvalidCharacter,
    /// The response has more than one `DPoP-Nonce` field.
    Repeated,
}

impl fmt::Display for NonceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the nonce is empty",
            Self::TooLong => "the nonce is longer than 4096 bytes",
            Self::InvalidCharacter => "the nonce has a character that RFC 9449 section 8.1 does not allow",
            Self::Repeated => "the response has more than one DPoP-Nonce field",
        })
    }
}

impl core::error::Error for NonceError {}
debug_as_text!(NonceError);

#[cfg(test)]
mod tests {
    use super::{Nonce, NonceError};
    use alloc::{format, vec};

    #[test]
    fn only_the_characters_of_section_8_1_are_allowed() {
        for byte in 0..=u8::MAX {
            let allowed = (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
            assert_eq!(Nonce::parse(&[b'a', byte]).is_ok(), allowed, "{byte:#x}");
        }
        assert_eq!(Nonce::parse(b""), Err(NonceError::Empty));
        assert_eq!(Nonce::parse(b"one, two"), Err(NonceError::InvalidCharacter));
    }

    #[test]
    fn four_kibibytes_are_the_limit() {
        assert!(Nonce::parse(&vec![b'n'; 4096]).is_ok());
        assert_eq!(Nonce::parse(&vec![b'n'; 4097]), Err(NonceError::TooLong));
    }

    #[test]
    fn two_fields_are_an_error_even_if_they_agree() {
        assert_eq!(Nonce::from_fields(&[b"same", b"same"]), Err(NonceError::Repeated));
    }

    #[test]
    fn debug_shows_six_characters() {
        assert_eq!(format!("{:?}", Nonce::parse(b"0123456789").unwrap()), "Nonce(012345…)");
        assert_eq!(format!("{:?}", Nonce::parse(b"012345").unwrap()), "Nonce(012345)");
    }
}
