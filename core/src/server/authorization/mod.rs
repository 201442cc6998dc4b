//! An authorization server's endpoints: whether a request's proof is good, and what the tokens are bound to.
//!
//! An [`AuthorizationServer`] judges the proof of a token, pushed or device request once the host has authenticated the client
//! and looked the grant up, and before anything that can be used once is used: a nonce challenge leaves the code, the
//! refresh token and the pushed request as they were (RFC 9449 section 8). Issuing tokens is the host's.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use keybound::key::{Signer, soft::SoftKey};
//! use keybound::replay::memory::MemoryStore;
//! use keybound::server::authorization::{AuthorizationServer, ClientType, EndpointRequest, Grant, TokenAnswer};
//! use keybound::{Algorithm, Policy, ProofBuilder, RUSTCRYPTO, TargetUri, UnixTime};
//!
//! let now = UnixTime::now();
//! let server = AuthorizationServer::new(Policy::default(), &RUSTCRYPTO);
//! let store = MemoryStore::new(1000, server.replay_agreement(), RUSTCRYPTO.random, now.saturating_sub(600)).unwrap();
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
//! let admitted = server.admit(&request, &store, now).unwrap();
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
#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

pub use admission::{Admitted, Checked, PendingAdmission};
pub use answer::{Reply, TokenAnswer, confirmation, introspection};
pub use grant::{ClientType, EndpointRequest, Grant};
pub use lifetime::{LONG_LIFETIME, MAX_CODE_LIFETIME, Weakness};

use crate::nonce::issuer::NonceIssuer;
use crate::replay::{ReplayAgreement, StoreEpoch};
use crate::verify::policy::{NonceMode, Policy, TimeSource};
use crate::{Crypto, Misuse, Verifier};

/// Judges the proofs that come with requests to an authorization server. It holds no store, no clients and no clock.
#[derive(Debug)]
pub struct AuthorizationServer {
    /// Asks for nonces where there is an issuer.
    asking: Verifier,
    /// Asks for none.
    silent: Option<Verifier>,
    unbound_access: bool,
}

impl AuthorizationServer {
    /// A server that judges proofs by `policy`, without nonces.
    pub fn new(policy: Policy, crypto: &Crypto) -> Self {
        Self { asking: Verifier::new(policy, crypto), silent: None, unbound_access: false }
    }

    /// A server that asks clients for nonces of `issuer` in every proof.
    #[must_use]
    pub fn with_nonces(self, issuer: NonceIssuer) -> Self {
        Self { asking: self.asking.with_nonces(issuer), ..self }
    }

    /// Asks public clients alone for nonces: confidential ones authenticate with each request. To be called before
    /// [`with_nonces`](Self::with_nonces), and with a policy that neither requires nonces nor takes the time from them:
    /// [`check_configuration`](Self::check_configuration) says so.
    #[must_use]
    pub fn nonces_for_public_clients(self, crypto: &Crypto) -> Self {
        let silent = Verifier::new(self.asking.policy().clone(), crypto);
        Self { silent: Some(silent), ..self }
    }

    /// Issues access tokens that are not bound, while refresh tokens of public clients are (RFC 9449 section 5).
    #[must_use]
    pub fn issuing_unbound_access_tokens(self) -> Self {
        Self { unbound_access: true, ..self }
    }

    /// Whether this server can admit every kind of client: to be asked once, when it starts.
    ///
    /// # Errors
    /// [`Misuse::NoncesOfSome`] if the policy asks all clients for nonces, and confidential ones are given none;
    /// else those of [`Verifier::check_configuration`].
    pub fn check_configuration(&self) -> Result<(), Misuse> {
        let policy = self.policy();
        let asks_all = policy.nonces() == NonceMode::Required || policy.time_source() == TimeSource::Nonce;
        if self.silent.is_some() && asks_all {
            return Err(Misuse::NoncesOfSome);
        }
        self.asking.check_configuration()
    }

    /// What a replay store for this server has to be created with.
    pub const fn replay_agreement(&self) -> ReplayAgreement {
        self.asking.replay_agreement()
    }

    /// The policy for proofs.
    pub const fn policy(&self) -> &Policy {
        self.asking.policy()
    }

    /// A nonce for the next proof, as of [`Verifier::fresh_nonce`].
    pub fn fresh_nonce(&self, epoch: StoreEpoch, now: crate::UnixTime) -> Option<crate::nonce::Nonce> {
        self.asking.fresh_nonce(crate::nonce::Role::AuthorizationServer, epoch, now)
    }

    /// The issuer of nonces, whose keys can be [rotated](NonceIssuer::rotate) while the server serves.
    pub fn nonces(&self) -> Option<&NonceIssuer> {
        self.asking.nonces()
    }

    /// Whoever judges this client's proofs.
    fn verifier(&self, client: ClientType) -> &Verifier {
        match (&self.silent, client) {
            (Some(silent), ClientType::Confidential) => silent,
            _ => &self.asking,
        }
    }
}
