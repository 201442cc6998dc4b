//! The OAuth client: its options, its operations by name, and what a session shows.

use std::sync::{Arc, Mutex, PoisonError};

use keybound::http::challenge::Challenge;
use keybound::http::message::{Body, Request};
use keybound::json::Value;
use keybound::key::KeyProtection;
#[cfg(feature = "grants")]
use keybound::oauth::step::{CreatedKey, KeyOwner};
use keybound::oauth::{self, Credentials, Discovered, Operation, Secret, Session, SessionRequest, Subject};
#[cfg(feature = "grants")]
use keybound::oauth::{HeldToken, TokenExchange};
use keybound::{Crypto, SecurityLevel, UnixTime};

use crate::error::{Error, Own};
use crate::flow::{Device, Flow};
use crate::key::public_key;
use crate::plain::{Options, algorithm, one_of};

const OPTIONS: &[&str] = &[
    "level",
    "redirect_uri",
    "credentials",
    "metadata_document",
    "register",
    "accept_issuers",
    "entra_tenant",
    "servers",
    "also_origins",
    "algorithms",
    "hardware_keys",
    "allow_loopback",
    "push_with_proof",
    "danger_assume_pkce",
    "danger_assume_endpoints",
    "danger_accept_bearer",
];

const CREDENTIALS: &[&str] = &["issuer", "client_id", "method", "secret", "public_jwk", "algorithm", "key_id"];

const OPERATION: &[&str] = &[
    "do",
    "target",
    "challenges",
    "issuer",
    "session",
    "again",
    "scope",
    "resource",
    "level",
    "authorization_details",
    "intent",
    "intent_lifetime",
    "offline_access",
    "parameters",
    "expect_subject",
    "provisional",
    "without_pushed_request",
    "without_resource",
    "scope_on_refresh",
    "danger_assume_pkce",
    "callback",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "audience",
    "assertion",
    "bound_to",
    "token",
    "method",
    "url",
    "headers",
    "body",
    "public_jwk",
    "algorithm",
    "protection",
    "expires_at",
];

/// An OAuth 2.1 client. It holds no private key, no token and no session.
#[derive(Debug)]
pub struct Client {
    core: oauth::Client,
}

/// What an operation refers to besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    /// For operations that begin a session, and for `introspect`.
    pub discovered: Option<Discovered>,
    /// For operations on a session.
    pub session: Option<Session>,
    /// For `poll_device`.
    pub device: Option<Arc<Device>>,
}

/// [`Handles`] that are put together one after the other.
#[derive(Debug, Default)]
pub struct SharedHandles(Mutex<Handles>);

