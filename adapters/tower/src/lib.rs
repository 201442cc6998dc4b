//! Protects axum and tower services with DPoP: tokens, proofs, nonces and replay in one layer.
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! keybound-tower = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! ```
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use keybound_tower::{Principal, Protection};
//!
//! fn app(protection: &Protection) -> Router {
//!     let items = get(|who: Principal| async move { format!("hello {:?}", who.subject()) });
//!     Router::new().route("/items", items).layer(protection.layer()).merge(protection.metadata_route())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let protection = Protection::of("https://api.example.com")?.issuer("https://as.example.com")?.build()?;
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     axum::serve(listener, app(&protection)).await?;
//!     Ok(())
//! }
//! ```
//!
//! Every request then needs an access token of the issuer (RFC 9068) that is bound to a key, and a fresh proof made
//! with that key. What is refused gets its answer here; handlers see a [`Principal`]. Bodies are passed on as they are, so
//! streams and server-sent events are not held up.
//!
//! # What stands behind it
//!
//! - Cryptography is AWS-LC's. For the portable provider call [`Builder::crypto`] with [`RUSTCRYPTO`](keybound::RUSTCRYPTO), which takes
//!   several times as long for each proof. Without the feature `aws-lc` that call is required.
//! - The public URL is given, never read from `Host`. Behind proxies, give [`Builder::targets`] a
//!   [`TargetSource`](keybound::server::source::TargetSource) that names them.
//! - Proofs are remembered in memory, for **one process**. Several processes need one store between them
//!   ([`Builder::replay_store`]) and the same nonce keys ([`Builder::nonces`]).
//! - The keys of issuers are fetched when they are first needed, again when a token names a key that is not known, but
//!   not more often than every ten seconds, and by one request at a time. Tokens without `kid` follow a rotation within
//!   ten minutes. The keys can be given instead ([`Builder::issuer_with_keys`]).
//! - Tokens that are no JWTs are introspected by what [`Builder::introspection`] gives, an endpoint of the authorization server, or [`Builder::introspection_by`].
//! - At most 1,024 requests wait for introspection, and as many for the keys of an issuer, each for ten seconds. Others get 503.
//! - A router nested in axum is known by its whole path. Without the feature `axum`, lay the layer outside of what strips a prefix.
//! - Browsers: [`Builder::cors`] names the origins of pages that may call, and the layer answers their preflights. Or a CORS layer outside of
//!   this one does, and allows `Authorization` and `DPoP`. The fields that scripts must read are exposed by every answer.
//! - Who was admitted and refused is written by an [`AuditLog`](audit::AuditLog), if [`Builder::audit`] is given one, and counted for the
//!   `metrics` facade after [`Builder::metrics`].
//! - `keybound-testing` tests applications without sockets: a client, an issuer and a clock, under `[dev-dependencies]`.
//! - Events of `tracing` with the target `keybound` say why requests are refused, and at DEBUG what differed. They hold no token, proof or nonce.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    reason = "sums of sizes and counts that are bounded; a secret that made a key before makes it again"
)]

mod answer;
pub mod audit;
#[cfg(feature = "axum")]
mod axum_support;
mod builder;
mod drive;
mod layer;
mod metrics;
mod principal;
mod protection;
mod request;
mod scope;
mod sources;
mod transport;
mod watch;

pub use answer::Refused;
pub use builder::Builder;
pub use layer::{Protect, Protected};
pub use principal::Principal;
pub use protection::Protection;
pub use request::{ClientCertificate, PeerAddress, RouteTemplate};
pub use scope::{RequireScopes, Scoped};
pub use sources::{FetchKeys, Introspect};
pub use transport::Transport;

/// An error of the host's own: of a store, a network, an authorization server.
pub use keybound::flow::step::HostError;
