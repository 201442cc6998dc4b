//! What a store deletes by itself: see `keybound::oauth::Sweep`.

use std::sync::{Mutex, PoisonError};

use keybound::json::Value;
use keybound::oauth::{Sweep as Core, Swept};
use keybound::{Crypto, UnixTime};

use crate::error::Error;
use crate::plain::parse_thumbprint;

/// Finds what a store can delete: expired logins and ended intents with their keys, and keys that nothing names.
///
/// It is told everything that is stored, one value at a time so that secrets do not pile up, and then says what has ended.
#[derive(Debug)]
pub struct Sweep(Mutex<Option<Core>>);

impl Sweep {
    /// Begins. `now` is the store's clock.
    pub fn new(crypto: &Crypto, now: i64) -> Self {
        Self(Mutex::new(Some(Core::new(crypto, UnixTime::from_secs(now)))))
    }

    /// Tells what is stored in `slot`, whose text after the slash may be any by which the store finds it again. No `value` is one
    /// that is there and cannot be read. `stored_at` is the time of its last change, where the store knows that.
    ///
    /// # Errors
    /// `already_used` after [`finish`](Self::finish).
    pub fn stored(&self, slot: &str, version: u64, value: Option<&str>, stored_at: Option<i64>) -> Result<(), Error> {
        self.tell(|core| core.stored(slot, version, value.map(str::as_bytes), stored_at.map(UnixTime::from_secs)))
    }

    /// Tells of a key that a `create_key` step made, and when. Keys that the user added are not told.
    ///
    /// # Errors
    /// Misuse, if it is not a thumbprint; `already_used` after [`finish`](Self::finish).
    pub fn key(&self, thumbprint: &str, created_at: i64) -> Result<(), Error> {
        let thumbprint = parse_thumbprint(thumbprint)?;
        self.tell(|core| core.key(thumbprint, UnixTime::from_secs(created_at)))
    }

    /// What can be deleted: `slots`, an array of objects with `slot` and `version`, and `keys`, an array of thumbprints.
    ///
    /// # Errors
    /// `already_used` a second time.
    pub fn finish(&self) -> Result<String, Error> {
        let Swept { slots, keys } = self.ended()?;
        let slot =
            |(slot, version): &(String, u64)| Value::object().with("slot", slot.as_str()).with("version", *version);
        let slots: Vec<Value> = slots.iter().map(slot).collect();
        let keys: Vec<Value> = keys.iter().map(|key| Value::from(key.to_string())).collect();
        Ok(Value::object().with("slots", slots).with("keys", keys).to_json())
    }

    /// The same as the core has it, for bindings with types of their own.
    ///
    /// # Errors
    /// `already_used` a second time.
    pub fn ended(&self) -> Result<Swept, Error> {
        let core = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(Error::already_used)?;
        Ok(core.finish())
    }

    fn tell(&self, say: impl FnOnce(&mut Core)) -> Result<(), Error> {
        let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        core.as_mut().map(say).ok_or_else(Error::already_used)
    }
}