impl SharedHandles {
    /// Changes them.
    pub fn set(&self, change: impl FnOnce(&mut Handles)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What they are now.
    pub fn now(&self) -> Handles {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Client {
    /// A client. `options` is an object with `level` (`standard`, `enhanced` or `maximum`) and any of `redirect_uri`,
    /// `credentials` (objects with `issuer`, `client_id`, `method`: `none`, `secret`, `client_secret_basic`,
    /// `client_secret_post` or `private_key_jwt`, and `secret`, or `public_jwk`, `algorithm` and `key_id`),
    /// `metadata_document`, `register` (metadata), `accept_issuers`, `entra_tenant`, `servers` (metadata of servers that publish none),
    /// `also_origins`, `algorithms`, `hardware_keys`, `allow_loopback`, `push_with_proof`, `danger_assume_pkce`,
    /// `danger_assume_endpoints` and `danger_accept_bearer`.
    ///
    /// # Errors
    /// Misuse names what cannot be used.
    pub fn new(options: &str, crypto: &Crypto) -> Result<Self, Error> {
        let options = Options::parse(options, OPTIONS)?;
        let mut builder = oauth::Client::builder(level(options.needed("level")?)?, crypto);
        if let Some(uri) = options.text("redirect_uri")? {
            builder = builder.redirect_uri(uri);
        }
        for given in options.array("credentials")? {
            let given = Options::of(given.clone(), CREDENTIALS)?;
            builder = builder.credentials(given.needed("issuer")?, credentials(&given)?);
        }
        if let Some(url) = options.text("metadata_document")? {
            builder = builder.metadata_document(url);
        }
        if let Some(metadata) = options.value("register") {
            builder = builder.register(metadata.clone());
        }
        for issuer in options.texts("accept_issuers")? {
            builder = builder.accept_issuer(issuer);
        }
        if let Some(tenant) = options.text("entra_tenant")? {
            builder = builder.entra_tenant(tenant);
        }
        for metadata in options.array("servers")? {
            builder = builder.server(metadata.clone());
        }
        for origin in options.texts("also_origins")? {
            builder = builder.also_origin(origin);
        }
        if let Some(algorithms) = options.algorithms("algorithms")? {
            builder = builder.algorithms(algorithms);
        }
        type Switch = fn(oauth::ClientBuilder) -> oauth::ClientBuilder;
        let switches: [(&str, Switch); 6] = [
            ("hardware_keys", |builder| builder.protections(KeyProtection::HARDWARE)),
            ("allow_loopback", oauth::ClientBuilder::allow_loopback),
            ("push_with_proof", oauth::ClientBuilder::push_with_proof),
            ("danger_assume_pkce", oauth::ClientBuilder::danger_assume_pkce),
            ("danger_assume_endpoints", oauth::ClientBuilder::danger_assume_endpoints),
            ("danger_accept_bearer", oauth::ClientBuilder::danger_accept_bearer),
        ];
        for (name, switch) in switches {
            if options.flag(name)? {
                builder = switch(builder);
            }
        }
        Ok(Self { core: builder.build()? })
    }

    /// Begins an operation: an object with `do` and its arguments.
    ///
    /// | `do` | arguments |
    /// |---|---|
    /// | `discover` | `target`, which is asked first; `challenges` of a refusal at hand instead (values of `WWW-Authenticate`, byte strings); `issuer` where none is published |
    /// | `discover_issuer` | `issuer` |
    /// | `authorize`, `client_credentials`, `device` | a session request |
    /// | `token_exchange`, `exchange_for` | a session request, `subject_token`, `subject_token_type`, `actor_token`, `actor_token_type`, `requested_token_type`, `audience` |
    /// | `jwt_bearer` | a session request, `assertion` |
    /// | `exchange` | `callback`: the URL that the browser came back to |
    /// | `step_up` | `scope`; handle `session` |
    /// | `poll_device` | handle `device` |
    /// | `open` | `session`, a name; `bound_to`, a thumbprint |
    /// | `adopt` | `session`, a name; `token`, `resource`, `public_jwk`, `algorithm`, `protection`, `expires_at` |
    /// | `keep`, `refresh`, `rekey`, `revoke`, `end` | handle `session` |
    /// | `introspect` | `token`; handle `discovered` |
    /// | `call` | `method`, `url`, `headers`, `body` (`empty`, `repeatable` or `one_shot`); handle `session` |
    ///
    /// A session request has `session` (its name) and the handle `discovered`, or `again` (true) and the handle `session`; and any
    /// of `scope`, `resource`, `level`, `authorization_details`, `intent` (details), `intent_lifetime`, `offline_access`,
    /// `parameters` (an object of texts), `expect_subject` (a `sub`), `provisional`, `without_pushed_request`,
    /// `without_resource`, `scope_on_refresh` and `danger_assume_pkce`.
    ///
    /// # Errors
    /// Misuse, and what ends the flow at once.
    pub fn begin(&self, operation: &str, handles: Handles, now: i64) -> Result<Flow, Error> {
        let given = &Options::parse(operation, OPERATION)?;
        self.start(read(given, &handles)?, now)
    }

    /// Begins an operation of the core's, for bindings with types of their own.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn start(&self, operation: Operation, now: i64) -> Result<Flow, Error> {
        Ok(Flow::new(self.core.begin(operation, UnixTime::from_secs(now))?.map(crate::flow::Came::Client)))
    }
}

impl From<oauth::Client> for Client {
    fn from(core: oauth::Client) -> Self {
        Self { core }
    }
}

fn read(given: &Options, handles: &Handles) -> Result<Operation, Error> {
    let session = || handles.session.clone().ok_or_else(|| missing("a session"));
    Ok(match given.needed("do")? {
        "discover" => {
            let fields =
                given.texts("challenges")?.into_iter().map(crate::plain::bytes).collect::<Result<Vec<_>, _>>()?;
            let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            // A challenge that cannot be read leads nowhere; the well-known places still may.
            let challenges = given.value("challenges").map(|_| Challenge::parse_fields(&fields).list);
            Operation::Discover(given.needed("target")?.into(), challenges, given.text("issuer")?.map(Into::into))
        }
        "discover_issuer" => Operation::DiscoverIssuer(given.needed("issuer")?.into()),
        "authorize" => Operation::Authorize(request(given, handles)?),
        "step_up" => Operation::StepUp(session()?, given.needed("scope")?.into()),
        "exchange" => Operation::Exchange(given.needed("callback")?.into()),
        "open" => {
            let name = given.needed("session")?.into();
            match given.thumbprint("bound_to")? {
                Some(key) => Operation::OpenBoundTo(name, key),
                None => Operation::Open(name),
            }
        }
        "keep" => Operation::Keep(session()?),
        "refresh" => Operation::Refresh(session()?),
        #[cfg(feature = "grants")]
        "rekey" => Operation::Rekey(session()?),
        "revoke" => Operation::Revoke(session()?),
        "end" => Operation::End(session()?),
        "call" => Operation::Call(session()?, called(given)?),
        #[cfg(feature = "grants")]
        "adopt" => Operation::Adopt(held(given)?),
        #[cfg(feature = "grants")]
        "client_credentials" => Operation::ClientCredentials(request(given, handles)?),
        #[cfg(feature = "grants")]
        "token_exchange" => Operation::TokenExchange(request(given, handles)?, exchange(given)?),
        #[cfg(feature = "grants")]
        "exchange_for" => Operation::ExchangeFor(request(given, handles)?, exchange(given)?),
        #[cfg(feature = "grants")]
        "jwt_bearer" => Operation::JwtBearer(request(given, handles)?, Secret::new(given.needed("assertion")?)),
        #[cfg(feature = "grants")]
        "device" => Operation::Device(request(given, handles)?),
        #[cfg(feature = "grants")]
        "poll_device" => {
            let device = handles.device.as_ref().ok_or_else(|| missing("a device login"))?;
            Operation::PollDevice(device.take()?)
        }
        #[cfg(feature = "grants")]
        "introspect" => {
            let discovered = handles.discovered.clone().ok_or_else(|| missing("what was discovered"))?;
            Operation::Introspect(discovered, Secret::new(given.needed("token")?))
        }
        _ => return Err(Error::own(Own::UnknownValue, "this build has no operation of this name")),
    })
}

fn missing(what: &str) -> Error {
    Error::own(Own::MissingOption, ["this operation needs ", what].concat())
}

fn level(name: &str) -> Result<SecurityLevel, Error> {
    let unknown = || Error::own(Own::UnknownValue, "a level is one of: standard, enhanced, maximum");
    SecurityLevel::from_name(name).ok_or_else(unknown)
}

/// A client that one issuer knows, as hosts describe it.
#[derive(Clone, Copy)]
pub struct GivenCredentials<'a> {
    /// The client's identifier.
    pub client_id: &'a str,
    /// `none` (so without one), `secret`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    pub method: Option<&'a str>,
    /// For the methods with a secret.
    pub secret: Option<&'a str>,
    /// For `private_key_jwt`: the public part of its key.
    pub public_jwk: Option<&'a str>,
    /// For `private_key_jwt`: the key's algorithm.
    pub algorithm: Option<&'a str>,
    /// For `private_key_jwt`: its `kid`, where the server wants one.
    pub key_id: Option<&'a str>,
}

impl GivenCredentials<'_> {
    /// The same for the core.
    ///
    /// # Errors
    /// Misuse, if something is missing or does not fit.
    pub fn read(&self) -> Result<Credentials, Error> {
        let id = self.client_id;
        let secret = || self.secret.map(Secret::new).ok_or_else(|| Error::missing("secret"));
        Ok(match self.method.unwrap_or("none") {
            // Taken for a public client, it would be refused with a riddle.
            "none" if self.secret.is_some() => {
                let detail = "a client with a secret needs a `method`, for example \"secret\"";
                return Err(Error::own(Own::MissingOption, detail));
            }
            "none" if self.public_jwk.is_some() => {
                return Err(Error::own(
                    Own::MissingOption,
                    "a client with a key needs the `method` \"private_key_jwt\"",
                ));
            }
            "none" => Credentials::public(id),
            "secret" => Credentials::secret(id, secret()?),
            "client_secret_basic" => Credentials::secret_basic(id, secret()?),
            "client_secret_post" => Credentials::secret_post(id, secret()?),
            "private_key_jwt" => {
                let key = public_key(self.public_jwk.ok_or_else(|| Error::missing("public_jwk"))?)?;
                let algorithm = algorithm(self.algorithm.ok_or_else(|| Error::missing("algorithm"))?)?;
                let credentials = Credentials::private_key(id, key, algorithm);
                match self.key_id {
                    Some(key_id) => credentials.key_id(key_id),
                    None => credentials,
                }
            }
            _ => return Err(Error::own(Own::UnknownValue, "there is no way to authenticate of this name")),
        })
    }
}

