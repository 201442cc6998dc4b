//! The server's side: what a protected resource and an authorization server decide about a request.

pub mod authorization;
mod jwk_set;
mod jwt;
pub mod resource;

pub use jwk_set::{JwkSet, NotJwkSet};
