//! What a store deletes: abandoned logins, and keys that nothing names any more.

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::KeyboundError;
use crate::plain::{clock, signed, unsigned};
use crate::step::StoredValue;

/// Decides what a store deletes. It is told all that there is and then asked once; `KeyboundClient` does so for stores that can say
/// what they have.
#[derive(Debug, uniffi::Object)]
pub struct Sweep(ffi::Sweep);

/// What a store deletes.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Swept {
    /// Each of these, if it still has that version.
    pub slots: Vec<SweptSlot>,
    /// Then the keys with these thumbprints; one that is gone already is no error.
    pub keys: Vec<String>,
}

/// A slot to delete.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct SweptSlot {
    /// Which.
    pub slot: String,
    /// The version it had.
    pub version: i64,
}

crate::plain::shown!(SweptSlot { version });

#[uniffi::export]
impl Sweep {
    /// Begins one.
    #[uniffi::constructor(default(now = None))]
    pub fn new(now: Option<i64>) -> Self {
        Self(ffi::Sweep::new(&CRYPTO, clock(now)))
    }

    /// Tells of a stored value: of every session, login and registration. Without a value there is one that cannot be read; no key is
    /// deleted for having no name then. `stored_at` is when it was stored, where the store knows.
    ///
    /// Throws misuse after `finish`.
    #[uniffi::method(default(stored_at = None))]
    pub fn stored(&self, slot: &str, value: Option<StoredValue>, stored_at: Option<i64>) -> Result<(), KeyboundError> {
        let version = value.as_ref().map_or(Ok(0), |value| unsigned("version", value.version))?;
        Ok(self.0.stored(slot, version, value.as_ref().map(|value| value.value.as_str()), stored_at)?)
    }

    /// Tells of a key that the store made for these sessions, and when. Keys that a caller gave it are not told.
    ///
    /// Throws misuse, if the thumbprint is none, and after `finish`.
    pub fn key(&self, thumbprint: &str, created_at: i64) -> Result<(), KeyboundError> {
        Ok(self.0.key(thumbprint, created_at)?)
    }

    /// What to delete.
    ///
    /// Throws misuse the second time.
    pub fn finish(&self) -> Result<Swept, KeyboundError> {
        let keybound::oauth::Swept { slots, keys } = self.0.ended()?;
        let slot = |(slot, version)| SweptSlot { slot, version: signed(version) };
        Ok(Swept {
            slots: slots.into_iter().map(slot).collect(),
            keys: keys.into_iter().map(|key| key.to_string()).collect(),
        })
    }
}
