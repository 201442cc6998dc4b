//! WASM for JavaScript: translates between it and `keybound-ffi`. It decides nothing.
//!
//! Feature `client` is what a browser needs whose keys are WebCrypto's: flows and sessions, without curves and verifiers; `grants` adds
//! those without a browser. Feature `full` has keys, proofs and judging, with cryptography by RustCrypto; `server` adds resource and authorization servers; feature `advice` is what a page asks about a refusal. They are built apart, so that
//! nobody loads what is not needed. What is exported is described in `pkg/npm/src/native.ts`, and the Node addon exports all of it. An
//! error is thrown as the JSON text of [`ffi::Error::to_json`].
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "what JavaScript sees is documented where its users read it, in pkg/npm/src"
)]

#[cfg(feature = "grants")]
mod files;
#[cfg(any(feature = "client", feature = "server"))]
mod flow;
#[cfg(feature = "full")]
mod keys;
#[cfg(feature = "client")]
mod oauth;
#[cfg(any(feature = "client", feature = "full"))]
mod provider;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "full")]
mod verify;

use std::alloc::System;

#[cfg(any(feature = "client", feature = "full"))]
use ffi::number::seconds;
use keybound_ffi as ffi;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use zeroizing_alloc::ZeroAlloc;

#[cfg(any(feature = "client", feature = "full"))]
use provider::CRYPTO;

/// A page can read all of this module's memory. What is given back is overwritten, so that a token that is not needed any more is
/// not in it: neither the core's own copies nor those in the JSON of steps and replies, which the core's secrets do not cover.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

type Result<T> = std::result::Result<T, JsValue>;

/// The error as JavaScript gets it.
fn thrown(error: ffi::Error) -> JsValue {
    JsValue::from_str(&error.to_json())
}

/// The bytes of byte strings.
#[cfg(feature = "full")]
fn all_bytes(texts: &[String]) -> Result<Vec<Vec<u8>>> {
    texts.iter().map(|text| ffi::from_byte_string(text).map_err(thrown)).collect()
}

#[cfg(feature = "full")]
fn slices(values: &[Vec<u8>]) -> Vec<&[u8]> {
    values.iter().map(Vec::as_slice).collect()
}

#[cfg(any(feature = "client", feature = "full"))]
#[wasm_bindgen]
pub fn thumbprint(jwk: String) -> Result<String> {
    ffi::thumbprint(&jwk, &CRYPTO).map_err(thrown)
}

#[cfg(feature = "full")]
#[wasm_bindgen]
pub fn reasons() -> String {
    ffi::reasons()
}

#[cfg(feature = "advice")]
#[wasm_bindgen(js_name = explainResponse)]
pub fn explain_response(response: String) -> Result<String> {
    ffi::explain_response(&response).map_err(thrown)
}
