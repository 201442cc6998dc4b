//! A host in a folder: one file for each session, pending login, registration and key, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keybound::key::soft::SoftKey;
use keybound::key::{Protection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::host::Host;
use crate::memory::{describe, generate};

/// Sessions and software keys in a folder.
///
/// The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached
/// the disk, so that a crash leaves the old state or the new one. Processes that share the folder take turns by file locks,
/// which the operating system gives back when a process dies.
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
    folder: PathBuf,
}

/// What the first line of each stored value begins with; the version follows.
const MAGIC: &str = "keybound 1 ";
/// The longest stored value, in bytes.
const MAX_LEN: u64 = 4 * 1024 * 1024;
/// After how long a login that nobody completed is removed.
const FORGOTTEN: Duration = Duration::from_secs(3_600);
/// Characters that stand for themselves in the names of files.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// The longest name of a file that is readable; longer ones are hashed.
const MAX_NAME_LEN: usize = 120;

impl Files {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or others than its owner may look into it.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        for name in ["session", "login", "registration", "key", "lock"] {
            private_folder(&folder.join(name))?;
        }
        check_private(&folder)?;
        let files = Self { folder };
        files.remove_forgotten_logins();
        Ok(files)
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_key(&self, key: &SoftKey) -> Result<(), HostError> {
        let jwk = key.to_jwk()?;
        let name = key.public_key().thumbprint(RUSTCRYPTO.digest).to_string();
        Ok(self.replace(&self.folder.join("key").join(name), jwk.expose().as_bytes())?)
    }

    /// The names of all stored sessions.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn sessions(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join("session"))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            let plain = percent_encoding::percent_decode_str(&name).decode_utf8().map(|name| name.into_owned());
            names.extend(plain.ok().filter(|plain| !plain.starts_with('.')));
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, slot: &Slot) -> PathBuf {
        let (kind, rest) = slot.as_str().split_once('/').unwrap_or(("session", slot.as_str()));
        self.folder.join(kind).join(file_name(rest))
    }

    fn locked(&self, name: &str) -> io::Result<File> {
        let file =
            private().create(true).truncate(false).write(true).open(self.folder.join("lock").join(file_name(name)))?;
        fs4::FileExt::lock(&file)?;
        Ok(file)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        // Made with mode 0600.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    }

    /// Logins that nobody came back from hold a code verifier each, and would pile up.
    fn remove_forgotten_logins(&self) {
        let Ok(entries) = fs::read_dir(self.folder.join("login")) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            if age.is_ok_and(|age| age > FORGOTTEN) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

impl Host for Files {
    fn create_key(&self, algorithms: AlgorithmSet, protections: &[Protection]) -> Result<CreatedKey, HostError> {
        let key = generate(algorithms, protections)?;
        self.add_key(&key)?;
        Ok(describe(&key))
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        let path = self.folder.join("key").join(thumbprint.to_string());
        let jwk = match read(&path) {
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
        Ok(remove(&self.folder.join("key").join(thumbprint.to_string()))?)
    }

    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        let path = self.path(slot);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or_default();
        let (first, rest) = bytes.split_at(end);
        let version =
            std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix(MAGIC)).and_then(|v| v.parse().ok());
        let version = version.ok_or_else(|| format!("{} is no file of this program; move it away", path.display()))?;
        Ok(Some(Stored { version, value: rest.get(1..).unwrap_or_default().to_vec() }))
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        // One lock file for all logins: each has a name of its own, which is never used again.
        let turn = if slot.as_str().starts_with("login/") { "login/" } else { slot.as_str() };
        let _turn = self.locked(&format!("save/{turn}"))?;
        if self.load(slot)?.map(|stored| stored.version) != expected {
            return Ok(Saved::Conflict);
        }
        let path = self.path(slot);
        match value {
            None => remove(&path)?,
            Some(value) => {
                let mut bytes = Zeroizing::new(format!("{MAGIC}{version}\n").into_bytes());
                bytes.extend_from_slice(value);
                self.replace(&path, &bytes)?;
            }
        }
        Ok(Saved::Stored)
    }

    fn lock(&self, name: &str, _: u64) -> Result<Box<dyn Send>, HostError> {
        Ok(Box::new(self.locked(name)?))
    }
}

/// The file's bytes; `None` if there is no file.
fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_LEN).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A name that every file system takes: percent-encoded, or hashed where that is too long.
fn file_name(text: &str) -> String {
    let plain = utf8_percent_encode(text, PLAIN).to_string();
    if plain.len() <= MAX_NAME_LEN {
        return plain;
    }
    keybound::base64url::encode(&RUSTCRYPTO.digest.sha256(&[text.as_bytes()]))
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn check_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(folder)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let text = format!("{} can be read by others and is to hold tokens; run: chmod 700 {0}", folder.display());
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
