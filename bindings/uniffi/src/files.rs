//! Locks on files, which stores in folders take turns by: the same that the other languages take.

use std::fs::{File, OpenOptions};
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

/// Takes the lock on a file, made with mode 0600 if it is not there; none, if somebody has it, in this process or another.
///
/// Throws the host's fault, if the file cannot be opened.
#[uniffi::export]
pub fn try_lock_file(path: &str) -> Result<Option<Arc<FileLock>>, KeyboundError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(Arc::new(FileLock(Mutex::new(Some(file)))))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn failed(error: std::io::Error) -> KeyboundError {
    let detail = format!("the lock file cannot be used: {error}");
    let fault = Fault { reason: "lock_file".into(), detail, code: None, status: None, section: None, refusal: None };
    KeyboundError::Host { fault }
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
