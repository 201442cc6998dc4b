//! Calls to protected APIs over reqwest: discovery, login, proofs, nonces, retries and refresh are done for you.
//!
//! ```toml
//! [dependencies]
//! keybound = "0.1"
//! keybound-reqwest = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! ```
//!
//! ```no_run
//! use keybound::json::Value;
//! use keybound::oauth::{self, SessionRequest};
//! use keybound::{RUSTCRYPTO, SecurityLevel};
//! use keybound_reqwest::{Client, Files, Loopback};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let api = std::env::args().nth(1).unwrap_or("https://api.example.com/items".into());
//!
//!     // The browser comes back to this listener after the login.
//!     let loopback = Loopback::bind()?;
//!     let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
//!         .redirect_uri(&loopback.redirect_uri())
//!         .register(Value::object().with("client_name", "My program"))
//!         .allow_loopback() // for servers on this machine; leave it out in production
//!         .build()?;
//!     let client = Client::new(oauth, Files::open("sessions")?)?;
//!
//!     let session = match client.open("work").await {
//!         Err(error) if error.needs_login() => {
//!             let discovered = client.discover(&api).await?;
//!             let request = SessionRequest::new("work", &discovered);
//!             client.login(request, loopback, |url| println!("open {url}")).await?
//!         }
//!         stored => stored?,
//!     };
//!     let response = client.get(&session, &api).await?;
//!     println!("{}", response.text().await?);
//!     Ok(())
//! }
//! ```
//!
//! [`blocking::Client`] is the same without `async`. Certificates are checked, redirects are followed within an origin alone, and
//! timeouts are in [`Settings`]. Keys and sessions live where a [`Host`] keeps them: [`Files`], [`Memory`], or your
//! own; [`Split`] takes keys from one and sessions from another. What is sent and stored, and when, is decided by
//! [`keybound::oauth::Client`]: [`Client`] has one, and drives its flows. [`drive`] is what a driver over another HTTP library needs.

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
