//! Judging proofs (RFC 9449 section 4.3).
//!
//! A [`Verifier`] makes every check but the last and gives a [`PendingProof`]; the host inserts its entry into
//! a replay store and settles it with the answer. Only then is there a [`VerifiedProof`].
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
//! use keybound::{Context, Policy, Presentation, RUSTCRYPTO, TargetUri, Thumbprint, UnixTime, Verifier};
//!
//! let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
//! let target = TargetUri::parse("https://resource.example.org/protectedresource").unwrap();
//! let context = Context::Resource {
//!     access_token: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
//!     bound_to: Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap(),
//! };
//! let proofs: [&[u8]; 1] = [b"not.a.proof"];
//! let presentation = Presentation::new("GET", &target, &proofs, context);
//! let rejection = verifier.check(&presentation, UnixTime::from_secs(1_562_262_618)).unwrap_err();
//! assert_eq!(rejection.reason(), "base64_non_canonical");
//! # }
//! ```

pub(crate) mod advice;
pub mod check;
mod claims;
mod diagnose;
pub mod explain;
#[cfg(feature = "std")]
pub mod headers;
mod judge;
mod key;
pub mod pending;
pub mod policy;
pub mod presentation;
pub mod read;
pub mod refusal;
pub mod rejection;
mod shape;
mod survey;

use alloc::sync::Arc;
use core::fmt;

use crate::UnixTime;
use crate::crypto::Crypto;
use crate::nonce::issuer::NonceIssuer;
use crate::replay::{ReplayAgreement, ReplayEntry, ReplayStore};
use pending::{PendingProof, SettleError, UnconsumedProof, VerifiedProof, VerifyError};
use policy::{NonceMode, Policy, TimeSource};
use presentation::Presentation;
use refusal::Refusal;
use rejection::Rejection;

/// Judges proofs by one policy. It holds no store and never changes, so that one serves all threads. Clones share the
/// issuer of nonces and the header memory.
#[derive(Clone)]
pub struct Verifier {
    policy: Policy,
    crypto: Crypto,
    /// Shared with the proofs that are not settled yet: the answer to one may carry a nonce.
    nonces: Option<Arc<NonceIssuer>>,
    agreement: ReplayAgreement,
    #[cfg(feature = "std")]
    headers: Option<Arc<headers::HeaderMemory>>,
}

impl Verifier {
    /// A verifier that applies `policy` with the algorithms of `crypto`.
    pub fn new(policy: Policy, crypto: &Crypto) -> Self {
        // Without an issuer no proof is timed by its nonce, whatever the policy says.
        let agreement = policy.clone().with_time_source(TimeSource::IssuedAt).replay_agreement(crypto.digest);
        Self {
            policy,
            crypto: *crypto,
            nonces: None,
            agreement,
            #[cfg(feature = "std")]
            headers: None,
        }
    }

    /// Asks for nonces that `issuer` made. Every proof must then carry one.
    #[must_use]
    pub fn with_nonces(self, issuer: NonceIssuer) -> Self {
        let agreement = self.policy.replay_agreement(self.crypto.digest);
        Self { nonces: Some(Arc::new(issuer)), agreement, ..self }
    }

    /// The same without nonces.
    #[cfg(feature = "oauth")]
    pub(crate) fn without_nonces(&self) -> Self {
        Self {
            #[cfg(feature = "std")]
            headers: self.headers.clone(),
            ..Self::new(self.policy.clone(), &self.crypto)
        }
    }

    /// The issuer of nonces, whose keys can be [rotated](NonceIssuer::rotate) while the verifier serves.
    pub fn nonces(&self) -> Option<&NonceIssuer> {
        self.nonces.as_deref()
    }

    /// Whether the time in a nonce stands for `iat`, for every proof this verifier accepts.
    fn times_by_nonce(&self) -> bool {
        self.policy.time_source() == TimeSource::Nonce && self.nonces.is_some()
    }

