//! The Node addon: translates between JavaScript and `keybound-ffi`, with cryptography by AWS-LC. It decides nothing.
//!
//! What it exports is described in `pkg/npm/src/native.ts`, and the WASM build exports the same, by the same tables
//! (`bindings/shared/src/table.rs`). An error is thrown as the JSON text of [`ffi::Error::to_json`]. Calls answer at once: a hop to a
//! thread costs more than a proof.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "what JavaScript sees is documented where its users read it, in pkg/npm/src"
)]

pub mod batch;
pub mod files;
mod values;

use keybound_aws_lc::AWS_LC as CRYPTO;
use keybound_ffi as ffi;
use napi_derive::napi;

use crate::values::{
    Bytes, Given, Incoming, Number, OptionalBytes, OptionalNumber, OptionalText, Plainly, Presented, Refusal, Result,
    SPELLING, Shown, Text, Texts, Verified, answered,
};

/// A row of the tables in this language.
macro_rules! table {
    ($($row:tt)*) => {
        ffi::javascript! { napi; $($row)* }
    };
}

ffi::thumbprints!(table);
ffi::proofs!(table);
ffi::key_files!(table);
ffi::flows!(table);
ffi::client!(table);
ffi::grants!(table);
ffi::advice!(table);
ffi::redis!(table);
ffi::servers!(table);
