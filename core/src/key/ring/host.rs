//! Where a ring's record and its keys are, as the host provides them: traits for hosts that block and for others.
//!
//! ```
//! use keybound::key::ring::{KeyRingRecord, KeyRingStore, Swap};
//! use std::cell::RefCell;
//!
//! /// A row of a table, as text.
//! struct Row(RefCell<Option<String>>);
//!
//! impl KeyRingStore for Row {
//!     type Error = Box<dyn std::error::Error>;
//!
//!     fn load(&self) -> Result<Option<KeyRingRecord>, Self::Error> {
//!         Ok(self.0.borrow().as_deref().map(KeyRingRecord::parse).transpose()?)
//!     }
//!
//!     fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Self::Error> {
//!         // A database does this in one statement or transaction.
//!         if self.load()?.map(|record| record.version()) != expected {
//!             return Ok(Swap::Conflict);
//!         }
//!         self.0.replace(Some(new.to_text()));
//!         Ok(Swap::Done)
//!     }
//! }
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, ready};

use super::{KeptKey, KeyRingRecord, RingKey};
use crate::jose::thumbprint::Thumbprint;

/// Where processes that share their keys keep the ring's record: a row of a database, a key in Redis, a file under
/// a lock.
///
/// *Security.* The record says which key signs and which keys are retired: who can write it can bring a retired
/// key back. It deserves the protection of the keys' own store.
pub trait KeyRingStore {
    /// The host's own error, passed through untouched.
    type Error;

    /// The record as last set; `None` if there never was one. [`KeyRingRecord::parse`] reads its text.
    ///
    /// It must see every [`compare_and_set`](Self::compare_and_set) that was done before: no replica that lags.
    ///
    /// # Errors
    /// The store's own. Of a text that is not a record as well: it is never overwritten.
    fn load(&self) -> Result<Option<KeyRingRecord>, Self::Error>;

    /// Stores `new` if the stored record has the version `expected` (`None`: if there is no record), in one
    /// atomic step. It is durable when this returns.
    ///
    /// # Errors
    /// The store's own. It may then have been done or not; the caller loads to find out.
    fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Self::Error>;
}

/// Where the keys of one ring are, for all processes that share it: an HSM, a folder, a service.
pub trait RingKeys {
    /// What the host signs with: a handle. An `Arc` lets threads sign while the ring is rotated.
    type Key;
    /// The host's own error, passed through untouched.
    type Error;

    /// Makes a key from fresh randomness, in the place where other processes find it. One that
    /// [`list`](Self::list) knows from other keys there: by a label with the name of the ring.
    ///
    /// # Errors
    /// The host's own. No key is left behind then.
    fn create(&self) -> Result<RingKey<Self::Key>, Self::Error>;

    /// Keeps what [`create`](Self::create) made, where that only made it in memory. It is called once the record names the key, so that
    /// no crash leaves one behind that nothing names. An HSM, which makes keys in their place, has nothing to do here.
    ///
    /// # Errors
    /// The host's own.
    fn keep(&self, key: &RingKey<Self::Key>) -> Result<(), Self::Error> {
        let _ = key;
        Ok(())
    }

    /// The key of a thumbprint; `None` only if it is certain that there is none.
    ///
    /// # Errors
    /// The host's own: it is out of reach, or locked. The key is not taken for lost then.
    fn find(&self, thumbprint: &Thumbprint) -> Result<Option<Self::Key>, Self::Error>;

    /// Deletes a key. One that is gone already is no error.
    ///
    /// # Errors
    /// The host's own.
    fn delete(&self, thumbprint: &Thumbprint) -> Result<(), Self::Error>;

    /// The keys that [`create`](Self::create) made for this ring, whether a record names them or not. Others are
    /// never among them: those that no record names are deleted. A host that cannot tell answers with none.
    ///
    /// # Errors
    /// The host's own.
    fn list(&self) -> Result<Vec<KeptKey>, Self::Error>;
}

/// What came of comparing and setting a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swap {
    /// The record is the new one.
    Done,
    /// The stored record was another one than expected, and still is.
    Conflict,
}

/// A [`KeyRingStore`] that is waited for: the same methods and the same contract.
pub trait AsyncKeyRingStore {
    /// As [`KeyRingStore::Error`](KeyRingStore::Error).
    type Error;

    /// As [`KeyRingStore::load`](KeyRingStore::load).
    fn load(&self) -> impl Future<Output = Result<Option<KeyRingRecord>, Self::Error>>;

    /// As [`KeyRingStore::compare_and_set`](KeyRingStore::compare_and_set).
    fn compare_and_set(
        &self,
        expected: Option<u64>,
        new: &KeyRingRecord,
    ) -> impl Future<Output = Result<Swap, Self::Error>>;
}

/// [`RingKeys`](RingKeys) that are waited for: the same methods and the same contract.
pub trait AsyncRingKeys {
    /// As [`RingKeys::Key`](RingKeys::Key).
    type Key;
    /// As [`RingKeys::Error`](RingKeys::Error).
    type Error;

