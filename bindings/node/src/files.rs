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

/// Takes the lock on a file, made with mode 0600 if it is not there; none, if it is held. Links are not followed.
#[napi]
pub fn try_lock(path: String) -> Result<Option<FileLock>> {
    let failed = |error: std::io::Error| napi::Error::from_reason(error.to_string());
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A link would have this process make a file, or take a lock, wherever it leads.
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    let file = options.open(path).map_err(failed)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(FileLock(Some(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
