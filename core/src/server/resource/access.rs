//! The way of a request through a protected resource, step by step.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::ResourceServer;
use super::access_token::{AccessToken, CHECKED, check_jwt};
use super::credentials::{self, Credentials, Scheme};
use super::introspection::Answer;
use super::principal::Principal;
use super::profile::IssuerProfile;
use super::rejection::TokenRejection;
use crate::jose::algorithm::Algorithm;
use crate::json::Value;
use crate::replay::{Insertion, ReplayEntry};
use crate::server::jwk_set::JwkSet;
use crate::server::jwt::{JwtDefect, SignatureDefect, UnverifiedJwt};
use crate::verify::FormChecked;
use crate::verify::refusal::RETRY_AFTER;
use crate::{Context, PendingProof, Presentation, Refusal, TargetUri, Thumbprint, UnixTime};

/// A request as far as its admission is concerned.
#[derive(Clone, Copy)]
pub struct IncomingRequest<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// The target, from configuration or trusted proxies: see [`TargetSource`](crate::server::source::TargetSource).
    pub target: &'a TargetUri,
    /// All header fields, one element for each field line, as received.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The SHA-256 hash of the client's certificate (DER) where TLS asked for one: for tokens bound to it (RFC 8705).
    pub client_certificate: Option<[u8; 32]>,
}

impl<'a> IncomingRequest<'a> {
    /// A request over a connection without client certificate.
    pub const fn new(method: &'a str, target: &'a TargetUri, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        Self { method, target, fields, client_certificate: None }
    }
}

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

/// What is kept of a request on its way.
struct Received {
    method: String,
    target: TargetUri,
    scheme: Scheme,
    token: String,
    /// At most two: more are refused like two.
    proofs: Vec<Vec<u8>>,
    client_certificate: Option<[u8; 32]>,
    /// There under the scheme DPoP, where the proof was compared with the request.
    form: Option<FormChecked>,
}

impl ResourceServer {
    /// Takes a request: the one entry point.
    pub fn receive(&self, request: &IncomingRequest<'_>, now: UnixTime) -> Access {
        let Credentials { scheme, token } = match Credentials::read(request.fields) {
            Ok(credentials) => credentials,
            Err((rejection, used)) => return self.refused(rejection, used),
        };
        let schemes = self.policy().schemes();
        match scheme {
            Scheme::Dpop if !schemes.dpop() => return self.refused(TokenRejection::CredentialsMissing, None),
            Scheme::Bearer if !schemes.bearer() => return self.refused(TokenRejection::SchemeNotAccepted, None),
            _ => {}
        }
        let mut received = Box::new(Received {
            method: request.method.to_owned(),
            target: request.target.clone(),
            scheme,
            token: token.to_owned(),
            proofs: match scheme {
                Scheme::Dpop => credentials::proofs(request.fields).into_iter().map(<[u8]>::to_vec).collect(),
                Scheme::Bearer => Vec::new(),
            },
            client_certificate: request.client_certificate,
            form: None,
        });
        if scheme == Scheme::Dpop {
            let form = received.present(None, |presentation| {
                let verdict = self.verifier().check_form(presentation, now);
                verdict.map_err(|rejection| self.refuse_proof(rejection, presentation, now))
            });
            match form {
                Ok(form) => received.form = Some(form),
                Err(refusal) => return Access::Refused(refusal),
            }
        }
        self.judge_token(received, now)
    }

    /// Reads the token as a JWT, or leaves it to introspection.
    fn judge_token(&self, received: Box<Received>, now: UnixTime) -> Access {
        let policy = self.policy();
        let used = Some(received.scheme);
        let introspected =
            |received| Access::NeedsIntrospection(AwaitingIntrospection { server: self.clone(), received });
        if policy.issuers.is_empty() && policy.introspection {
            return introspected(received);
        }
        let is_access_token = |jwt: &UnverifiedJwt, claims: &Value| {
            // A token of a stranger is named as such below, if it is an access token at all.
            let profile = claims.text("iss").and_then(|issuer| policy.profile_of(issuer));
            profile.unwrap_or(IssuerProfile::rfc9068()).is_type_of(jwt)
        };
        let (jwt, claims) = match UnverifiedJwt::read(&received.token, policy.token_algorithms, &CHECKED) {
            Ok((jwt, claims)) if is_access_token(&jwt, &claims) => (jwt, claims),
            // A trusted issuer's own word that it is no access token counts, whatever introspection would say.
            Ok((jwt, claims))
                if IssuerProfile::is_other_type(&jwt)
                    && claims.text("iss").is_some_and(|issuer| policy.profile_of(issuer).is_some()) =>
            {
                return self.refused(TokenRejection::TokenTypMismatch, used);
            }
            _ if policy.introspection => return introspected(received),
            Ok(_) => return self.refused(TokenRejection::TokenTypMismatch, used),
            Err(JwtDefect::Malformed) => return self.refused(TokenRejection::TokenMalformed, used),
            Err(JwtDefect::Algorithm) => return self.refused(TokenRejection::TokenAlgNotPermitted, used),
            Err(JwtDefect::Extension) => return self.refused(TokenRejection::TokenCritUnsupported, used),
        };
        match check_jwt(&claims, policy, now) {
            Ok(_) => Access::NeedsKeys(AwaitingKeys {
                server: self.clone(),
                received,
                jwt: Box::new(jwt),
                issuer: claims.text("iss").unwrap_or_default().to_owned(),
            }),
            Err(TokenRejection::IssuerMismatch) if policy.introspection => introspected(received),
            Err(rejection) => self.refused(rejection, used),
        }
    }

