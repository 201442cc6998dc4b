//! Judging proofs: in one call, or in two with a store of the host's own between them.

use std::sync::Arc;

use keybound_ffi as ffi;

use crate::CRYPTO;
use crate::error::{KeyboundError, Refusal, SPELLING};
use crate::explain::Explanation;
use crate::options::VerifierOptions;
use crate::plain::{clock, field_bytes, shown};
use crate::proof::ServerRole;
use crate::replay::{Insertion, MemoryReplayStore, ReplayEntry};

/// A proof as it comes with a request: made by `at_resource` or `at_authorization_server`, which decide what is checked.
///
/// It holds the access token and shows it nowhere.
#[derive(uniffi::Object)]
#[uniffi::export(Display)]
pub struct PresentedProof(ffi::OwnedPresented);

#[uniffi::export]
impl PresentedProof {
    /// A proof that comes with an access token to a resource: the proof must be for this token (`ath`), and by the key that the token is
    /// bound to (RFC 9449 section 7.1). The token itself (signature, audience, expiry) is for you to check, or for its issuer to introspect.
    ///
    /// `method` is as received. `url` is the target URI from configuration and the raw path: never from a decoded path or an unchecked
    /// `Host`. `proofs` are the values of all `DPoP` fields of the request. `access_token` is without its scheme, and `bound_to` the
    /// thumbprint in its `cnf.jkt`. `expected_nonce` is the one nonce this client was given, where the host remembers it itself.
    #[uniffi::constructor(default(expected_nonce = None))]
    pub fn at_resource(
        method: String,
        url: String,
        proofs: Vec<String>,
        access_token: String,
        bound_to: String,
        expected_nonce: Option<String>,
    ) -> Self {
        Self(presented(method, url, &proofs, Some(access_token), Some(bound_to), expected_nonce))
    }

    /// A proof that comes to an endpoint of an authorization server, above all the token endpoint: there is no access token yet, and none is
    /// checked (RFC 9449 section 5).
    ///
    /// `bound_to` is the thumbprint that a code (`dpop_jkt`) or refresh token is bound to; without it any key passes. The others are those of
    /// `at_resource`.
    #[uniffi::constructor(default(bound_to = None, expected_nonce = None))]
    pub fn at_authorization_server(
        method: String,
        url: String,
        proofs: Vec<String>,
        bound_to: Option<String>,
        expected_nonce: Option<String>,
    ) -> Self {
        Self(presented(method, url, &proofs, None, bound_to, expected_nonce))
    }
}

fn presented(
    method: String,
    url: String,
    proofs: &[String],
    access_token: Option<String>,
    bound_to: Option<String>,
    expected_nonce: Option<String>,
) -> ffi::OwnedPresented {
    let proofs = proofs.iter().map(|proof| field_bytes(proof)).collect();
    ffi::OwnedPresented { method, url, proofs, access_token, bound_to, expected_nonce, epoch: None }
}

shown!(PresentedProof.0 { method, url, bound_to });

/// What a verified proof says.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct VerifiedProof {
    /// The thumbprint of the key that made it.
    pub thumbprint: String,
    /// Its algorithm.
    pub algorithm: String,
    /// Its `iat`.
    pub issued_at: i64,
    /// The nonce to hand out with the answer (`DPoP-Nonce`), when the present one ends soon.
    pub next_nonce: Option<String>,
}

impl From<ffi::Verified> for VerifiedProof {
    fn from(verified: ffi::Verified) -> Self {
        Self {
            thumbprint: verified.thumbprint,
            algorithm: verified.algorithm.into(),
            issued_at: verified.issued_at,
            next_nonce: verified.next_nonce,
        }
    }
}

impl PresentedProof {
    fn with<T>(
        &self,
        epoch: Option<&str>,
        judge: impl FnOnce(&ffi::Presented<'_>) -> Result<T, ffi::Error>,
    ) -> Result<T, KeyboundError> {
        Ok(self.0.show(|presented| judge(&ffi::Presented { epoch, ..*presented }))?)
    }
}

/// Judges proofs by one policy (RFC 9449 section 4.3).
#[derive(uniffi::Object)]
pub struct Verifier {
    facade: ffi::Verifier,
    replay: Option<Arc<MemoryReplayStore>>,
}

impl Verifier {
    /// The epoch of the store that nonces vouch for.
    fn epoch(&self) -> Option<String> {
        self.replay.as_ref().map(|store| store.0.epoch())
    }
}

#[uniffi::export]
impl Verifier {
    /// A verifier. With `replay`, its nonces vouch for that store's present life.
    ///
    /// Throws misuse, if an option cannot be used.
    #[uniffi::constructor(default(replay = None))]
    pub fn new(options: VerifierOptions, replay: Option<Arc<MemoryReplayStore>>) -> Result<Self, KeyboundError> {
        Ok(Self { facade: ffi::Verifier::new(&options.to_json()?, &CRYPTO)?, replay })
    }

