//! HTTP fields.

pub mod challenge;
