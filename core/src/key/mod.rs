//! Keys that sign.

pub mod material;
pub mod ring;
