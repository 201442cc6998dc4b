//! Every operation of a client as a value.

use std::collections::HashMap;
use std::sync::Arc;

use keybound::json::Value;
use keybound_ffi as ffi;
use keybound_ffi::byte_string;

use crate::error::{Header, KeyboundError};
use crate::options::SecurityLevel;
use crate::plain::{field_bytes, json, shown, unsigned};
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
            Self::Revoke { .. } => "revoke",
            Self::End { .. } => "end",
            Self::Introspect { .. } => "introspect",
            Self::Call { .. } => "call",
        }
    }

    /// The operation as the facade reads it, and what it refers to.
    pub(crate) fn read(&self) -> Result<(String, ffi::Handles), KeyboundError> {
        let mut handles = ffi::Handles::default();
        let named = Value::object().with("do", self.name());
        let operation = match self {
            Self::Discover { target, challenges, issuer } => {
                let line = |value: &String| Value::from(byte_string(&field_bytes(value)));
                let challenges = challenges.as_ref().map(|lines| lines.iter().map(line).collect::<Vec<_>>());
                let named = named.with("target", target.as_str()).with_some("challenges", challenges);
                named.with_some("issuer", issuer.as_deref())
            }
            Self::DiscoverIssuer { issuer } => named.with("issuer", issuer.as_str()),
            Self::Authorize { request } | Self::Device { request } | Self::ClientCredentials { request } => {
                request.add(named, &mut handles)?
            }
            Self::StepUp { session, scope } => {
                handles.session = Some(session.0.clone());
                named.with("scope", scope.as_str())
            }
            Self::Exchange { callback } => named.with("callback", callback.as_str()),
            Self::PollDevice { device } => {
                handles.device = Some(Arc::clone(&device.0));
                named
            }
            Self::TokenExchange { request, exchange } | Self::ExchangeFor { request, exchange } => {
                exchange.add(request.add(named, &mut handles)?)
            }
            Self::JwtBearer { request, assertion } => {
                request.add(named, &mut handles)?.with("assertion", assertion.as_str())
            }
            Self::Open { name, bound_to } => {
                named.with("session", name.as_str()).with_some("bound_to", bound_to.as_deref())
            }
            Self::Adopt { token } => token.add(named)?,
            Self::Keep { session } | Self::Refresh { session } | Self::Revoke { session } | Self::End { session } => {
                handles.session = Some(session.0.clone());
                named
            }
            Self::Introspect { discovered, token } => {
                handles.discovered = Some(discovered.0.clone());
                named.with("token", token.as_str())
            }
            Self::Call { session, request } => {
                handles.session = Some(session.0.clone());
                request.add(named)
            }
        };
        Ok((operation.to_json(), handles))
    }
}

impl SessionRequest {
    fn add(&self, named: Value, handles: &mut ffi::Handles) -> Result<Value, KeyboundError> {
        let named = match &self.begin {
            SessionStart::New { name, discovered } => {
                handles.discovered = Some(discovered.0.clone());
                named.with("session", name.as_str())
            }
            SessionStart::Again { session } => {
                handles.session = Some(session.0.clone());
                named.with("again", true)
            }
        };
        let details = |name: &str, text: Option<&str>| text.map(|text| json(name, text)).transpose();
        let lifetime = self.intent_lifetime.map(|seconds| unsigned("intent_lifetime", seconds)).transpose()?;
        let mut parameters = Value::object();
        for (name, value) in &self.parameters {
            parameters.set(name, value.as_str().into());
        }
        Ok(named
            .with_some("scope", self.scope.as_deref())
            .with_some("resource", self.resource.as_deref())
            .with_some("level", self.level.map(SecurityLevel::name))
            .with_some(
                "authorization_details",
                details("authorization_details", self.authorization_details.as_deref())?,
            )
            .with_some("intent", details("intent", self.intent.as_deref())?)
            .with_some("intent_lifetime", lifetime)
            .with_some("parameters", Some(parameters).filter(|_| !self.parameters.is_empty()))
            .with_some("expect_subject", self.expect_subject.as_deref())
            .with("offline_access", self.offline_access)
            .with("provisional", self.provisional)
            .with("without_pushed_request", self.without_pushed_request)
            .with("without_resource", self.without_resource)
            .with("scope_on_refresh", self.scope_on_refresh)
            .with("danger_assume_pkce", self.danger_assume_pkce))
    }
}

impl ExchangeRequest {
    fn add(&self, named: Value) -> Value {
        named
            .with("subject_token", self.subject_token.as_str())
            .with("subject_token_type", self.subject_token_type.as_str())
            .with_some("actor_token", self.actor_token.as_deref())
            .with_some("actor_token_type", self.actor_token_type.as_deref())
            .with_some("requested_token_type", self.requested_token_type.as_deref())
            .with_some("audience", self.audience.as_deref())
    }
}

impl HeldToken {
    fn add(&self, named: Value) -> Result<Value, KeyboundError> {
        Ok(named
            .with("session", self.session.as_str())
            .with("token", self.token.as_str())
            .with("resource", self.resource.as_str())
            .with("public_jwk", json("public_jwk", &self.public_jwk)?)
            .with("algorithm", self.algorithm.as_str())
            .with_some("protection", self.protection.map(|protection| protection.core().name()))
            .with_some("expires_at", self.expires_at))
    }
}

impl CallRequest {
    fn add(&self, named: Value) -> Value {
        let header = |header: &Header| {
            // What goes out is text: ASCII, or UTF-8.
            let value = byte_string(header.value.as_bytes());
            Value::from(vec![Value::from(header.name.as_str()), Value::from(value)])
        };
        let body = match self.body {
            CallBody::Empty => "empty",
            CallBody::Repeatable => "repeatable",
            CallBody::OneShot => "one_shot",
        };
        named
            .with("method", self.method.as_str())
            .with("url", self.url.as_str())
            .with("headers", self.headers.iter().map(header).collect::<Vec<_>>())
            .with("body", body)
    }
}
