//! Requests and what they present, read from the package's own classes without copies.

use keybound_ffi as ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

/// What a request presents: what `keybound.Presented` holds.
pub(crate) struct Presented {
    method: PyBackedStr,
    url: PyBackedStr,
    proofs: Vec<PyBackedBytes>,
    access_token: Option<PyBackedStr>,
    bound_to: Option<PyBackedStr>,
    expected_nonce: Option<PyBackedStr>,
    epoch: Option<PyBackedStr>,
}

impl<'py> FromPyObject<'_, 'py> for Presented {
    type Error = PyErr;

    /// Errors of its members come out as they are: the package tells texts that are none by them.
    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = given.py();
        Ok(Self {
            method: given.getattr(intern!(py, "method"))?.extract()?,
            url: given.getattr(intern!(py, "url"))?.extract()?,
            proofs: given.getattr(intern!(py, "_proofs"))?.extract()?,
            access_token: given.getattr(intern!(py, "access_token"))?.extract()?,
            bound_to: given.getattr(intern!(py, "bound_to"))?.extract()?,
            expected_nonce: given.getattr(intern!(py, "expected_nonce"))?.extract()?,
            epoch: given.getattr(intern!(py, "epoch"))?.extract()?,
        })
    }
}

impl Presented {
    /// Lends it for a call.
    pub(crate) fn show<T>(&self, judge: impl FnOnce(&ffi::Presented<'_>) -> T) -> T {
        let proofs: Vec<&[u8]> = self.proofs.iter().map(|proof| &**proof).collect();
        judge(&ffi::Presented {
            method: &self.method,
            url: &self.url,
            proofs: &proofs,
            access_token: self.access_token.as_deref(),
            bound_to: self.bound_to.as_deref(),
            expected_nonce: self.expected_nonce.as_deref(),
            epoch: self.epoch.as_deref(),
        })
    }
}

/// A request as the host received it: what `keybound.Incoming` holds, the epoch of a store of the host's own, and a clock that never goes
/// back, in milliseconds.
pub(crate) struct Incoming {
    method: PyBackedStr,
    url: Option<PyBackedStr>,
    target: Option<PyBackedBytes>,
    headers: Vec<(PyBackedStr, PyBackedBytes)>,
    peer: Option<PyBackedStr>,
    certificate: Option<PyBackedBytes>,
    epoch: Option<PyBackedStr>,
    ticks: Option<u64>,
}

impl<'py> FromPyObject<'_, 'py> for Incoming {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = given.py();
        let (given, epoch, ticks): (Bound<'py, PyAny>, Option<PyBackedStr>, Option<u64>) = given.extract()?;
        Ok(Self {
            method: given.getattr(intern!(py, "method"))?.extract()?,
            url: given.getattr(intern!(py, "url"))?.extract()?,
            target: given.getattr(intern!(py, "target"))?.extract()?,
            headers: given.getattr(intern!(py, "headers"))?.extract()?,
            peer: given.getattr(intern!(py, "peer"))?.extract()?,
            certificate: given.getattr(intern!(py, "certificate"))?.extract()?,
            epoch,
            ticks,
        })
    }
}

impl Incoming {
    /// Lends it for a call.
    pub(crate) fn show<T>(&self, judge: impl FnOnce(&ffi::Incoming<'_>) -> T) -> T {
        let fields: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let raw = self.target.as_deref().unwrap_or_default();
        judge(&ffi::Incoming {
            method: &self.method,
            target: self.url.as_deref().map_or(ffi::Target::Raw(raw), ffi::Target::Url),
            fields: &fields,
            peer: self.peer.as_deref(),
            client_certificate: self.certificate.as_deref(),
            epoch: self.epoch.as_deref(),
            ticks: self.ticks,
        })
    }
}
