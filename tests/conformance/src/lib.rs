//! What the tests of this crate share: both crypto providers, and the short story of a proof from key to verdict.
//!
//! ```
//! use keybound::{Algorithm, Policy, Verifier};
//! use keybound_conformance::{NOW, Request, make_key, providers};
//!
//! for (_, crypto) in providers() {
//!     let key = make_key(Algorithm::Es256, &crypto);
//!     let request = Request::resource(&key, &crypto);
//!     let verifier = Verifier::new(Policy::default(), &crypto);
//!     assert!(request.judge(&verifier, &request.proof(&key, &crypto, NOW), NOW).is_ok());
//! }
//! ```

pub mod flow;
pub mod own;
pub mod raw;
pub mod request;

/// The examples of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of the guide for operators and developers.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/best-practices.md")]
struct BestPractices;

/// The examples of the guide to the servers that issue tokens.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/issuers.md")]
struct Issuers;

/// The examples of the guide to a store in Redis.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/redis.md")]
struct Redis;

/// The examples for those who come from turbomcp-dpop.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating-from-turbomcp-dpop.md")]
struct Migrating;

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::replay::ReplayStore;
use keybound::replay::memory::MemoryStore;
use keybound::{
    Algorithm, Context, Crypto, Policy, Presentation, ProofBuilder, Rejection, TargetUri, Thumbprint, UnixTime,
    VerifiedProof, Verifier, VerifyError,
};

/// The time at which every story plays unless it says otherwise: the tests never read a clock.
pub const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
/// The access token of [`Request::resource`].
pub const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// The target of [`Request::resource`] and [`Request::token_endpoint`].
pub const URL: &str = "https://api.example.com/items/7";

/// Both providers, by name.
pub fn providers() -> [(&'static str, Crypto); 2] {
    [("rustcrypto", keybound::RUSTCRYPTO), ("aws-lc", keybound_aws_lc::AWS_LC)]
}

/// A new key for `algorithm`, made by `crypto`, or by aws-lc where `crypto` cannot sign (RSA).
///
/// # Panics
/// If neither provider can.
pub fn make_key(algorithm: Algorithm, crypto: &Crypto) -> SoftKey {
    let able = if crypto.signer(algorithm).is_some() { *crypto } else { keybound_aws_lc::AWS_LC };
    SoftKey::generate(algorithm, &able).expect("a provider that signs with every algorithm")
}

/// A policy that permits every algorithm.
///
/// # Panics
/// Never: the default policy can be widened.
pub fn permissive() -> Policy {
    Policy::default().with_algorithms(keybound::AlgorithmSet::ALL).expect("the default policy can be widened")
}

/// A store for `verifier` that began to remember at `floor`.
///
/// # Panics
/// If the provider has no randomness.
pub fn make_store(verifier: &Verifier, crypto: &Crypto, floor: UnixTime) -> MemoryStore {
    MemoryStore::new(100_000, verifier.replay_agreement(), crypto.random, floor).expect("randomness")
}

/// `time` moved by `secs`, which may be negative.
pub const fn shifted(time: UnixTime, secs: i64) -> UnixTime {
    UnixTime::from_secs(time.secs().saturating_add(secs))
}

/// A request that a proof is made for and presented with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its target.
    pub url: &'a str,
    /// Its access token; none at a token endpoint.
    pub token: Option<&'a str>,
    /// The key its token or code is bound to. A resource needs one.
    pub bound_to: Option<Thumbprint>,
    /// The nonce its proof carries.
    pub nonce: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// GET [`URL`] with [`TOKEN`], bound to `key`.
    pub fn resource(key: &SoftKey, crypto: &Crypto) -> Self {
        let thumbprint = key.public_key().thumbprint(crypto.digest);
        Self { method: "GET", url: URL, token: Some(TOKEN), bound_to: Some(thumbprint), nonce: None }
    }

    /// POST [`URL`] without token or binding.
    pub const fn token_endpoint() -> Self {
        Self { method: "POST", url: URL, token: None, bound_to: None, nonce: None }
    }

    /// The same with `nonce` in the proof.
    #[must_use]
    pub const fn with_nonce(self, nonce: &'a str) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// A builder for this request.
    pub fn builder(&self) -> ProofBuilder<'a> {
        let mut builder = ProofBuilder::new(self.method, self.url);
        if let Some(token) = self.token {
            builder = builder.access_token(token);
        }
        if let Some(nonce) = self.nonce {
            builder = builder.nonce(nonce);
        }
        builder
    }

    /// A proof for this request.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn proof(&self, key: &SoftKey, crypto: &Crypto, now: UnixTime) -> String {
        self.builder().sign(crypto, key, now).expect("a proof").into_string()
    }

    /// Presents `proof` with this request.
    ///
    /// # Panics
    /// If the request's URL is none, or a token comes without binding.
    pub fn present<T>(&self, proof: &[u8], judge: impl FnOnce(&Presentation<'_>) -> T) -> T {
        let target = TargetUri::parse(self.url).expect("a target");
        let context = match self.token {
            None => Context::TokenEndpoint { dpop_jkt: self.bound_to },
            Some(access_token) => {
                Context::Resource { access_token, bound_to: self.bound_to.expect("a bound token's thumbprint") }
            }
        };
        judge(&Presentation::new(self.method, &target, &[proof], context))
    }

    /// The verdict about `proof`, which is consumed in `store`.
    ///
    /// # Errors
    /// The rejection, or that the store could not decide.
    pub fn consume<S: ReplayStore + ?Sized>(
        &self,
        verifier: &Verifier,
        proof: &str,
        now: UnixTime,
        store: &S,
    ) -> Result<VerifiedProof, VerifyError<S::Error>> {
        self.present(proof.as_bytes(), |presentation| verifier.verify(presentation, now, store))
    }

    /// The verdict about `proof`, replay apart.
    ///
    /// # Errors
    /// The rejection.
    pub fn judge(&self, verifier: &Verifier, proof: &str, now: UnixTime) -> Result<VerifiedProof, Rejection> {
        self.judge_bytes(verifier, proof.as_bytes(), now)
    }

    /// The verdict about `proof`, which may be no text, replay apart.
    ///
    /// # Errors
    /// The rejection.
    pub fn judge_bytes(&self, verifier: &Verifier, proof: &[u8], now: UnixTime) -> Result<VerifiedProof, Rejection> {
        self.present(proof, |presentation| {
            verifier.check(presentation, now).map(keybound::PendingProof::danger_skip_replay_check)
        })
    }
}
