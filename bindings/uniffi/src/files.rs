//! What stores in folders have in common with those of the other languages: folders for their owner alone, locks on files, and names.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs4::{FileExt, TryLockError};

use crate::CRYPTO;
use crate::error::{Fault, KeyboundError};

/// A lock of the operating system on a file, held until it is released or the process ends.
#[derive(Debug, uniffi::Object)]
pub struct FileLock(Mutex<Option<File>>);

#[uniffi::export]
impl FileLock {
    /// Gives the lock back; a second time does nothing.
    pub fn release(&self) {
        // Closing the file ends the lock.
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Makes a folder for secrets, with mode 0700, or checks the one that is there: it is a folder and not a link to one, it belongs to
/// the user that this process acts as, and no one else may look into it.
///
/// Throws the host's fault, whose detail says what to do.
#[uniffi::export]
pub fn private_folder(path: &str) -> Result<(), KeyboundError> {
    // With a slash behind it a link would be what it points to.
    let place: PathBuf = Path::new(path).components().collect();
    let cannot_be = |what: &str, error: &io::Error| host_fault("folder", format!("{path} cannot be {what}: {error}"));
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&place).map_err(|error| cannot_be("made", &error))?;
    // Of the link itself: a user who can place one decides where the secrets go.
    let found = fs::symlink_metadata(&place).map_err(|error| cannot_be("read", &error))?;
    match unfit(path, &found) {
        None => Ok(()),
        Some(detail) => Err(host_fault("folder", detail)),
    }
}

/// Why a folder cannot hold secrets, and what to do.
fn unfit(path: &str, found: &fs::Metadata) -> Option<String> {
    if found.is_symlink() {
        return Some(format!("{path} is a symbolic link and is to hold tokens; name the folder that it points to"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let own = rustix::process::geteuid().as_raw();
        if found.uid() != own {
            let others = found.uid();
            return Some(format!(
                "{path} belongs to the user {others}, is to hold tokens, and this process acts as the user {own}; name a folder of its own"
            ));
        }
        if found.mode() & 0o077 != 0 {
            return Some(format!("{path} can be read by others and is to hold tokens; run: chmod 700 {path}"));
        }
    }
    None
}

/// Takes the lock on a file, made with mode 0600 if it is not there; none, if another has it, in this process or another. A link
/// in the file's place is not followed.
///
/// Throws the host's fault, if the file cannot be opened.
#[uniffi::export]
pub fn try_lock_file(path: &str) -> Result<Option<Arc<FileLock>>, KeyboundError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    let file = options.open(path).map_err(failed)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(Arc::new(FileLock(Mutex::new(Some(file)))))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn failed(error: io::Error) -> KeyboundError {
    host_fault("lock_file", format!("the lock file cannot be used: {error}"))
}

/// What a store throws, as the host's, that has waited for a lock for its whole lease: `lock_timeout`.
///
/// A lock is never taken from a holder that is merely slow: two who refresh with one token end the session.
#[uniffi::export]
pub fn lock_timeout(lease: i64) -> Fault {
    let detail = format!("another task or process has held this session's lock for {lease} s; try again later");
    fault("lock_timeout", detail)
}

fn host_fault(reason: &str, detail: String) -> KeyboundError {
    KeyboundError::Host { fault: fault(reason, detail) }
}

fn fault(reason: &str, detail: String) -> Fault {
    Fault { reason: reason.into(), detail, code: None, status: None, section: None, refusal: None }
}

/// The longest name of a file that is readable; longer ones are hashed.
const MAX_NAME_LEN: usize = 120;

/// The name of the file for a slot, key or lock, which every file system takes and stores of all languages agree on: percent-encoded,
/// or hashed where that is too long.
#[uniffi::export]
pub fn stored_file_name(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let plain: String = text.bytes().map(encoded).collect();
    if plain.len() <= MAX_NAME_LEN {
        return plain;
    }
    keybound::base64url::encode(&CRYPTO.digest.sha256(&[text.as_bytes()]))
}
