//! The store against real servers: each test starts its own, on a free port, and stops it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

/// The issuer and the client of keybound-tower's own tests.
#[path = "../../tower/tests/story/mod.rs"]
mod story;
mod support;
mod tls;

mod agreement;
mod clocks;
mod cluster;
mod contract;
mod distant;
mod drill;
mod faults;
mod losses;
mod once;
mod protection;
mod servers;
mod size;
