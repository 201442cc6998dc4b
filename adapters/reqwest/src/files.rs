//! A host in a folder: one file for each session, pending login, registration and key, readable by its owner alone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keybound::key::soft::SoftKey;
use keybound::key::{Protection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::oauth::{Sweep, Swept};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};
use zeroize::Zeroizing;

use crate::folder::{Folder, file_name, plain_name};
use crate::host::Host;
use crate::memory::{SWEEP_INTERVAL, describe, generate};

/// Sessions and software keys in a folder.
///
/// The folder is made with mode 0700, files with 0600; it must belong to the user of this process, and links are not followed.
/// A file is replaced as a whole, by a rename after its bytes have reached the disk, so that a crash leaves the old state or the
/// new one. Processes that share the folder take turns by file locks, which the operating system gives back when a process dies.
/// A lock that another process holds for as long as its lease is [`LockTimeout`](crate::LockTimeout); it is never taken away.
///
/// Opening the folder removes what has ended: expired logins with their keys, and keys that no session or login names.
///
/// ```
/// use keybound_reqwest::Files;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions");
/// let host = Files::open(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    folder: Folder,
    /// When this process last swept, in seconds.
    swept: Arc<AtomicI64>,
}

/// What the first line of each stored value begins with; the version follows.
const MAGIC: &str = "keybound 1 ";
/// The kinds of slots, and the names of their subfolders.
const SLOTS: [&str; 3] = ["session", "login", "registration"];
/// The subfolder of keys.
const KEY: &str = "key";
/// The subfolder with an empty file for each key that a flow had made, by which it is told from keys of the user's own.
const MADE: &str = "made";
/// The subfolder of what programs keep beside their sessions.
const ATTACHED: &str = "attached";
/// How long another process may take to store one value.
const SAVE_LEASE: Duration = Duration::from_secs(30);

impl Files {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, belongs to another user, is a link, or others than its owner may look into it.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = Folder::open(folder.into(), &["session", "login", "registration", KEY, MADE, ATTACHED])?;
        let files = Self { folder, swept: Arc::new(AtomicI64::new(i64::MIN)) };
        files.sweep_now_and_then();
        Ok(files)
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_key(&self, key: &SoftKey) -> Result<(), HostError> {
        let name = self.write_key(key)?;
        Ok(self.folder.remove(MADE, &name)?)
    }

    /// The names of all stored sessions.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sessions(&self) -> io::Result<Vec<String>> {
        let entries = self.folder.entries("session")?;
        let plain = |name: &str| percent_encoding::percent_decode_str(name).decode_utf8().ok().map(|name| name.into());
        let mut names: Vec<String> = entries.iter().filter_map(|entry| plain(&entry.name)).collect();
        names.sort();
        Ok(names)
    }

    /// Keeps bytes of the program's own beside a stored session, such as the client that it was made with: at most 4 MiB,
    /// readable as the session is, and removed with it.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn attach(&self, session: &str, bytes: &[u8]) -> io::Result<()> {
        self.folder.replace(ATTACHED, &file_name(session), bytes)
    }

    /// What [`attach`](Self::attach) kept beside this session; `None` if it kept nothing, or the session is not stored any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn attachment(&self, session: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let name = file_name(session);
        match self.folder.modified("session", &name)? {
            Some(_) => self.folder.read(ATTACHED, &name),
            None => Ok(None),
        }
    }

    fn write_key(&self, key: &SoftKey) -> Result<String, HostError> {
        let name = key.public_key().thumbprint(RUSTCRYPTO.digest).to_string();
        self.folder.replace(KEY, &name, key.to_jwk()?.expose().as_bytes())?;
        Ok(name)
    }

    fn stored(&self, kind: &str, name: &str) -> Result<Option<Stored>, HostError> {
        let Some(bytes) = self.folder.read(kind, name)? else { return Ok(None) };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let (first, rest) = bytes.split_at(end);
        let version =
            std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix(MAGIC)).and_then(|v| v.parse().ok());
        let path = self.folder.path(kind, name);
        let version = version.ok_or_else(|| format!("{} is no file of this program; move it away", path.display()))?;
        Ok(Some(Stored { version, value: rest.get(1..).unwrap_or_default().to_vec() }))
    }

    /// The lock under which a slot is changed: one for all logins, because each has a name that is never used again.
    fn saving(&self, kind: &str, name: &str) -> Result<std::fs::File, HostError> {
        let name = if kind == "login" { "" } else { name };
        self.folder.lock(&format!("save/{kind}/{name}"), SAVE_LEASE)
    }

    /// Removes what has ended, unless this process did so a moment ago. A login does not fail for want of it.
    fn sweep_now_and_then(&self) {
        let now = UnixTime::now();
        if now.secs().abs_diff(self.swept.load(Ordering::Relaxed)) >= SWEEP_INTERVAL {
            self.swept.store(now.secs(), Ordering::Relaxed);
            drop(self.sweep(now));
        }
    }

    fn sweep(&self, now: UnixTime) -> Result<(), HostError> {
        let Some(_turn) = self.folder.try_lock("sweep")? else { return Ok(()) };
        let mut sweep = Sweep::new(&RUSTCRYPTO, now);
        for kind in SLOTS {
            self.folder.remove_unfinished(kind, now)?;
            for entry in self.folder.entries(kind)? {
                let slot = format!("{kind}/{}", entry.name);
                match self.stored(kind, &entry.name) {
                    Ok(None) => {}
                    Ok(Some(stored)) => sweep.stored(&slot, stored.version, Some(&stored.value), Some(entry.modified)),
                    Err(_) => sweep.stored(&slot, 0, None, Some(entry.modified)),
                }
            }
        }
        self.folder.remove_unfinished(KEY, now)?;
        for entry in self.folder.entries(MADE)? {
            match (Thumbprint::parse(&entry.name), self.folder.modified(KEY, &entry.name)?) {
                (Some(thumbprint), Some(created_at)) => sweep.key(thumbprint, created_at),
                // The mark of a key that is being made is younger.
                _ if now.since(entry.modified) >= SWEEP_INTERVAL => self.folder.remove(MADE, &entry.name)?,
                _ => {}
            }
        }
        for entry in self.folder.entries(ATTACHED)? {
            let is_alone = self.folder.modified("session", &entry.name)?.is_none();
            if is_alone && now.since(entry.modified) >= SWEEP_INTERVAL {
                self.folder.remove(ATTACHED, &entry.name)?;
            }
        }
        self.folder.remove_unfinished(ATTACHED, now)?;
        let Swept { slots, keys } = sweep.finish();
        for (slot, version) in &slots {
            self.remove_ended(slot, *version)?;
        }
        for key in keys {
            self.delete_key(key)?;
        }
        Ok(())
    }

    /// Removes a slot, named by its file, if it still has this version.
    fn remove_ended(&self, slot: &str, version: u64) -> Result<(), HostError> {
        let Some((kind, name)) = slot.split_once('/') else { return Ok(()) };
        // A name that is a hash does not say under which lock the slot is changed.
        let Some(plain) = plain_name(name) else { return Ok(()) };
        let _turn = self.saving(kind, &plain)?;
        let found = self.stored(kind, name).map_or(Some(0), |stored| stored.map(|stored| stored.version));
        if found == Some(version) { Ok(self.folder.remove(kind, name)?) } else { Ok(()) }
    }
}

