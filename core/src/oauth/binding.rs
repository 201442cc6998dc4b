//! What binds a session's tokens to a key: proofs, nonces and the server's clock (RFC 9449 sections 5, 8 and 9).
//!
//! `unbound.rs` is this module's counterpart in builds without DPoP, where no session has a binding.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{AnswerDefect, Downgrade, FlowError, StoredDefect};
use super::flow::Io;
use super::kept::Unfit;
use super::metadata::AuthorizationServer;
use super::pkce::random_text;
use super::recent::Recent;
use super::step::{CreatedKey, KeyOwner, KeyUse, KeyWanted};
pub(super) use super::turns::{NonceTries, UnderWay};
use super::turns::{Place, Turns};
use crate::http::form::Form;
use crate::http::message::{Request, Response};
use crate::http::url::Url;
use crate::jose::algorithm::AlgorithmSet;
use crate::jose::jwk::PublicJwk;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::key::KeyProtection;
pub(super) use crate::nonce::Role;
use crate::nonce::cache::NonceCache;
use crate::nonce::{Nonce, NonceError};
use crate::proof::{DPOP, DPOP_NONCE};
use crate::{Algorithm, Misuse, ProofBuilder, SecurityLevel, UnixTime};

/// The token type and authentication scheme of bound tokens.
pub(super) const SCHEME: &str = DPOP;

/// How servers of this library say that a proof was made for another method or URL.
pub(super) const ELSEWHERE: [&str; 2] = crate::verify::advice::ELSEWHERE;

/// A key that tokens are bound to.
#[derive(Clone)]
pub(super) struct Binding(Arc<Key>);

struct Key {
    public_key: PublicJwk,
    algorithm: Algorithm,
    protection: KeyProtection,
    owner: KeyOwner,
    thumbprint: Thumbprint,
}

/// What the flows of one client know about servers.
#[derive(Default)]
pub(super) struct Memory {
    nonces: NonceCache,
    /// Which requests wait for their turn.
    pub(super) turns: Turns,
    /// When a server last answered a proof, for one-shot bodies. Both servers may be at one origin.
    answered: Recent<Place, UnixTime>,
}

/// The proof that a request carries.
pub(super) struct Proved {
    role: Role,
    nonce: Option<Nonce>,
}

/// What a server wants of the next attempt.
pub(super) enum Again {
    /// Nothing that a new proof could give.
    No,
    /// The same request with the nonce just given.
    WithNonce(Nonce),
    /// The same request by the server's clock.
    WithClock,
}

/// For how long an answer shows that no new nonce is wanted, in seconds.
const STILL_FRESH: u64 = 20;

/// Which keys sign proofs: of an algorithm and in a place that the client, the level *and* the server permit.
struct KeyTerms {
    algorithms: AlgorithmSet,
    protections: Vec<KeyProtection>,
}

impl KeyTerms {
    fn of(client: &Inner, level: SecurityLevel, server: Option<&AuthorizationServer>) -> Self {
        let mut algorithms = client.algorithms;
        if let Some(accepted) = server.and_then(AuthorizationServer::dpop_algorithms) {
            algorithms = algorithms.intersection(accepted);
        }
        let mut protections = client.protections.to_vec();
        if level == SecurityLevel::Maximum {
            algorithms = algorithms.intersection(AlgorithmSet::FAPI2);
            protections.retain(|place| KeyProtection::HARDWARE.contains(place));
        }
        Self { algorithms, protections }
    }
}

impl Binding {
    /// Has the host make a key that `server` and the level accept.
    pub(super) async fn create(
        io: &Io,
        client: &Inner,
        server: &AuthorizationServer,
        credentials: &Credentials,
        level: SecurityLevel,
    ) -> Result<Self, FlowError> {
        let terms = KeyTerms::of(client, level, Some(server));
        if terms.algorithms.is_empty() {
            return Err(FlowError::NoCommonAlgorithm);
        }
        if terms.protections.is_empty() {
            return Err(Downgrade::KeyProtection.into());
        }
        let KeyTerms { algorithms, protections } = terms;
        let made = io.create_key(KeyWanted { algorithms, protections: protections.clone() }).await?;
        let binding = Self::of(client, made);
        // The client's own key is not deleted here, even if the host made it just now.
        credentials.differs_from(&binding.0.thumbprint, client)?;
        let outcome = binding.is_consistent().and_then(|()| {
            if !algorithms.contains(binding.0.algorithm) {
                return Err(Misuse::KeyAlgorithm.into());
            }
            if !protections.contains(&binding.0.protection) {
                return Err(Downgrade::KeyProtection.into());
            }
            Ok(())
        });
        if let Err(error) = outcome {
            // The key cannot be used; what counts is why.
            drop(binding.delete(io).await);
            return Err(error);
        }
        Ok(binding)
    }

    /// A key that the caller has, to which a token is bound already.
    pub(super) fn given(client: &Inner, key: CreatedKey) -> Result<Self, FlowError> {
        let binding = Self::of(client, key);
        binding.is_consistent()?;
        Ok(binding)
    }

