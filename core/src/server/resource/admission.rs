//! The way of a request through a protected resource: from its fields to a principal, or to the refusal to send.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::ResourceServer;
use super::access_token::{AccessToken, CHECKED, check_jwt};
use super::credentials::{self, Credentials, Scheme};
use super::introspection::Active;
use super::principal::Principal;
use super::profile::IssuerProfile;
use super::rejection::TokenRejection;
use crate::audit::Facts;
use crate::flow::step::Step;
use crate::flow::{Flow, Io};
use crate::guard::Watched;
use crate::issuer::{IssuerKeys, JwkSet, JwtDefect, SignatureDefect, UnverifiedJwt, WantedKey};
use crate::json::Value;
use crate::oauth::{FlowError, Secret};
use crate::server::Arrival;
use crate::verify::presentation::PresentedProof;
use crate::verify::read::{ReadProof, Unbound};
use crate::verify::refusal::RETRY_AFTER;
use crate::{PendingProof, Refusal, TargetUri, Thumbprint, UnixTime, VerifiedProof};

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
    /// From where and when, and in which life of the host's replay store.
    pub arrival: Arrival,
}

impl<'a> IncomingRequest<'a> {
    /// A request over a connection without client certificate.
    pub const fn new(method: &'a str, target: &'a TargetUri, fields: &'a [(&'a str, &'a [u8])]) -> Self {
        let arrival = Arrival::unknown();
        Self { method, target, fields, client_certificate: None, arrival }
    }
}

/// A request that passed every check but replay, for a gateway in front of the service that consumes proofs.
///
/// It is another type than [`Principal`]: the same proof may have been seen before, so it is worth no more than a log entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an unconsumed proof may be a replay: pass the request on to the service that consumes it"]
pub struct Unconsumed {
    thumbprint: Option<Thumbprint>,
}

impl Unconsumed {
    /// The thumbprint of the key that made the proof, for logs and routing; none for a Bearer token.
    pub const fn thumbprint(&self) -> Option<Thumbprint> {
        self.thumbprint
    }
}

/// What a request came to: whom it may be attributed to, or what to answer.
pub type Admission = Result<Box<Principal>, Box<Refusal>>;

impl ResourceServer {
    /// Judges a request: the one entry point. Where the keys of its issuer are known and the replay store was given to the server, the
    /// answer is there at once.
    ///
    /// # Errors
    /// [`FlowError::Interrupted`], when a step is resumed in a way that its types do not permit.
    pub fn admit(&self, request: &IncomingRequest<'_>, now: UnixTime) -> Result<Step<Admission>, FlowError> {
        let received = match self.received(request, now) {
            Ok(received) => received,
            Err(refusal) => return Ok(Step::Done(Err(Box::new(refusal)))),
        };
        let server = self.clone();
        Flow::start(now, |io| async move { Ok(server.admission(&io, received).await.map_err(Box::new)) })
    }

    /// Makes every check but replay, and leaves the proof as it is, for a gateway in front of the service that consumes it. Pass
    /// `Authorization` and `DPoP` on untouched.
    ///
    /// # Errors
    /// As of [`admit`](Self::admit).
    pub fn check(
        &self,
        request: &IncomingRequest<'_>,
        now: UnixTime,
    ) -> Result<Step<Result<Unconsumed, Box<Refusal>>>, FlowError> {
        let received = match self.received(request, now) {
            Ok(received) => received,
            Err(refusal) => return Ok(Step::Done(Err(Box::new(refusal)))),
        };
        let server = self.clone();
        Flow::start(now, |io| async move {
            let mut facts = None;
            let bound = server.bound(&io, &received, &mut facts).await;
            let bound = bound.map_err(|refusal| Box::new(refusal.with_facts(facts)));
            Ok(bound.map(|bound| match bound {
                Bound::Granted(_) => Unconsumed { thumbprint: None },
                Bound::Pending(proof, _) => Unconsumed { thumbprint: Some(proof.into_unconsumed().thumbprint()) },
            }))
        })
    }

