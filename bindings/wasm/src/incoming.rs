//! A request as the host received it.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::values::{Given, Plainly};

#[wasm_bindgen]
extern "C" {
    /// A request as the host received it: `url`, or the raw `target`, both of type [`ffi::Target`].
    pub type Incoming;
    #[wasm_bindgen(method, getter)]
    fn method(this: &Incoming) -> String;
    #[wasm_bindgen(method, getter)]
    fn url(this: &Incoming) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn target(this: &Incoming) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn fields(this: &Incoming) -> Vec<String>;
    #[wasm_bindgen(method, getter)]
    fn peer(this: &Incoming) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn certificate(this: &Incoming) -> Option<Vec<u8>>;
    #[wasm_bindgen(method, getter)]
    fn epoch(this: &Incoming) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn ticks(this: &Incoming) -> Option<f64>;
}

impl Given for Incoming {
    type Plain = ffi::OwnedIncoming;
    fn plain(self) -> Plainly<ffi::OwnedIncoming> {
        Ok(ffi::OwnedIncoming {
            method: self.method(),
            url: self.url(),
            raw_target: ffi::from_byte_string(self.target().as_deref().unwrap_or_default())?,
            fields: ffi::field_lines(self.fields())?,
            peer: self.peer(),
            client_certificate: self.certificate(),
            epoch: self.epoch(),
            ticks: self.ticks().map(ffi::number::whole),
        })
    }
}
