//! The server's nonces.