    /// Judges the binding of a token that is known to be genuine.
    fn judge_binding(&self, received: Box<Received>, token: Box<AccessToken>, now: UnixTime) -> Access {
        let used = Some(received.scheme);
        if let Err(rejection) = token.confirmation.check_certificate(received.client_certificate) {
            return self.refused(rejection, used);
        }
        // Said once the proof is good, so that a client without the server's nonce hears of that first.
        let is_elsewhere = token.has_details() && !self.policy().takes_intents_at(&received.target);
        // Under the scheme DPoP, and only there, a proof was looked at.
        match (received.form, token.confirmation.key) {
            (None, Some(_)) => self.refused(TokenRejection::TokenBound, used),
            (None, None) if is_elsewhere => self.refused(TokenRejection::IntentElsewhere, used),
            (None, None) => Access::Granted(Box::new(Principal::new(*token, None))),
            (Some(_), None) => self.refused(TokenRejection::TokenUnbound, used),
            (Some(form), Some(bound_to)) => {
                let verdict = received.present(Some(bound_to), |presentation| {
                    let verdict = self.verifier().check_nonce_last(presentation, form, now);
                    verdict.map_err(|rejection| self.refuse_proof(rejection, presentation, now))
                });
                match verdict {
                    Ok(_) if is_elsewhere => self.refused(TokenRejection::IntentElsewhere, used),
                    Ok(proof) => Access::Pending(PendingAccess { server: self.clone(), received, proof, token }),
                    Err(refusal) => Access::Refused(refusal),
                }
            }
        }
    }

    fn refused(&self, rejection: TokenRejection, used: Option<Scheme>) -> Access {
        Access::Refused(self.refuse_token(rejection, used))
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
        let digest = server.verifier().crypto().digest;
        let genuine = match jwt.verify(&received.token, keys, server.verifier().crypto()) {
            Ok(()) => jwt.claims().map_err(|_| TokenRejection::TokenMalformed),
            Err(SignatureDefect::NoKey) => Err(TokenRejection::TokenKeyUnknown),
            Err(SignatureDefect::Invalid) => Err(TokenRejection::TokenSignatureInvalid),
        };
        match genuine.and_then(|claims| AccessToken::of_jwt(claims, server.policy(), digest, now)) {
            Ok(token) => server.judge_binding(received, Box::new(token), now),
            Err(rejection) => server.refused(rejection, Some(received.scheme)),
        }
    }

    /// The answer where the keys cannot be had: 503.
    pub fn unavailable(self) -> Refusal {
        Refusal::unavailable("keys_unavailable", RETRY_AFTER)
    }
}

impl AwaitingIntrospection {
    /// The token to ask about. It is a secret.
    pub fn token(&self) -> &str {
        &self.received.token
    }

    /// Goes on with the body of the authorization server's answer, whose status was 200.
    pub fn resume(self, answer: &[u8], now: UnixTime) -> Access {
        let Self { server, received } = self;
        let used = Some(received.scheme);
        let judged = Answer::read(answer).and_then(|Answer { members, is_bound }| {
            let digest = server.verifier().crypto().digest;
            let token = AccessToken::of_introspection(members, server.policy(), digest, now)?;
            match (received.scheme, is_bound) {
                (Scheme::Dpop, Some(false)) => Err(TokenRejection::TokenUnbound),
                (Scheme::Bearer, Some(true)) => Err(TokenRejection::TokenBound),
                _ => Ok(token),
            }
        });
        match judged {
            Ok(token) => server.judge_binding(received, Box::new(token), now),
            Err(rejection) => server.refused(rejection, used),
        }
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
    pub fn settle(self, insertion: Insertion, now: UnixTime) -> Result<Principal, Refusal> {
        let Self { server, received, proof, token } = self;
        match proof.settle(insertion, now) {
            Ok(verified) => Ok(Principal::new(*token, Some(&verified))),
            Err(error) => Err(received.present(None, |presentation| server.refuse_unsettled(error, presentation, now))),
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

/// Token and proof open what they were sent for.
impl Drop for Received {
    fn drop(&mut self) {
        self.token.as_mut_str().zeroize();
        for proof in &mut self.proofs {
            proof.as_mut_slice().zeroize();
        }
    }
}

impl Received {
    /// Hands the proof on as it came. Before the token is known `bound_to` is not, and no check looks at it then.
    fn present<T>(&self, bound_to: Option<Thumbprint>, judge: impl FnOnce(&Presentation<'_>) -> T) -> T {
        let proofs: Vec<&[u8]> = self.proofs.iter().map(Vec::as_slice).collect();
        let bound_to = bound_to.unwrap_or(Thumbprint::from_bytes([0; 32]));
        let context = Context::Resource { access_token: &self.token, bound_to };
        judge(&Presentation::new(&self.method, &self.target, &proofs, context))
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
