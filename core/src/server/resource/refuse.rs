//! Refusals of a protected resource: challenges for each scheme, the error in the one that was used (RFC 9449 section 7.2).

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};

use super::ResourceServer;
use super::admission::Received;
use super::credentials::Scheme;
use super::principal::Principal;
use super::rejection::TokenRejection;
use crate::UnixTime;
use crate::audit::Facts;
use crate::http::challenge::{Challenge, ChallengeError};
use crate::intent::IntentDefect;
use crate::nonce::Nonce;
use crate::replay::StoreEpoch;
use crate::server::Arrival;
use crate::server::source::TargetError;
use crate::verify::pending::SettleError;
use crate::verify::read::{ReadProof, UnreadProof};
use crate::verify::refusal::Refusal;
use crate::verify::rejection::Rejection;

/// What went wrong, as far as a challenge tells it.
#[derive(Clone, Copy)]
struct Said<'a> {
    error: Option<&'static str>,
    description: &'a str,
    scope: Option<&'a str>,
}

/// Who is refused after admission: the scheme that was used, and the nonce to go on with.
pub(super) struct Sender {
    used: Scheme,
    next_nonce: Option<Nonce>,
    facts: Option<Box<Facts>>,
}

impl Sender {
    pub(super) fn of(principal: &Principal) -> Self {
        let used = if principal.thumbprint().is_some() { Scheme::Dpop } else { Scheme::Bearer };
        Self { used, next_nonce: principal.next_nonce().cloned(), facts: principal.facts().cloned().map(Box::new) }
    }
}

impl Sender {
    /// What is known of it.
    pub(super) fn facts(&self) -> Option<Box<Facts>> {
        self.facts.clone()
    }
}

impl ResourceServer {
    /// Refuses a request for its credentials or its token.
    pub(super) fn refuse_token(&self, rejection: TokenRejection, used: Option<Scheme>) -> Refusal {
        self.refuse_with(rejection, used, None, None)
    }

    /// Refuses a request for a proof that could not be read: what the client is told, and whether it gets a nonce, is the verifier's word.
    pub(super) fn refuse_unread(&self, unread: UnreadProof) -> Refusal {
        let rejection = unread.rejection();
        self.in_challenge(&rejection, self.0.verifier.refuse_unread(unread))
    }

    /// The same of one that was read, for the life of the store that answered last.
    pub(super) fn refuse_read(
        &self,
        rejection: Rejection,
        read: &ReadProof,
        epoch: StoreEpoch,
        now: UnixTime,
    ) -> Refusal {
        self.in_challenge(&rejection, self.0.verifier.refuse_read(rejection, read, epoch, now))
    }

    /// Refuses a request whose proof was not settled.
    pub(super) fn refuse_unsettled(
        &self,
        error: SettleError,
        received: &Received,
        epoch: StoreEpoch,
        now: UnixTime,
    ) -> Refusal {
        Refusal::of_settling(error, self.watch().retry_after(), |rejection| match &received.proof {
            Some(read) => self.refuse_read(rejection, read, epoch, now),
            None => Refusal::undecided(),
        })
    }

    /// A refusal of the verifier's, with the challenges of this resource.
    fn in_challenge(&self, rejection: &Rejection, refusal: Refusal) -> Refusal {
        if refusal.error().is_none() {
            return refusal;
        }
        let description = rejection.to_string();
        let said = Said { error: refusal.error(), description: &description, scope: self.challenge_scope() };
        let challenges = self.challenges(said, Some(Scheme::Dpop));
        let nonce = refusal.dpop_nonce().cloned();
        Refusal::new(refusal.status(), refusal.reason(), refusal.error(), challenges, nonce)
    }

    /// The answer to a request whose target cannot be resolved: 400.
    pub fn refuse_target(&self) -> Refusal {
        self.refuse_token(TokenRejection::TargetMalformed, None)
    }

    /// The same to a request that arrived like this, whose address is charged as for any other: 429 if it sends too many.
    pub fn refuse_target_of(&self, arrival: &Arrival, now: UnixTime) -> Refusal {
        self.watch().arrive(arrival, now).err().unwrap_or_else(|| self.refuse_target())
    }

