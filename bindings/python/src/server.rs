//! Resource and authorization servers, and intents.

use keybound_aws_lc::AWS_LC;
use keybound_ffi as ffi;
use pyo3::prelude::*;

use crate::raised;
use crate::verify::{NativeEntry, NativeMemoryStore, Refusal, refusal};

/// The keys of an issuer.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeJwkSet(ffi::JwkSet);

#[pymethods]
impl NativeJwkSet {
    #[new]
    fn new(json: &[u8]) -> PyResult<Self> {
        ffi::JwkSet::parse(json).map(Self).map_err(raised)
    }
}

/// Admits requests to a resource.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeResourceServer(ffi::ResourceServer);

fn borrowed(fields: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

#[pymethods]
impl NativeResourceServer {
    #[new]
    #[pyo3(signature = (options, verifier, epoch=None))]
    fn new(options: &str, verifier: &str, epoch: Option<&str>) -> PyResult<Self> {
        ffi::ResourceServer::new(options, verifier, epoch, None, &AWS_LC).map(Self).map_err(raised)
    }

    fn receive(&self, method: &str, url: &str, fields: Vec<(String, Vec<u8>)>, now: i64) -> NativeAccess {
        NativeAccess(self.0.receive(method, url, &borrowed(&fields), now))
    }

    #[pyo3(signature = (method, raw_target, peer, fields, now))]
    fn receive_raw(
        &self,
        method: &str,
        raw_target: &[u8],
        peer: Option<&str>,
        fields: Vec<(String, Vec<u8>)>,
        now: i64,
    ) -> NativeAccess {
        NativeAccess(self.0.receive_raw(method, raw_target, peer, &borrowed(&fields), now))
    }

    /// The routed path, or the refusal.
    fn route(&self, raw_target: &[u8], mount_path: &[u8], path: &[u8]) -> (Option<String>, Option<Refusal>) {
        match self.0.route(raw_target, mount_path, path) {
            Ok(path) => (Some(path), None),
            Err(refused) => (None, Some(refusal(refused))),
        }
    }

    fn require_scopes(&self, access: &NativeAccess, scopes: Vec<String>) -> PyResult<Option<Refusal>> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        self.0.require_scopes(&access.0, &scopes).map(|refused| refused.map(refusal)).map_err(raised)
    }

    fn refuse_revoked(&self, access: &NativeAccess) -> PyResult<Refusal> {
        self.0.refuse_revoked(&access.0).map(refusal).map_err(raised)
    }

    fn carry_out(
        &self,
        access: &NativeAccess,
        method: &str,
        url: &str,
        body: &[u8],
        now: i64,
    ) -> PyResult<NativeEntry> {
        self.0.carry_out(&access.0, method, url, body, now).map(NativeEntry).map_err(raised)
    }

    fn used_up(
        &self,
        access: &NativeAccess,
        method: &str,
        url: &str,
        body: &[u8],
        insertion: &str,
        now: i64,
    ) -> PyResult<()> {
        self.0.used_up(&access.0, method, url, body, insertion, now).map_err(raised)
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

/// Where a request stands.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeAccess(ffi::Access);

#[pymethods]
impl NativeAccess {
    fn state(&self) -> PyResult<String> {
        self.0.state().map_err(raised)
    }

    #[getter]
    fn entry(&self) -> Option<NativeEntry> {
        self.0.entry().map(NativeEntry)
    }

    fn is_answered_by(&self, keys: &NativeJwkSet) -> bool {
        self.0.is_answered_by(&keys.0)
    }

    fn keys(&self, keys: &NativeJwkSet, now: i64) -> PyResult<()> {
        self.0.keys(&keys.0, now).map_err(raised)
    }

    fn introspected(&self, answer: &[u8], now: i64) -> PyResult<()> {
        self.0.introspected(answer, now).map_err(raised)
    }

    fn unavailable(&self) -> PyResult<()> {
        self.0.unavailable().map_err(raised)
    }

    fn settle(&self, insertion: &str, now: i64) -> PyResult<()> {
        self.0.settle(insertion, now).map_err(raised)
    }

    fn insert_into(&self, store: &NativeMemoryStore, now: i64) -> PyResult<()> {
        self.0.insert_into(&store.0, now).map_err(raised)
    }

    fn intent(&self) -> PyResult<NativeIntent> {
        self.0.intent().map(NativeIntent).map_err(raised)
    }
}

/// Judges the proofs that come to an authorization server.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeAuthorizationServer(ffi::AuthorizationServer);

#[pymethods]
impl NativeAuthorizationServer {
    #[new]
    #[pyo3(signature = (options, epoch=None))]
    fn new(options: &str, epoch: Option<&str>) -> PyResult<Self> {
        ffi::AuthorizationServer::new(options, epoch, &AWS_LC).map(Self).map_err(raised)
    }

    fn check(&self, request: &str, proofs: Vec<Vec<u8>>, now: i64) -> PyResult<NativeAdmission> {
        let proofs: Vec<&[u8]> = proofs.iter().map(Vec::as_slice).collect();
        self.0.check(request, &proofs, now).map(NativeAdmission).map_err(raised)
    }

    fn fresh_nonce(&self, now: i64) -> Option<String> {
        self.0.fresh_nonce(now)
    }

    fn metadata(&self, issuer: &str) -> String {
        self.0.metadata(issuer)
    }
}

/// A request to an authorization server on its way.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeAdmission(ffi::Admission);

#[pymethods]
impl NativeAdmission {
    #[getter]
    fn entry(&self) -> Option<NativeEntry> {
        self.0.entry().map(NativeEntry)
    }

    fn settle(&self, insertion: &str, now: i64) -> PyResult<()> {
        self.0.settle(insertion, now).map_err(raised)
    }

    fn admitted(&self) -> PyResult<String> {
        self.0.admitted().map_err(raised)
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
    module.add_class::<NativeJwkSet>()?;
    module.add_class::<NativeResourceServer>()?;
    module.add_class::<NativeAccess>()?;
    module.add_class::<NativeAuthorizationServer>()?;
    module.add_class::<NativeAdmission>()?;
    module.add_class::<NativeIntent>()?;
    module.add_function(wrap_pyfunction!(request_detail, module)?)
}
