//! The way of a request through a protected resource, step by step.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::ResourceServer;
use super::access_token::AccessToken;
use super::admission::{Bound, IncomingRequest, Received, Source};
use super::principal::Principal;
use crate::issuer::{JwkSet, UnverifiedJwt};
use crate::jose::algorithm::Algorithm;
use crate::replay::{Inserted, ReplayEntry};
use crate::verify::refusal::RETRY_AFTER;
use crate::{PendingProof, Refusal, UnixTime};

/// Where a request stands.
#[must_use = "a request is not admitted until there is a principal"]
pub enum Access {
    /// The token is a JWT: go on with the keys of its issuer.
    NeedsKeys(AwaitingKeys),
    /// The token means nothing to us: go on with what the authorization server says of it.
    NeedsIntrospection(AwaitingIntrospection),
    /// All is well but replay: insert the entry into the store and settle.
    Pending(PendingAccess),
    /// Admitted: a Bearer token, where those are accepted.
    Granted(Box<Principal>),
    /// Refused: send this.
    Refused(Refusal),
}

/// A request whose token is a JWT that must be verified with a key of its issuer.
///
/// Everything it claims fits; nothing of it is known to be true yet.
pub struct AwaitingKeys {
    server: ResourceServer,
    received: Box<Received>,
    jwt: Box<UnverifiedJwt>,
    issuer: String,
}

/// A request whose token only the authorization server understands.
pub struct AwaitingIntrospection {
    server: ResourceServer,
    received: Box<Received>,
}

/// A request that passed every check except replay.
#[must_use = "a request is not admitted until it is settled with the replay store's answer"]
pub struct PendingAccess {
    server: ResourceServer,
    received: Box<Received>,
    proof: PendingProof,
    token: Box<AccessToken>,
}

impl ResourceServer {
    /// Takes a request: the one entry point.
    pub fn receive(&self, request: &IncomingRequest<'_>, now: UnixTime) -> Access {
        let received = match self.received(request, now) {
            Ok(received) => Box::new(received),
            Err(refusal) => return Access::Refused(refusal),
        };
        let found = match self.source_of(&received, now) {
            Ok(Source::Jwt(jwt, keys)) => Ok((Box::new(jwt), keys.issuer().to_owned())),
            Ok(Source::Opaque) => Err(None),
            Err(refusal) => Err(Some(refusal)),
        };
        let server = self.clone();
        match found {
            Ok((jwt, issuer)) => Access::NeedsKeys(AwaitingKeys { server, received, jwt, issuer }),
            Err(None) => Access::NeedsIntrospection(AwaitingIntrospection { server, received }),
            Err(Some(refusal)) => Access::Refused(refusal),
        }
    }

    fn go_on(self, received: Box<Received>, token: Result<Box<AccessToken>, Refusal>, now: UnixTime) -> Access {
        match token.and_then(|token| self.bind(&received, token, now)) {
            Ok(Bound::Granted(token)) => Access::Granted(Box::new(Principal::new(*token, None))),
            Ok(Bound::Pending(proof, token)) => Access::Pending(PendingAccess { server: self, received, proof, token }),
            Err(refusal) => Access::Refused(refusal),
        }
    }
}

impl AwaitingKeys {
    /// The issuer whose keys are needed: one of the policy's.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The name of the key, if the token gives it.
    pub fn kid(&self) -> Option<&str> {
        self.jwt.kid.as_deref()
    }

    /// The algorithm the key is needed for.
    pub const fn algorithm(&self) -> Algorithm {
        self.jwt.algorithm
    }

    /// Whether `keys` has a key that the token may be signed with. If not, fetch the issuer's set again, but not more often
    /// than once in a while: anyone can send a token with an invented `kid`.
    pub fn is_answered_by(&self, keys: &JwkSet) -> bool {
        keys.has_key_for(self.kid(), self.algorithm())
    }

    /// Goes on with the issuer's keys.
    pub fn resume(self, keys: &JwkSet, now: UnixTime) -> Access {
        let Self { server, received, jwt, .. } = self;
        let token = server.genuine(&received, &jwt, keys, now);
        server.go_on(received, token, now)
    }

    /// The answer where the keys cannot be had: 503.
    pub fn unavailable(self) -> Refusal {
        Refusal::unavailable("keys_unavailable", RETRY_AFTER)
    }
}

impl AwaitingIntrospection {
    /// The token to ask about. It is a secret.
    pub fn token(&self) -> &str {
        self.received.token()
    }

    /// Goes on with the body of the authorization server's answer, whose status was 200.
    pub fn resume(self, answer: &[u8], now: UnixTime) -> Access {
        let Self { server, received } = self;
        let token = server.introspected(&received, answer, now);
        server.go_on(received, token, now)
    }

    /// The answer where the authorization server cannot be asked: 503.
    pub fn unavailable(self) -> Refusal {
        Refusal::unavailable("introspection_unavailable", RETRY_AFTER)
    }
}

impl PendingAccess {
    /// What the replay store inserts, if it is not there yet.
    pub const fn replay_entry(&self) -> &ReplayEntry {
        self.proof.replay_entry()
    }

    /// Admits or refuses the request by the replay store's answer. `now` is the time after the store answered.
    ///
    /// # Errors
    /// The refusal to send.
    pub fn settle(self, inserted: Inserted, now: UnixTime) -> Result<Principal, Refusal> {
        let Self { server, received, proof, token } = self;
        match proof.settle(inserted, now) {
            Ok(verified) => Ok(Principal::new(*token, Some(&verified))),
            Err(error) => Err(server.refuse_unsettled(error, &received, inserted.epoch, now)),
        }
    }

    /// Admits the request without a replay store.
    ///
    /// # Security
    /// Whoever sees the request can repeat it until its proof is too old.
    pub fn danger_skip_replay_check(self) -> Principal {
        let verified = self.proof.danger_skip_replay_check();
        Principal::new(*self.token, Some(&verified))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsKeys(needs) => needs.fmt(f),
            Self::NeedsIntrospection(needs) => needs.fmt(f),
            Self::Pending(pending) => pending.fmt(f),
            Self::Granted(principal) => f.debug_tuple("Granted").field(principal).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
        }
    }
}

impl fmt::Debug for AwaitingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AwaitingKeys");
        shown.field("issuer", &self.issuer()).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

impl fmt::Debug for AwaitingIntrospection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingIntrospection").finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAccess").field("proof", &self.proof).finish_non_exhaustive()
    }
}
