//! Every operation of a client as a value.

use std::collections::HashMap;
use std::sync::Arc;

use keybound::UnixTime;
use keybound::http::challenge::Challenge;
use keybound::http::message::{Body, Request};
use keybound::oauth::step::{CreatedKey, KeyOwner};
use keybound::oauth::{self, Operation, Secret, TokenExchange};
use keybound_ffi as ffi;

use crate::error::{Header, KeyboundError};
use crate::options::SecurityLevel;
use crate::plain::{Shown, field_bytes, json, shown, shown_as_debug, unsigned};
use crate::session::{DeviceLogin, Discovered, Session};
use crate::step::Protection;

/// An operation to begin.
#[derive(Clone, Debug, uniffi::Enum)]
#[uniffi::export(Display)]
pub enum CoreOperation {
    /// Find out what protects a URL.
    Discover {
        /// The URL.
        target: String,
        /// The values of `WWW-Authenticate` in a refusal at hand. Nothing: the URL is asked first, without a token.
        challenges: Option<Vec<String>>,
        /// The authorization server's identifier, for a resource that publishes none.
        issuer: Option<String>,
    },
    /// Find the authorization server with this identifier, for resources that publish no metadata.
    DiscoverIssuer {
        /// The issuer identifier (RFC 8414).
        issuer: String,
    },
    /// Begin a login.
    Authorize {
        /// What the session is to be.
        request: SessionRequest,
    },
    /// Begin a login for more scope.
    StepUp {
        /// The session that lacks it.
        session: Arc<Session>,
        /// The scope, as the resource asked for it.
        scope: String,
    },
    /// Complete a login.
    Exchange {
        /// The URL that the browser came back to.
        callback: String,
    },
    /// Begin a login on another device (RFC 8628).
    Device {
        /// What the session is to be.
        request: SessionRequest,
    },
    /// Wait for a login on another device.
    PollDevice {
        /// The login. It is used up.
        device: Arc<DeviceLogin>,
    },
    /// A session in the client's own name (RFC 6749 section 4.4).
    ClientCredentials {
        /// What the session is to be.
        request: SessionRequest,
    },
    /// A session for another party's token (RFC 8693).
    TokenExchange {
        /// What the session is to be.
        request: SessionRequest,
        /// The tokens.
        exchange: ExchangeRequest,
    },
    /// A token of another type for a token, for example an assertion for another server.
    ExchangeFor {
        /// Where from.
        request: SessionRequest,
        /// The tokens.
        exchange: ExchangeRequest,
    },
    /// A session for an assertion (RFC 7523).
    JwtBearer {
        /// What the session is to be.
        request: SessionRequest,
        /// The assertion: a secret.
        assertion: String,
    },
    /// Open a stored session.
    Open {
        /// Its name.
        name: String,
        /// Only if it is bound to the key with this thumbprint.
        bound_to: Option<String>,
    },
    /// Make a session of a bound token that was obtained elsewhere.
    Adopt {
        /// The token.
        token: HeldToken,
    },
    /// Store a provisional session, or the nonces that another one learned since it was stored.
    Keep {
        /// The session.
        session: Arc<Session>,
    },
    /// Renew a session's tokens now.
    Refresh {
        /// The session.
        session: Arc<Session>,
    },
    /// Bind a session's tokens to a new key.
    Rekey {
        /// The session.
        session: Arc<Session>,
    },
    /// Revoke a session's tokens (RFC 7009).
    Revoke {
        /// The session.
        session: Arc<Session>,
    },
    /// Revoke a session's tokens, and delete it and its key.
    End {
        /// The session.
        session: Arc<Session>,
    },
    /// Ask what the authorization server says of a token (RFC 7662).
    Introspect {
        /// The server.
        discovered: Arc<Discovered>,
        /// The token: a secret.
        token: String,
    },
    /// Send a request with a session's token and a fresh proof.
    Call {
        /// The session.
        session: Arc<Session>,
        /// The request.
        request: CallRequest,
    },
}

