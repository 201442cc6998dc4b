//! Sessions and keys in a folder, and what other stores in folders have in common with it: folders and files for their owner alone,
//! locks, and names. Languages call it on threads for that, and wait for locks in their own way.

use std::path::Path;
use std::sync::Arc;

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::{Fault, KeyboundError};
use crate::key::Key;
use crate::plain::{clock, signed, unsigned};
use crate::step::{Protection, StoredValue};

/// A lock of the operating system on a file, held until it is released or the process ends.
#[derive(Debug, uniffi::Object)]
pub struct FileLock(ffi::FileLock);

#[uniffi::export]
impl FileLock {
    /// Gives the lock back; a second time does nothing.
    pub fn release(&self) {
        self.0.release();
    }
}

/// The files behind a `FileStore`: sessions and software keys in a folder that its owner alone can read. Calls read and write files
/// before they return.
#[derive(Debug, uniffi::Object)]
pub struct FileFolder(ffi::FileStore);

/// A key in a folder.
#[derive(Debug, uniffi::Enum)]
pub enum FiledKey {
    /// The key.
    Usable {
        /// It.
        key: Arc<Key>,
    },
    /// There is none any more.
    Missing,
    /// Another key is under its name.
    Changed,
    /// It cannot be read now.
    Unreadable {
        /// Why.
        detail: String,
    },
}

/// A stored value in a folder.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct FiledValue {
    /// Its slot.
    pub slot: String,
    /// Nothing, if it cannot be read.
    pub value: Option<StoredValue>,
    /// When it was written, in seconds since 1970.
    pub stored_at: i64,
}

crate::plain::shown!(FiledValue { stored_at });

/// A key that a flow had made, in a folder.
#[derive(Clone, Debug, uniffi::Record)]
pub struct FiledMark {
    /// Its thumbprint.
    pub thumbprint: String,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
}

#[uniffi::export]
impl FileFolder {
    /// Opens a folder, making it with mode 0700 if it is not there, and deletes what has ended in it.
    ///
    /// Throws misuse, if it is a link, another user's, or others can look into it; the host's fault `file`, if it cannot be made.
    #[uniffi::constructor]
    pub fn open(path: &str) -> Result<Self, KeyboundError> {
        Ok(Self(ffi::FileStore::open(Path::new(path), &CRYPTO, clock(None))?))
    }

    /// Keeps a key that the caller has. No sweep deletes it.
    ///
    /// Throws the host's fault `file`.
    pub fn add_key(&self, key: &Key) -> Result<(), KeyboundError> {
        Ok(self.0.add_key(&key.0)?)
    }

    /// Makes a key for one of these algorithms, if it may live in software. One that is marked is deleted by a sweep once nothing names it.
    ///
    /// Throws misuse, if no such key can be made; the host's fault `file`.
    pub fn create_key(
        &self,
        algorithms: Vec<String>,
        protections: Vec<Protection>,
        is_marked: bool,
    ) -> Result<Key, KeyboundError> {
        let protections: Vec<String> = protections.into_iter().map(|place| place.core().name().into()).collect();
        if is_marked {
            return Ok(Key(self.0.create_key(&algorithms, &protections, clock(None))?));
        }
        let key = ffi::Key::generate_for(&algorithms, &protections, &CRYPTO)?;
        self.0.add_key(&key)?;
        Ok(Key(key))
    }

    /// The key with this thumbprint, for this algorithm.
    pub fn key(&self, thumbprint: &str, algorithm: &str) -> FiledKey {
        match self.0.key(thumbprint, Some(algorithm)) {
            Ok(key) => FiledKey::Usable { key: Arc::new(Key(key)) },
            Err(unusable) => match unusable.fault {
                "missing" => FiledKey::Missing,
                "changed" => FiledKey::Changed,
                _ => FiledKey::Unreadable { detail: unusable.detail },
            },
        }
    }

    /// Deletes a key. One that is gone already is no error.
    ///
    /// Throws the host's fault `file`.
    pub fn delete_key(&self, thumbprint: &str) -> Result<(), KeyboundError> {
        Ok(self.0.delete_key(thumbprint)?)
    }

    /// The names of all stored sessions, in order.
    ///
    /// Throws the host's fault `file`.
    pub fn sessions(&self) -> Result<Vec<String>, KeyboundError> {
        Ok(self.0.sessions()?)
    }

    /// What is stored in a slot.
    ///
    /// Throws the host's fault `file`, also for a file of another program.
    pub fn load(&self, slot: &str) -> Result<Option<StoredValue>, KeyboundError> {
        Ok(self.0.load(slot)?.map(stored))
    }

