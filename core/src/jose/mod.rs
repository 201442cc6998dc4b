//! JOSE: algorithms, keys, thumbprints, the compact form and signatures.

pub mod algorithm;
#[cfg(any(feature = "dpop", feature = "oauth"))]
pub(crate) mod compact;
#[cfg(any(feature = "dpop", feature = "oauth"))]
pub(crate) mod header;
pub mod jwk;
pub mod signature;
pub mod thumbprint;