    /// Every check, replay last.
    async fn admission(&self, io: &Io, received: Received) -> Result<Box<Principal>, Refusal> {
        let mut facts = None;
        let (proof, token) = match self.bound(io, &received, &mut facts).await {
            Ok(Bound::Granted(token)) => return self.granted(token, None, facts, received.at),
            Ok(Bound::Pending(proof, token)) => (proof, token),
            Err(refusal) => return Err(refusal.with_facts(facts)),
        };
        // Looked at here and charged below, for a fresh proof alone: copies of a request that was seen drain no one's bucket. The
        // token is genuine and names this key, so that no one fills the table with keys made for that.
        let (key, at) = (*proof.replay_entry().thumbprint(), received.at);
        if let Err(refusal) = self.watch().look_at_key(&key, at) {
            return Err(refusal.with_facts(facts));
        }
        match self.consumption().settle(io, proof, self.watch(), at).await {
            Ok(verified) => {
                self.watch().charge_key(&key, at);
                self.granted(token, Some(&verified), facts, at)
            }
            Err((error, epoch)) => Err(self.refuse_unsettled(error, &received, epoch, io.now()).with_facts(facts)),
        }
    }

    /// Admits a request that passed every check, unless its client sends too many.
    fn granted(
        &self,
        token: Box<AccessToken>,
        proof: Option<&VerifiedProof>,
        facts: Option<Box<Facts>>,
        at: Watched,
    ) -> Result<Box<Principal>, Refusal> {
        match self.watch().take_of_client(token.issuer.as_deref(), token.client_id.as_deref(), at) {
            Ok(()) => Ok(Box::new(Principal::new(*token, proof, facts, at))),
            Err(refusal) => Err(refusal.with_facts(facts)),
        }
    }

    /// Every check but replay. What is verified on the way is kept in `facts`, if it is kept at all.
    async fn bound(&self, io: &Io, received: &Received, facts: &mut Option<Box<Facts>>) -> Result<Bound, Refusal> {
        let token = match self.source_of(received, io.now())? {
            Source::Jwt(jwt, keys) => {
                let wanted = WantedKey { kid: jwt.kid.as_deref(), algorithm: jwt.algorithm };
                let keys = keys.find(io, wanted).await;
                let keys = keys.map_err(|_| Refusal::unavailable(Refusal::KEYS_UNAVAILABLE, RETRY_AFTER))?;
                self.genuine(received, &jwt, &keys, io.now())?
            }
            Source::Opaque => {
                let unavailable = || Refusal::unavailable(Refusal::INTROSPECTION_UNAVAILABLE, RETRY_AFTER);
                let introspector = self.introspector().ok_or_else(unavailable)?;
                let said = introspector.find(io, received.token()).await.map_err(|_| unavailable())?;
                self.introspected(received, &said, io.now())?
            }
        };
        *facts = self.facts_of(&token, received.token());
        self.bind(received, token, facts, io.now())
    }

    /// What a genuine token says of itself, if that is kept.
    fn facts_of(&self, token: &AccessToken, text: &str) -> Option<Box<Facts>> {
        let audit = self.audit()?;
        let name = audit.name_of(self.verifier().crypto(), token.claims.text("jti"), text);
        Some(Box::new(Facts::of_token(token.client_id.as_deref(), name)))
    }

