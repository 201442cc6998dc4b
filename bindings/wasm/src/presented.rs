//! A proof with what it came with.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::values::{Given, Plainly};

#[wasm_bindgen]
extern "C" {
    /// A proof with what it came with, and the epoch of the store.
    pub type Presented;
    #[wasm_bindgen(method, getter)]
    fn method(this: &Presented) -> String;
    #[wasm_bindgen(method, getter)]
    fn url(this: &Presented) -> String;
    #[wasm_bindgen(method, getter)]
    fn proofs(this: &Presented) -> Vec<String>;
    #[wasm_bindgen(method, getter, js_name = accessToken)]
    fn access_token(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = boundTo)]
    fn bound_to(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = expectedNonce)]
    fn expected_nonce(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn epoch(this: &Presented) -> Option<String>;
}

impl Given for Presented {
    type Plain = ffi::OwnedPresented;
    fn plain(self) -> Plainly<ffi::OwnedPresented> {
        Ok(ffi::OwnedPresented {
            method: self.method(),
            url: self.url(),
            proofs: ffi::byte_strings(&self.proofs())?,
            access_token: self.access_token(),
            bound_to: self.bound_to(),
            expected_nonce: self.expected_nonce(),
            epoch: self.epoch(),
        })
    }
}
