//! Keybound against what others wrote: how its peers are found, started and asked.
//!
//! The peers are programs in `peers/`, for Node, Python and Java, and the Keycloak server. `cargo xtask test --only interop` installs
//! what they need and runs every test here.

mod browser;
mod form;
mod key;
mod keycloak;
pub mod ours;
mod peers;
mod serve;

pub use browser::{approve, visit};
pub use key::key;
pub use keycloak::Keycloak;
pub use peers::{Peers, Running, example};
pub use serve::{SECRET, SERVICE, Serve};
