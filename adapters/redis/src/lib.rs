//! Remembers proofs in Redis or Valkey, for every process that serves a resource.
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! keybound = "0.1"
//! keybound-redis = "0.1"
//! keybound-tower = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! ```
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use keybound::Policy;
//! use keybound_redis::RedisReplayStore;
//! use keybound_tower::{Principal, Protection};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let url = "rediss://api:password@redis.example.com";
//!     let store = RedisReplayStore::builder(url, "api", &Policy::default()).open().await?;
//!     let protection = Protection::of("https://api.example.com")?
//!         .issuer("https://as.example.com")?
//!         .replay_store(store)
//!         .build()?;
//!     let items = get(|who: Principal| async move { format!("hello {:?}", who.subject()) });
//!     let app = Router::new().route("/items", items).layer(protection.layer());
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! All processes that serve the resource give the same server, namespace and policy. A proof is then accepted once by all of them together,
//! also while the server is restarted, failed over, flushed, full or slow: [`keybound::replay::redis`] says how. What the server cannot
//! vouch for costs a client one request more, with a nonce of the store's present life.
//!
//! - One connection, one task. What is asked while a batch is under way shares the next one, up to 256 proofs in a round trip.
//! - While the server is out of reach, requests are answered `Unavailable` at once, and the task tries again after 50 ms, at most every 5 s.
//! - The server: Redis 6.2 or Valkey 7.2 or newer, with `maxmemory-policy noeviction`, and a user who may run `SET`, `GET`, `GETEX`, `INFO`
//!   and `WAIT` on the keys `{kb1:NAMESPACE}*`. No other user should have these keys: a user who can delete them can replay.
//! - Without TLS, the server must be on this machine.

mod builder;
mod connection;
mod health;
mod store;
mod worker;

pub use builder::{Builder, OpenError};
pub use health::{Health, Obstacle};
pub use store::RedisReplayStore;