    /// Reads a request as far as that needs nothing from outside, once its address may send one: its fields, and the proof up to the
    /// hash of the token.
    pub(super) fn received(&self, request: &IncomingRequest<'_>, now: UnixTime) -> Result<Received, Refusal> {
        let at = self.watch().arrive(&request.arrival, now)?;
        let Credentials { scheme, token } = match Credentials::read(request.fields) {
            Ok(credentials) => credentials,
            Err((rejection, used)) => return Err(self.refuse_token(rejection, used)),
        };
        let schemes = self.policy().schemes();
        match scheme {
            Scheme::Dpop if !schemes.dpop() => return Err(self.refuse_token(TokenRejection::CredentialsMissing, None)),
            Scheme::Bearer if !schemes.bearer() => {
                return Err(self.refuse_token(TokenRejection::SchemeNotAccepted, None));
            }
            _ => {}
        }
        let proof = match scheme {
            Scheme::Dpop => {
                let proofs = credentials::proofs(request.fields);
                let epoch = self.consumption().epoch(request.arrival.epoch);
                let IncomingRequest { method, target, .. } = *request;
                let presented = PresentedProof::at_resource(method, target, &proofs, token, epoch);
                let read = self.verifier().read(&presented, now);
                Some(read.map_err(|unread| self.refuse_unread(unread))?)
            }
            Scheme::Bearer => None,
        };
        Ok(Received {
            scheme,
            token: Secret::new(token),
            client_certificate: request.client_certificate,
            takes_intents: self.policy().takes_intents_at(request.target),
            at,
            proof,
        })
    }

