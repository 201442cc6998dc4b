//! Keys in tokens of SoftHSM: the program, and clients of its servers. Each test is a process with a token of its own.
#![cfg(unix)]

/// The tokens of keybound-pkcs11's own tests.
#[allow(dead_code, reason = "parts of it")]
#[path = "../../../pkcs11/tests/place.rs"]
mod place;

mod login;
mod program;
mod ring;
