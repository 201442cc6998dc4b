//! The servers that tests of apps in Kotlin and Swift talk to, as objects and records of UniFFI. The testing modules of both languages
//! connect them to their HTTP clients; nothing here is in the packages that apps ship.

// Records cross the boundary as values, and an error is one of them.
#![allow(clippy::result_large_err)]

uniffi::setup_scaffolding!("keybound_testing");

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keybound::server::resource::Principal;
use keybound::{Misuse, SecurityLevel, UnixTime};
use keybound_serve::{Clock, Faults, Incoming, Options, PublicClient, Server};

/// What cannot be used, in words.
#[derive(Debug, uniffi::Error)]
#[uniffi(flat_error)]
pub enum ServersError {
    /// An option or a fault.
    Unusable(String),
}

impl fmt::Display for ServersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unusable(text) = self;
        f.write_str(text)
    }
}

impl std::error::Error for ServersError {}

impl From<Misuse> for ServersError {
    fn from(misuse: Misuse) -> Self {
        Self::Unusable(misuse.to_string())
    }
}

/// How the servers behave.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ServersOptions {
    /// The issuer identifier of the authorization server.
    pub issuer: String,
    /// The resource identifier of the API.
    pub resource: String,
    /// The app's client identifier.
    pub client_id: String,
    /// Where its logins come back to.
    pub redirect_uri: String,
    /// Who logs in.
    pub subject: String,
    /// The scopes that the servers know, the one that is granted unasked first. None: `read`, `write`, `admin` and `offline_access`.
    pub scopes: Vec<String>,
    /// Paths below the API's, and the scope that each requires.
    pub scopes_at: Vec<ScopeAt>,
    /// For how many seconds access tokens are valid.
    pub token_lifetime: i64,
    /// `standard`, `enhanced` or `maximum`.
    pub level: String,
    /// Whether proofs must carry nonces.
    pub nonces: bool,
    /// The time at the beginning, in whole seconds since 1970.
    pub now: i64,
}

/// A path and the scope that it requires.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ScopeAt {
    /// A path below the API's, for example `/items`.
    pub path: String,
    /// The scope.
    pub scope: String,
}

/// A field of a request or response.
#[derive(Clone, uniffi::Record)]
pub struct Field {
    /// Its name; case does not count.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A request as it would go over the wire.
#[derive(Clone, uniffi::Record)]
pub struct ServersRequest {
    /// The method.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// All fields.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, uniffi::Record)]
pub struct ServersAnswer {
    /// The HTTP status.
    pub status: i32,
    /// All fields.
    pub fields: Vec<Field>,
    /// The body.
    pub body: String,
    /// Who called, if the API admitted the request.
    pub caller: Option<Caller>,
}

/// Who called the API.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Caller {
    /// The user (`sub`).
    pub subject: Option<String>,
    /// The client that the token was issued to.
    pub client_id: Option<String>,
    /// What the token permits.
    pub scopes: Vec<String>,
    /// The thumbprint of the key that the token is bound to.
    pub bound_to: Option<String>,
}

/// An authorization server and an API in this process.
#[derive(uniffi::Object)]
pub struct Servers {
    server: Server,
    now: Arc<AtomicI64>,
}

#[uniffi::export]
impl Servers {
    /// New servers, which have issued nothing.
    #[uniffi::constructor]
    pub fn new(options: ServersOptions) -> Result<Self, ServersError> {
        let now = Arc::new(AtomicI64::new(options.now));
        let shown = now.clone();
        let unusable = |text: &str| ServersError::Unusable(text.to_owned());
        let known = Options::default();
        let offered = !options.scopes.is_empty();
        let server = Server::new(
            &options.issuer,
            Options {
                resource: Some(options.resource),
                user: options.subject,
                scopes: if offered { options.scopes } else { known.scopes.clone() },
                scopes_at: options.scopes_at.into_iter().map(|known| (known.path, known.scope)).collect(),
                clock: Clock::new(move || UnixTime::from_secs(shown.load(Ordering::SeqCst))),
                level: SecurityLevel::from_name(&options.level)
                    .ok_or_else(|| unusable("the level is standard, enhanced or maximum"))?,
                nonces: options.nonces,
                token_lifetime: u64::try_from(options.token_lifetime)
                    .map_err(|_| unusable("the lifetime of tokens cannot be below zero"))?,
                public_clients: vec![PublicClient {
                    client_id: options.client_id,
                    redirect_uris: vec![options.redirect_uri],
                }],
                ..known
            },
        )?;
        Ok(Self { server, now })
    }

    /// The answer to a request at this time. A URL of neither server is answered with 404.
    pub fn answer(&self, request: ServersRequest, now: i64) -> ServersAnswer {
        self.now.store(now, Ordering::SeqCst);
        let fields = request.fields.into_iter().map(|field| (field.name, field.value.into_bytes())).collect();
        let incoming: Incoming = self.server.request(&request.method, &request.url, fields, request.body);
        let answer = self.server.answer(&incoming);
        ServersAnswer {
            status: i32::from(answer.status),
            fields: answer.fields.into_iter().map(|(name, value)| Field { name, value }).collect(),
            body: answer.body,
            caller: answer.principal.as_deref().map(Into::into),
        }
    }

    /// Changes what the servers do wrong, from the next request on: the faults of `keybound serve`, by their names.
    pub fn misbehave(&self, faults: Vec<String>) -> Result<(), ServersError> {
        let mut new = Faults::default();
        for fault in &faults {
            new.add(fault).map_err(ServersError::Unusable)?;
        }
        self.server.set_faults(new);
        Ok(())
    }

    /// Revokes every access token that was issued so far.
    pub fn revoke_access_tokens(&self) {
        self.server.revoke_access_tokens();
    }
}

impl From<&Principal> for Caller {
    fn from(principal: &Principal) -> Self {
        Self {
            subject: principal.subject().map(str::to_owned),
            client_id: principal.client_id().map(str::to_owned),
            scopes: principal.scopes().map(str::to_owned).collect(),
            bound_to: principal.thumbprint().map(|key| key.to_string()),
        }
    }
}
