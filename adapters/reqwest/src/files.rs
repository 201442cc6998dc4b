//! A host in a folder: one file for each session, pending login, registration and key, readable by its owner alone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost, SessionHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};
use zeroize::Zeroizing;

/// Sessions and software keys in a folder: `keybound_files::Files` with the portable crypto provider and the present time.
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
pub struct Files(keybound_files::Files);

impl Files {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, belongs to another user, is a link, or others than its owner may look into it.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        keybound_files::Files::open(folder.into(), &RUSTCRYPTO, UnixTime::now()).map(Self)
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_key(&self, key: &SoftKey) -> Result<(), HostError> {
        self.0.add_key(key)
    }

    /// The names of all stored sessions.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sessions(&self) -> io::Result<Vec<String>> {
        self.0.sessions()
    }

    /// Keeps bytes of the program's own beside a stored session, such as the client that it was made with: at most 4 MiB,
    /// readable as the session is, and removed with it.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn attach(&self, session: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.attach(session, bytes)
    }

    /// What [`attach`](Self::attach) kept beside this session; `None` if it kept nothing, or the session is not stored any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn attachment(&self, session: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        self.0.attachment(session)
    }
}

impl KeyHost for Files {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        KeyHost::create_key(&self.0, algorithms, protections, wanted_for)
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.0.signer(thumbprint)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        KeyHost::delete_key(&self.0, thumbprint)
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.0.keys()
    }
}

impl SessionHost for Files {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        SessionHost::load(&self.0, slot)
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        SessionHost::save(&self.0, slot, expected, version, value)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        SessionHost::lock(&self.0, name, lease)
    }

    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        self.0.named_keys()
    }
}

#[cfg(test)]
mod tests;
