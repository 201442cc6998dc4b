//! What file stores have in common, for those that read and write files themselves: see `keybound::oauth::files`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keybound::json::Value;
use keybound::oauth::Sweep;
use keybound::oauth::files::{self, Found, Place};
use keybound::{Crypto, UnixTime};

use crate::error::{Error, Own};

/// Whether a store sweeps now that did so last at `last`, in seconds.
pub fn is_sweep_due(last: Option<i64>, now: i64) -> bool {
    Sweep::is_due(last.map(UnixTime::from_secs), UnixTime::from_secs(now))
}

/// How many milliseconds to wait after this many attempts to take a lock.
pub const fn lock_pause(attempts: u32) -> u64 {
    files::pause(attempts)
}

/// For how many seconds a store waits for others that change the same value.
pub const SAVE_LEASE: u64 = files::SAVE_LEASE;

/// What is the same for all files, as a JSON object: `folders`, all to be made with mode 0700; `max_len` in bytes; `unfinished`, which
/// names of files begin with while they are written, and `spoiled`, where they were set aside; `save_lease` in seconds; `sweep_lock`.
pub fn file_rules() -> String {
    let folders: Vec<Value> = files::FOLDERS.into_iter().map(Value::from).collect();
    Value::object()
        .with("folders", folders)
        .with("max_len", u64::try_from(files::MAX_LEN).unwrap_or(u64::MAX))
        .with("unfinished", files::UNFINISHED)
        .with("spoiled", files::SPOILED)
        .with("save_lease", files::SAVE_LEASE)
        .with("sweep_lock", files::SWEEP_LOCK)
        .to_json()
}

/// The name of a file for the name of a lock or key.
pub fn file_name(text: &str, crypto: &Crypto) -> String {
    files::file_name(text, crypto)
}

/// The text of a file's name, such as that of a session; `None` for one that these stores do not give.
pub fn text_of_file_name(name: &str, crypto: &Crypto) -> Option<String> {
    files::text_of(name, crypto)
}

/// Where a slot is, as a JSON object: `folder`, `file`, the name `lock` of the lock under which it is changed, and `beside`, the folder
/// with a file of the same name that is deleted after this one, if there is such a folder.
pub fn file_place(slot: &str, crypto: &Crypto) -> String {
    placed(&Place::of_slot(slot, crypto), crypto).to_json()
}

/// The name of the lock under which a slot is changed.
pub fn file_lock(slot: &str, crypto: &Crypto) -> String {
    Place::of_slot(slot, crypto).lock(crypto)
}

fn placed(place: &Place, crypto: &Crypto) -> Value {
    Value::object()
        .with("folder", place.folder())
        .with("file", place.file())
        .with("lock", place.lock(crypto))
        .with_some("beside", files::deleted_with(place.folder()))
}

/// The content of the file for a value.
///
/// # Errors
/// The host's fault `file`, if it is longer than 4 MiB.
pub fn file_content(version: u64, value: &str) -> Result<String, Error> {
    let content = files::encode(version, value.as_bytes());
    let text = content.and_then(|content| String::from_utf8(content.to_vec()).ok());
    text.ok_or_else(|| Error::own(Own::File, "a stored value is longer than 4 MiB"))
}

/// The version in a file; `None` for one that is none of these stores'. The value follows the first line feed.
pub fn file_version(content: &str) -> Option<u64> {
    files::decode(content.as_bytes()).map(|(version, _)| version)
}

/// Whether a value's file is to be set aside: it is empty, cut or none of these stores'.
pub fn is_file_spoiled(content: &str) -> bool {
    files::is_spoiled(content.as_bytes())
}

/// Finds what can be deleted from a folder, for stores that read and write files themselves.
#[derive(Debug)]
pub struct FolderSweep {
    core: Mutex<Option<files::FolderSweep>>,
    crypto: Crypto,
}

impl FolderSweep {
    /// Begins. `now` is the store's clock.
    pub fn new(crypto: &Crypto, now: i64) -> Self {
        let core = files::FolderSweep::new(crypto, UnixTime::from_secs(now));
        Self { core: Mutex::new(Some(core)), crypto: *crypto }
    }

    /// Tells of a file in one of the folders, and when it was last changed: what to do with it, `leave`, `read` or `delete`.
    ///
    /// # Errors
    /// Misuse after [`finish`](Self::finish).
    pub fn found(&self, folder: &str, file: &str, modified: i64) -> Result<&'static str, Error> {
        let mut core = self.lock();
        let core = core.as_mut().ok_or_else(Error::already_used)?;
        Ok(match core.found(folder, file, UnixTime::from_secs(modified)) {
            Found::Leave => "leave",
            Found::Read => "read",
            Found::Delete => "delete",
        })
    }

    /// Tells what is in a file that was to be read; `None` if it cannot be read.
    ///
    /// # Errors
    /// Misuse after [`finish`](Self::finish).
    pub fn content(&self, folder: &str, file: &str, content: Option<&str>, modified: i64) -> Result<(), Error> {
        let mut core = self.lock();
        let core = core.as_mut().ok_or_else(Error::already_used)?;
        core.content(folder, file, content.map(str::as_bytes), UnixTime::from_secs(modified));
        Ok(())
    }

    /// What to delete, an array of objects with `folder`, `file` and `beside`. Where there is a `version`, it is deleted under the lock
    /// `lock` if this is its version still; 0 is that of a file which cannot be read.
    ///
    /// # Errors
    /// Misuse on second use.
    pub fn finish(&self) -> Result<String, Error> {
        let core = self.lock().take().ok_or_else(Error::already_used)?;
        let ended = |ended: files::Ended| match (Place::of_file(ended.folder, &ended.file), ended.version) {
            (Some(place), Some(version)) => placed(&place, &self.crypto).with("version", version),
            _ => Value::object()
                .with("folder", ended.folder)
                .with("file", ended.file)
                .with_some("beside", files::deleted_with(ended.folder)),
        };
        Ok(Value::from(core.finish().into_iter().map(ended).collect::<Vec<_>>()).to_json())
    }

    fn lock(&self) -> MutexGuard<'_, Option<files::FolderSweep>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
