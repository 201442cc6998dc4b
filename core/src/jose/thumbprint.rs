//! JWK thumbprints (RFC 7638).

use core::fmt;

use subtle::ConstantTimeEq;

use crate::base64url;

/// The SHA-256 thumbprint of a public key (RFC 7638 section 3): 32 bytes, written as 43 base64url characters.
///
/// This is what `cnf.jkt` of a bound token and `dpop_jkt` of an authorization request hold
/// (RFC 9449 sections 6 and 10). Comparison takes the same time wherever the first difference is.
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// A thumbprint from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the 43 base64url characters of a `jkt`.
    ///
    /// Padding, white space and other spellings of the same bytes give `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        base64url::decode_exact(text.as_bytes(), &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl core::hash::Hash for Thumbprint {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Thumbprint;
    use alloc::string::ToString;

    #[test]
    fn text_has_one_spelling() {
        let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(Thumbprint::parse(text).unwrap().to_string(), text);
        for wrong in [
            "",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J",
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I=",
            "0ZcOCORZNYy+DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ] {
            assert_eq!(Thumbprint::parse(wrong), None, "{wrong}");
        }
    }
}
