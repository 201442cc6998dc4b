//! Making proofs.

pub mod target;
