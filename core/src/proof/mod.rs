//! Proofs: their parts, and how they are made.

pub mod build;
pub(crate) mod claims;
pub mod target;

use alloc::string::String;
use core::fmt;

/// The name of the HTTP field that carries a proof, and of the authentication scheme and token type (RFC 9449 section 12).
pub const DPOP: &str = "DPoP";
/// The name of the HTTP field that carries a nonce (RFC 9449 section 8.1).
pub const DPOP_NONCE: &str = "DPoP-Nonce";
/// The value of `typ` in every proof (RFC 9449 section 4.2).
pub const TYP: &str = "dpop+jwt";
/// The longest proof that is made or judged, in bytes.
pub const MAX_PROOF_LEN: usize = 16 * 1024;
/// The longest `jti` that is made or judged, in bytes (RFC 9449 section 11.1).
pub const MAX_JTI_LEN: usize = 512;

/// A finished proof: the value of one `DPoP` field, good for one request.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof(String);

impl Proof {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The value to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value to send, taken out.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl AsRef<str> for Proof {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Shows the length only: until it was used, a proof is good for its request in anyone's hands.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({} bytes)", self.0.len())
    }
}
