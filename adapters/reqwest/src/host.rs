//! What a client needs of its surroundings besides HTTP: keys, storage and locks.

use std::sync::Arc;

use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::{AlgorithmSet, Thumbprint, UnixTime};

/// Keys, storage and locks of a client. All calls may block; the asynchronous client makes them on threads for that.
pub trait Host: Send + Sync + 'static {
    /// Makes a key for one of `algorithms` in one of the places `protections`, and keeps it under its thumbprint.
    ///
    /// # Errors
    /// The host's own.
    fn create_key(&self, algorithms: AlgorithmSet, protections: &[KeyProtection]) -> Result<CreatedKey, HostError>;

    /// The key with this thumbprint.
    ///
    /// # Errors
    /// [`KeyFault`] says whether it is gone, another one, or cannot be used now.
    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault>;

    /// Deletes a key. One that is gone already is no error.
    ///
    /// # Errors
    /// The host's own.
    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError>;

    /// What is stored in `slot`.
    ///
    /// # Errors
    /// The host's own.
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError>;

    /// Stores `value` with `version`, or deletes what is there, if the stored version is `expected`. Durable when it returns.
    ///
    /// # Errors
    /// The host's own.
    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError>;

    /// Takes the lock `name`, waiting for other tasks and processes, for `lease` seconds at most. It is given back when the value
    /// is dropped. It is never taken from a holder that lives: a slow refresh and one beside it would use one refresh token twice,
    /// for which servers revoke both.
    ///
    /// # Errors
    /// [`LockTimeout`](crate::LockTimeout) if another held it all that time, else the host's own.
    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError>;

    /// The clock.
    fn now(&self) -> UnixTime {
        UnixTime::now()
    }
}
