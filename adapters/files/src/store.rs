//! The store: what is kept, and how it is changed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer as _};
use keybound::oauth::Sweep;
use keybound::oauth::files::{self, ATTACHED, ELSEWHERE, KEY, MADE, Place, SAVE_LEASE, SESSION, SPOILED};
use keybound::oauth::step::{HostError, KeyFault, KeyOwner, Saved, Stored};
use keybound::{AlgorithmSet, Crypto, Thumbprint, UnixTime};
use zeroize::Zeroizing;

use crate::error;
use crate::folder::Folder;
use crate::keys::generate;
use crate::lock::{self, Lock};

/// Sessions and software keys in a folder. Clones are the same store. With reqwest take `keybound_reqwest::Files`, which is made of this.
///
/// The folder is made with mode 0700, files with 0600; it must belong to the user of this process, and links are not followed.
/// A file is replaced as a whole, by a rename after its bytes have reached the disk, so that a crash leaves the old state or the
/// new one. Processes that share the folder take turns by file locks, which the operating system gives back when a process dies.
/// A lock that another process holds for as long as its lease is [`LockTimeout`](crate::LockTimeout); it is never taken away.
///
/// Opening the folder removes what has ended: expired logins with their keys, and keys that no session or login names. So does
/// making a key, at most once an hour.
#[derive(Clone, Debug)]
pub struct Files(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) folder: Folder,
    pub(crate) crypto: Crypto,
    /// When this process last swept, in seconds.
    swept: AtomicI64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.folder.fmt(f)
    }
}

impl Files {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or cannot hold secrets: [`Unfit`](crate::Unfit).
    pub fn open(folder: impl AsRef<Path>, crypto: &Crypto, now: UnixTime) -> io::Result<Self> {
        let folder = Folder::open(folder.as_ref())?;
        let files = Self(Arc::new(Inner { folder, crypto: *crypto, swept: AtomicI64::new(i64::MIN) }));
        files.sweep_if_due(now);
        Ok(files)
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with. No sweep deletes it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_key(&self, key: &SoftKey) -> Result<(), HostError> {
        self.write_key(key)?;
        Ok(self.0.folder.remove(MADE, &self.thumbprint(key).to_string())?)
    }

    /// Makes a key for a login or session, after a sweep if one is due.
    ///
    /// # Errors
    /// [`NoKey`](crate::NoKey), or if it cannot be written.
    pub fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        now: UnixTime,
    ) -> Result<SoftKey, HostError> {
        self.sweep_if_due(now);
        self.new_key(algorithms, protections, MADE, "")
    }

    /// Makes a key for a session in another store, or for the host itself, such as one of a key ring. No sweep deletes it.
    ///
    /// # Errors
    /// [`NoKey`](crate::NoKey), or if it cannot be written.
    pub fn create_key_elsewhere(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        owner: KeyOwner,
    ) -> Result<SoftKey, HostError> {
        self.new_key(algorithms, protections, ELSEWHERE, owner.name())
    }

    /// Whose a key is that this store made. A mark that cannot be understood is of the host: its key is not one that a flow deletes.
    pub(crate) fn owner(&self, thumbprint: Thumbprint) -> io::Result<KeyOwner> {
        let mark = self.0.folder.read(&self.0.folder.path(ELSEWHERE, &thumbprint.to_string()))?;
        let named = |mark: &[u8]| std::str::from_utf8(mark).ok().and_then(KeyOwner::from_name);
        Ok(mark.map_or(KeyOwner::Session, |mark| named(&mark).unwrap_or(KeyOwner::Host)))
    }

