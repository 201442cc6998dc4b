//! Locks on files, which Node does not have: they end with their process, so that a crash blocks nobody.

use std::fs::{File, OpenOptions};

use fs4::{FileExt, TryLockError};
use napi_derive::napi;

use crate::Result;

#[napi]
pub struct FileLock(Option<File>);

#[napi]
impl FileLock {
    #[napi]
    pub fn release(&mut self) {
        // The operating system gives the lock back when the file is closed.
        self.0 = None;
    }
}

/// Takes the lock on a file, made with mode 0600 if it is not there; none, if somebody has it.
#[napi]
pub fn try_lock(path: String) -> Result<Option<FileLock>> {
    let failed = |error: std::io::Error| napi::Error::from_reason(error.to_string());
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(failed)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(FileLock(Some(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