    /// Reads the token as a JWT, or leaves it to introspection.
    pub(super) fn source_of(&self, received: &Received, now: UnixTime) -> Result<Source<'_>, Refusal> {
        let policy = self.policy();
        let introspects = policy.introspects();
        let refused = |rejection| Err(self.refuse_token(rejection, Some(received.scheme)));
        if policy.issuers.is_empty() && introspects {
            return Ok(Source::Opaque);
        }
        let is_access_token = |jwt: &UnverifiedJwt, claims: &Value| {
            // A token of a stranger is named as such below, if it is an access token at all.
            let profile = claims.text("iss").and_then(|issuer| policy.profile_of(issuer));
            profile.unwrap_or(IssuerProfile::rfc9068()).is_type_of(jwt)
        };
        let (jwt, claims) = match UnverifiedJwt::read(received.token(), policy.token_algorithms, &CHECKED) {
            Ok((jwt, claims)) if is_access_token(&jwt, &claims) => (jwt, claims),
            // A trusted issuer's own word that it is no access token counts, whatever introspection would say.
            Ok((jwt, claims))
                if IssuerProfile::is_other_type(&jwt)
                    && claims.text("iss").is_some_and(|issuer| policy.profile_of(issuer).is_some()) =>
            {
                return refused(TokenRejection::TokenTypMismatch);
            }
            _ if introspects => return Ok(Source::Opaque),
            Ok(_) => return refused(TokenRejection::TokenTypMismatch),
            Err(JwtDefect::Malformed) => return refused(TokenRejection::TokenMalformed),
            Err(JwtDefect::Algorithm) => return refused(TokenRejection::TokenAlgNotPermitted),
            Err(JwtDefect::Extension) => return refused(TokenRejection::TokenCritUnsupported),
        };
        match check_jwt(&claims, policy, now).map_err(TokenRejection::from) {
            Ok(_) => match self.keys_of(claims.text("iss").unwrap_or_default()) {
                Some(keys) => Ok(Source::Jwt(jwt, keys)),
                None => refused(TokenRejection::IssuerMismatch),
            },
            Err(TokenRejection::IssuerMismatch) if introspects => Ok(Source::Opaque),
            Err(rejection) => refused(rejection),
        }
    }

    /// The claims of a JWT whose signature verifies.
    pub(super) fn genuine(
        &self,
        received: &Received,
        jwt: &UnverifiedJwt,
        keys: &JwkSet,
        now: UnixTime,
    ) -> Result<Box<AccessToken>, Refusal> {
        let crypto = self.verifier().crypto();
        let genuine = match jwt.verify(received.token(), keys, crypto) {
            Ok(()) => jwt.claims().map_err(|_| TokenRejection::TokenMalformed),
            Err(SignatureDefect::NoKey) => Err(TokenRejection::TokenKeyUnknown),
            Err(SignatureDefect::Invalid) => Err(TokenRejection::TokenSignatureInvalid),
        };
        let token = genuine.and_then(|claims| AccessToken::of_jwt(claims, self.policy(), crypto.digest, now));
        token.map(Box::new).map_err(|rejection| self.refuse_token(rejection, Some(received.scheme)))
    }

    /// What the authorization server said of a token.
    pub(super) fn introspected(
        &self,
        received: &Received,
        said: &[u8],
        now: UnixTime,
    ) -> Result<Box<AccessToken>, Refusal> {
        let judged = Active::read(said).and_then(|Active { members, is_bound }| {
            let digest = self.verifier().crypto().digest;
            let token = AccessToken::of_introspection(members, self.policy(), digest, now)?;
            match (received.scheme, is_bound) {
                (Scheme::Dpop, Some(false)) => Err(TokenRejection::TokenUnbound),
                (Scheme::Bearer, Some(true)) => Err(TokenRejection::TokenBound),
                _ => Ok(token),
            }
        });
        judged.map(Box::new).map_err(|rejection| self.refuse_token(rejection, Some(received.scheme)))
    }

    /// Judges the binding of a token that is known to be genuine, and the rest of its proof.
    pub(super) fn bind(
        &self,
        received: &Received,
        token: Box<AccessToken>,
        facts: &mut Option<Box<Facts>>,
        now: UnixTime,
    ) -> Result<Bound, Refusal> {
        let mut note = |(thumbprint, issued_at)| {
            if let Some(facts) = facts {
                facts.add_proof(thumbprint, issued_at, now);
            }
        };
        let refused = |rejection| Err(self.refuse_token(rejection, Some(received.scheme)));
        if let Err(rejection) = token.confirmation.check_certificate(received.client_certificate) {
            return refused(rejection);
        }
        // Said once the proof is good, so that a client without the server's nonce hears of that first.
        let is_elsewhere = token.has_details() && !received.takes_intents;
        // Under the scheme DPoP, and only there, a proof was looked at.
        match (&received.proof, token.confirmation.key) {
            (None, Some(_)) => refused(TokenRejection::TokenBound),
            (None, None) if is_elsewhere => refused(TokenRejection::IntentElsewhere),
            (None, None) => Ok(Bound::Granted(token)),
            (Some(_), None) => refused(TokenRejection::TokenUnbound),
            (Some(read), Some(bound_to)) => {
                let proof =
                    self.verifier().bind_telling(read, bound_to, now).map_err(|Unbound { rejection, proven }| {
                        proven.map(&mut note);
                        self.refuse_read(rejection, read, read.epoch(), now)
                    })?;
                note(proof.proven());
                if is_elsewhere { refused(TokenRejection::IntentElsewhere) } else { Ok(Bound::Pending(proof, token)) }
            }
        }
    }
}

/// What is kept of a request on its way.
pub(super) struct Received {
    pub(super) scheme: Scheme,
    token: Secret,
    client_certificate: Option<[u8; 32]>,
    /// Whether the handler at its target looks at the details of tokens.
    takes_intents: bool,
    /// When it arrived, by the clock of the guards.
    at: Watched,
    /// There under the scheme DPoP: it fits the request, its time and the token.
    pub(super) proof: Option<ReadProof>,
}

impl Received {
    pub(super) fn token(&self) -> &str {
        self.token.expose()
    }
}

/// Who can say that a token is genuine.
pub(super) enum Source<'s> {
    /// It is a JWT of this issuer. Everything it claims fits; nothing of it is known to be true yet.
    Jwt(UnverifiedJwt, &'s Arc<IssuerKeys>),
    /// The authorization server.
    Opaque,
}

/// A request that passed every check except replay.
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is what nearly every request becomes; a box would allocate for each"
)]
pub(super) enum Bound {
    /// With a Bearer token, where those are accepted: there is no proof to be used up.
    Granted(Box<AccessToken>),
    Pending(PendingProof, Box<AccessToken>),
}