    /// Checks a proof and consumes it in a store of this process.
    ///
    /// Throws the rejection, with the refusal to send; misuse.
    #[uniffi::method(default(now = None))]
    pub fn verify(
        &self,
        presented: &PresentedProof,
        store: &Arc<MemoryReplayStore>,
        now: Option<i64>,
    ) -> Result<VerifiedProof, KeyboundError> {
        presented.with(self.epoch().as_deref(), |presented| {
            self.facade.verify(presented, &store.0, clock(now)).map(Into::into)
        })
    }

    /// Makes every check but replay: insert the entry of what comes back into a store, and settle it by what that answers.
    ///
    /// Throws the rejection, with the refusal to send; misuse.
    #[uniffi::method(default(now = None))]
    pub fn check(&self, presented: &PresentedProof, now: Option<i64>) -> Result<PendingProof, KeyboundError> {
        presented.with(self.epoch().as_deref(), |presented| self.facade.check(presented, clock(now)).map(PendingProof))
    }

    /// What came of every check, for the developer whose proof was refused. It consumes nothing and is not for the peer. With `store`,
    /// or a verifier that was made with one, it also tells whether that store was made too late to know of the proof.
    ///
    /// Throws misuse.
    #[uniffi::method(default(store = None, now = None))]
    pub fn explain(
        &self,
        presented: &PresentedProof,
        store: Option<Arc<MemoryReplayStore>>,
        now: Option<i64>,
    ) -> Result<Explanation, KeyboundError> {
        let store = store.as_ref().or(self.replay.as_ref()).map(|store| &store.0);
        presented.with(self.epoch().as_deref(), |presented| {
            self.facade.explanation(presented, store, clock(now), SPELLING).map(Into::into)
        })
    }

    /// The answer to a request that the host refuses for a reason of its own choosing, for example `replayed`.
    ///
    /// Throws misuse, if there is no such reason.
    #[uniffi::method(default(now = None))]
    pub fn refuse(&self, reason: &str, presented: &PresentedProof, now: Option<i64>) -> Result<Refusal, KeyboundError> {
        presented.with(self.epoch().as_deref(), |presented| {
            self.facade.refuse(reason, presented, clock(now)).map(Into::into)
        })
    }

    /// A nonce for the next proof of any key; none if the options have no `nonces`.
    #[uniffi::method(default(now = None))]
    pub fn fresh_nonce(&self, role: ServerRole, now: Option<i64>) -> Result<Option<String>, KeyboundError> {
        Ok(self.facade.fresh_nonce(role.name(), self.epoch().as_deref(), clock(now))?)
    }

    /// The names of the algorithms that are accepted.
    pub fn algorithms(&self) -> Vec<String> {
        self.facade.algorithms().into_iter().map(Into::into).collect()
    }
}

/// A proof that passed every check but replay: it says nothing before it is settled.
#[derive(uniffi::Object)]
pub struct PendingProof(ffi::Pending);

#[uniffi::export]
impl PendingProof {
    /// What goes into the replay store.
    pub fn entry(&self) -> ReplayEntry {
        ReplayEntry(self.0.entry().clone())
    }

    /// Accepts or refuses the proof by the store's answer.
    ///
    /// Throws the rejection, with the refusal to send; the host's fault for `UNAVAILABLE` and `FULL`; misuse on second use.
    #[uniffi::method(default(now = None))]
    pub fn settle(&self, insertion: Insertion, now: Option<i64>) -> Result<VerifiedProof, KeyboundError> {
        Ok(self.0.settle(insertion.name(), None, clock(now))?.into())
    }

    /// Accepts the proof without a replay store: whoever sees the request can repeat it until the proof is too old.
    ///
    /// Throws misuse on second use.
    pub fn danger_skip_replay_check(&self) -> Result<VerifiedProof, KeyboundError> {
        Ok(self.0.danger_skip_replay_check()?.into())
    }
}
