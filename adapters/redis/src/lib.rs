//! Remembers proofs in Redis or Valkey, for every process that serves a resource.
//!
//! ```no_run
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! use keybound::Policy;
//! use keybound_redis::RedisReplayStore;
//!
//! let url = "rediss://api:password@redis.example.com";
//! let store = RedisReplayStore::builder(url, "api", &Policy::default()).open().await?;
//! // keybound_tower::Protection::of("https://api.example.com")?.replay_store(store)
//! # Ok(())
//! # }
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
