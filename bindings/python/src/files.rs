//! Sessions and keys in a folder. A wait for a lock can be interrupted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keybound_ffi as ffi;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::values::{SPELLING, raised};
use crate::{CRYPTO, Key};

pyo3::import_exception!(keybound.sessions, KeyFault);

/// Sessions and keys in a folder.
#[pyclass(frozen, module = "keybound._keybound")]
struct FileStore(ffi::FileStore);

/// A lock on a file.
#[pyclass(frozen, module = "keybound._keybound")]
struct FileLock(ffi::FileLock);

#[pymethods]
impl FileLock {
    fn release(&self) {
        self.0.release();
    }
}

#[pymethods]
impl FileStore {
    #[new]
    fn new(py: Python<'_>, folder: PathBuf, now: i64) -> PyResult<Self> {
        py.detach(|| ffi::FileStore::open(&folder, &CRYPTO, now)).map(Self).map_err(failed)
    }

    fn add_key(&self, py: Python<'_>, key: &Key) -> PyResult<()> {
        py.detach(|| self.0.add_key(&key.0)).map_err(failed)
    }

    fn create_key(&self, py: Python<'_>, algorithms: Vec<String>, protections: Vec<String>, now: i64) -> PyResult<Key> {
        py.detach(|| self.0.create_key(&algorithms, &protections, now)).map(Key).map_err(failed)
    }

    fn key(&self, py: Python<'_>, thumbprint: &str) -> PyResult<Key> {
        py.detach(|| self.0.key(thumbprint, None)).map(Key).map_err(|why| KeyFault::new_err((why.fault, why.detail)))
    }

    fn delete_key(&self, py: Python<'_>, thumbprint: &str) -> PyResult<()> {
        py.detach(|| self.0.delete_key(thumbprint)).map_err(failed)
    }

    fn sessions(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.0.sessions()).map_err(failed)
    }

    fn load(&self, py: Python<'_>, slot: &str) -> PyResult<Option<(u64, String)>> {
        py.detach(|| self.0.load(slot)).map_err(failed)
    }

    /// Whether it was stored; none if others changed the slot for this many seconds.
    #[pyo3(signature = (slot, expected, version, value, seconds))]
    fn save(
        &self,
        py: Python<'_>,
        slot: &str,
        expected: Option<u64>,
        version: u64,
        value: Option<&str>,
        seconds: f64,
    ) -> PyResult<Option<bool>> {
        waited(py, seconds, || self.0.try_save(slot, expected, version, value))
    }

    /// The lock; none if another had it for this many seconds.
    fn lock(&self, py: Python<'_>, name: &str, seconds: f64) -> PyResult<Option<FileLock>> {
        Ok(waited(py, seconds, || self.0.try_lock(name))?.map(FileLock))
    }
}

/// Tries until there is something, for this many seconds. The interpreter is free meanwhile, and a signal ends it.
fn waited<T: Send>(
    py: Python<'_>,
    seconds: f64,
    attempt: impl Fn() -> Result<Option<T>, ffi::Error> + Sync,
) -> PyResult<Option<T>> {
    let lease =
        Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { Duration::MAX } else { Duration::ZERO });
    let (began, mut attempts) = (Instant::now(), 0_u32);
    loop {
        if let Some(found) = py.detach(&attempt).map_err(failed)? {
            return Ok(Some(found));
        }
        attempts = attempts.saturating_add(1);
        let left = lease.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        py.detach(|| std::thread::sleep(Duration::from_millis(ffi::lock_pause(attempts)).min(left)));
        py.check_signals()?;
    }
}

/// What the operating system refuses is an `OSError`, as of every file.
fn failed(error: ffi::Error) -> PyErr {
    if error.reason == "file" { PyOSError::new_err(error.detail(SPELLING)) } else { raised(error) }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SAVE_LEASE", ffi::SAVE_LEASE)?;
    module.add_class::<FileLock>()?;
    module.add_class::<FileStore>()
}
