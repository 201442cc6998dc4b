//! The verifier, pending proofs and the memory store.

use keybound_aws_lc::AWS_LC;
use keybound_ffi as ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

use crate::{NativeError, raised};

/// Thumbprint, algorithm, `iat`, next nonce.
type Verified = (String, &'static str, i64, Option<String>);

fn verified(proof: ffi::Verified) -> Verified {
    (proof.thumbprint, proof.algorithm, proof.issued_at, proof.next_nonce)
}

/// Judges proofs by one policy.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativeVerifier(ffi::Verifier);

/// What a request presents: what `keybound.Presented` holds.
struct Presented {
    method: PyBackedStr,
    url: PyBackedStr,
    proofs: Vec<PyBackedBytes>,
    access_token: Option<PyBackedStr>,
    bound_to: Option<PyBackedStr>,
    expected_nonce: Option<PyBackedStr>,
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
        })
    }
}

impl Presented {
    fn show<T>(&self, judge: impl FnOnce(&ffi::Presented<'_>) -> T) -> T {
        let proofs: Vec<&[u8]> = self.proofs.iter().map(|proof| &**proof).collect();
        judge(&ffi::Presented {
            method: &self.method,
            url: &self.url,
            proofs: &proofs,
            access_token: self.access_token.as_deref(),
            bound_to: self.bound_to.as_deref(),
            expected_nonce: self.expected_nonce.as_deref(),
        })
    }
}

#[pymethods]
impl NativeVerifier {
    #[new]
    #[pyo3(signature = (options, epoch=None))]
    fn new(options: &str, epoch: Option<&str>) -> PyResult<Self> {
        ffi::Verifier::new(options, epoch, &AWS_LC).map(Self).map_err(raised)
    }

    fn verify(&self, store: &NativeMemoryStore, presented: Presented, now: i64) -> PyResult<Verified> {
        presented.show(|presented| self.0.verify(presented, &store.0, now)).map(verified).map_err(raised)
    }

    /// Verdicts in the order of the requests, each what `verify` returns or raises. Other threads run meanwhile.
    fn verify_many<'py>(
        &self,
        py: Python<'py>,
        store: &NativeMemoryStore,
        requests: Vec<Presented>,
        now: i64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let judge = |request: &Presented| request.show(|presented| self.0.verify(presented, &store.0, now));
        let judged: Vec<_> = py.detach(|| requests.iter().map(judge).collect());
        let shown = judged.into_iter().map(|verdict| match verdict {
            Ok(proof) => verified(proof).into_pyobject(py).map(Bound::into_any),
            Err(error) => Ok(NativeError::new_err(error.to_json()).value(py).clone().into_any()),
        });
        shown.collect()
    }

    fn check(&self, presented: Presented, now: i64) -> PyResult<NativePending> {
        presented.show(|presented| self.0.check(presented, now)).map(NativePending).map_err(raised)
    }

    fn explain(&self, presented: Presented, now: i64) -> PyResult<String> {
        presented.show(|presented| self.0.explain(presented, now)).map_err(raised)
    }

    /// Status, reason, error code, header fields, body.
    fn refuse(&self, reason: &str, presented: Presented, now: i64) -> PyResult<Refusal> {
        presented.show(|presented| self.0.refuse(reason, presented, now)).map(refusal).map_err(raised)
    }

    fn fresh_nonce(&self, role: &str, now: i64) -> PyResult<Option<String>> {
        self.0.fresh_nonce(role, now).map_err(raised)
    }

    #[getter]
    fn algorithms(&self) -> Vec<&'static str> {
        self.0.algorithms()
    }
}

pub(crate) type Refusal = (u16, String, Option<String>, Vec<(String, String)>, String);

pub(crate) fn refusal(refusal: ffi::Refusal) -> Refusal {
    (refusal.status, refusal.reason, refusal.error, refusal.headers, refusal.body)
}

/// A proof that passed every check but replay.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativePending(ffi::Pending);

#[pymethods]
impl NativePending {
    #[getter]
    fn entry(&self) -> NativeEntry {
        NativeEntry(self.0.entry().clone())
    }

    fn settle(&self, insertion: &str, epoch: Option<&str>, now: i64) -> PyResult<Verified> {
        self.0.settle(insertion, epoch, now).map(verified).map_err(raised)
    }

    fn danger_skip_replay_check(&self) -> PyResult<Verified> {
        self.0.danger_skip_replay_check().map(verified).map_err(raised)
    }
}

/// One proof as a store sees it.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativeEntry(pub(crate) ffi::Entry);

#[pymethods]
impl NativeEntry {
    #[getter]
    fn key(&self) -> &[u8] {
        &self.0.key
    }

    #[getter]
    fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    #[getter]
    fn timed_at(&self) -> i64 {
        self.0.timed_at
    }

    #[getter]
    fn max_ahead(&self) -> u64 {
        self.0.max_ahead
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.0.expires_at
    }

    #[getter]
    fn keep_until(&self) -> i64 {
        self.0.keep_until
    }

    #[getter]
    fn agreement(&self) -> &[u8] {
        &self.0.agreement
    }

    #[getter]
    fn nonce_epoch(&self) -> Option<&str> {
        self.0.nonce_epoch.as_deref()
    }

    fn lifetime(&self, now: i64) -> u64 {
        self.0.lifetime(now)
    }
}

/// The replay store of one process.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativeMemoryStore(pub(crate) ffi::MemoryStore);

#[pymethods]
impl NativeMemoryStore {
    #[new]
    fn new(capacity: u32, options: &str, now: i64) -> PyResult<Self> {
        ffi::MemoryStore::new(capacity, options, &AWS_LC, now).map(Self).map_err(raised)
    }

    fn insert(&self, entry: &NativeEntry, now: i64) -> &'static str {
        self.0.insert(&entry.0, now)
    }

    #[getter]
    fn epoch(&self) -> String {
        self.0.epoch()
    }

    #[getter]
    fn held(&self) -> usize {
        self.0.held()
    }

    #[getter]
    fn was_forked(&self) -> bool {
        self.0.was_forked()
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeVerifier>()?;
    module.add_class::<NativePending>()?;
    module.add_class::<NativeEntry>()?;
    module.add_class::<NativeMemoryStore>()
}
