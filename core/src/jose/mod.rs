//! JOSE: algorithms, keys, thumbprints, the compact form and signatures.

pub mod algorithm;
pub mod jwk;
pub mod thumbprint;