    fn of(client: &Inner, key: CreatedKey) -> Self {
        let CreatedKey { public_key, algorithm, protection, owner } = key;
        let thumbprint = public_key.thumbprint(client.crypto.digest);
        Self(Arc::new(Key { public_key, algorithm, protection, owner, thumbprint }))
    }

    fn is_consistent(&self) -> Result<(), FlowError> {
        if self.0.public_key.key_type() == self.0.algorithm.key_type() {
            Ok(())
        } else {
            Err(Misuse::AlgorithmKey(self.0.algorithm).into())
        }
    }

    /// Has the host delete the key, if it belongs to the session alone. What other sessions need, a flow does not take away.
    pub(super) async fn delete(&self, io: &Io) -> Result<(), FlowError> {
        match self.0.owner {
            KeyOwner::Session => io.delete_key(self.0.thumbprint).await,
            KeyOwner::Host => Ok(()),
        }
    }

    pub(super) fn has_key_of(&self, other: &Self) -> bool {
        self.0.thumbprint == other.0.thumbprint
    }

    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    pub(super) fn protection(&self) -> KeyProtection {
        self.0.protection
    }

    /// Holds a key that was loaded or given against what one made now would have to be.
    pub(super) fn check(
        &self,
        client: &Inner,
        level: SecurityLevel,
        server: Option<&AuthorizationServer>,
    ) -> Result<(), Unfit> {
        let terms = KeyTerms::of(client, level, server);
        if !terms.algorithms.contains(self.0.algorithm) {
            return Err(Unfit::Algorithm);
        }
        if !terms.protections.contains(&self.0.protection) {
            return Err(Unfit::KeyProtection);
        }
        Ok(())
    }

    /// Adds `dpop_jkt` to an authorization or device request (RFC 9449 section 10).
    pub(super) fn announce(&self, form: &mut Form) {
        form.push("dpop_jkt", &self.0.thumbprint.to_string());
    }

    /// Whose nonces proofs for `url` carry.
    pub(super) fn place(&self, url: &str, role: Role) -> Option<Place> {
        Place::of(url, role, self.0.thumbprint)
    }

    /// Adds a proof to a request: with the hash of `token` to a resource, without one to the authorization server. It carries the
    /// nonce `own`, else the newest that is known. What it says is compared with the answer.
    pub(super) async fn prove(
        &self,
        io: &Io,
        client: &Inner,
        request: &mut Request,
        token: Option<&str>,
        own: Option<&Nonce>,
    ) -> Result<Proved, FlowError> {
        let role = if token.is_some() { Role::ResourceServer } else { Role::AuthorizationServer };
        let target = provable(&request.url);
        let url = Url::parse(&target).map_err(Misuse::Target)?;
        let newest = || client.shared.lock().memory.nonces.get(url.origin(), role, &self.0.thumbprint).cloned();
        let nonce = own.cloned().or_else(newest);
        let mut builder = ProofBuilder::new(&request.method, &target);
        if let Some(nonce) = &nonce {
            builder = builder.nonce(nonce.as_str());
        }
        if let Some(token) = token {
            builder = builder.access_token(token);
        }
        let jti = random_text::<16>(&client.crypto)?;
        let now = client.server_time(&target, io.now());
        let unsigned = builder.prepare(&client.crypto, &self.0.public_key, self.0.algorithm, &jti, now)?;
        let key = (&self.0.public_key, self.0.algorithm, self.0.thumbprint);
        let signature = client.sign(io, KeyUse::Proof, key, unsigned.message().to_vec()).await?;
        request.fields.push((DPOP.into(), unsigned.attach(signature)?.into_string()));
        Ok(Proved { role, nonce })
    }

    /// Keeps what a response says about nonces (RFC 9449 section 8.2): every response, whatever its status. Gives its nonce.
    fn observe(
        &self,
        client: &Inner,
        url: &str,
        proved: &Proved,
        response: &Response,
        now: UnixTime,
    ) -> Result<Option<Nonce>, NonceError> {
        let fields: Vec<&[u8]> = response.all(DPOP_NONCE).collect();
        let Some(place) = self.place(url, proved.role) else { return Ok(None) };
        let mut shared = client.shared.lock();
        let observed = shared.memory.nonces.observe(place.origin(), proved.role, &self.0.thumbprint, &fields);
        let observed = observed.map(|nonce| nonce.cloned());
        shared.memory.answered.put(place, now);
        observed
    }

    /// Whether a nonce is known, which a proof made now would carry.
    pub(super) fn has_nonce(&self, client: &Inner, url: &str, role: Role) -> bool {
        let Some(origin) = origin(url) else { return false };
        client.shared.lock().memory.nonces.get(&origin, role, &self.0.thumbprint).is_some()
    }

