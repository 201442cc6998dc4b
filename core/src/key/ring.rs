//! Key rotation.
