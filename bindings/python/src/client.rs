//! The OAuth client: operations and flows.

use std::sync::Arc;

use keybound_aws_lc::AWS_LC;
use keybound_ffi as ffi;
use pyo3::prelude::*;

use crate::raised;
use crate::server::NativePrincipal;
use crate::verify::NativeEntry;

/// An OAuth 2.1 client.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeClient(ffi::Client);

/// What was discovered.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeDiscovered(ffi::Discovered);

/// A session.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeSession(ffi::Session);

/// A login on another device.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeDevice(Arc<ffi::Device>);

/// A flow: what it wants, and what it is given.
#[pyclass(frozen, module = "keybound._keybound")]
pub(crate) struct NativeFlow(pub(crate) ffi::Flow);

#[pymethods]
impl NativeClient {
    #[new]
    fn new(options: &str) -> PyResult<Self> {
        ffi::Client::new(options, &AWS_LC).map(Self).map_err(raised)
    }

    #[pyo3(signature = (operation, now, discovered=None, session=None, device=None))]
    fn begin(
        &self,
        operation: &str,
        now: i64,
        discovered: Option<&NativeDiscovered>,
        session: Option<&NativeSession>,
        device: Option<&NativeDevice>,
    ) -> PyResult<NativeFlow> {
        let handles = ffi::Handles {
            discovered: discovered.map(|handle| handle.0.clone()),
            session: session.map(|handle| handle.0.clone()),
            device: device.map(|handle| handle.0.clone()),
        };
        self.0.begin(operation, handles, now).map(NativeFlow).map_err(raised)
    }
}

#[pymethods]
impl NativeSession {
    fn info(&self) -> String {
        ffi::session_info(&self.0)
    }

    fn danger_access_token(&self) -> Option<String> {
        self.0.danger_access_token().map(|token| token.expose().to_owned())
    }

    fn member(&self, name: &str) -> Option<String> {
        ffi::session_member(&self.0, name)
    }
}

#[pymethods]
impl NativeFlow {
    fn step(&self) -> PyResult<String> {
        self.0.step().map_err(raised)
    }

    fn resume(&self, reply: &str, now: i64) -> PyResult<String> {
        ffi::Reply::from_json(reply).and_then(|reply| self.0.resume(reply, now)).map_err(raised)
    }

    /// The work that a `share` step shares, for the first flow that waits for it.
    fn task(&self, now: i64) -> PyResult<Option<Self>> {
        self.0.task(now).map(|task| task.map(Self)).map_err(raised)
    }

    fn abandon(&self) {
        self.0.abandon();
    }

    fn entry(&self) -> Option<NativeEntry> {
        self.0.entry().map(NativeEntry)
    }

    fn discovered(&self) -> Option<NativeDiscovered> {
        self.0.handle().and_then(ffi::Handle::discovered).map(NativeDiscovered)
    }

    fn session(&self) -> Option<NativeSession> {
        self.0.handle().and_then(ffi::Handle::session).map(NativeSession)
    }

    fn device(&self) -> Option<NativeDevice> {
        self.0.handle().and_then(ffi::Handle::device).map(NativeDevice)
    }

    fn principal(&self) -> Option<NativePrincipal> {
        self.0.handle().and_then(ffi::Handle::principal).map(NativePrincipal)
    }
}

/// What a store deletes by itself.
#[pyclass(frozen, module = "keybound._keybound")]
struct NativeSweep(ffi::Sweep);

#[pymethods]
impl NativeSweep {
    #[new]
    fn new(now: i64) -> Self {
        Self(ffi::Sweep::new(&AWS_LC, now))
    }

    /// Whether a store sweeps now that did so last at `last`.
    #[staticmethod]
    fn is_due(last: i64, now: i64) -> bool {
        ffi::is_sweep_due(Some(last), now)
    }

    #[pyo3(signature = (slot, version, value, stored_at=None))]
    fn stored(&self, slot: &str, version: u64, value: Option<&str>, stored_at: Option<i64>) -> PyResult<()> {
        self.0.stored(slot, version, value, stored_at).map_err(raised)
    }

    fn key(&self, thumbprint: &str, created_at: i64) -> PyResult<()> {
        self.0.key(thumbprint, created_at).map_err(raised)
    }

    fn finish(&self) -> PyResult<String> {
        self.0.finish().map_err(raised)
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeClient>()?;
    module.add_class::<NativeDiscovered>()?;
    module.add_class::<NativeSession>()?;
    module.add_class::<NativeDevice>()?;
    module.add_class::<NativeSweep>()?;
    module.add_class::<NativeFlow>()
}
