//! `WWW-Authenticate`.
