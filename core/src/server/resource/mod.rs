//! A protected resource: from a request to the principal behind it, or to the refusal to send.
//!
//! A [`ResourceServer`] takes the whole request and says what it needs: the keys of an issuer, an introspection answer, an
//! insertion into the replay store. Cheap checks come first and the store last: the fields and their sizes, the form of the
//! proof up to the hash of the token, the token, its binding, the proof's signature, the nonce, replay, scopes.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use keybound::server::resource::{Access, IncomingRequest, Principal, ResourcePolicy, ResourceServer};
//! use keybound::server::JwkSet;
//! use keybound::replay::{ReplayStore, memory::MemoryStore};
//! use keybound::{Policy, RUSTCRYPTO, Refusal, TargetUri, UnixTime, Verifier};
//!
//! fn admit(
//!     server: &ResourceServer, keys: &JwkSet, store: &MemoryStore, request: &IncomingRequest<'_>, now: UnixTime,
//! ) -> Result<Principal, Refusal> {
//!     let mut access = server.receive(request, now);
//!     loop {
//!         access = match access {
//!             Access::NeedsKeys(needs) => needs.resume(keys, now),
//!             Access::NeedsIntrospection(needs) => Access::Refused(needs.unavailable()),
//!             Access::Pending(pending) => match store.insert(pending.replay_entry(), now) {
//!                 Ok(insertion) => return pending.settle(insertion, now),
//!                 Err(never) => match never {},
//!             },
//!             Access::Granted(principal) => return Ok(*principal),
//!             Access::Refused(refusal) => return Err(refusal),
//!         }
//!     }
//! }
//!
//! let policy = ResourcePolicy::new("https://api.example.com/").unwrap().with_issuer("https://as.example.com").unwrap();
//! let server = ResourceServer::new(policy, Verifier::new(Policy::default(), &RUSTCRYPTO));
//! let store = MemoryStore::new(1000, server.verifier().replay_agreement(), RUSTCRYPTO.random, UnixTime::now()).unwrap();
//! let target = TargetUri::parse("https://api.example.com/items").unwrap();
//! let request = IncomingRequest::new("GET", &target, &[("Host", b"api.example.com")]);
//! let refusal = admit(&server, &JwkSet::default(), &store, &request, UnixTime::now()).unwrap_err();
//! assert_eq!((refusal.status(), refusal.www_authenticate()), (401, Some(r#"DPoP algs="ES256 Ed25519 EdDSA PS256""#)));
//! # }
//! ```
//!
//! Issuers whose tokens are not those of RFC 9068 have an [`IssuerProfile`] of their own
//! ([`ResourcePolicy::with_issuer_profile`]).
//!
//! A token with `authorization_details` (RFC 9396) is refused at every endpoint but those of
//! [`ResourcePolicy::with_intents_at`], whose handlers compare the request with them and use the token up by
//! [`ResourceServer::carry_out`].
//!
//! What is left to the host: the body and all other fields, which no proof covers (RFC 9449 section 11.7), and what a
//! subject may do beyond its scopes. A WebSocket handshake is a GET request, and its target has the scheme `https`
//! for `wss`.

mod access;
mod access_token;
mod confirmation;
mod credentials;
mod intent;
mod introspection;
mod metadata;
mod policy;
mod principal;
mod profile;
mod refuse;
mod rejection;
#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

pub use crate::verify::refusal::EXPOSED_FIELDS;
pub use access::{Access, AwaitingIntrospection, AwaitingKeys, IncomingRequest, PendingAccess};
pub use access_token::MAX_TOKEN_LEN;
pub use confirmation::confirmed_key;
pub use intent::PendingIntent;
pub use introspection::MAX_ANSWER_LEN;
pub use policy::{ResourcePolicy, Schemes};
pub use principal::Principal;
pub use profile::IssuerProfile;
pub use rejection::TokenRejection;

use alloc::sync::Arc;

use crate::{Misuse, Verifier};

/// Judges requests to one protected resource. It holds no store, no keys of issuers and no clock; clones share their parts.
#[derive(Clone, Debug)]
pub struct ResourceServer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    policy: ResourcePolicy,
    verifier: Verifier,
}

impl ResourceServer {
    /// A server that applies `policy` to requests and tokens, and judges proofs with `verifier`.
    pub fn new(policy: ResourcePolicy, verifier: Verifier) -> Self {
        Self(Arc::new(Parts { policy, verifier }))
    }

    /// Whether this server can admit any request: to be asked once, when it starts.
    ///
    /// # Errors
    /// [`Misuse::NoIssuer`] if no token is accepted, since there is neither an issuer nor introspection; else those of
    /// [`Verifier::check_configuration`].
    pub fn check_configuration(&self) -> Result<(), Misuse> {
        if self.policy().issuers.is_empty() && !self.policy().introspection {
            return Err(Misuse::NoIssuer);
        }
        self.verifier().check_configuration()
    }

    /// The rules for requests and tokens.
    pub fn policy(&self) -> &ResourcePolicy {
        &self.0.policy
    }

    /// What judges proofs.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }
}