fn credentials(given: &Options) -> Result<Credentials, Error> {
    let public_jwk = given.value("public_jwk").map(Value::to_json);
    let given = GivenCredentials {
        client_id: given.needed("client_id")?,
        method: given.text("method")?,
        secret: given.text("secret")?,
        public_jwk: public_jwk.as_deref(),
        algorithm: given.text("algorithm")?,
        key_id: given.text("key_id")?,
    };
    given.read()
}

fn request(given: &Options, handles: &Handles) -> Result<SessionRequest, Error> {
    let mut request = if given.flag("again")? {
        SessionRequest::again(handles.session.as_ref().ok_or_else(|| missing("a session"))?)
    } else {
        let discovered = handles.discovered.as_ref().ok_or_else(|| missing("what was discovered"))?;
        SessionRequest::new(given.needed("session")?, discovered)
    };
    if let Some(details) = given.value("authorization_details") {
        request = request.authorization_details(details.clone());
    }
    if let Some(details) = given.value("intent") {
        request = request.intent(details.clone());
    }
    // After the intent, which drops the scope that was discovered and keeps the one that is asked for.
    if let Some(scope) = given.text("scope")? {
        request = request.scope(scope);
    }
    if let Some(resource) = given.text("resource")? {
        request = request.resource(resource);
    }
    if let Some(name) = given.text("level")? {
        request = request.level(level(name)?);
    }
    if let Some(seconds) = given.number("intent_lifetime")? {
        request = request.intent_lifetime(seconds);
    }
    if let Some(sub) = given.text("expect_subject")? {
        request = request.expect_subject(sub);
    }
    type Switch = fn(SessionRequest) -> SessionRequest;
    let switches: [(&str, Switch); 6] = [
        ("offline_access", SessionRequest::offline_access),
        ("provisional", SessionRequest::provisional),
        ("without_pushed_request", SessionRequest::without_pushed_request),
        ("without_resource", SessionRequest::without_resource),
        ("scope_on_refresh", SessionRequest::scope_on_refresh),
        ("danger_assume_pkce", SessionRequest::danger_assume_pkce),
    ];
    for (name, switch) in switches {
        if given.flag(name)? {
            request = switch(request);
        }
    }
    if let Some(Value::Object(parameters)) = given.value("parameters") {
        for (name, value) in parameters {
            let value = value.as_text().ok_or_else(|| Error::own(Own::WrongType, "parameters are texts"))?;
            request = request.parameter(name, value);
        }
    }
    Ok(request)
}

