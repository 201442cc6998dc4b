//! The client and its flows.

use std::sync::Arc;

use keybound_ffi as ffi;
use napi_derive::napi;

use crate::{CRYPTO, Result, seconds, thrown, whole};

#[napi]
pub struct Client(ffi::Client);

#[napi]
impl Client {
    #[napi(constructor)]
    pub fn new(options: String) -> Result<Self> {
        ffi::Client::new(&options, &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn begin(&self, operation: String, handles: &Handles, now: f64) -> Result<Flow> {
        self.0.begin(&operation, handles.0.clone(), seconds(now)).map(Flow).map_err(thrown)
    }
}

#[napi]
#[derive(Default)]
pub struct Handles(ffi::Handles);

#[napi]
impl Handles {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }
    #[napi]
    pub fn discovered(&mut self, value: &Discovered) {
        self.0.discovered = Some(value.0.clone());
    }
    #[napi]
    pub fn session(&mut self, value: &Session) {
        self.0.session = Some(value.0.clone());
    }
    #[napi]
    pub fn device(&mut self, value: &Device) {
        self.0.device = Some(Arc::clone(&value.0));
    }
}

#[napi]
pub struct Flow(pub(crate) ffi::Flow);

#[napi]
impl Flow {
    #[napi]
    pub fn step(&self) -> Result<String> {
        self.0.step().map_err(thrown)
    }
    #[napi]
    pub fn resume(&self, reply: String, now: f64) -> Result<String> {
        let reply = ffi::Reply::from_json(&reply).map_err(thrown)?;
        self.0.resume(reply, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn task(&self, now: f64) -> Result<Option<Flow>> {
        Ok(self.0.task(seconds(now)).map_err(thrown)?.map(Flow))
    }
    #[napi]
    pub fn abandon(&self) {
        self.0.abandon();
    }
    #[napi]
    pub fn discovered(&self) -> Option<Discovered> {
        match self.0.handle() {
            Some(ffi::Handle::Discovered(found)) => Some(Discovered(found)),
            _ => None,
        }
    }
    #[napi]
    pub fn session(&self) -> Option<Session> {
        match self.0.handle() {
            Some(ffi::Handle::Session(session)) => Some(Session(session)),
            _ => None,
        }
    }
    #[napi]
    pub fn device(&self) -> Option<Device> {
        match self.0.handle() {
            Some(ffi::Handle::Device(device)) => Some(Device(device)),
            _ => None,
        }
    }
}

#[napi]
pub struct Sweep(ffi::Sweep);

#[napi]
impl Sweep {
    #[napi(constructor)]
    pub fn new(now: f64) -> Self {
        Self(ffi::Sweep::new(&CRYPTO, seconds(now)))
    }
    #[napi]
    pub fn is_due(last: f64, now: f64) -> bool {
        ffi::is_sweep_due(Some(seconds(last)), seconds(now))
    }
    #[napi]
    pub fn stored(&self, slot: String, version: f64, value: Option<String>, stored_at: Option<f64>) -> Result<()> {
        self.0.stored(&slot, whole(version), value.as_deref(), stored_at.map(seconds)).map_err(thrown)
    }
    #[napi]
    pub fn key(&self, thumbprint: String, created_at: f64) -> Result<()> {
        self.0.key(&thumbprint, seconds(created_at)).map_err(thrown)
    }
    #[napi]
    pub fn finish(&self) -> Result<String> {
        self.0.finish().map_err(thrown)
    }
}

#[napi]
pub struct Discovered(ffi::Discovered);

#[napi]
pub struct Device(Arc<ffi::Device>);

#[napi]
pub struct Session(ffi::Session);

#[napi]
impl Session {
    #[napi]
    pub fn info(&self) -> String {
        ffi::session_info(&self.0)
    }
    #[napi]
    pub fn danger_access_token(&self) -> Option<String> {
        self.0.danger_access_token().map(|token| token.expose().into())
    }
    #[napi]
    pub fn member(&self, name: String) -> Option<String> {
        ffi::session_member(&self.0, &name)
    }
}
