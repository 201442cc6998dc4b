//! What a server learned of a request that was verified, and the key that tokens are named by.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use zeroize::Zeroizing;

use crate::crypto::{Crypto, RandomUnavailable, SecureRandom, secret};
use crate::{Thumbprint, UnixTime};

/// The host's key for the HMAC that names tokens in audit records. It is overwritten when it is dropped, and `Debug` does not show it.
///
/// With one key on all servers, and for as long as records are compared, a token has one name. Who has the key and a `jti` finds its
/// records; who has only the records learns no `jti`.
pub struct AuditKey(Zeroizing<[u8; 32]>);

/// A secret of zeros, or the wrong number of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditKeyError;

impl AuditKey {
    /// A new key, for records that are compared within this process alone.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if `random` failed, or gave 32 zero bytes, which no working source does.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomUnavailable> {
        secret::drawn(random).map(Self)
    }

    /// The configured key: 32 bytes from a secure source. The caller's own copy is the caller's to overwrite.
    ///
    /// # Errors
    /// [`AuditKeyError`] unless they are 32 bytes, not all of them zero.
    pub fn from_secret(secret: &[u8]) -> Result<Self, AuditKeyError> {
        let mut copy = Zeroizing::new([0; 32]);
        if secret.len() != copy.len() {
            return Err(AuditKeyError);
        }
        copy.copy_from_slice(secret);
        if secret::is_zero(&copy) { Err(AuditKeyError) } else { Ok(Self(copy)) }
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey")
    }
}

impl fmt::Display for AuditKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key for audit records is 32 bytes, from a secure source")
    }
}

impl core::error::Error for AuditKeyError {}
debug_as_text!(AuditKeyError);

/// That a server keeps what it learns for records and metrics.
#[derive(Clone, Debug)]
pub struct Audit(Option<Arc<AuditKey>>);

impl Audit {
    /// Tokens are named by their HMAC under this key.
    pub fn with_key(key: AuditKey) -> Self {
        Self(Some(Arc::new(key)))
    }

    /// Tokens are not named.
    pub const fn without_key() -> Self {
        Self(None)
    }

    /// The name of a token that was verified.
    pub(crate) fn name_of(&self, crypto: &Crypto, jti: Option<&str>, token: &str) -> Option<[u8; 32]> {
        let key = self.0.as_ref()?.0.as_slice();
        Some(match jti {
            Some(jti) => crypto.mac.hmac_sha256(key, &[jti.as_bytes()]),
            None => crypto.mac.hmac_sha256(key, &[&crypto.digest.sha256(&[token.as_bytes()])]),
        })
    }
}

/// What a server learned of a request. Each part is there only once the signature it rests on was verified, or the authorization server
/// vouched for it when asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    client: Option<String>,
    thumbprint: Option<Thumbprint>,
    token: Option<[u8; 32]>,
    clock_offset: Option<i64>,
}

impl Facts {
    /// What a verified token says.
    pub(crate) fn of_token(client: Option<&str>, token: Option<[u8; 32]>) -> Self {
        Self { client: client.map(ToOwned::to_owned), token, ..Self::default() }
    }

    /// A client's own.
    #[cfg(feature = "audit")]
    pub(crate) fn of_client(client: &str, thumbprint: Option<Thumbprint>) -> Self {
        Self { thumbprint, ..Self::of_token(Some(client), None) }
    }

    /// Adds the key of a proof whose signature was verified, and how far its clock is from the server's.
    pub(crate) fn add_proof(&mut self, thumbprint: Thumbprint, issued_at: UnixTime, now: UnixTime) {
        self.thumbprint = Some(thumbprint);
        self.clock_offset = Some(issued_at.secs().saturating_sub(now.secs()));
    }

    /// The client that the token was issued to.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The key that made the proof.
    pub const fn thumbprint(&self) -> Option<Thumbprint> {
        self.thumbprint
    }

    /// The HMAC of the token's `jti`, or of its hash.
    pub const fn token(&self) -> Option<[u8; 32]> {
        self.token
    }

    /// The proof's `iat` minus the server's time, in seconds: below zero are transit and clocks that are behind.
    pub const fn clock_offset(&self) -> Option<i64> {
        self.clock_offset
    }
}