    /// As [`RingKeys::create`](RingKeys::create).
    fn create(&self) -> impl Future<Output = Result<RingKey<Self::Key>, Self::Error>>;

    /// As [`RingKeys::keep`](RingKeys::keep).
    fn keep(&self, key: &RingKey<Self::Key>) -> impl Future<Output = Result<(), Self::Error>> {
        let _ = key;
        core::future::ready(Ok(()))
    }

    /// As [`RingKeys::find`](RingKeys::find).
    fn find(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<Option<Self::Key>, Self::Error>>;

    /// As [`RingKeys::delete`](RingKeys::delete).
    fn delete(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<(), Self::Error>>;

    /// As [`RingKeys::list`](RingKeys::list).
    fn list(&self) -> impl Future<Output = Result<Vec<KeptKey>, Self::Error>>;
}

/// A store or keys that block, in an asynchronous host: a [`MemoryKeyRing`](super::MemoryKeyRing), or an HSM that answers within a
/// millisecond. Its futures are ready when they are made.
#[derive(Clone, Copy, Default, Debug)]
pub struct Blocking<T>(pub T);

impl<T: KeyRingStore> AsyncKeyRingStore for Blocking<T> {
    type Error = T::Error;

    fn load(&self) -> impl Future<Output = Result<Option<KeyRingRecord>, T::Error>> {
        ready(self.0.load())
    }

    fn compare_and_set(
        &self,
        expected: Option<u64>,
        new: &KeyRingRecord,
    ) -> impl Future<Output = Result<Swap, T::Error>> {
        ready(self.0.compare_and_set(expected, new))
    }
}

impl<T: RingKeys> AsyncRingKeys for Blocking<T> {
    type Key = T::Key;
    type Error = T::Error;

    fn create(&self) -> impl Future<Output = Result<RingKey<T::Key>, T::Error>> {
        ready(self.0.create())
    }

    fn keep(&self, key: &RingKey<T::Key>) -> impl Future<Output = Result<(), T::Error>> {
        ready(self.0.keep(key))
    }

    fn find(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<Option<T::Key>, T::Error>> {
        ready(self.0.find(thumbprint))
    }

    fn delete(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<(), T::Error>> {
        ready(self.0.delete(thumbprint))
    }

    fn list(&self) -> impl Future<Output = Result<Vec<KeptKey>, T::Error>> {
        ready(self.0.list())
    }
}

macro_rules! by_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: KeyRingStore + ?Sized> KeyRingStore for $pointer {
            type Error = T::Error;

            fn load(&self) -> Result<Option<KeyRingRecord>, T::Error> {
                (**self).load()
            }

            fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, T::Error> {
                (**self).compare_and_set(expected, new)
            }
        }

        impl<T: RingKeys + ?Sized> RingKeys for $pointer {
            type Key = T::Key;
            type Error = T::Error;

            fn create(&self) -> Result<RingKey<T::Key>, T::Error> {
                (**self).create()
            }

            fn keep(&self, key: &RingKey<T::Key>) -> Result<(), T::Error> {
                (**self).keep(key)
            }

            fn find(&self, thumbprint: &Thumbprint) -> Result<Option<T::Key>, T::Error> {
                (**self).find(thumbprint)
            }

            fn delete(&self, thumbprint: &Thumbprint) -> Result<(), T::Error> {
                (**self).delete(thumbprint)
            }

            fn list(&self) -> Result<Vec<KeptKey>, T::Error> {
                (**self).list()
            }
        }

        impl<T: AsyncKeyRingStore + ?Sized> AsyncKeyRingStore for $pointer {
            type Error = T::Error;

            fn load(&self) -> impl Future<Output = Result<Option<KeyRingRecord>, T::Error>> {
                (**self).load()
            }

            fn compare_and_set(
                &self,
                expected: Option<u64>,
                new: &KeyRingRecord,
            ) -> impl Future<Output = Result<Swap, T::Error>> {
                (**self).compare_and_set(expected, new)
            }
        }

        impl<T: AsyncRingKeys + ?Sized> AsyncRingKeys for $pointer {
            type Key = T::Key;
            type Error = T::Error;

            fn create(&self) -> impl Future<Output = Result<RingKey<T::Key>, T::Error>> {
                (**self).create()
            }

            fn keep(&self, key: &RingKey<T::Key>) -> impl Future<Output = Result<(), T::Error>> {
                (**self).keep(key)
            }

            fn find(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<Option<T::Key>, T::Error>> {
                (**self).find(thumbprint)
            }

            fn delete(&self, thumbprint: &Thumbprint) -> impl Future<Output = Result<(), T::Error>> {
                (**self).delete(thumbprint)
            }

            fn list(&self) -> impl Future<Output = Result<Vec<KeptKey>, T::Error>> {
                (**self).list()
            }
        }
    )*};
}

by_pointer!(&T, Arc<T>);
