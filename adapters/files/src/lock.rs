//! Locks on files, by which tasks and processes take turns.

use std::fmt;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use fs4::FileExt;
use keybound::oauth::files::pause;
use keybound::oauth::step::HostError;

/// A lock of the operating system on a file. It ends when it is dropped, and with the process at the latest.
#[derive(Debug)]
pub struct Lock {
    file: File,
    process: u32,
}

impl Lock {
    pub(crate) fn new(file: File) -> Self {
        Self { file, process: std::process::id() }
    }
}

/// Takes a lock, waiting for other tasks and processes for as long as `lease`.
pub(crate) fn wait(
    name: &str,
    lease: Duration,
    mut try_lock: impl FnMut() -> io::Result<Option<Lock>>,
) -> Result<Lock, HostError> {
    let (began, mut attempts) = (Instant::now(), 0_u32);
    loop {
        if let Some(lock) = try_lock()? {
            return Ok(lock);
        }
        attempts = attempts.saturating_add(1);
        let left = lease.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(LockTimeout::new(name, lease).into());
        }
        std::thread::sleep(Duration::from_millis(pause(attempts)).min(left));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that was forked meanwhile has the file open as well. For the same reason its copy of this
        // does not end the lock.
        if self.process == std::process::id() {
            drop(FileExt::unlock(&self.file));
        }
    }
}

/// Another task or process has held a lock for as long as its lease lasts. It is slow, or it hangs; its lock stays with it, so
/// that nothing is done twice. The request can be sent again later.
#[derive(Clone, PartialEq, Eq)]
pub struct LockTimeout {
    lock: String,
    lease: Duration,
}

impl LockTimeout {
    /// The lock of this name was waited for, for `lease`.
    pub fn new(lock: &str, lease: Duration) -> Self {
        Self { lock: lock.into(), lease }
    }

    /// The name of the lock.
    pub fn lock(&self) -> &str {
        &self.lock
    }
}

impl fmt::Display for LockTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lease.as_secs();
        write!(f, "another task or process has held the lock {} for {seconds} s; try again later", self.lock)
    }
}

keybound::debug_as_text!(LockTimeout);

impl std::error::Error for LockTimeout {}
