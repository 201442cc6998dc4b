//! Making proofs.

pub mod target;
pub mod uri;
