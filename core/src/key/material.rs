//! Private key material.
/// A private key.
pub struct PrivateKey {}
