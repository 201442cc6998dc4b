//! A protected resource: from a request to the principal behind it, or to the refusal to send.
//!
//! A [`ResourceServer`] takes the whole request and hands out steps: a fetch of an issuer's keys, a question about a token, an
//! insertion into the replay store. Where the keys are known and the store is one of this process, its answer is there at once.
//! Cheap checks come first and the store last: the fields and their sizes, the form of the proof up to the hash of the token, the
//! token, its binding, the proof's signature, the nonce, replay, scopes.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use std::sync::Arc;
//!
//! use keybound::replay::memory::MemoryStore;
//! use keybound::server::resource::{IncomingRequest, ResourcePolicy, ResourceServer};
//! use keybound::server::{Consumption, JwkSet, KeySource};
//! use keybound::{Policy, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
//!
//! let keys = KeySource::Given(JwkSet::parse(br#"{"keys":[]}"#)?);
//! let policy = ResourcePolicy::new("https://api.example.com/")?.with_issuer_keys("https://as.example.com", keys)?;
//! let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
//! let store = MemoryStore::new(1000, verifier.replay_agreement(), RUSTCRYPTO.random, UnixTime::now())?;
//! let server = ResourceServer::new(policy, verifier, Consumption::local(Arc::new(store)))?;
//!
//! let target = TargetUri::parse("https://api.example.com/items")?;
//! let request = IncomingRequest::new("GET", &target, &[("Host", b"api.example.com")]);
//! let admission = server.admit(&request, UnixTime::now())?.finished().expect("nothing has to be asked for");
//! let refusal = admission.expect_err("there is no token");
//! assert_eq!((refusal.status(), refusal.www_authenticate()), (401, Some(r#"DPoP algs="ES256 Ed25519 EdDSA PS256""#)));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
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

pub(super) mod access_token;
mod admission;
mod confirmation;
mod credentials;
mod difference;
mod intent;
mod introspection;
mod introspector;
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
pub use access_token::MAX_TOKEN_LEN;
pub use admission::{Admission, IncomingRequest, Unconsumed};
pub use confirmation::confirmed_key;
pub use difference::Difference;
pub use intent::CarriedOut;
pub use introspection::{Introspection, MAX_ANSWER_LEN};
pub use policy::{ResourcePolicy, Schemes};
pub use principal::Principal;
pub use profile::IssuerProfile;
pub use rejection::TokenRejection;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::audit::Audit;
use crate::guard::{BreakerState, Guards, Watch};
use crate::issuer::IssuerKeys;
use crate::server::consumption::Consumption;
use crate::{Misuse, UnixTime, Verifier};
use introspector::Introspector;

/// Judges requests to one protected resource. It has no clock; clones share their parts.
#[derive(Clone, Debug)]
pub struct ResourceServer(Arc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    policy: ResourcePolicy,
    verifier: Verifier,
    consumption: Consumption,
    /// In the order of the policy's issuers.
    keys: Vec<Arc<IssuerKeys>>,
    introspector: Option<Arc<Introspector>>,
    /// There if what is learned of requests is kept for records.
    audit: Option<Audit>,
    watch: Watch,
}

impl ResourceServer {
    /// A server that applies `policy` to requests and tokens, judges proofs with `verifier` and uses them up by `consumption`.
    ///
    /// # Errors
    /// [`Misuse::NoIssuer`] if no token is accepted, since there is neither an issuer nor introspection;
    /// [`Misuse::StoreDisagreement`] if the store is known to be made for another policy; else those of [`Verifier::check_configuration`].
    pub fn new(policy: ResourcePolicy, verifier: Verifier, consumption: Consumption) -> Result<Self, Misuse> {
        if policy.issuers.is_empty() && !policy.introspects() {
            return Err(Misuse::NoIssuer);
        }
        verifier.check_configuration()?;
        consumption.check_agreement(verifier.replay_agreement())?;
        let random = verifier.crypto().random;
        let keys = policy.issuers.iter().map(|issuer| IssuerKeys::new(&issuer.url, issuer.keys.clone(), random));
        let keys = keys.collect::<Result<_, _>>()?;
        let introspector = policy.introspection.clone().map(|asked| Introspector::new(asked, verifier.crypto()));
        let introspector = introspector.transpose()?;
        let (audit, watch) = (None, Watch::default());
        Ok(Self(Arc::new(Parts { policy, verifier, consumption, keys, introspector, audit, watch })))
    }

    /// The same, which keeps what it learns of each request: its principals and refusals have [`Facts`](crate::audit::Facts).
    #[must_use]
    pub fn audited(self, audit: Audit) -> Self {
        Self(Arc::new(Parts { audit: Some(audit), ..Arc::unwrap_or_clone(self.0) }))
    }

    /// The same with these guards, which have counted nothing yet.
    ///
    /// Their clock is [`Arrival::ticks`](crate::server::Arrival::ticks): give it with every request, or with none, and then seconds
    /// of the clock count.
    ///
    /// # Errors
    /// [`Misuse::Random`].
    pub fn guarded_by(self, guards: &Guards) -> Result<Self, Misuse> {
        let watch = Watch::new(guards, self.verifier().crypto().random)?;
        Ok(Self(Arc::new(Parts { watch, ..Arc::unwrap_or_clone(self.0) })))
    }

    /// What the guards' breaker does with the next request at this moment, for metrics; none if there is no breaker. `ticks` are those of
    /// an [`Arrival`](crate::server::Arrival).
    pub fn breaker_state(&self, ticks: Option<u64>, now: UnixTime) -> Option<BreakerState> {
        self.0.watch.breaker_state(ticks, now)
    }

    /// The rules for requests and tokens.
    pub fn policy(&self) -> &ResourcePolicy {
        &self.0.policy
    }

    /// What judges proofs.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    fn consumption(&self) -> &Consumption {
        &self.0.consumption
    }

    fn audit(&self) -> Option<&Audit> {
        self.0.audit.as_ref()
    }

    fn watch(&self) -> &Watch {
        &self.0.watch
    }

    fn introspector(&self) -> Option<&Arc<Introspector>> {
        self.0.introspector.as_ref()
    }

    /// The keys of one of the policy's issuers.
    fn keys_of(&self, issuer: &str) -> Option<&Arc<IssuerKeys>> {
        self.0.keys.iter().find(|keys| keys.issuer() == issuer)
    }
}