    /// Remembers the keys of headers that were verified before. The memory may serve several verifiers.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn with_header_memory(self, memory: Arc<headers::HeaderMemory>) -> Self {
        Self { headers: Some(memory), ..self }
    }

    /// Whether this verifier can accept anything: to be asked once, when a server starts.
    ///
    /// # Errors
    /// [`Misuse::NonceIssuerMissing`](crate::Misuse) if the policy requires nonces or takes the time from them and there
    /// is no issuer (unless each presentation brings its exact nonce), and `AlgorithmUnavailable` for a permitted algorithm this build lacks.
    pub fn check_configuration(&self) -> Result<(), crate::Misuse> {
        let needs_issuer =
            self.policy.nonces() == NonceMode::Required || self.policy.time_source() == TimeSource::Nonce;
        if needs_issuer && self.nonces.is_none() {
            return Err(crate::Misuse::NonceIssuerMissing);
        }
        match self.policy.algorithms().iter().find(|algorithm| self.crypto.verifier(*algorithm).is_none()) {
            Some(algorithm) => Err(crate::Misuse::AlgorithmUnavailable(algorithm)),
            None => Ok(()),
        }
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What a replay store for this verifier has to be created with.
    pub const fn replay_agreement(&self) -> ReplayAgreement {
        self.agreement
    }

    /// Makes every check but replay, in the order of [`Check::ALL`](check::Check::ALL).
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails.
    pub fn check(&self, presentation: &Presentation<'_>, now: UnixTime) -> Result<PendingProof, Rejection> {
        judge::judge(self, presentation, now)
    }

    /// The algorithms it judges with.
    pub const fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    /// The thumbprint of the key that `presentation`'s proof carries, read without judging anything: for looking up a
    /// session, for logs and tools. It proves nothing until the proof is verified.
    pub fn claimed_thumbprint(&self, presentation: &Presentation<'_>) -> Option<crate::Thumbprint> {
        judge::claimed_thumbprint(self, &presentation.presented())
    }

    /// Checks a proof and consumes it in a synchronous store: [`check`](Self::check), insert and
    /// [`settle`](PendingProof::settle) in one, in the store's own epoch.
    ///
    /// # Errors
    /// [`VerifyError::Rejected`] if the proof is refused; the others if the store could not decide.
    pub fn verify<S: ReplayStore + ?Sized>(
        &self,
        presentation: &Presentation<'_>,
        now: UnixTime,
        store: &S,
    ) -> Result<VerifiedProof, VerifyError<S::Error>> {
        let pending = self.check(&presentation.in_epoch(store.epoch()), now)?;
        let entry: &ReplayEntry = pending.replay_entry();
        let inserted = store.insert(entry, now).map_err(VerifyError::Store)?;
        Ok(pending.settle(inserted, now)?)
    }

    /// The same with the answer to send where the proof is not accepted: [`verify`](Self::verify) and [`refuse`](Self::refuse) in one, for
    /// the side that the presentation's context names.
    ///
    /// ```
    /// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
    /// use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
    /// use keybound::replay::memory::MemoryStore;
    /// use keybound::{Context, Policy, Presentation, RUSTCRYPTO, TargetUri, UnixTime, Verifier};
    ///
    /// let nonces = NonceKeys::new(NonceKey::generate(1, RUSTCRYPTO.random).unwrap());
    /// let nonces = NonceIssuer::new(RUSTCRYPTO.mac, nonces, "https://server.example.com");
    /// let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO).with_nonces(nonces);
    /// let store = MemoryStore::new(1_000, verifier.replay_agreement(), RUSTCRYPTO.random, UnixTime::now()).unwrap();
    ///
    /// let target = TargetUri::parse("https://server.example.com/token").unwrap();
    /// let presentation = Presentation::new("POST", &target, &[], Context::TokenEndpoint { dpop_jkt: None });
    /// let refusal = verifier.verify_or_refuse(&presentation, UnixTime::now(), &store).unwrap_err();
    /// assert_eq!((refusal.status(), refusal.reason()), (400, "proof_missing"));
    /// # }
    /// ```
    ///
    /// # Errors
    /// The answer: see [`refuse`](Self::refuse), or 503 if the store could not decide.
    pub fn verify_or_refuse<S: ReplayStore + ?Sized>(
        &self,
        presentation: &Presentation<'_>,
        now: UnixTime,
        store: &S,
    ) -> Result<VerifiedProof, Refusal> {
        self.verify(presentation, now, store).map_err(|error| {
            // Read again: an insert may have begun another life.
            let presentation = &presentation.in_epoch(store.epoch());
            let undecided = match error {
                VerifyError::Rejected(rejection) => SettleError::Rejected(rejection),
                VerifyError::Unavailable | VerifyError::Store(_) => SettleError::Unavailable,
                VerifyError::Full => SettleError::Full,
                VerifyError::ShareFull => SettleError::ShareFull,
            };
            self.refuse_undecided(undecided, presentation.context.role(), presentation, now)
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("policy", &self.policy)
            .field("nonces", &self.nonces.is_some())
            .finish_non_exhaustive()
    }
}

/// A verifier for a gateway in front of a service that consumes proofs itself: it makes every check but replay.
///
/// Its result is an [`UnconsumedProof`], which makes no principal. The gateway must pass `Authorization` and `DPoP` on
/// untouched.
#[derive(Debug)]
pub struct CheckOnly(Verifier);

impl CheckOnly {
    /// Wraps `verifier`.
    pub const fn new(verifier: Verifier) -> Self {
        Self(verifier)
    }

    /// Makes every check but replay.
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails.
    pub fn check(&self, presentation: &Presentation<'_>, now: UnixTime) -> Result<UnconsumedProof, Rejection> {
        self.0.check(presentation, now).map(PendingProof::into_unconsumed)
    }

    /// The verifier, for refusals and explanations.
    pub const fn verifier(&self) -> &Verifier {
        &self.0
    }
}
