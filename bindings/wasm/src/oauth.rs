//! The client and its flows.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::flow::Flow;
use crate::{CRYPTO, Result, seconds, thrown};

#[wasm_bindgen]
pub struct Client(ffi::Client);

#[wasm_bindgen]
impl Client {
    #[wasm_bindgen(constructor)]
    pub fn new(options: String) -> Result<Self> {
        ffi::Client::new(&options, &CRYPTO).map(Self).map_err(thrown)
    }
    pub fn begin(&self, operation: String, handles: &Handles, now: f64) -> Result<Flow> {
        self.0.begin(&operation, handles.0.clone(), seconds(now)).map(Flow).map_err(thrown)
    }
}

#[wasm_bindgen]
#[derive(Default)]
pub struct Handles(ffi::Handles);

#[wasm_bindgen]
impl Handles {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }
    pub fn discovered(&mut self, value: &Discovered) {
        self.0.discovered = Some(value.0.clone());
    }
    pub fn session(&mut self, value: &Session) {
        self.0.session = Some(value.0.clone());
    }
}

#[wasm_bindgen]
impl Flow {
    pub fn discovered(&self) -> Option<Discovered> {
        match self.0.handle() {
            Some(ffi::Handle::Discovered(found)) => Some(Discovered(found)),
            _ => None,
        }
    }
    pub fn session(&self) -> Option<Session> {
        match self.0.handle() {
            Some(ffi::Handle::Session(session)) => Some(Session(session)),
            _ => None,
        }
    }
}

#[wasm_bindgen]
pub struct Discovered(ffi::Discovered);

pub(crate) mod sweep {
    use keybound_ffi as ffi;
    use wasm_bindgen::prelude::wasm_bindgen;

    use crate::{CRYPTO, Result, seconds, thrown};

    #[wasm_bindgen]
    pub struct Sweep(ffi::Sweep);

    #[wasm_bindgen]
    impl Sweep {
        #[wasm_bindgen(constructor)]
        pub fn new(now: f64) -> Self {
            Self(ffi::Sweep::new(&CRYPTO, seconds(now)))
        }
        pub fn stored(&self, slot: String, version: f64, value: Option<String>, stored_at: Option<f64>) -> Result<()> {
            self.0.stored(&slot, ffi::number::whole(version), value.as_deref(), stored_at.map(seconds)).map_err(thrown)
        }
        pub fn key(&self, thumbprint: String, created_at: f64) -> Result<()> {
            self.0.key(&thumbprint, seconds(created_at)).map_err(thrown)
        }
        pub fn finish(&self) -> Result<String> {
            self.0.finish().map_err(thrown)
        }
    }
}

#[cfg(feature = "grants")]
mod device {
    use std::sync::Arc;

    use keybound_ffi as ffi;
    use wasm_bindgen::prelude::wasm_bindgen;

    use super::Handles;
    use crate::flow::Flow;

    #[wasm_bindgen]
    pub struct Device(Arc<ffi::Device>);

    #[wasm_bindgen]
    impl Handles {
        pub fn device(&mut self, value: &Device) {
            self.0.device = Some(Arc::clone(&value.0));
        }
    }

    #[wasm_bindgen]
    impl Flow {
        pub fn device(&self) -> Option<Device> {
            match self.0.handle() {
                Some(ffi::Handle::Device(device)) => Some(Device(device)),
                _ => None,
            }
        }
    }
}

#[wasm_bindgen]
pub struct Session(ffi::Session);

#[wasm_bindgen]
impl Session {
    pub fn info(&self) -> String {
        ffi::session_info(&self.0)
    }
    #[wasm_bindgen(js_name = dangerAccessToken)]
    pub fn danger_access_token(&self) -> Option<String> {
        self.0.danger_access_token().map(|token| token.expose().into())
    }
    pub fn member(&self, name: String) -> Option<String> {
        ffi::session_member(&self.0, &name)
    }
}