    fn new_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        folder: &str,
        mark: &str,
    ) -> Result<SoftKey, HostError> {
        let key = generate(algorithms, protections, &self.0.crypto)?;
        // The mark first: a crash leaves a mark without a key, never a key that is not found again.
        self.0.folder.replace(folder, &self.thumbprint(&key).to_string(), mark.as_bytes())?;
        self.write_key(&key)?;
        Ok(key)
    }

    /// The key with this thumbprint, read anew each time.
    ///
    /// # Errors
    /// [`KeyFault`] says whether it is gone, another one, or cannot be used now.
    pub fn key(&self, thumbprint: Thumbprint) -> Result<SoftKey, KeyFault> {
        let unreadable = |error: HostError| KeyFault::Unreadable(error);
        let jwk = self.0.folder.read(&self.0.folder.path(KEY, &thumbprint.to_string()));
        let jwk = jwk.map_err(|error| unreadable(error.into()))?.ok_or(KeyFault::Missing)?;
        let text = std::str::from_utf8(&jwk).map_err(|error| unreadable(error.into()))?;
        let key = SoftKey::from_jwk(text, &self.0.crypto).map_err(|error| unreadable(error.into()))?;
        if self.thumbprint(&key) == thumbprint { Ok(key) } else { Err(KeyFault::Changed) }
    }

    /// Deletes a key. One that is gone already is no error.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub fn delete_key(&self, thumbprint: Thumbprint) -> io::Result<()> {
        let name = thumbprint.to_string();
        self.remove(KEY, &name)?;
        self.0.folder.remove(ELSEWHERE, &name)
    }

    /// The names of all stored sessions, in order.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sessions(&self) -> io::Result<Vec<String>> {
        let entries = self.0.folder.entries(SESSION)?;
        let mut names: Vec<String> =
            entries.iter().filter_map(|entry| files::text_of(&entry.name, &self.0.crypto)).collect();
        names.sort();
        Ok(names)
    }

    /// What is stored in `slot`: `session/…`, `login/…` or `registration/…`.
    ///
    /// # Errors
    /// If it cannot be read, or is no file of this program. A file that is [spoiled](files::is_spoiled), such as an empty one, is set
    /// aside: the error names its new place, and the next call finds nothing.
    pub fn load(&self, slot: &str) -> io::Result<Option<Stored>> {
        let place = Place::of_slot(slot, &self.0.crypto);
        let loaded = self.stored(&place);
        if loaded.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidData)
            && let Some(_turn) = self.try_lock(&place.lock(&self.0.crypto))?
        {
            // Another task may have replaced it meanwhile.
            return self.stored_or_set_aside(&place);
        }
        loaded
    }

    /// Stores `value` with `version`, or deletes what is there, if the stored version is `expected`. It is durable when this returns.
    ///
    /// # Errors
    /// [`LockTimeout`](crate::LockTimeout) if others change this slot for 30 seconds; if it cannot be read or written, or is longer than 4 MiB.
    pub fn save(
        &self,
        slot: &str,
        expected: Option<u64>,
        version: u64,
        value: Option<&[u8]>,
    ) -> Result<Saved, HostError> {
        let place = Place::of_slot(slot, &self.0.crypto);
        let _turn = self.lock(&place.lock(&self.0.crypto), Duration::from_secs(SAVE_LEASE))?;
        Ok(self.replace(&place, expected, version, value)?)
    }

    /// The same for a host that waits in its own way: `None` if another task or process changes the slot now. Try again after a
    /// [`pause`](keybound::oauth::files::pause).
    ///
    /// # Errors
    /// If it cannot be read or written, or is longer than 4 MiB.
    pub fn try_save(
        &self,
        slot: &str,
        expected: Option<u64>,
        version: u64,
        value: Option<&[u8]>,
    ) -> io::Result<Option<Saved>> {
        let place = Place::of_slot(slot, &self.0.crypto);
        match self.try_lock(&place.lock(&self.0.crypto))? {
            Some(_turn) => self.replace(&place, expected, version, value).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the lock `name`, waiting for other tasks and processes for as long as `lease`.
    ///
    /// # Errors
    /// [`LockTimeout`](crate::LockTimeout) if another held it all that time; if its file cannot be opened.
    pub fn lock(&self, name: &str, lease: Duration) -> Result<Lock, HostError> {
        lock::wait(name, lease, || self.try_lock(name))
    }

    /// The same for a host that waits in its own way: `None` if another task or process has the lock now.
    ///
    /// # Errors
    /// If its file cannot be opened.
    pub fn try_lock(&self, name: &str) -> io::Result<Option<Lock>> {
        self.0.folder.try_lock(&files::file_name(name, &self.0.crypto))
    }

    /// Keeps bytes of the program's own beside a stored session, such as the client that it was made with: at most 4 MiB,
    /// readable as the session is, and removed with it.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn attach(&self, session: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.folder.replace(ATTACHED, &files::file_name(session, &self.0.crypto), bytes)
    }

    /// What [`attach`](Self::attach) kept beside this session; `None` if it kept nothing, or the session is not stored any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn attachment(&self, session: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let name = files::file_name(session, &self.0.crypto);
        match self.0.folder.modified(SESSION, &name)? {
            Some(_) => self.0.folder.read(&self.0.folder.path(ATTACHED, &name)),
            None => Ok(None),
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.0.folder.path("", "").components().collect()
    }

    /// Removes what has ended, unless this process did so within the hour. No login fails for want of it.
    fn sweep_if_due(&self, now: UnixTime) {
        let last = self.0.swept.load(Ordering::Relaxed);
        if Sweep::is_due((last != i64::MIN).then(|| UnixTime::from_secs(last)), now) {
            self.0.swept.store(now.secs(), Ordering::Relaxed);
            drop(self.sweep(now));
        }
    }

    pub(crate) fn stored(&self, place: &Place) -> io::Result<Option<Stored>> {
        let path = self.0.folder.path(place.folder(), place.file());
        let Some(bytes) = self.0.folder.read(&path)? else { return Ok(None) };
        let (version, value) = files::decode(&bytes).ok_or_else(|| error::strange(&path))?;
        Ok(Some(Stored { version, value: value.into() }))
    }

    /// Under the lock of the place: a file that is spoiled is renamed, and that is the error.
    fn stored_or_set_aside(&self, place: &Place) -> io::Result<Option<Stored>> {
        let path = self.0.folder.path(place.folder(), place.file());
        match self.0.folder.read(&path)? {
            Some(bytes) if files::is_spoiled(&bytes) => {
                let aside = self.0.folder.path(place.folder(), &format!("{SPOILED}{}", place.file()));
                fs::rename(&path, &aside)?;
                Err(error::spoiled(&path, &aside))
            }
            _ => self.stored(place),
        }
    }

    /// Under the lock of the place.
    fn replace(&self, place: &Place, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> io::Result<Saved> {
        if self.stored_or_set_aside(place)?.map(|stored| stored.version) != expected {
            return Ok(Saved::Conflict);
        }
        let Some(value) = value else {
            self.remove(place.folder(), place.file())?;
            return Ok(Saved::Stored);
        };
        let path = self.0.folder.path(place.folder(), place.file());
        let bytes = files::encode(version, value).ok_or_else(|| error::too_long(&path))?;
        self.0.folder.replace(place.folder(), place.file(), &bytes)?;
        Ok(Saved::Stored)
    }

    /// Removes a file and what goes with it.
    pub(crate) fn remove(&self, folder: &str, file: &str) -> io::Result<()> {
        self.0.folder.remove(folder, file)?;
        files::deleted_with(folder).map_or(Ok(()), |beside| self.0.folder.remove(beside, file))
    }

    fn write_key(&self, key: &SoftKey) -> Result<(), HostError> {
        let jwk = key.to_jwk()?;
        Ok(self.0.folder.replace(KEY, &self.thumbprint(key).to_string(), jwk.expose().as_bytes())?)
    }

    fn thumbprint(&self, key: &SoftKey) -> Thumbprint {
        key.public_key().thumbprint(self.0.crypto.digest)
    }
}