impl Host for Files {
    fn create_key(&self, algorithms: AlgorithmSet, protections: &[Protection]) -> Result<CreatedKey, HostError> {
        self.sweep_now_and_then();
        let key = generate(algorithms, protections)?;
        // The mark first: a crash leaves a mark without a key, never a key that is not found again.
        self.folder.replace(MADE, &key.public_key().thumbprint(RUSTCRYPTO.digest).to_string(), b"")?;
        self.write_key(&key)?;
        Ok(describe(&key))
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        let jwk = match self.folder.read(KEY, &thumbprint.to_string()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(KeyFault::Missing),
            Err(error) => return Err(KeyFault::Unreadable(Box::new(error))),
        };
        let text = std::str::from_utf8(&jwk).map_err(|error| KeyFault::Unreadable(Box::new(error)))?;
        let key = SoftKey::from_jwk(text, &RUSTCRYPTO).map_err(|error| KeyFault::Unreadable(Box::new(error)))?;
        if key.public_key().thumbprint(RUSTCRYPTO.digest) != thumbprint {
            return Err(KeyFault::Changed);
        }
        Ok(Arc::new(key))
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        let name = thumbprint.to_string();
        self.folder.remove(KEY, &name)?;
        Ok(self.folder.remove(MADE, &name)?)
    }

    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        let (kind, name) = place(slot);
        self.stored(kind, &file_name(name))
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        let (kind, name) = place(slot);
        let _turn = self.saving(kind, name)?;
        if self.load(slot)?.map(|stored| stored.version) != expected {
            return Ok(Saved::Conflict);
        }
        let name = file_name(name);
        match value {
            None => {
                self.folder.remove(kind, &name)?;
                if kind == "session" {
                    self.folder.remove(ATTACHED, &name)?;
                }
            }
            Some(value) => {
                let mut bytes = Zeroizing::new(format!("{MAGIC}{version}\n").into_bytes());
                bytes.extend_from_slice(value);
                self.folder.replace(kind, &name, &bytes)?;
            }
        }
        Ok(Saved::Stored)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        Ok(Box::new(self.folder.lock(name, Duration::from_secs(lease))?))
    }
}

fn place(slot: &Slot) -> (&str, &str) {
    slot.as_str().split_once('/').unwrap_or(("session", slot.as_str()))
}

#[cfg(test)]
mod tests;
