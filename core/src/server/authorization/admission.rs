//! The way of a request through an authorization server: refused, or admitted with the key that tokens are bound to.

use alloc::boxed::Box;

use super::AuthorizationServer;
use super::grant::{ClientType, Contradiction, EndpointRequest, Grant};
use crate::UnixTime;
use crate::audit::Facts;
use crate::flow::step::Step;
use crate::flow::{Flow, Io};
use crate::guard::Watched;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::Nonce;
use crate::oauth::FlowError;
use crate::verify::pending::{PendingProof, VerifiedProof};
use crate::verify::presentation::PresentedProof;
use crate::verify::read::ReadProof;
use crate::verify::refusal::Refusal;
use crate::verify::rejection::Rejection;

/// What a request came to: what its tokens are bound to, or what to answer.
pub type Admission = Result<Admitted, Box<Refusal>>;

/// A request that may have what it asks for. Only now may codes, refresh tokens and assertions be used up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    key: Option<Thumbprint>,
    client: ClientType,
    unbound_access: bool,
    next_nonce: Option<Nonce>,
    /// There if the server keeps what it learns.
    facts: Option<Box<Facts>>,
}

impl Admitted {
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

    /// What was verified, for audit records; none unless the server is [told](AuthorizationServer::audited) to keep it.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }
}

impl AuthorizationServer {
    /// Judges a request: the one entry point. Where the replay store was given to the server, or there is nothing to insert, the answer is
    /// there at once.
    ///
    /// The refusal is 400 with `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_grant` or `invalid_request`, 429 if its
    /// [guards](Self::guarded_by) are asked too often, or 503 if the store could not decide. A flow that is dropped at its [`Insert`](crate::flow::step::Insert) uses nothing up.
    ///
    /// # Errors
    /// [`FlowError::Interrupted`], when a step is resumed in a way that its types do not permit.
    pub fn admit(&self, request: &EndpointRequest<'_>, now: UnixTime) -> Result<Step<Admission>, FlowError> {
        let at = match self.watch().arrive(&request.arrival, now) {
            Ok(at) => at,
            Err(refusal) => return Ok(Step::Done(Err(Box::new(refusal)))),
        };
        let pending = match self.bound(request, now) {
            Ok(Bound::Granted(admitted)) => return Ok(Step::Done(Ok(admitted))),
            Ok(Bound::Pending(read, proof)) => {
                Pending { client: request.client, read, proof, granted: request.names_key(), at }
            }
            Err(refusal) => return Ok(Step::Done(Err(Box::new(refusal)))),
        };
        let server = self.clone();
        Flow::start(now, move |io| async move { Ok(server.settled(&io, pending).await.map_err(Box::new)) })
    }

    /// Every check but replay.
    fn bound(&self, request: &EndpointRequest<'_>, now: UnixTime) -> Result<Bound, Refusal> {
        let EndpointRequest { method, target, proofs, client, .. } = *request;
        let expected = request.expected().map_err(|Contradiction| {
            let text = "the tokens shown are bound to different keys";
            Refusal::with_body(Refusal::TOKENS_OF_TWO_KEYS, "invalid_request", text, None)
        })?;
        let announces = matches!(request.grant, Grant::Announcement { .. });
        if proofs.is_empty() && (announces || !(request.must_bind || expected.is_some())) {
            return Ok(Bound::Granted(self.admitted(client, expected, None)));
        }
        let verifier = self.verifier_of(client);
        let epoch = self.consumption().epoch(request.arrival.epoch);
        let presented = PresentedProof::at_authorization_server(method, target, proofs, epoch);
        let read = verifier.read(&presented, now).map_err(|unread| verifier.refuse_unread(unread))?;
        match verifier.bind_grant(&read, expected, now) {
            // Anyone can push a request in the name of a public client, with any number of keys. If that filled the store,
            // honest clients would get no tokens. And nothing is used up: repeating a captured announcement yields a code for the key
            // that was announced, which the sender does not have.
            Ok(proof) if announces && client == ClientType::Public => {
                let facts = self.facts_of(&proof, now);
                Ok(Bound::Granted(self.admitted_with(client, &proof.danger_skip_replay_check(), facts)))
            }
            Ok(proof) => Ok(Bound::Pending(read, proof)),
            // A pushed request has no grant that could be invalid (RFC 9126 section 2.3).
            Err(rejection @ Rejection::BindingMismatch) if announces => {
                let text = "dpop_jkt is not the thumbprint of the proof's key";
                Err(Refusal::with_body(rejection.reason(), "invalid_request", text, None))
            }
            Err(rejection) => Err(verifier.refuse_read(rejection, &read, epoch, now)),
        }
    }

    /// Uses the proof up.
    async fn settled(&self, io: &Io, pending: Pending) -> Result<Admitted, Refusal> {
        let Pending { client, read, proof, granted, at } = pending;
        let facts = self.facts_of(&proof, io.now());
        // Of the keys that come along only those are limited that a grant names: anyone can make others.
        let key = granted.then_some(*proof.replay_entry().thumbprint());
        if let Some(Err(refusal)) = key.map(|key| self.watch().look_at_key(&key, at)) {
            return Err(refusal.with_facts(facts));
        }
        match self.consumption().settle(io, proof, self.watch(), at).await {
            Ok(verified) => {
                if let Some(key) = &key {
                    self.watch().charge_key(key, at);
                }
                Ok(self.admitted_with(client, &verified, facts))
            }
            Err((error, epoch)) => {
                let refused = |rejection| self.verifier_of(client).refuse_read(rejection, &read, epoch, io.now());
                Err(Refusal::of_settling(error, self.watch().retry_after(), refused).with_facts(facts))
            }
        }
    }

    /// Whose proof it is, if that is kept.
    fn facts_of(&self, proof: &PendingProof, now: UnixTime) -> Option<Box<Facts>> {
        self.audit()?;
        let (thumbprint, issued_at) = proof.proven();
        let mut facts = Box::new(Facts::default());
        facts.add_proof(thumbprint, issued_at, now);
        Some(facts)
    }

    fn admitted_with(&self, client: ClientType, proof: &VerifiedProof, facts: Option<Box<Facts>>) -> Admitted {
        let admitted = self.admitted(client, Some(proof.thumbprint()), proof.next_nonce().cloned());
        Admitted { facts, ..admitted }
    }

    fn admitted(&self, client: ClientType, key: Option<Thumbprint>, next_nonce: Option<Nonce>) -> Admitted {
        Admitted { key, client, unbound_access: self.policy().unbound_access, next_nonce, facts: None }
    }
}

/// A request whose proof is to be used up.
struct Pending {
    client: ClientType,
    read: ReadProof,
    proof: PendingProof,
    /// Whether a stored grant names the proof's key.
    granted: bool,
    /// When it arrived, by the clock of the guards.
    at: Watched,
}

/// A request that passed every check but replay.
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is what nearly every request becomes; a box would allocate for each"
)]
enum Bound {
    /// There is no proof, and none is needed; or one that uses nothing up, of a client that anyone can be.
    Granted(Admitted),
    /// The proof is good, and has to be used up.
    Pending(ReadProof, PendingProof),
}
