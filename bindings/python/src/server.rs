//! Resource and authorization servers, and intents.

use std::sync::{Arc, Mutex, PoisonError};

use keybound_aws_lc::AWS_LC;
use keybound_ffi as ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

use crate::client::NativeFlow;
use crate::raised;
use crate::verify::{NativeEntry, NativeMemoryStore, Refusal, refusal};

/// A request as the host received it: what `keybound.Incoming` holds.
struct Incoming {
    method: PyBackedStr,
    url: Option<PyBackedStr>,
    target: Option<PyBackedBytes>,
    headers: Vec<(PyBackedStr, PyBackedBytes)>,
    peer: Option<PyBackedStr>,
    certificate: Option<PyBackedBytes>,
}

impl<'py> FromPyObject<'_, 'py> for Incoming {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = given.py();
        Ok(Self {
            method: given.getattr(intern!(py, "method"))?.extract()?,
            url: given.getattr(intern!(py, "url"))?.extract()?,
            target: given.getattr(intern!(py, "target"))?.extract()?,
            headers: given.getattr(intern!(py, "headers"))?.extract()?,
            peer: given.getattr(intern!(py, "peer"))?.extract()?,
            certificate: given.getattr(intern!(py, "certificate"))?.extract()?,
        })
    }
}

impl Incoming {
    fn show<T>(&self, epoch: Option<&str>, ticks: u64, judge: impl FnOnce(&ffi::Incoming<'_>) -> T) -> T {
        let fields: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let raw = self.target.as_deref().unwrap_or_default();
        judge(&ffi::Incoming {
            method: &self.method,
            target: self.url.as_deref().map_or(ffi::Target::Raw(raw), ffi::Target::Url),
            fields: &fields,
            peer: self.peer.as_deref(),
            client_certificate: self.certificate.as_deref(),
            epoch,
            ticks: Some(ticks),
        })
    }
}

/// Admits requests to a resource.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeResourceServer(ffi::ResourceServer);

#[pymethods]
impl NativeResourceServer {
    /// With a store of this process, it is used without a step.
    #[new]
    #[pyo3(signature = (options, verifier, store=None))]
    fn new(options: &str, verifier: &str, store: Option<&NativeMemoryStore>) -> PyResult<Self> {
        let store = store.map(|store| &store.0);
        ffi::ResourceServer::new(options, verifier, store, &AWS_LC).map(Self).map_err(raised)
    }

    fn admit(&self, incoming: Incoming, epoch: Option<&str>, ticks: u64, now: i64) -> PyResult<NativeFlow> {
        incoming.show(epoch, ticks, |incoming| self.0.admit(incoming, now)).map(NativeFlow).map_err(raised)
    }

    fn check(&self, incoming: Incoming, epoch: Option<&str>, ticks: u64, now: i64) -> PyResult<NativeFlow> {
        incoming.show(epoch, ticks, |incoming| self.0.check(incoming, now)).map(NativeFlow).map_err(raised)
    }

    /// The routed path, or the refusal.
    fn route(&self, raw_target: &[u8], mount_path: &[u8], path: &[u8]) -> (Option<String>, Option<Refusal>) {
        match self.0.route(raw_target, mount_path, path) {
            Ok(path) => (Some(path), None),
            Err(refused) => (None, Some(refusal(refused))),
        }
    }

    fn metadata(&self) -> String {
        self.0.metadata()
    }

    fn metadata_url(&self) -> String {
        self.0.metadata_url()
    }

    fn metadata_path(&self) -> String {
        self.0.metadata_path()
    }
}

/// Whom an admitted request may be attributed to.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativePrincipal(pub(crate) Arc<ffi::Principal>);

#[pymethods]
impl NativePrincipal {
    fn require_scopes(&self, scopes: Vec<String>) -> Option<Refusal> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        self.0.require_scopes(&scopes).map(refusal)
    }

    fn refuse_revoked(&self) -> Refusal {
        refusal(self.0.refuse_revoked())
    }

    fn intent(&self) -> PyResult<NativeIntent> {
        self.0.intent().map(NativeIntent).map_err(raised)
    }

    fn carry_out(&self, method: &str, url: &str, body: &[u8], now: i64) -> PyResult<NativeFlow> {
        self.0.carry_out(method, url, body, now).map(NativeFlow).map_err(raised)
    }
}

