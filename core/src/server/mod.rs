//! The server's side: what a protected resource and an authorization server decide about a request.
//!
//! Where a request's target comes from ([`source`]), and what is trusted of the proxies in front ([`forwarded`]), is here too; it needs
//! the feature `dpop` alone.

#[cfg(feature = "oauth")]
mod arrival;
#[cfg(feature = "oauth")]
pub mod authorization;
#[cfg(feature = "oauth")]
mod consumption;
#[cfg(feature = "oauth")]
pub mod cors;
pub mod forwarded;
pub mod public;
#[cfg(feature = "oauth")]
pub mod resource;
pub mod route;
pub mod source;

#[cfg(feature = "oauth")]
pub use crate::issuer::{JwkSet, KeySource, NotJwkSet};
#[cfg(feature = "oauth")]
pub use arrival::Arrival;
#[cfg(feature = "oauth")]
pub use consumption::{Consumption, LocalStore};
