//! Replay protection.

#[cfg(feature = "std")]
pub mod memory;
