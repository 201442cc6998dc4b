//! `keybound._keybound`: the facade as Python classes. It translates and decides nothing; what people use is in `pkg/python`.
//!
//! Errors are `NativeError` with one argument, the JSON of the facade's error; byte strings and JSON are as `keybound-ffi` has
//! them. Times are whole seconds.

mod client;
mod files;
mod server;
mod verify;

use keybound_aws_lc::AWS_LC;
use keybound_ffi as ffi;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pyo3::create_exception!(
    _keybound,
    NativeError,
    PyException,
    "What went wrong, as JSON: kind, reason, detail, code, status, section, refusal."
);

/// The facade's error as Python's.
pub(crate) fn raised(error: ffi::Error) -> PyErr {
    NativeError::new_err(error.to_json())
}

/// A key that signs in this process.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativeKey(pub(crate) ffi::Key);

#[pymethods]
impl NativeKey {
    #[staticmethod]
    fn generate(py: Python<'_>, algorithm: &str) -> PyResult<Self> {
        py.detach(|| ffi::Key::generate(algorithm, &AWS_LC)).map(Self).map_err(raised)
    }

    #[staticmethod]
    fn generate_for(py: Python<'_>, algorithms: Vec<String>, protections: Vec<String>) -> PyResult<Self> {
        py.detach(|| ffi::Key::generate_for(&algorithms, &protections, &AWS_LC)).map(Self).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (jwk, algorithm=None))]
    fn from_jwk(jwk: &str, algorithm: Option<&str>) -> PyResult<Self> {
        ffi::Key::from_jwk(jwk, algorithm, &AWS_LC).map(Self).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (pem, algorithm=None))]
    fn from_pem(pem: &str, algorithm: Option<&str>) -> PyResult<Self> {
        ffi::Key::from_pem(pem, algorithm, &AWS_LC).map(Self).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (der, algorithm=None))]
    fn from_der(der: &[u8], algorithm: Option<&str>) -> PyResult<Self> {
        ffi::Key::from_der(der, algorithm, &AWS_LC).map(Self).map_err(raised)
    }

    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.algorithm()
    }

    #[getter]
    fn public_jwk(&self) -> String {
        self.0.public_jwk()
    }

    #[getter]
    fn thumbprint(&self) -> String {
        self.0.thumbprint()
    }

    fn sign(&self, message: &[u8]) -> PyResult<Vec<u8>> {
        self.0.sign(message).map_err(raised)
    }

    fn danger_private_jwk(&self) -> PyResult<String> {
        self.0.danger_private_jwk().map_err(raised)
    }

    fn danger_private_pem(&self) -> PyResult<String> {
        self.0.danger_private_pem().map_err(raised)
    }

    fn __repr__(&self) -> String {
        format!("NativeKey({})", self.0.algorithm())
    }
}

#[pyfunction]
fn thumbprint(jwk: &str) -> PyResult<String> {
    ffi::thumbprint(jwk, &AWS_LC).map_err(raised)
}

#[pyfunction]
#[pyo3(signature = (key, method, url, access_token, nonce, now))]
fn proof(
    key: &NativeKey,
    method: &str,
    url: &str,
    access_token: Option<&str>,
    nonce: Option<&str>,
    now: i64,
) -> PyResult<String> {
    let request = ffi::ProofRequest { method, url, access_token, nonce };
    ffi::proof(&request, &key.0, &AWS_LC, now).map_err(raised)
}

/// A proof without its signature.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeUnsigned(ffi::Unsigned);

#[pymethods]
impl NativeUnsigned {
    #[getter]
    fn message(&self) -> &[u8] {
        self.0.message()
    }

    #[getter]
    fn digest(&self) -> Option<&[u8]> {
        self.0.digest()
    }

    fn attach(&self, signature: &[u8], encoding: &str) -> PyResult<String> {
        self.0.attach(signature, encoding).map_err(raised)
    }
}

#[pyfunction]
#[pyo3(signature = (public_jwk, algorithm, method, url, access_token, nonce, now))]
fn prepare(
    public_jwk: &str,
    algorithm: &str,
    method: &str,
    url: &str,
    access_token: Option<&str>,
    nonce: Option<&str>,
    now: i64,
) -> PyResult<NativeUnsigned> {
    let request = ffi::ProofRequest { method, url, access_token, nonce };
    ffi::prepare(&request, public_jwk, algorithm, &AWS_LC, now).map(NativeUnsigned).map_err(raised)
}

/// The nonces that servers gave.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeNonceCache(ffi::NonceCache);

#[pymethods]
impl NativeNonceCache {
    #[new]
    fn new() -> Self {
        Self(ffi::NonceCache::new())
    }

    fn observe(&self, origin: &str, role: &str, thumbprint: &str, values: Vec<Vec<u8>>) -> PyResult<()> {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        self.0.observe(origin, role, thumbprint, &values).map_err(raised)
    }

    fn get(&self, origin: &str, role: &str, thumbprint: &str) -> PyResult<Option<String>> {
        self.0.get(origin, role, thumbprint).map_err(raised)
    }
}

#[pyfunction]
fn explain_response(response: &str) -> PyResult<String> {
    ffi::explain_response(response).map_err(raised)
}

#[pyfunction]
fn reasons() -> String {
    ffi::reasons()
}

#[pymodule]
fn _keybound(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NativeError", module.py().get_type::<NativeError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<NativeKey>()?;
    module.add_class::<NativeUnsigned>()?;
    module.add_class::<NativeNonceCache>()?;
    module.add_function(wrap_pyfunction!(thumbprint, module)?)?;
    module.add_function(wrap_pyfunction!(proof, module)?)?;
    module.add_function(wrap_pyfunction!(prepare, module)?)?;
    module.add_function(wrap_pyfunction!(explain_response, module)?)?;
    module.add_function(wrap_pyfunction!(reasons, module)?)?;
    verify::add(module)?;
    client::add(module)?;
    files::add(module)?;
    server::add(module)
}
