//! Calls to protected APIs over reqwest: discovery, login, proofs, nonces, retries and refresh are done for you.
//!
//! ```no_run
//! # async fn call() -> Result<(), Box<dyn std::error::Error>> {
//! use keybound::{RUSTCRYPTO, SecurityLevel, oauth};
//! use keybound_reqwest::{Client, Files};
//!
//! let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build()?;
//! let client = Client::new(oauth, Files::open("sessions")?)?;
//! let session = client.open("work").await?;
//! let response = client.get(&session, "https://api.example.com/items").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A session comes from a login, once:
//!
//! ```no_run
//! # async fn login() -> Result<(), Box<dyn std::error::Error>> {
//! use keybound::json::Value;
//! use keybound::oauth::{self, SessionRequest};
//! use keybound::{RUSTCRYPTO, SecurityLevel};
//! use keybound_reqwest::{Client, Files, Loopback};
//!
//! let loopback = Loopback::bind()?;
//! let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
//!     .redirect_uri(&loopback.redirect_uri())
//!     .register(Value::object().with("client_name", "My program"))
//!     .build()?;
//! let client = Client::new(oauth, Files::open("sessions")?)?;
//! let discovered = client.discover("https://api.example.com/items").await?;
//! let request = SessionRequest::new("work", &discovered);
//! let session = client.login(request, loopback, |url| println!("open {url}")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`blocking::Client`] is the same without `async`. Certificates are checked, redirects are followed within an origin alone, and
//! timeouts are in [`Settings`]. Keys and sessions live where a [`Host`] keeps them: [`Files`], [`Memory`], or your
//! own; [`Split`] takes keys from one and sessions from another. [`drive`] is what a driver over another HTTP library needs.

mod audit;
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
pub mod drive;
mod error;
mod files;
mod loopback;
mod memory;
mod message;
#[cfg(feature = "middleware")]
mod middleware;
mod ring;
mod rotation;
mod settings;

pub use client::Client;
pub use error::{Error, IgnoredChallenge, Needs};
pub use files::Files;
pub use keybound::oauth::host::{HeldKey, Host, KeyFor, KeyHost, SessionHost, Split, unused_keys};
pub use keybound_files::LockTimeout;
pub use loopback::Loopback;
pub use memory::Memory;
#[cfg(feature = "middleware")]
pub use middleware::Bound;
pub use ring::{RingBuilder, RotatingKeys};
pub use rotation::{Rotated, RotationTask};
pub use settings::Settings;
