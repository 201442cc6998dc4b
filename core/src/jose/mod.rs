//! JOSE: algorithms, keys, thumbprints, the compact form and signatures.

pub mod algorithm;
#[cfg(feature = "dpop")]
pub(crate) mod compact;
#[cfg(feature = "dpop")]
pub(crate) mod header;
pub mod jwk;
pub mod signature;
pub mod thumbprint;