/// What a new session is to be.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct SessionRequest {
    /// What it begins from.
    pub begin: SessionStart,
    /// Scopes, separated by spaces.
    #[uniffi(default)]
    pub scope: Option<String>,
    /// Where its tokens are to be good (RFC 8707), if not at what was discovered.
    #[uniffi(default)]
    pub resource: Option<String>,
    /// A higher level than the client's.
    #[uniffi(default)]
    pub level: Option<SecurityLevel>,
    /// What is asked for (RFC 9396): a JSON array.
    #[uniffi(default)]
    pub authorization_details: Option<String>,
    /// The details of an intent, which one fresh key may carry out, once: a JSON array, for example of `request_detail`. It asks
    /// for no scope but the one given here.
    #[uniffi(default)]
    pub intent: Option<String>,
    /// For how many seconds the intent may be carried out, counted from its token: 1 to 3,600, and 300 otherwise.
    #[uniffi(default)]
    pub intent_lifetime: Option<i64>,
    /// Ask for a refresh token by the scope `offline_access`.
    #[uniffi(default)]
    pub offline_access: bool,
    /// Further parameters of the authorization or token request.
    #[uniffi(default)]
    pub parameters: HashMap<String, String>,
    /// The `sub` that every token response must have: tokens of another account are refused, and nothing is stored.
    #[uniffi(default)]
    pub expect_subject: Option<String>,
    /// Store the session only once it is kept, so that its subject can be verified first.
    #[uniffi(default)]
    pub provisional: bool,
    /// Send the authorization request in the URL although the server takes pushed requests (RFC 9126).
    #[uniffi(default)]
    pub without_pushed_request: bool,
    /// Send no `resource` parameter (RFC 8707), for servers whose scopes name the resource.
    #[uniffi(default)]
    pub without_resource: bool,
    /// Say the scope again at each refresh.
    #[uniffi(default)]
    pub scope_on_refresh: bool,
    /// Take the server to support PKCE although it does not say so. If it does not, codes can be injected.
    #[uniffi(default)]
    pub danger_assume_pkce: bool,
}

shown!(SessionRequest { begin, scope, resource, level });

/// What a new session begins from.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum SessionStart {
    /// What was discovered.
    New {
        /// The session's name: letters, digits and some signs; sessions are stored and opened by it. One for each account.
        name: String,
        /// What protects the resource.
        discovered: Arc<Discovered>,
    },
    /// A session that has to log in again.
    Again {
        /// That session.
        session: Arc<Session>,
    },
}

impl Shown for SessionStart {
    fn shown(&self) -> Option<String> {
        let (begin, name) = match self {
            Self::New { name, .. } => ("New", name.clone()),
            Self::Again { session } => ("Again", session.0.name().into()),
        };
        Some(format!("{begin}({name:?})"))
    }
}

/// A token to exchange (RFC 8693 section 2.1).
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct ExchangeRequest {
    /// The token: a secret.
    pub subject_token: String,
    /// Its type: a URI.
    pub subject_token_type: String,
    /// The token of who acts: a secret.
    #[uniffi(default)]
    pub actor_token: Option<String>,
    /// Its type: a URI.
    #[uniffi(default)]
    pub actor_token_type: Option<String>,
    /// The type of the token that is wanted.
    #[uniffi(default)]
    pub requested_token_type: Option<String>,
    /// Who the token is for.
    #[uniffi(default)]
    pub audience: Option<String>,
}

shown!(ExchangeRequest { subject_token_type, actor_token_type, requested_token_type, audience });

/// A bound access token that was obtained elsewhere.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct HeldToken {
    /// The name for its session.
    pub session: String,
    /// The token: a secret.
    pub token: String,
    /// Where it is good.
    pub resource: String,
    /// The public part of its key, which the store holds: a JWK.
    pub public_jwk: String,
    /// What that key signs with.
    pub algorithm: String,
    /// Where it lives; in software if nothing is said.
    #[uniffi(default)]
    pub protection: Option<Protection>,
    /// When the token ends.
    #[uniffi(default)]
    pub expires_at: Option<i64>,
}

