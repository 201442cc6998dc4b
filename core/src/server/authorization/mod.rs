//! An authorization server's endpoints: whether a request's proof is good, and what the tokens are bound to.
//!
//! An [`AuthorizationServer`] judges the proof of a token, pushed or device request once the host has authenticated the client
//! and looked the grant up, and before anything that can be used once is used: a nonce challenge leaves the code, the
//! refresh token and the pushed request as they were (RFC 9449 section 8). It hands out one step at most: an insertion into the
//! replay store, where that is the host's. Issuing tokens is the host's too.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use std::sync::Arc;
//!
//! use keybound::key::{Signer, soft::SoftKey};
//! use keybound::replay::memory::MemoryStore;
//! use keybound::server::Consumption;
//! use keybound::server::authorization::{
//!     AuthorizationServer, ClientType, EndpointPolicy, EndpointRequest, Grant, TokenAnswer,
//! };
//! use keybound::{Algorithm, Policy, ProofBuilder, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
//!
//! let now = UnixTime::now();
//! let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
//! let store = MemoryStore::new(1000, verifier.replay_agreement(), RUSTCRYPTO.random, now).unwrap();
//! // No earlier process accepted proofs. A server that restarts gives its verifier nonces instead.
//! let store = store.danger_first_start();
//! let server = AuthorizationServer::new(EndpointPolicy::new(), verifier, Consumption::local(Arc::new(store))).unwrap();
//!
//! let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
//! let thumbprint = key.public_key().thumbprint(RUSTCRYPTO.digest);
//! let proof = ProofBuilder::new("POST", "https://as.example.com/token").sign(&RUSTCRYPTO, &key, now).unwrap();
//! let target = TargetUri::parse("https://as.example.com/token").unwrap();
//! let proofs = [proof.as_str().as_bytes()];
//!
//! // The code was issued for this key.
//! let grant = Grant::AuthorizationCode { dpop_jkt: Some(thumbprint) };
//! let request = EndpointRequest::new("POST", &target, &proofs, ClientType::Public, grant);
//! let admission = server.admit(&request, now).unwrap().finished().expect("nothing has to be asked for");
//! let admitted = admission.expect("the proof is good");
//! assert_eq!(admitted.access_binding(), Some(thumbprint));
//! // Now the code is used up, and the answer says what the token is.
//! let answer = TokenAnswer::new("the-token", &admitted).expires_in(300).finish();
//! assert!(answer.body().contains(r#""token_type":"DPoP""#));
//! # }
//! ```

mod admission;
mod answer;
mod grant;
mod lifetime;
mod metadata;
mod policy;
#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;
mod token;

pub use admission::{Admission, Admitted};
pub use answer::{Reply, TokenAnswer, introspection};
pub use grant::{ClientType, EndpointRequest, Grant};
pub use lifetime::{LONG_LIFETIME, MAX_CODE_LIFETIME, Weakness};
pub use policy::EndpointPolicy;
pub use token::{AccessClaims, access_token, confirmation};

use alloc::sync::Arc;

use crate::audit::Audit;
use crate::guard::{BreakerState, Guards, Watch};
use crate::nonce::issuer::NonceIssuer;
use crate::nonce::{Nonce, Role};
use crate::replay::{ReplayAgreement, StoreEpoch};
use crate::server::consumption::Consumption;
use crate::verify::policy::{NonceMode, TimeSource};
use crate::{Misuse, UnixTime, Verifier};

/// Judges the proofs that come with requests to an authorization server. It holds no clients, no grants and no clock; clones share their
/// parts.
#[derive(Clone, Debug)]
pub struct AuthorizationServer(Arc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    policy: EndpointPolicy,
    verifier: Verifier,
    /// Asks for no nonces: for confidential clients, where they are spared.
    silent: Option<Verifier>,
    consumption: Consumption,
    /// There if what is learned of requests is kept for records.
    audit: Option<Audit>,
    watch: Watch,
}

impl AuthorizationServer {
    /// A server that applies `policy` to requests, judges proofs with `verifier` and uses them up by `consumption`.
    ///
    /// # Errors
    /// [`Misuse::NoncesOfSome`] if the verifier's policy asks all clients for nonces, and confidential ones are given none;
    /// [`Misuse::StoreDisagreement`] if the store is known to be made for another policy; else those of [`Verifier::check_configuration`].
    pub fn new(policy: EndpointPolicy, verifier: Verifier, consumption: Consumption) -> Result<Self, Misuse> {
        let proofs = verifier.policy();
        let asks_all = proofs.nonces() == NonceMode::Required || proofs.time_source() == TimeSource::Nonce;
        if policy.nonces_for_public_clients && asks_all {
            return Err(Misuse::NoncesOfSome);
        }
        verifier.check_configuration()?;
        consumption.check_agreement(verifier.replay_agreement())?;
        let silent = policy.nonces_for_public_clients.then(|| verifier.without_nonces());
        Ok(Self(Arc::new(Parts { policy, verifier, silent, consumption, audit: None, watch: Watch::default() })))
    }

    /// The same, which keeps what it learns of each request: what it admits and refuses has [`Facts`](crate::audit::Facts).
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
    /// [`Misuse::Random`], and [`Misuse::ClientLimit`]: which client asks is for the host to know, who authenticated it.
    pub fn guarded_by(self, guards: &Guards) -> Result<Self, Misuse> {
        if guards.limits_clients() {
            return Err(Misuse::ClientLimit);
        }
        let watch = Watch::new(guards, self.verifier().crypto().random)?;
        Ok(Self(Arc::new(Parts { watch, ..Arc::unwrap_or_clone(self.0) })))
    }

    /// What the guards' breaker does with the next request at this moment, for metrics; none if there is no breaker. `ticks` are those of
    /// an [`Arrival`](crate::server::Arrival).
    pub fn breaker_state(&self, ticks: Option<u64>, now: UnixTime) -> Option<BreakerState> {
        self.0.watch.breaker_state(ticks, now)
    }

    /// What a replay store for this server has to be created with.
    pub fn replay_agreement(&self) -> ReplayAgreement {
        self.0.verifier.replay_agreement()
    }

    /// The rules for requests.
    pub fn policy(&self) -> &EndpointPolicy {
        &self.0.policy
    }

    /// What judges proofs.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// A nonce for the next proof, see [`Verifier::fresh_nonce`]. `epoch` is the life of the host's replay store; a store that was given
    /// to the server is asked itself.
    pub fn fresh_nonce(&self, epoch: StoreEpoch, now: UnixTime) -> Option<Nonce> {
        self.0.verifier.fresh_nonce(Role::AuthorizationServer, self.consumption().epoch(epoch), now)
    }

    /// The issuer of nonces, whose keys can be [rotated](NonceIssuer::rotate) while the server serves.
    pub fn nonces(&self) -> Option<&NonceIssuer> {
        self.0.verifier.nonces()
    }

    fn audit(&self) -> Option<&Audit> {
        self.0.audit.as_ref()
    }

    fn consumption(&self) -> &Consumption {
        &self.0.consumption
    }

    fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// What judges this client's proofs.
    fn verifier_of(&self, client: ClientType) -> &Verifier {
        match (&self.0.silent, client) {
            (Some(silent), ClientType::Confidential) => silent,
            _ => &self.0.verifier,
        }
    }
}
