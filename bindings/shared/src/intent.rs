//! Intents: what a user agreed to, for one key (RFC 9396 bound by RFC 9449).

use keybound::intent::{self, IntendedRequest};
use keybound::json::Value;
use keybound::{Crypto, UnixTime};

use crate::error::{Error, Own};
use crate::plain::parse_thumbprint;

/// Details, the key that may carry them out, and until when.
#[derive(Clone, Debug)]
pub struct Intent {
    core: intent::Intent,
    crypto: Crypto,
}

/// The detail (a JSON object) for one request: its method, its URL and its body, or any body without one.
pub fn request_detail(method: &str, url: &str, body: Option<&[u8]>, crypto: &Crypto) -> String {
    intent::request_detail(method, url, body, crypto.digest).to_json()
}

impl Intent {
    /// Declares an intent at the authorization server: `details` is a JSON array, `key` a thumbprint, `lifetime` seconds up to
    /// 3,600.
    ///
    /// # Errors
    /// The peer's fault, if details or lifetime are none; misuse.
    pub fn declare(details: &str, key: &str, lifetime: u64, crypto: &Crypto, now: i64) -> Result<Self, Error> {
        let key = parse_thumbprint(key)?;
        let core = intent::Intent::declare(array(details)?, key, lifetime, UnixTime::from_secs(now))?;
        Ok(Self { core, crypto: *crypto })
    }

    pub(crate) fn from_core(core: intent::Intent, crypto: &Crypto) -> Self {
        Self { core, crypto: *crypto }
    }

    /// The intent with the details that are granted, which lie within the declared ones.
    ///
    /// # Errors
    /// The peer's fault, if they do not, or its time is over.
    pub fn grant(&self, granted: &str, now: i64) -> Result<Self, Error> {
        Ok(Self { core: self.core.grant(array(granted)?, UnixTime::from_secs(now))?, crypto: self.crypto })
    }

    /// Whether one of the details names this request, body included, for the key of its proof.
    ///
    /// # Errors
    /// The defect.
    pub fn permits(&self, method: &str, url: &str, body: &[u8], key: &str, now: i64) -> Result<(), Error> {
        let request = IntendedRequest { method, url, body, key: parse_thumbprint(key)? };
        Ok(self.core.permits(&request, self.crypto.digest, UnixTime::from_secs(now))?)
    }

    /// The details, a JSON array.
    pub fn details(&self) -> String {
        self.core.details().to_json()
    }

    /// The thumbprint of the key that may carry it out.
    pub fn key(&self) -> String {
        self.core.key().to_string()
    }

    /// Until when.
    pub fn expires_at(&self) -> i64 {
        self.core.expires_at().secs()
    }
}

fn array(json: &str) -> Result<Value, Error> {
    let details = Value::parse_request(json.as_bytes());
    details
        .map_err(|_| Error::own(Own::NotJson, "authorization_details are a JSON array of at most 8 KiB and 256 values"))
}
