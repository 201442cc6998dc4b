//! Keybound against what others wrote: how its peers are found, started and asked.
//!
//! The peers are programs in `peers/`, for Node and for Python. `cargo xtask test --only interop` installs what they need and
//! runs every test here.

mod browser;
mod peers;
mod serve;

pub use browser::visit;
pub use peers::{Peers, Running, example};
pub use serve::{SECRET, SERVICE, Serve};