shown!(HeldToken { session, resource, algorithm, expires_at });

/// The caller's request to a resource, without `Authorization` and `DPoP`.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct CallRequest {
    /// The method, whichever it is.
    pub method: String,
    /// The URL as it is sent: its path is proved byte for byte.
    pub url: String,
    /// Its fields.
    #[uniffi(default)]
    pub headers: Vec<Header>,
    /// Whether there is a body, and how often it can be sent. The host has it.
    pub body: CallBody,
}

shown!(CallRequest { method, url, body });

/// Whether a request has a body, and how often that can be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum CallBody {
    /// There is none.
    Empty,
    /// As often as the core asks.
    Repeatable,
    /// Once.
    OneShot,
}

shown_as_debug!(CallBody, SecurityLevel);

impl core::fmt::Display for CoreOperation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl CoreOperation {
    /// Its name in the facade.
    const fn name(&self) -> &'static str {
        match self {
            Self::Discover { .. } => "discover",
            Self::DiscoverIssuer { .. } => "discover_issuer",
            Self::Authorize { .. } => "authorize",
            Self::StepUp { .. } => "step_up",
            Self::Exchange { .. } => "exchange",
            Self::Device { .. } => "device",
            Self::PollDevice { .. } => "poll_device",
            Self::ClientCredentials { .. } => "client_credentials",
            Self::TokenExchange { .. } => "token_exchange",
            Self::ExchangeFor { .. } => "exchange_for",
            Self::JwtBearer { .. } => "jwt_bearer",
            Self::Open { .. } => "open",
            Self::Adopt { .. } => "adopt",
            Self::Keep { .. } => "keep",
            Self::Refresh { .. } => "refresh",
            Self::Rekey { .. } => "rekey",
            Self::Revoke { .. } => "revoke",
            Self::End { .. } => "end",
            Self::Introspect { .. } => "introspect",
            Self::Call { .. } => "call",
        }
    }

    /// The operation as the core has it.
    pub(crate) fn read(&self) -> Result<Operation, KeyboundError> {
        Ok(match self {
            Self::Discover { target, challenges, issuer } => {
                let read = |lines: &Vec<String>| {
                    let lines: Vec<Vec<u8>> = lines.iter().map(|line| field_bytes(line)).collect();
                    // A challenge that cannot be read leads nowhere; the well-known places still may.
                    Challenge::parse_fields(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>()).list
                };
                Operation::Discover(target.clone(), challenges.as_ref().map(read), issuer.clone())
            }
            Self::DiscoverIssuer { issuer } => Operation::DiscoverIssuer(issuer.clone()),
            Self::Authorize { request } => Operation::Authorize(request.read()?),
            Self::StepUp { session, scope } => Operation::StepUp(session.0.clone(), scope.clone()),
            Self::Exchange { callback } => Operation::Exchange(callback.clone()),
            Self::Device { request } => Operation::Device(request.read()?),
            Self::PollDevice { device } => Operation::PollDevice(device.0.take()?),
            Self::ClientCredentials { request } => Operation::ClientCredentials(request.read()?),
            Self::TokenExchange { request, exchange } => Operation::TokenExchange(request.read()?, exchange.read()?),
            Self::ExchangeFor { request, exchange } => Operation::ExchangeFor(request.read()?, exchange.read()?),
            Self::JwtBearer { request, assertion } => Operation::JwtBearer(request.read()?, Secret::new(assertion)),
            Self::Open { name, bound_to: None } => Operation::Open(name.clone()),
            Self::Open { name, bound_to: Some(key) } => {
                Operation::OpenBoundTo(name.clone(), ffi::parse_thumbprint(key)?)
            }
            Self::Adopt { token } => Operation::Adopt(token.read()?),
            Self::Keep { session } => Operation::Keep(session.0.clone()),
            Self::Refresh { session } => Operation::Refresh(session.0.clone()),
            Self::Rekey { session } => Operation::Rekey(session.0.clone()),
            Self::Revoke { session } => Operation::Revoke(session.0.clone()),
            Self::End { session } => Operation::End(session.0.clone()),
            Self::Introspect { discovered, token } => Operation::Introspect(discovered.0.clone(), Secret::new(token)),
            Self::Call { session, request } => Operation::Call(session.0.clone(), request.read()),
        })
    }
}

