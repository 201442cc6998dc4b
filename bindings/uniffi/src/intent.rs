//! Intents: what a user agreed to, for one key (RFC 9396 bound by RFC 9449).

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::plain::{clock, unsigned};

/// The detail (a JSON object, RFC 9396) for one request: its method, its URL, and its body, or any body without one. A list of such
/// details is what a session request takes as `intent`.
#[uniffi::export(default(body = None))]
pub fn request_detail(method: &str, url: &str, body: Option<Vec<u8>>) -> String {
    ffi::request_detail(method, url, body.as_deref(), &CRYPTO)
}

/// Details, the key that may carry them out, and until when: for servers.
#[derive(Debug, uniffi::Object)]
pub struct Intent(ffi::Intent);

#[uniffi::export]
impl Intent {
    /// Declares an intent at the authorization server: `details` is a JSON array, `key` a thumbprint, `lifetime` seconds up to
    /// 3,600.
    ///
    /// Throws the peer's fault, if details or lifetime are none; misuse.
    #[uniffi::constructor(default(now = None))]
    pub fn declare(details: &str, key: &str, lifetime: i64, now: Option<i64>) -> Result<Self, KeyboundError> {
        let lifetime = unsigned("lifetime", lifetime)?;
        Ok(Self(ffi::Intent::declare(details, key, lifetime, &CRYPTO, clock(now))?))
    }

    /// The intent with the details that are granted, which lie within the declared ones.
    ///
    /// Throws the peer's fault, if they do not, or its time is over.
    #[uniffi::method(default(now = None))]
    pub fn grant(&self, granted: &str, now: Option<i64>) -> Result<Self, KeyboundError> {
        Ok(Self(self.0.grant(granted, clock(now))?))
    }

    /// Throws unless one of the details names this request, body included, for the key of its proof.
    #[uniffi::method(default(now = None))]
    pub fn permit(
        &self,
        method: &str,
        url: &str,
        body: Vec<u8>,
        key: &str,
        now: Option<i64>,
    ) -> Result<(), KeyboundError> {
        Ok(self.0.permits(method, url, &body, key, clock(now))?)
    }

    /// The details: a JSON array.
    pub fn details(&self) -> String {
        self.0.details()
    }

    /// The thumbprint of the key that may carry it out.
    pub fn key(&self) -> String {
        self.0.key()
    }

    /// Until when.
    pub fn expires_at(&self) -> i64 {
        self.0.expires_at()
    }
}
