//! Tests applications that [`keybound_tower`] protects: an issuer, clients and a clock, without sockets.
//!
//! Add it to the tests alone, beside what they and the application need anyway:
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! keybound-tower = "0.1"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//!
//! [dev-dependencies]
//! keybound-testing = "0.1"
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! The application takes its protection as an argument, so that `main` gives it one that fetches keys and a test one that has them. What
//! is tested is then the application as it is, with tokens, proofs, nonces and scopes:
//!
//! ```
//! use axum::{Router, http::Request, routing::get};
//! use keybound_testing::{TestIssuer, TestToken};
//! use keybound_tower::{Principal, Protection, RequireScopes};
//! use tower::ServiceExt;
//!
//! fn app(protection: &Protection) -> Router {
//!     Router::new()
//!         .route("/items", get(|who: Principal| async move { format!("hello {:?}", who.subject()) }))
//!         .layer(RequireScopes::new(["items:read"]))
//!         .layer(protection.layer())
//! }
//!
//! #[tokio::main(flavor = "current_thread")] // in a file of tests: #[tokio::test]
//! async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let issuer = TestIssuer::for_resource("https://api.example.com")?;
//!     let protection = issuer.trusted_by(Protection::of("https://api.example.com")?)?.build()?;
//!     let app = app(&protection);
//!     let items = || Request::get("/items").body(String::new());
//!
//!     // A client whose token has the scope gets in. Its first request is answered with a nonce, and repeated with it.
//!     let alice = issuer.client(TestToken::of("alice").scopes(["items:read"]))?;
//!     assert_eq!(alice.call(app.clone(), items()?).await?.status(), 200);
//!
//!     // Others do not: without the scope, with a stolen token, without a proof, with a token that has expired.
//!     let bob = issuer.client(TestToken::of("bob"))?;
//!     assert_eq!(bob.call(app.clone(), items()?).await?.status(), 403);
//!     assert_eq!(alice.thief()?.call(app.clone(), items()?).await?.status(), 401);
//!     assert_eq!(app.clone().oneshot(items()?).await?.status(), 401);
//!     issuer.clock().advance(3600);
//!     assert_eq!(alice.call(app, items()?).await?.status(), 401);
//!     Ok(())
//! }
//! ```
//!
//! An application that names its issuers itself can hand out its [`Builder`](keybound_tower::Builder): name the test issuer like one of them by
//! [`TestIssuer::named`], and [`TestIssuer::trusted_by`] replaces the source of that issuer's keys. With [`TestIssuer::transport`] instead, the application fetches
//! metadata and keys as in production, and still nothing leaves the process.
//!
//! # Less than the whole application
//!
//! - A handler is a function: call it with a [principal](TestIssuer::principal) that has the subject, scopes and claims it is to see.
//! - Routes whose protection is not the subject take the layer [`danger_admit`] instead of a protection's.
//!
//! # Security
//!
//! Programs that serve requests depend on `keybound-tower` alone and never on this crate: its issuer signs whatever it is told, and what
//! admits requests without a proof is in it under a name that begins with `danger_`.

mod admit;
mod client;
mod clock;
mod documents;
mod issuer;
mod principal;
mod token;

pub use admit::{DangerAdmit, DangerAdmitted, danger_admit};
pub use client::TestClient;
pub use clock::TestClock;
pub use documents::TestTransport;
pub use issuer::TestIssuer;
pub use token::TestToken;