/// Judges the proofs that come to an authorization server.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeAuthorizationServer(ffi::AuthorizationServer);

#[pymethods]
impl NativeAuthorizationServer {
    #[new]
    fn new(options: &str) -> PyResult<Self> {
        ffi::AuthorizationServer::new(options, None, &AWS_LC).map(Self).map_err(raised)
    }

    fn check(&self, request: &str, proofs: Vec<Vec<u8>>, now: i64) -> PyResult<NativeAdmission> {
        let proofs: Vec<&[u8]> = proofs.iter().map(Vec::as_slice).collect();
        let flow = self.0.admit(request, &proofs, now).map_err(raised)?;
        let admitted = admitted(&flow)?;
        Ok(NativeAdmission { flow, admitted: Mutex::new(admitted) })
    }

    #[pyo3(signature = (now, epoch=None))]
    fn fresh_nonce(&self, now: i64, epoch: Option<&str>) -> PyResult<Option<String>> {
        self.0.fresh_nonce(epoch, now).map_err(raised)
    }

    fn metadata(&self, issuer: &str) -> String {
        self.0.metadata(issuer)
    }
}

/// A request to an authorization server on its way: its flow, and what that came to.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeAdmission {
    flow: ffi::Flow,
    admitted: Mutex<Option<String>>,
}

/// What the tokens of a flow get, as JSON, if it has ended.
fn admitted(flow: &ffi::Flow) -> PyResult<Option<String>> {
    let came = flow.look(|seen| match seen {
        ffi::Seen::Done(came) => Some(came),
        ffi::Seen::Wanted(_) => None,
    });
    match came.map_err(raised)? {
        Some(ffi::Came::Bound(admitted)) => Ok(Some(ffi::admitted_json(&admitted))),
        Some(ffi::Came::Refused(refusal)) => Err(raised(refusal.into_error())),
        _ => Ok(None),
    }
}

#[pymethods]
impl NativeAdmission {
    #[getter]
    fn entry(&self) -> Option<NativeEntry> {
        self.flow.entry().map(NativeEntry)
    }

    #[pyo3(signature = (insertion, now, epoch=None))]
    fn settle(&self, insertion: &str, now: i64, epoch: Option<&str>) -> PyResult<()> {
        let reply = ffi::Reply::inserted(insertion, epoch).map_err(raised)?;
        self.flow.answer(reply, now).map_err(raised)?;
        let admitted = admitted(&self.flow)?;
        *self.admitted.lock().unwrap_or_else(PoisonError::into_inner) = admitted;
        Ok(())
    }

    fn admitted(&self) -> PyResult<String> {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unsettled = "insert the entry into the replay store and settle it first";
        admitted.ok_or_else(|| raised(ffi::Error::misuse("not_settled", unsettled)))
    }
}

/// Details, the key that may carry them out, and until when.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeIntent(ffi::Intent);

#[pymethods]
impl NativeIntent {
    #[staticmethod]
    fn declare(details: &str, key: &str, lifetime: u64, now: i64) -> PyResult<Self> {
        ffi::Intent::declare(details, key, lifetime, &AWS_LC, now).map(Self).map_err(raised)
    }

    fn grant(&self, granted: &str, now: i64) -> PyResult<Self> {
        self.0.grant(granted, now).map(Self).map_err(raised)
    }

    fn permits(&self, method: &str, url: &str, body: &[u8], key: &str, now: i64) -> PyResult<()> {
        self.0.permits(method, url, body, key, now).map_err(raised)
    }

    #[getter]
    fn details(&self) -> String {
        self.0.details()
    }

    #[getter]
    fn key(&self) -> String {
        self.0.key()
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.0.expires_at()
    }
}

#[pyfunction]
#[pyo3(signature = (method, url, body=None))]
fn request_detail(method: &str, url: &str, body: Option<&[u8]>) -> String {
    ffi::request_detail(method, url, body, &AWS_LC)
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeResourceServer>()?;
    module.add_class::<NativePrincipal>()?;
    module.add_class::<NativeAuthorizationServer>()?;
    module.add_class::<NativeAdmission>()?;
    module.add_class::<NativeIntent>()?;
    module.add_function(wrap_pyfunction!(request_detail, module)?)
}