#[cfg(feature = "grants")]
fn held(given: &Options) -> Result<HeldToken, Error> {
    let public_jwk = given.value("public_jwk").ok_or_else(|| Error::missing("public_jwk"))?;
    let unknown = || Error::own(Own::UnknownValue, "there is no protection of this name");
    let protection = given
        .text("protection")?
        .map_or(Ok(KeyProtection::Software), |name| KeyProtection::from_name(name).ok_or_else(unknown))?;
    Ok(HeldToken {
        session: given.needed("session")?.into(),
        token: Secret::new(given.needed("token")?),
        resource: given.needed("resource")?.into(),
        key: CreatedKey {
            public_key: public_key(&public_jwk.to_json())?,
            algorithm: algorithm(given.needed("algorithm")?)?,
            protection,
            owner: KeyOwner::Session,
        },
        expires_at: given.integer("expires_at")?.map(UnixTime::from_secs),
    })
}

#[cfg(feature = "grants")]
fn exchange(given: &Options) -> Result<TokenExchange, Error> {
    let subject = Secret::new(given.needed("subject_token")?);
    let mut exchange = TokenExchange::new(subject, given.needed("subject_token_type")?);
    if let Some(actor) = given.text("actor_token")? {
        exchange = exchange.actor(Secret::new(actor), given.needed("actor_token_type")?);
    }
    if let Some(audience) = given.text("audience")? {
        exchange = exchange.audience(audience);
    }
    Ok(match given.text("requested_token_type")? {
        Some(kind) => exchange.requested_type(kind),
        None => exchange,
    })
}

