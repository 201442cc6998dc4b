//! Sessions and keys in a folder: see `keybound_files::Files`. Each language waits for a lock in its own way.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keybound::json::Value;
use keybound::key::KeyProtection;
use keybound::oauth::step::{HostError, KeyFault, Saved};
use keybound::{Algorithm, AlgorithmSet, Crypto, Thumbprint, UnixTime};
use keybound_files::{Files, Lock, NoKey, Unfit};

use crate::error::{Error, Own};
use crate::key::Key;

/// Sessions and software keys in a folder that its owner alone can read. All calls read or write files before they return.
///
/// What the operating system refuses is the host's fault `file`.
#[derive(Clone, Debug)]
pub struct FileStore {
    files: Files,
    crypto: Crypto,
}

/// A lock of the operating system on a file, held until it is released, dropped, or the process ends.
#[derive(Debug)]
pub struct FileLock(Mutex<Option<Lock>>);

/// Why a key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnusableKey {
    /// `missing`, `changed` (another is under its name) or `unreadable`.
    pub fault: &'static str,
    /// What was wrong, for people; empty where `fault` says it all.
    pub detail: String,
}

/// A stored value, for a sweep of sessions whose keys are elsewhere.
#[derive(Clone, Debug)]
pub struct FoundValue {
    /// Its slot. The name in it is a hash where it was too long for a file.
    pub slot: String,
    /// Version and value; `None` if it cannot be read.
    pub stored: Option<(u64, String)>,
    /// When it was written.
    pub stored_at: i64,
}

/// Makes a folder for secrets, with mode 0700, or checks the one that is there.
///
/// # Errors
/// As [`FileStore::open`].
pub fn private_folder(path: &Path) -> Result<(), Error> {
    keybound_files::make_private(path).map_err(failed)
}

/// The bytes of a file in such a folder, at most 4 MiB; `None` if there is no file.
///
/// # Errors
/// `file`, also for a link.
pub fn private_file(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    keybound_files::read(path).map(|bytes| bytes.map(|bytes| bytes.to_vec())).map_err(failed)
}

/// Replaces a file in such a folder as a whole, durably, with mode 0600.
///
/// # Errors
/// `file`.
pub fn replace_private_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    keybound_files::replace(folder, name, bytes).map_err(failed)
}

impl FileLock {
    /// Takes the lock on a file; `None` if another task or process has it now. A link is not followed.
    ///
    /// # Errors
    /// `file`.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Error> {
        keybound_files::try_lock(path).map(|lock| lock.map(Self::of)).map_err(failed)
    }

    fn of(lock: Lock) -> Self {
        Self(Mutex::new(Some(lock)))
    }
}

impl UnusableKey {
    /// A JSON object with `fault` and `detail`.
    pub fn to_json(&self) -> String {
        Value::object().with("fault", self.fault).with("detail", self.detail.as_str()).to_json()
    }
}

impl FileStore {
    /// Opens a folder, making it with mode 0700 if it is not there, and deletes what has ended in it.
    ///
    /// # Errors
    /// Misuse, if the folder cannot hold secrets: `folder_linked`, `folder_foreign`, `folder_readable`, `not_a_folder`. `file`.
    pub fn open(folder: &Path, crypto: &Crypto, now: i64) -> Result<Self, Error> {
        let files = Files::open(folder, crypto, UnixTime::from_secs(now)).map_err(failed)?;
        Ok(Self { files, crypto: *crypto })
    }

    /// Keeps a key that the caller has. No sweep deletes it.
    ///
    /// # Errors
    /// `file`.
    pub fn add_key(&self, key: &Key) -> Result<(), Error> {
        self.files.add_key(&key.soft).map_err(failed)
    }

    /// Makes a key for one of these algorithms, if it may live in one of these places, after a sweep if one is due.
    ///
    /// # Errors
    /// Misuse: `key_protection`, `key_algorithm`. `file`.
    pub fn create_key(&self, algorithms: &[String], protections: &[String], now: i64) -> Result<Key, Error> {
        let (algorithms, protections) = permitted(algorithms, protections);
        let key = self.files.create_key(algorithms, &protections, UnixTime::from_secs(now)).map_err(failed)?;
        Ok(Key::of(key, &self.crypto))
    }

