//! Keys on tokens of SoftHSM: each test is a process with a token of its own.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod place;

mod keys;
mod outage;
mod overhead;
mod pin;
mod signing;