fn called(given: &Options) -> Result<Request, Error> {
    let mut request = Request::new(given.text("method")?.unwrap_or("GET"), given.needed("url")?);
    for (name, value) in given.fields("headers")? {
        let value = String::from_utf8(value);
        let value = value.map_err(|_| Error::own(Own::WrongType, "values of fields to send are ASCII or UTF-8"))?;
        request = request.with_field(&name, &value);
    }
    let kinds = [("empty", 0_u8), ("repeatable", 1), ("one_shot", 2)];
    request.body = match one_of("a body", given.text("body")?.unwrap_or("empty"), &kinds)? {
        0 => Body::Empty,
        1 => Body::Repeatable,
        _ => Body::OneShot,
    };
    Ok(request)
}

/// What a session shows, as JSON: `name`, `level`, `issuer`, `subject` (`issuer` and `sub`), `resource`, `scope`,
/// `authorization_details`, `expires_at`, `bound`, `thumbprint` and `ended`. No token, and no other member of its responses.
pub(crate) fn describe(session: &Session) -> Value {
    let subject = session.subject();
    let subject = subject.map(|Subject { issuer, sub }| Value::object().with("issuer", issuer).with("sub", sub));
    Value::object()
        .with("name", session.name())
        .with("level", session.level().name())
        .with("issuer", session.issuer())
        .with_some("subject", subject)
        .with_some("resource", session.resource())
        .with_some("scope", session.scope())
        .with_some("authorization_details", session.authorization_details())
        .with_some("expires_at", session.expires_at())
        .with("bound", session.is_bound())
        .with_some("thumbprint", session.thumbprint().map(|thumbprint| thumbprint.to_string()))
        .with("ended", session.has_ended())
}

/// What a session shows, as JSON: `name`, `level`, `issuer`, `subject` (`issuer` and `sub`), `resource`, `scope`,
/// `authorization_details`, `expires_at`, `bound`, `thumbprint` and `ended`. No token, and no other member of its responses.
pub fn session_info(session: &Session) -> String {
    describe(session).to_json()
}

/// Another member of a session's token responses: a secret, as the server sent it.
pub fn session_member(session: &Session, name: &str) -> Option<String> {
    session.member(name).map(|value| value.expose().into())
}