impl SessionRequest {
    fn read(&self) -> Result<oauth::SessionRequest, KeyboundError> {
        let mut request = match &self.begin {
            SessionStart::New { name, discovered } => oauth::SessionRequest::new(name, &discovered.0),
            SessionStart::Again { session } => oauth::SessionRequest::again(&session.0),
        };
        if let Some(details) = &self.authorization_details {
            request = request.authorization_details(json("authorization_details", details)?);
        }
        if let Some(details) = &self.intent {
            request = request.intent(json("intent", details)?);
        }
        // After the intent, which drops the scope that was discovered and keeps the one that is asked for.
        if let Some(scope) = &self.scope {
            request = request.scope(scope);
        }
        if let Some(resource) = &self.resource {
            request = request.resource(resource);
        }
        if let Some(level) = self.level {
            request = request.level(level.core());
        }
        if let Some(seconds) = self.intent_lifetime {
            request = request.intent_lifetime(unsigned("intent_lifetime", seconds)?);
        }
        if let Some(sub) = &self.expect_subject {
            request = request.expect_subject(sub);
        }
        for (name, value) in &self.parameters {
            request = request.parameter(name, value);
        }
        type Switch = fn(oauth::SessionRequest) -> oauth::SessionRequest;
        let switches: [(bool, Switch); 6] = [
            (self.offline_access, oauth::SessionRequest::offline_access),
            (self.provisional, oauth::SessionRequest::provisional),
            (self.without_pushed_request, oauth::SessionRequest::without_pushed_request),
            (self.without_resource, oauth::SessionRequest::without_resource),
            (self.scope_on_refresh, oauth::SessionRequest::scope_on_refresh),
            (self.danger_assume_pkce, oauth::SessionRequest::danger_assume_pkce),
        ];
        Ok(switches.into_iter().filter(|(is_on, _)| *is_on).fold(request, |request, (_, switch)| switch(request)))
    }
}

impl ExchangeRequest {
    fn read(&self) -> Result<TokenExchange, KeyboundError> {
        let mut exchange = TokenExchange::new(Secret::new(&self.subject_token), &self.subject_token_type);
        if let Some(actor) = &self.actor_token {
            let kind = self.actor_token_type.as_deref().ok_or_else(|| ffi::Error::missing("actor_token_type"))?;
            exchange = exchange.actor(Secret::new(actor), kind);
        }
        if let Some(audience) = &self.audience {
            exchange = exchange.audience(audience);
        }
        Ok(match &self.requested_token_type {
            Some(kind) => exchange.requested_type(kind),
            None => exchange,
        })
    }
}

impl HeldToken {
    fn read(&self) -> Result<oauth::HeldToken, KeyboundError> {
        let protection = self.protection.unwrap_or(Protection::Software);
        Ok(oauth::HeldToken {
            session: self.session.clone(),
            token: Secret::new(&self.token),
            resource: self.resource.clone(),
            key: CreatedKey {
                public_key: ffi::public_key(&self.public_jwk)?,
                algorithm: ffi::algorithm(&self.algorithm)?,
                protection: protection.core(),
                owner: KeyOwner::Session,
            },
            expires_at: self.expires_at.map(UnixTime::from_secs),
        })
    }
}

impl CallRequest {
    fn read(&self) -> Request {
        let mut request = Request::new(&self.method, &self.url);
        request.fields = self.headers.iter().map(|Header { name, value }| (name.clone(), value.clone())).collect();
        request.body = match self.body {
            CallBody::Empty => Body::Empty,
            CallBody::Repeatable => Body::Repeatable,
            CallBody::OneShot => Body::OneShot,
        };
        request
    }
}