    /// The answer to a request that must not be [routed](crate::server::source::TargetSource::route): 400.
    pub fn refuse_route(&self, error: TargetError) -> Refusal {
        match error {
            TargetError::MountPath => self.refuse_token(TokenRejection::MountPathMismatch, None),
            _ => self.refuse_target(),
        }
    }

    /// Refuses a principal whose token the host knows to be revoked, which nothing in a signed token shows: 401.
    pub fn refuse_revoked(&self, principal: &Principal) -> Refusal {
        let Sender { used, next_nonce, facts } = Sender::of(principal);
        self.refuse_with(TokenRejection::TokenInactive, Some(used), None, next_nonce).with_facts(facts)
    }

    /// Refuses a request that its token's intent does not permit, or not any more: 403.
    pub(super) fn refuse_intent(&self, defect: IntentDefect, sender: Sender) -> Refusal {
        let Sender { used, next_nonce, facts } = sender;
        let description = defect.to_string();
        let error = TokenRejection::IntentElsewhere.error();
        let said = Said { error, description: &description, scope: None };
        let challenges = self.challenges(said, Some(used));
        Refusal::new(403, defect.reason(), error, challenges, next_nonce).with_facts(facts)
    }

    /// Refuses a principal that lacks one of `scopes`: 403, with the scopes that are needed (RFC 6750 section 3.1).
    ///
    /// # Errors
    /// The refusal to send.
    pub fn require_scopes(&self, principal: &Principal, scopes: &[&str]) -> Result<(), Refusal> {
        if scopes.iter().all(|scope| principal.has_scope(scope)) {
            return Ok(());
        }
        let Sender { used, next_nonce, facts } = Sender::of(principal);
        let needed = scopes.join(" ");
        Err(self
            .refuse_with(TokenRejection::InsufficientScope, Some(used), Some(&needed), next_nonce)
            .with_facts(facts))
    }

    fn refuse_with(
        &self,
        rejection: TokenRejection,
        used: Option<Scheme>,
        scope: Option<&str>,
        nonce: Option<Nonce>,
    ) -> Refusal {
        let (status, error) = (rejection.status(), rejection.error());
        let description = rejection.to_string();
        let scope = scope.or(if status == 401 { self.challenge_scope() } else { None });
        let said = Said { error, description: &description, scope };
        Refusal::new(status, rejection.reason(), error, self.challenges(said, used), nonce)
    }

    fn challenge_scope(&self) -> Option<&str> {
        self.0.policy.challenge_scope.as_deref()
    }

    /// The challenges of all schemes in use, joined; the error stands in that of the scheme that was used, or in all if that
    /// is unclear or not in use.
    fn challenges(&self, said: Said<'_>, used: Option<Scheme>) -> Option<String> {
        let schemes = self.0.policy.schemes;
        let in_use = |scheme| match scheme {
            Scheme::Dpop => schemes.dpop(),
            Scheme::Bearer => schemes.bearer(),
        };
        let used = used.filter(|scheme| in_use(*scheme));
        let mut joined = String::new();
        for scheme in [Scheme::Dpop, Scheme::Bearer].into_iter().filter(|scheme| in_use(*scheme)) {
            let silent = used.is_some_and(|used| used != scheme);
            let said = if silent { Said { error: None, ..said } } else { said };
            // Every part was checked when it was configured, or is a text of this crate.
            let Ok(challenge) = self.challenge(scheme, said) else { continue };
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(&challenge.to_string());
        }
        (!joined.is_empty()).then_some(joined)
    }

    fn challenge(&self, scheme: Scheme, said: Said<'_>) -> Result<Challenge, ChallengeError> {
        let policy = &self.0.policy;
        let mut challenge = Challenge::new(scheme.name())?;
        let mut add = |name, value: Option<&str>| match value {
            Some(value) => challenge.clone().with_param(name, value).map(|longer| challenge = longer),
            None => Ok(()),
        };
        add("realm", policy.realm.as_deref())?;
        // A client that sent nothing is told nothing but what to send (RFC 6750 section 3.1).
        add("error", said.error)?;
        add("error_description", said.error.map(|_| said.description))?;
        add("scope", said.scope)?;
        if scheme == Scheme::Dpop {
            add("algs", Some(&self.0.verifier.policy().algorithms().to_string()))?;
        }
        add("resource_metadata", policy.metadata_url.as_deref())?;
        Ok(challenge)
    }
}