    /// Stores a value durably, or deletes it, if the stored version is `expected`: whether it was. Nothing, while another task or process
    /// changes the slot.
    ///
    /// Throws the host's fault `file`.
    pub fn try_save(
        &self,
        slot: &str,
        expected: Option<i64>,
        version: i64,
        value: Option<String>,
    ) -> Result<Option<bool>, KeyboundError> {
        let expected = expected.map(|expected| unsigned("expected", expected)).transpose()?;
        Ok(self.0.try_save(slot, expected, unsigned("version", version)?, value.as_deref())?)
    }

    /// Takes a lock; nothing, while another task or process has it.
    ///
    /// Throws the host's fault `file`.
    pub fn try_lock(&self, name: &str) -> Result<Option<Arc<FileLock>>, KeyboundError> {
        Ok(self.0.try_lock(name)?.map(|lock| Arc::new(FileLock(lock))))
    }

    /// All stored values.
    ///
    /// Throws the host's fault `file`.
    pub fn values(&self) -> Result<Vec<FiledValue>, KeyboundError> {
        let value = |found: ffi::FoundValue| FiledValue {
            slot: found.slot,
            value: found.stored.map(stored),
            stored_at: found.stored_at,
        };
        Ok(self.0.values()?.into_iter().map(value).collect())
    }

    /// The keys that were made marked.
    ///
    /// Throws the host's fault `file`.
    pub fn made(&self) -> Result<Vec<FiledMark>, KeyboundError> {
        let mark = |(thumbprint, created_at)| FiledMark { thumbprint, created_at };
        Ok(self.0.made()?.into_iter().map(mark).collect())
    }
}

fn stored((version, value): (u64, String)) -> StoredValue {
    StoredValue { version: signed(version), value }
}

/// Makes a folder for secrets, with mode 0700, or checks the one that is there: it is a folder and not a link to one, it belongs to
/// the user that this process acts as, and no one else may look into it.
///
/// Throws misuse, whose detail says what to do; the host's fault `file`, if it cannot be made.
#[uniffi::export]
pub fn private_folder(path: &str) -> Result<(), KeyboundError> {
    Ok(ffi::private_folder(Path::new(path))?)
}

/// The bytes of a file, at most 4 MiB; nothing, if there is no file.
///
/// Throws the host's fault `file`, also for a link.
#[uniffi::export]
pub fn private_file(path: &str) -> Result<Option<Vec<u8>>, KeyboundError> {
    Ok(ffi::private_file(Path::new(path))?)
}

/// Replaces a file in a folder as a whole, durably, with mode 0600.
///
/// Throws the host's fault `file`.
#[uniffi::export]
pub fn replace_private_file(folder: &str, name: &str, bytes: Vec<u8>) -> Result<(), KeyboundError> {
    Ok(ffi::replace_private_file(Path::new(folder), name, &bytes)?)
}

/// Takes the lock on a file, made with mode 0600 if it is not there; none, if another has it, in this process or another. A link
/// in the file's place is not followed.
///
/// Throws the host's fault `file`, if the file cannot be opened.
#[uniffi::export]
pub fn try_lock_file(path: &str) -> Result<Option<Arc<FileLock>>, KeyboundError> {
    Ok(ffi::FileLock::try_take(Path::new(path))?.map(|lock| Arc::new(FileLock(lock))))
}

/// What a store throws, as the host's, that has waited for a lock for its whole lease: `lock_timeout`.
///
/// A lock is never taken from a holder that is merely slow: two who refresh with one token end the session.
#[uniffi::export]
pub fn lock_timeout(lease: i64) -> Fault {
    let detail = format!("another task or process has held this session's lock for {lease} s; try again later");
    Fault { reason: "lock_timeout".into(), detail, code: None, status: None, section: None, refusal: None }
}

/// The name of the lock under which a store changes a slot, and for how many seconds it waits for others.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct SavingLock {
    /// The name.
    pub name: String,
    /// The lease.
    pub lease: i64,
}

/// The lock under which stores in folders change a slot.
#[uniffi::export]
pub fn saving_lock(slot: &str) -> SavingLock {
    SavingLock { name: ffi::file_lock(slot, &CRYPTO), lease: signed(ffi::SAVE_LEASE) }
}

/// How many milliseconds to wait after this many attempts to take a lock.
#[uniffi::export]
pub fn lock_pause(attempts: i32) -> i64 {
    signed(ffi::lock_pause(u32::try_from(attempts).unwrap_or(u32::MAX)))
}

/// Whether a store sweeps now that did so last at `last`, in seconds since 1970.
#[uniffi::export]
pub fn is_sweep_due(last: Option<i64>, now: i64) -> bool {
    ffi::is_sweep_due(last, now)
}

/// The name of the file for a slot, key or lock, which every file system takes and stores of all languages agree on: percent-encoded,
/// or hashed where that is too long.
#[uniffi::export]
pub fn stored_file_name(text: &str) -> String {
    ffi::file_name(text, &CRYPTO)
}