    /// Whether this resource answered a proof a moment ago, so that the nonce it wants is known.
    pub(super) fn is_primed(&self, client: &Inner, url: &str, now: UnixTime) -> bool {
        let Some(place) = self.place(url, Role::ResourceServer) else { return false };
        client.shared.lock().memory.answered.get(&place).is_some_and(|at| now.since(*at) <= STILL_FRESH)
    }

    /// What the server wants of the next attempt; `error` is the one in its challenge, or in an authorization server's answer.
    pub(super) fn answered(
        &self,
        client: &Inner,
        request: &Request,
        proved: &Proved,
        response: &Response,
        error: Option<&str>,
        now: UnixTime,
    ) -> Result<Again, AnswerDefect> {
        let observed = self.observe(client, &request.url, proved, response, now);
        match (error, observed) {
            // The same request with the same nonce would get the same answer, or be carried out twice.
            (Some("use_dpop_nonce"), Ok(Some(nonce))) if proved.nonce.as_ref() == Some(&nonce) => {
                Err(AnswerDefect::NonceLoop)
            }
            (Some("use_dpop_nonce"), Ok(Some(nonce))) => Ok(Again::WithNonce(nonce)),
            (Some("use_dpop_nonce"), Ok(None)) => Err(AnswerDefect::NonceWithheld),
            (Some("use_dpop_nonce"), Err(_)) => Err(AnswerDefect::Nonce),
            (Some("invalid_dpop_proof"), _) if client.learn_clock(&request.url, response, now) => Ok(Again::WithClock),
            // A malformed nonce beside a good answer is not stored, and no reason to throw the answer away.
            _ => Ok(Again::No),
        }
    }

    /// The key and the nonces known for it, for a stored session.
    pub(super) fn to_value(&self, client: &Inner, server: &str, resource: Option<&str>) -> Value {
        let mut shared = client.shared.lock();
        let mut nonces = Vec::new();
        for (url, role, name) in [
            (Some(server), Role::AuthorizationServer, "authorization_server"),
            (resource, Role::ResourceServer, "resource_server"),
        ] {
            let Some(origin) = url.and_then(origin) else { continue };
            if let Some(nonce) = shared.memory.nonces.get(&origin, role, &self.0.thumbprint) {
                nonces.push(
                    Value::object().with("origin", origin.as_str()).with("role", name).with("nonce", nonce.as_str()),
                );
            }
        }
        let jwk = Value::parse(self.0.public_key.to_json().as_bytes()).unwrap_or(Value::Null);
        Value::object()
            .with("jwk", jwk)
            .with("alg", self.0.algorithm.name())
            .with("protection", self.0.protection.name())
            .with_some("owner", (self.0.owner != KeyOwner::Session).then(|| self.0.owner.name()))
            .with("nonces", Value::Array(nonces))
    }

    pub(super) fn from_value(value: &Value, client: &Inner) -> Result<Self, StoredDefect> {
        let jwk = value.member("jwk").map(Value::to_json).ok_or(StoredDefect::Malformed)?;
        let public_key = PublicJwk::parse(&jwk).map_err(|_| StoredDefect::Malformed)?;
        let algorithm = value.text("alg").and_then(Algorithm::from_name).ok_or(StoredDefect::Malformed)?;
        let protection = value.text("protection").and_then(KeyProtection::from_name).ok_or(StoredDefect::Malformed)?;
        let owner = KeyOwner::stored(value).ok_or(StoredDefect::Malformed)?;
        if public_key.key_type() != algorithm.key_type() {
            return Err(StoredDefect::Malformed);
        }
        let thumbprint = public_key.thumbprint(client.crypto.digest);
        let mut shared = client.shared.lock();
        for known in value.array("nonces").unwrap_or_default() {
            let role = match known.text("role") {
                Some("authorization_server") => Role::AuthorizationServer,
                Some("resource_server") => Role::ResourceServer,
                _ => continue,
            };
            let nonce = known.text("nonce").and_then(|nonce| Nonce::parse(nonce.as_bytes()).ok());
            if let (Some(origin), Some(nonce)) = (known.text("origin"), nonce) {
                // What this process learned itself is newer.
                if shared.memory.nonces.get(origin, role, &thumbprint).is_none() {
                    shared.memory.nonces.store(origin, role, &thumbprint, nonce);
                }
            }
        }
        Ok(Self(Arc::new(Key { public_key, algorithm, protection, owner, thumbprint })))
    }
}

impl Proved {
    pub(super) const fn has_nonce(&self) -> bool {
        self.nonce.is_some()
    }
}

/// The origin of a request's URL, under which nonces and clocks are remembered.
pub(super) fn origin(url: &str) -> Option<String> {
    Url::parse(&provable(url)).ok().map(|url| url.origin().into())
}

/// The URL that a proof names: a WebSocket's handshake is a request of HTTP (RFC 6455 section 3).
pub(super) fn provable(url: &str) -> String {
    match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => alloc::format!("https:{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => alloc::format!("http:{rest}"),
        _ => url.into(),
    }
}
