//! WASM for JavaScript: translates between it and `keybound-ffi`. It decides nothing.
//!
//! Feature `client` is what a browser needs whose keys are WebCrypto's: flows and sessions, without curves and verifiers; `grants` adds
//! those without a browser. Feature `full` has keys, proofs and their verification, with cryptography by RustCrypto; `server` adds
//! resource and authorization servers; feature `advice` is what a page asks about a refusal. They are built apart, so that no page loads
//! what it does not need. What is exported is described in `pkg/npm/src/native.ts`, and the Node addon exports the same, by the same tables
//! (`bindings/shared/src/table.rs`). An error is thrown as the JSON text of [`ffi::Error::to_json`].
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "what JavaScript sees is documented where its users read it, in pkg/npm/src"
)]

#[cfg(feature = "server")]
mod incoming;
#[cfg(feature = "full")]
mod presented;
#[cfg(any(feature = "client", feature = "full"))]
mod provider;
mod values;

use std::alloc::System;

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;
use zeroizing_alloc::ZeroAlloc;

#[cfg(feature = "server")]
use incoming::Incoming;
#[cfg(feature = "full")]
use presented::Presented;
#[cfg(any(feature = "client", feature = "full"))]
use provider::CRYPTO;
#[allow(unused_imports, reason = "each build has other rows")]
use values::*;

/// A page can read all of this module's memory. What is given back is overwritten, so that a token that is not needed any more is
/// not in it: neither the core's own copies nor those in the JSON of steps and replies, which the core's secrets do not cover.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

/// A row of the tables in this language.
macro_rules! table {
    ($($row:tt)*) => {
        ffi::javascript! { wasm_bindgen; $($row)* }
    };
}

#[cfg(any(feature = "client", feature = "full"))]
ffi::thumbprints!(table);
#[cfg(feature = "full")]
ffi::proofs!(table);
#[cfg(feature = "server")]
ffi::key_files!(table);
#[cfg(any(feature = "client", feature = "server"))]
ffi::flows!(table);
#[cfg(feature = "client")]
ffi::client!(table);
#[cfg(feature = "grants")]
ffi::grants!(table);
#[cfg(feature = "grants")]
ffi::folders!(table);
#[cfg(feature = "advice")]
ffi::advice!(table);
#[cfg(feature = "server")]
ffi::redis!(table);
#[cfg(feature = "server")]
ffi::servers!(table);
