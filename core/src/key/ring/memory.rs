//! A ring's record in the memory of one process.
//!
//! ```
//! use keybound::key::ring::{KeyRingStore, MemoryKeyRing};
//!
//! assert_eq!(MemoryKeyRing::default().load(), Ok(None));
//! ```

use core::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use super::{KeyRingRecord, KeyRingStore, Swap};

/// A ring's record in memory, for keys that end with the process, and for tests. Clones are the same store.
#[derive(Clone, Default, Debug)]
pub struct MemoryKeyRing(Arc<Mutex<Option<KeyRingRecord>>>);

impl KeyRingStore for MemoryKeyRing {
    type Error = Infallible;

    fn load(&self) -> Result<Option<KeyRingRecord>, Infallible> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Infallible> {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if record.as_ref().map(KeyRingRecord::version) != expected {
            return Ok(Swap::Conflict);
        }
        *record = Some(new.clone());
        Ok(Swap::Done)
    }
}
