//! The record of a key ring in a file, for processes of one machine.
//!
//! ```
//! use keybound::key::ring::{KeyRingStore as _, Shared};
//! use keybound_files::FileKeyRing;
//!
//! # let temporary = tempfile::tempdir()?;
//! # let folder = temporary.path().join("rings");
//! let store = FileKeyRing::open(&folder, "payments")?;
//! assert_eq!(store.load()?, None);
//! # struct MyHsm;
//! let shared = Shared { store, keys: MyHsm };
//! # drop(shared);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keybound::key::ring::{InvalidRecord, KeyRingRecord, KeyRingStore, Swap};
use keybound::oauth::files::{SAVE_LEASE, UNFINISHED};
use keybound::oauth::step::HostError;

use crate::folder::{make_private, read, replace, try_lock};
use crate::lock;

/// The record of one key ring, in the file `NAME.ring` of a folder. Clones are the same store.
///
/// The folder is made with mode 0700, the file with 0600; the folder must belong to the user of this process and be for that user alone, and links are not
/// followed. The file is replaced as a whole, by a rename after its bytes have reached the disk, under a lock of the operating
/// system on `NAME.lock`, which ends when a process dies. The folder may hold other rings.
#[derive(Clone, Debug)]
pub struct FileKeyRing {
    folder: PathBuf,
    name: String,
}

/// A file that holds no record of a key ring. It is never overwritten.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadableRing {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: InvalidRecord,
}

impl FileKeyRing {
    /// The longest name of a ring, in characters.
    pub const MAX_NAME: usize = 64;

    /// The ring called `name` in `folder`, which is made if it is not there. The ring itself is founded by
    /// [`Shared::open`](keybound::key::ring::Shared::open).
    ///
    /// A name has 1 to [`MAX_NAME`](Self::MAX_NAME) characters: letters and digits of ASCII, `-` and `_`.
    ///
    /// # Errors
    /// If the name is another; if the folder cannot be made, or others can look into it: [`Unfit`](crate::Unfit).
    pub fn open(folder: impl AsRef<Path>, name: &str) -> io::Result<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !plain || name.is_empty() || name.len() > Self::MAX_NAME {
            let why = "the name of a key ring has 1 to 64 characters of A to Z, a to z, 0 to 9, - and _";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let folder: PathBuf = folder.as_ref().components().collect();
        make_private(&folder)?;
        remove_unfinished(&folder)?;
        Ok(Self { folder, name: name.into() })
    }

    /// The file of the record.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.file())
    }

    fn file(&self) -> String {
        format!("{}.ring", self.name)
    }
}

impl KeyRingStore for FileKeyRing {
    /// An [`io::Error`], an [`UnreadableRing`] or a [`LockTimeout`](crate::LockTimeout).
    type Error = HostError;

    fn load(&self) -> Result<Option<KeyRingRecord>, HostError> {
        let path = self.path();
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| InvalidRecord::Malformed);
        match text.and_then(KeyRingRecord::parse) {
            Ok(record) => Ok(Some(record)),
            Err(why) => Err(UnreadableRing { path, why }.into()),
        }
    }

    fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, HostError> {
        let lock = self.folder.join(format!("{}.lock", self.name));
        let _turn = lock::wait(&self.name, Duration::from_secs(SAVE_LEASE), || try_lock(&lock))?;
        if self.load()?.map(|record| record.version()) != expected {
            return Ok(Swap::Conflict);
        }
        replace(&self.folder, &self.file(), new.to_text().as_bytes())?;
        Ok(Swap::Done)
    }
}

/// Removes what processes were writing when they were killed, an hour ago or earlier.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let hour = Duration::from_secs(KeyRingRecord::MIN_ORPHAN_AGE);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let old =
            || entry.metadata().and_then(|found| found.modified()).ok()?.elapsed().ok().filter(|age| *age >= hour);
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && old().is_some() {
            drop(fs::remove_file(entry.path()));
        }
    }
    Ok(())
}

impl fmt::Display for UnreadableRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{path} cannot be used: {}; restore it from a copy, or move it away to begin a new ring", self.why)
    }
}

keybound::debug_as_text!(UnreadableRing);

impl std::error::Error for UnreadableRing {}
