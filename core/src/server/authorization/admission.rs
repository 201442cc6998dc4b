//! The verdict about a request: refused, or admitted with the key that tokens are bound to.

use super::AuthorizationServer;
use super::grant::{ClientType, Contradiction, EndpointRequest, Grant};
use crate::UnixTime;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::{Nonce, Role};
use crate::replay::{Inserted, Insertion, ReplayEntry, ReplayStore};
use crate::verify::pending::{PendingProof, SettleError, VerifiedProof};
use crate::verify::presentation::{Context, Presentation};
use crate::verify::refusal::Refusal;
use crate::verify::rejection::Rejection;

/// A request whose proof is good, replay apart.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is what nearly every request becomes; a box would allocate for each"
)]
pub enum Checked {
    /// There is no proof, and none is needed; or one that uses nothing up, of a client that anyone can be.
    Admitted(Admitted),
    /// The proof has to go into the replay store first.
    Pending(PendingAdmission),
}

/// A proof that has yet to be inserted into the replay store.
#[derive(Debug)]
pub struct PendingAdmission {
    pending: PendingProof,
    client: ClientType,
    unbound_access: bool,
}

/// A request that may have what it asks for. Only now may codes, refresh tokens and assertions be used up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    key: Option<Thumbprint>,
    client: ClientType,
    unbound_access: bool,
    next_nonce: Option<Nonce>,
}

impl Admitted {
    fn of(client: ClientType, unbound_access: bool, proof: &VerifiedProof) -> Self {
        let next_nonce = proof.next_nonce().cloned();
        Self { key: Some(proof.thumbprint()), client, unbound_access, next_nonce }
    }

    /// The key that the access token is bound to: its `cnf.jkt` (RFC 9449 section 6). None makes it a Bearer token.
    pub fn access_binding(&self) -> Option<Thumbprint> {
        self.key.filter(|_| !self.unbound_access)
    }

    /// The key that the refresh token is bound to: to be stored with it. Those of confidential clients are not (RFC 9449
    /// section 5).
    pub fn refresh_binding(&self) -> Option<Thumbprint> {
        self.key.filter(|_| self.client == ClientType::Public)
    }

    /// The key that a pushed or device request announced, by proof or parameter: to be stored with the request and given
    /// as `dpop_jkt` or `bound_to` when its code comes.
    pub const fn announced(&self) -> Option<Thumbprint> {
        self.key
    }

    /// The nonce to send along in `DPoP-Nonce`, when the client's own ends soon (RFC 9449 section 8.2).
    pub const fn next_nonce(&self) -> Option<&Nonce> {
        self.next_nonce.as_ref()
    }
}

impl PendingAdmission {
    /// What to insert into the replay store.
    pub const fn replay_entry(&self) -> &ReplayEntry {
        self.pending.replay_entry()
    }
}

impl AuthorizationServer {
    /// Makes every check but replay.
    ///
    /// # Errors
    /// The refusal to send: 400 with `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_grant` or `invalid_request`.
    pub fn check(&self, request: &EndpointRequest<'_>, now: UnixTime) -> Result<Checked, Refusal> {
        let expected = request.expected().map_err(|Contradiction| {
            let text = "the tokens shown are bound to different keys";
            Refusal::with_body("tokens_of_two_keys", "invalid_request", text, None)
        })?;
        let verifier = self.verifier(request.client);
        let presentation = presentation(request, expected);
        let announces = matches!(request.grant, Grant::Announcement { .. });
        if request.proofs.is_empty() {
            return if !announces && (request.must_bind || expected.is_some()) {
                Err(verifier.refuse(Rejection::ProofMissing, Role::AuthorizationServer, &presentation, now))
            } else {
                let (client, unbound_access) = (request.client, self.unbound_access);
                Ok(Checked::Admitted(Admitted { key: expected, client, unbound_access, next_nonce: None }))
            };
        }
        match verifier.check(&presentation, now) {
            // Anyone can push a request in the name of a public client, with any number of keys. If that filled the store,
            // honest clients would get no tokens. And nothing is used up: repeating a captured announcement yields a code for the key
            // that was announced, which the sender does not have.
            Ok(pending) if announces && request.client == ClientType::Public => {
                let verified = pending.danger_skip_replay_check();
                Ok(Checked::Admitted(Admitted::of(request.client, self.unbound_access, &verified)))
            }
            Ok(pending) => Ok(Checked::Pending(PendingAdmission {
                pending,
                client: request.client,
                unbound_access: self.unbound_access,
            })),
            // A pushed request has no grant that could be invalid (RFC 9126 section 2.3).
            Err(Rejection::BindingMismatch) if announces => {
                let rejection = Rejection::BindingMismatch;
                let text = "dpop_jkt is not the thumbprint of the proof's key";
                Err(Refusal::with_body(rejection.reason(), "invalid_request", text, None))
            }
            Err(rejection) => Err(verifier.refuse(rejection, Role::AuthorizationServer, &presentation, now)),
        }
    }

    /// Completes a check with what the replay store said.
    ///
    /// # Errors
    /// The refusal to send: a proof that was used before, or 503 if the store could not decide.
    pub fn settle(
        &self,
        request: &EndpointRequest<'_>,
        pending: PendingAdmission,
        inserted: Inserted,
        now: UnixTime,
    ) -> Result<Admitted, Refusal> {
        let PendingAdmission { pending, client, unbound_access } = pending;
        match pending.settle(inserted, now) {
            Ok(verified) => Ok(Admitted::of(client, unbound_access, &verified)),
            Err(error) => Err(self.refuse(&request.in_epoch(inserted.epoch), error, now)),
        }
    }

    /// Checks a request, consumes its proof in a synchronous store and settles it, in the store's own epoch.
    ///
    /// # Errors
    /// The refusal to send.
    pub fn admit<S: ReplayStore + ?Sized>(
        &self,
        request: &EndpointRequest<'_>,
        store: &S,
        now: UnixTime,
    ) -> Result<Admitted, Refusal> {
        let request = &request.in_epoch(store.epoch());
        match self.check(request, now)? {
            Checked::Admitted(admitted) => Ok(admitted),
            Checked::Pending(pending) => {
                let inserted = store.insert(pending.replay_entry(), now);
                let inserted = inserted.unwrap_or_else(|_| Inserted::new(Insertion::Unavailable, store.epoch()));
                self.settle(request, pending, inserted, now)
            }
        }
    }

    fn refuse(&self, request: &EndpointRequest<'_>, error: SettleError, now: UnixTime) -> Refusal {
        let expected = request.expected().ok().flatten();
        let presentation = presentation(request, expected);
        self.verifier(request.client).refuse_undecided(error, Role::AuthorizationServer, &presentation, now)
    }
}

fn presentation<'a>(request: &EndpointRequest<'a>, expected: Option<Thumbprint>) -> Presentation<'a> {
    let context = Context::TokenEndpoint { dpop_jkt: expected };
    Presentation::new(request.method, request.target, request.proofs, context).in_epoch(request.epoch)
}
