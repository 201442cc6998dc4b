//! The client's nonces.