    /// The key with this thumbprint, read anew each time, for its own algorithm or another one of its type.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn key(&self, thumbprint: &str, algorithm: Option<&str>) -> Result<Key, UnusableKey> {
        let unusable = |fault, detail| UnusableKey { fault, detail };
        let thumbprint = Thumbprint::parse(thumbprint).ok_or_else(|| unusable("missing", String::new()))?;
        match self.files.key(thumbprint) {
            Ok(key) => {
                Key::read(key, algorithm, &self.crypto).map_err(|error| unusable("unreadable", error.detail.clone()))
            }
            Err(KeyFault::Missing) => Err(unusable("missing", String::new())),
            Err(KeyFault::Changed) => Err(unusable("changed", String::new())),
            Err(KeyFault::Unreadable(error)) => Err(unusable("unreadable", error.to_string())),
        }
    }

    /// Deletes a key. One that is gone already is no error.
    ///
    /// # Errors
    /// `file`.
    pub fn delete_key(&self, thumbprint: &str) -> Result<(), Error> {
        let Some(thumbprint) = Thumbprint::parse(thumbprint) else { return Ok(()) };
        self.files.delete_key(thumbprint).map_err(failed)
    }

    /// The names of all stored sessions, in order.
    ///
    /// # Errors
    /// `file`.
    pub fn sessions(&self) -> Result<Vec<String>, Error> {
        self.files.sessions().map_err(failed)
    }

    /// Version and value of a slot: `session/…`, `login/…` or `registration/…`.
    ///
    /// # Errors
    /// `file`, also for a file that is none of these stores'.
    pub fn load(&self, slot: &str) -> Result<Option<(u64, String)>, Error> {
        let stored = self.files.load(slot).map_err(failed)?;
        stored.map(|stored| Ok((stored.version, text(&stored.value)?))).transpose()
    }

    /// Stores a value durably, or deletes it, if the stored version is `expected`: whether it was. `None` if another task or process
    /// changes the slot now: try again after [`lock_pause`](crate::lock_pause), for 30 seconds in all.
    ///
    /// # Errors
    /// `file`.
    pub fn try_save(
        &self,
        slot: &str,
        expected: Option<u64>,
        version: u64,
        value: Option<&str>,
    ) -> Result<Option<bool>, Error> {
        let saved = self.files.try_save(slot, expected, version, value.map(str::as_bytes)).map_err(failed)?;
        Ok(saved.map(|saved| saved == Saved::Stored))
    }

    /// Takes a lock; `None` if another task or process has it now.
    ///
    /// # Errors
    /// `file`.
    pub fn try_lock(&self, name: &str) -> Result<Option<FileLock>, Error> {
        let lock = self.files.try_lock(name).map_err(failed)?;
        Ok(lock.map(FileLock::of))
    }

    /// All stored values.
    ///
    /// # Errors
    /// `file`.
    pub fn values(&self) -> Result<Vec<FoundValue>, Error> {
        let found = self.files.values().map_err(failed)?;
        let value = |found: keybound_files::StoredFile| FoundValue {
            slot: found.slot,
            stored: found.stored.and_then(|stored| Some((stored.version, text(&stored.value).ok()?))),
            stored_at: found.modified.secs(),
        };
        Ok(found.into_iter().map(value).collect())
    }

    /// The keys that [`create_key`](Self::create_key) made: thumbprints, and when.
    ///
    /// # Errors
    /// `file`.
    pub fn made(&self) -> Result<Vec<(String, i64)>, Error> {
        let made = self.files.made().map_err(failed)?;
        Ok(made.into_iter().map(|made| (made.thumbprint.to_string(), made.at.secs())).collect())
    }
}

impl FileLock {
    /// Gives the lock back; a second time does nothing.
    pub fn release(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Key {
    /// A new software key for one of these algorithms, the one that most servers know, if it may live in one of these places.
    ///
    /// # Errors
    /// Misuse: `key_protection`, `key_algorithm`.
    pub fn generate_for(algorithms: &[String], protections: &[String], crypto: &Crypto) -> Result<Self, Error> {
        let (algorithms, protections) = permitted(algorithms, protections);
        let made = keybound_files::generate(algorithms, &protections, crypto);
        made.map(|key| Self::of(key, crypto)).map_err(|error| no_key(&error))
    }
}

/// Names that are not known are those of a later version, and cannot be used here.
fn permitted(algorithms: &[String], protections: &[String]) -> (AlgorithmSet, Vec<KeyProtection>) {
    let algorithms: Vec<Algorithm> = algorithms.iter().filter_map(|name| Algorithm::from_name(name)).collect();
    (AlgorithmSet::of(&algorithms), protections.iter().filter_map(|name| KeyProtection::from_name(name)).collect())
}

fn text(value: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(value).map_err(|error| Error::own(Own::File, error.to_string()))?;
    Ok(text.into())
}

fn no_key(error: &NoKey) -> Error {
    match error {
        NoKey::Provider(misuse) => (*misuse).into(),
        error => Error::misuse(error.reason(), error.to_string()),
    }
}

fn failed(error: impl Into<HostError>) -> Error {
    let error = error.into();
    if let Some(error) = error.downcast_ref::<NoKey>() {
        return no_key(error);
    }
    match error.downcast_ref::<std::io::Error>().and_then(Unfit::of) {
        Some(unfit) => Error::misuse(unfit.reason(), unfit.to_string()),
        None => Error::own(Own::File, error.to_string()),
    }
}
