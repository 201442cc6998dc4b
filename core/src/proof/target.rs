//! The target URI.
