//! A session: tokens, whom they are from and for, and the key they are bound to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use super::binding::Binding;
use super::client::{Client, Inner};
use super::credentials::Credentials;
use super::error::{FlowError, StoredDefect};
use super::flow::{Flow, Io};
use super::kept::{Claimed, Unfit, is_plausible_end};
use super::metadata::AuthorizationServer;
use super::renew::{EXPIRY_MARGIN, forget};
use super::request::{MAX_INTENT_LIFETIME, SessionRequest};
use super::secret::Secret;
use super::step::{Saved, Saving, Slot, Step};
use super::token::{Issued, Token};
#[cfg(feature = "dpop")]
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
#[cfg(feature = "dpop")]
use crate::key::Protection;
use crate::{SecurityLevel, UnixTime};

/// The result of a login or grant, by which requests are sent. Clones are the same session.
///
/// It holds tokens and no private key, and hides the tokens in `Debug`. What it stores through [`Save`](super::step::Save)
/// steps is a secret.
#[derive(Clone)]
pub struct Session(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) name: String,
    pub(super) credentials: Credentials,
    pub(super) live: Mutex<Live>,
}

pub(super) struct Live {
    pub(super) state: State,
    /// The version under which the state is stored; `None` if it is not.
    pub(super) version: Option<u64>,
    /// Whether the last attempt to store the state failed.
    pub(super) unsaved: bool,
    /// Whether state and key were deleted.
    pub(super) forgotten: bool,
    /// Whether a refusal without a reason used the refresh token, and no request has succeeded since.
    pub(super) doubted: bool,
}

/// What is stored of a session.
#[derive(Clone)]
pub(super) struct State {
    pub(super) level: SecurityLevel,
    /// Shared, because every call takes a copy of the state.
    pub(super) server: Arc<AuthorizationServer>,
    pub(super) resource: Option<String>,
    pub(super) client_id: String,
    pub(super) binding: Option<Binding>,
    pub(super) token: Option<Token>,
    pub(super) refresh: Option<Secret>,
    pub(super) renewal: Renewal,
    /// The scope that was asked for.
    pub(super) scope: Option<String>,
    /// The details that were asked for (RFC 9396): what a renewal asks for again, and its answer is compared with.
    pub(super) details: Option<Value>,
    /// The caller's own parameters of the request, for a renewal that asks again.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) step_ups: u8,
    /// The intent's end, for sessions that have one.
    pub(super) intent: Option<Intent>,
}

#[derive(Clone)]
pub(super) struct Intent {
    pub(super) details: Value,
    pub(super) expires: UnixTime,
}

/// How a session gets its next token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Renewal {
    /// By its refresh token, if it has one.
    RefreshToken,
    /// By asking again in the client's own name.
    ClientCredentials,
}

/// The version of the stored form.
pub(super) const FORMAT: u64 = 1;
/// How often storing is tried when others store at the same time.
pub(super) const MAX_CONFLICTS: u8 = 4;

impl Client {
    /// Opens a stored session.
    ///
    /// It must be what this client would make: of a server it accepts, of this client, not below its level, with an intent at
    /// [`SecurityLevel::Maximum`], and bound to a key of an algorithm and in a place that client and level permit. One whose
    /// intent has ended is deleted with its key.
    ///
    /// # Errors
    /// [`FlowError::NoSession`], [`FlowError::Stored`], [`FlowError::Downgrade`], [`FlowError::LoginRequired`] if its intent
    /// has ended, and what the host answers.
    pub fn open(&self, name: &str, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let (client, name) = (self.0.clone(), String::from(name));
        Flow::start(now, |io| async move { open(&io, &client, &name).await })
    }

    /// Stores what was learned since the session was stored, the resource's nonce above all, so that whoever opens it next
    /// begins with that. Nothing is stored if somebody else has stored it meanwhile.
    ///
    /// Useful where a program lives shortly, or has many instances, after a call that needed a second attempt.
    ///
    /// # Errors
    /// [`FlowError`]: the host's, which the session survives.
    pub fn keep(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = (self.0.clone(), session.clone());
        Flow::start(now, |io| async move { keep(&io, &client, &session).await })
    }

    /// Opens a stored session that must be bound to this key.
    ///
    /// # Errors
    /// [`StoredDefect::Key`] if it is bound to another one or to none, else as [`open`](Self::open).
    #[cfg(feature = "dpop")]
    pub fn open_bound_to(&self, name: &str, key: Thumbprint, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let (client, name) = (self.0.clone(), String::from(name));
        Flow::start(now, |io| async move { open_bound_to(&io, &client, &name, key).await })
    }
}

#[cfg(feature = "dpop")]
pub(super) async fn open_bound_to(io: &Io, client: &Inner, name: &str, key: Thumbprint) -> Result<Session, FlowError> {
    let session = open(io, client, name).await?;
    if session.thumbprint() == Some(key) { Ok(session) } else { Err(StoredDefect::Key.into()) }
}

pub(super) async fn open(io: &Io, client: &Inner, name: &str) -> Result<Session, FlowError> {
    let stored = io.load(slot(name)).await?.ok_or(FlowError::NoSession)?;
    let state = State::read(&stored.value, client, io.now())?;
    let registered = client.level.max(state.level);
    let (credentials, _) = super::registration::known(io, client, &state.server, registered).await?;
    let credentials = credentials.filter(|known| known.client_id() == state.client_id).ok_or(StoredDefect::Client)?;
    #[cfg(feature = "dpop")]
    if let Some(binding) = &state.binding {
        credentials.differs_from(&binding.thumbprint(), client)?;
    }
    let has_ended = state.intent_has_ended(io.now());
    let live = Live { state, version: Some(stored.version), unsaved: false, forgotten: false, doubted: false };
    let session = Session(Arc::new(Shared { name: name.into(), credentials, live: Mutex::new(live) }));
    if has_ended {
        forget(io, client, &session).await?;
        return Err(FlowError::LoginRequired);
    }
    Ok(session)
}

pub(super) async fn keep(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let (value, expected) = {
        let live = session.0.live.lock();
        let Some(expected) = live.version.filter(|_| !live.unsaved) else { return Ok(()) };
        (live.state.to_value(client).to_json().into_bytes(), expected)
    };
    let saving = Saving::new(client, io.now(), slot(session.name()), Some(expected), Some(value))?;
    let next = saving.version;
    if io.save(saving).await? == Saved::Stored {
        let mut live = session.0.live.lock();
        if live.version == Some(expected) {
            live.version = Some(next);
        }
    }
    Ok(())
}

pub(super) fn slot(name: &str) -> Slot {
    Slot(alloc::format!("session/{name}"))
}

impl Session {
    /// The name it is stored under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its level.
    pub fn level(&self) -> SecurityLevel {
        self.0.live.lock().state.level
    }

    /// The authorization server's issuer identifier.
    pub fn issuer(&self) -> String {
        self.0.live.lock().state.server.issuer().into()
    }

    /// What its tokens are for.
    pub fn resource(&self) -> Option<String> {
        self.0.live.lock().state.resource.clone()
    }

    /// The scope that was granted, or was asked for where the server did not say.
    pub fn scope(&self) -> Option<String> {
        let live = self.0.live.lock();
        let granted = live.state.token.as_ref().and_then(|token| token.scope.clone());
        granted.or_else(|| live.state.scope.clone())
    }

    /// What was granted in detail (RFC 9396 section 7).
    pub fn authorization_details(&self) -> Option<Value> {
        self.0.live.lock().state.token.as_ref().and_then(|token| token.details.clone())
    }

    /// When the access token ends, if the server said so.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.0.live.lock().state.token.as_ref().and_then(|token| token.expires)
    }

    /// Whether its tokens are bound to a key.
    pub fn is_bound(&self) -> bool {
        self.0.live.lock().state.binding.is_some()
    }

    /// Whether it can go on only after a new login.
    pub fn has_ended(&self) -> bool {
        let live = self.0.live.lock();
        live.state.token.is_none() && !live.state.can_renew()
    }

    /// The key its tokens are bound to. A connection that outlives its handshake, such as a WebSocket, belongs to this key.
    #[cfg(feature = "dpop")]
    pub fn thumbprint(&self) -> Option<Thumbprint> {
        self.0.live.lock().state.binding.as_ref().map(Binding::thumbprint)
    }

    /// Where that key lives, as its host said when it was made.
    #[cfg(feature = "dpop")]
    pub fn protection(&self) -> Option<Protection> {
        self.0.live.lock().state.binding.as_ref().map(Binding::protection)
    }

    /// The access token itself. With it, and without the key, nobody gets in: but a Bearer token is all that anyone needs.
    pub fn danger_access_token(&self) -> Option<Secret> {
        self.0.live.lock().state.token.as_ref().map(|token| token.access.clone())
    }

    pub(super) fn state(&self) -> State {
        self.0.live.lock().state.clone()
    }

    /// Stores the state. A rotated refresh token is durable before anybody uses it.
    pub(super) async fn save(&self, io: &Io, client: &Inner) -> Result<(), FlowError> {
        for _ in 0..MAX_CONFLICTS {
            let (value, expected) = {
                let mut live = self.0.live.lock();
                live.unsaved = true;
                (live.state.to_value(client).to_json().into_bytes(), live.version)
            };
            let saving = Saving::new(client, io.now(), slot(&self.0.name), expected, Some(value))?;
            let next = saving.version;
            match io.save(saving).await? {
                Saved::Stored => {
                    let mut live = self.0.live.lock();
                    live.version = Some(next);
                    live.unsaved = false;
                    return Ok(());
                }
                // Ours is what the server gave last: a refresh token that is not stored is lost.
                Saved::Conflict => {
                    let version = io.load(slot(&self.0.name)).await?.map(|stored| stored.version);
                    self.0.live.lock().version = version;
                }
            }
        }
        Err(FlowError::Contended)
    }
}

impl State {
    /// The state of a session that was just granted.
    pub(super) fn granted(
        request: &SessionRequest,
        credentials: &Credentials,
        level: SecurityLevel,
        binding: Option<Binding>,
        issued: Issued,
        renewal: Renewal,
    ) -> Self {
        Self {
            level,
            server: Arc::new(request.server.clone()),
            resource: request.resource.clone(),
            client_id: credentials.client_id().into(),
            binding,
            token: Some(issued.token()),
            refresh: issued.refresh,
            renewal,
            scope: request.scope.clone(),
            details: request.details.clone(),
            // Those of a login are for the user's browser, and may say who the user is.
            parameters: match renewal {
                Renewal::ClientCredentials => request.parameters.clone(),
                Renewal::RefreshToken => Vec::new(),
            },
            step_ups: request.step_ups,
            intent: None,
        }
    }

    /// Whether it had an intent that cannot be carried out any more: its time or its token is over.
    pub(super) fn intent_has_ended(&self, now: UnixTime) -> bool {
        let over = || self.token.as_ref().is_none_or(|token| token.is_over(now, EXPIRY_MARGIN));
        self.intent.as_ref().is_some_and(|intent| now >= intent.expires || over())
    }

    pub(super) fn drop_tokens(&mut self) {
        self.token = None;
        self.refresh = None;
    }

    pub(super) fn can_renew(&self) -> bool {
        self.intent.is_none()
            && match self.renewal {
                Renewal::RefreshToken => self.refresh.is_some(),
                Renewal::ClientCredentials => true,
            }
    }

    /// The scheme that tokens of this session are sent with.
    pub(super) fn scheme(&self) -> &'static str {
        if self.binding.is_some() { super::binding::SCHEME } else { "Bearer" }
    }

    pub(super) fn to_value(&self, client: &Inner) -> Value {
        let token = self.token.as_ref().map(|token| {
            Value::object()
                .with("value", token.access.expose())
                .with_some("expires", token.expires)
                .with_some("scope", token.scope.as_deref())
                .with_some("authorization_details", token.details.clone())
        });
        let server = self.server.endpoint(super::error::Endpoint::Token).unwrap_or_default();
        let key = self.binding.as_ref().map(|binding| binding.to_value(client, server, self.resource.as_deref()));
        let intent = self.intent.as_ref().map(|intent| {
            Value::object().with("authorization_details", intent.details.clone()).with("expires", intent.expires)
        });
        let parameters = self.parameters.iter().map(|(name, value)| Value::from_iter([name.as_str(), value.as_str()]));
        let parameters = (!self.parameters.is_empty()).then(|| Value::from(parameters.collect::<Vec<_>>()));
        Value::object()
            .with("v", FORMAT)
            .with("level", self.level.name())
            .with("server", self.server.document().clone())
            .with("client_id", self.client_id.as_str())
            .with_some("resource", self.resource.as_deref())
            .with_some("scope", self.scope.as_deref())
            .with_some("authorization_details", self.details.clone())
            .with_some("parameters", parameters)
            .with("renewal", self.renewal.name())
            .with("step_ups", u64::from(self.step_ups))
            .with_some("token", token)
            .with_some("refresh_token", self.refresh.as_ref().map(Secret::expose))
            .with_some("key", key)
            .with_some("intent", intent)
    }

    /// Reads a stored state and holds it against what this client is configured with.
    pub(super) fn read(bytes: &[u8], client: &Inner, now: UnixTime) -> Result<Self, FlowError> {
        let malformed = StoredDefect::Malformed;
        let value = Value::parse_object(bytes).map_err(|_| malformed)?;
        match value.integer("v") {
            Some(1) => {}
            Some(_) => return Err(StoredDefect::Version.into()),
            None => return Err(malformed.into()),
        }
        let level = value.text("level").and_then(SecurityLevel::from_name).ok_or(malformed)?;
        let document = value.member("server").cloned().ok_or(malformed)?;
        let server = AuthorizationServer::stored(document).ok_or(malformed)?;
        let binding = value.member("key").map(|key| Binding::from_value(key, client)).transpose()?;
        let token = value.member("token").map(|token| {
            Some(Token {
                access: Secret::new(token.text("value").filter(|text| !text.is_empty())?),
                expires: token.time("expires"),
                scope: token.text("scope").map(String::from),
                details: token.member("authorization_details").cloned(),
            })
        });
        let token = token.map(|token| token.ok_or(malformed)).transpose()?;
        let refresh = value.text("refresh_token").map(Secret::new);
        let intent = value.member("intent").map(|intent| {
            let details = intent.member("authorization_details").filter(|details| is_list(details)).cloned()?;
            let expires = intent.time("expires").filter(|end| is_plausible_end(*end, MAX_INTENT_LIFETIME, now))?;
            Some(Intent { details, expires })
        });
        let intent = intent.map(|intent| intent.ok_or(malformed)).transpose()?;
        if let Some(intent) = &intent {
            // Its token has exactly these details, and nothing renews it.
            let same = token.as_ref().is_none_or(|token| token.details.as_ref() == Some(&intent.details));
            if !same || refresh.is_some() {
                return Err(malformed.into());
            }
        }
        let (server_of, has_intent) = (Some(&server), intent.is_some());
        let claimed = Claimed { level, server: server_of, binding: binding.as_ref(), has_intent, is_pending: false };
        claimed.check(client).map_err(Unfit::stored)?;
        let pairs = value.array("parameters").unwrap_or_default().iter().map(pair);
        Ok(Self {
            level,
            server: Arc::new(server),
            resource: value.text("resource").map(String::from),
            client_id: value.text("client_id").ok_or(malformed)?.into(),
            binding,
            token,
            refresh,
            renewal: value.text("renewal").and_then(Renewal::from_name).ok_or(malformed)?,
            scope: value.text("scope").map(String::from),
            details: value.member("authorization_details").cloned(),
            parameters: pairs.collect::<Option<_>>().ok_or(malformed)?,
            step_ups: value.integer("step_ups").and_then(|count| u8::try_from(count).ok()).unwrap_or(u8::MAX),
            intent,
        })
    }
}

/// Whether these are details at all: an array with something in it.
fn is_list(details: &Value) -> bool {
    matches!(details, Value::Array(elements) if !elements.is_empty())
}

/// A name and its value.
fn pair(stored: &Value) -> Option<(String, String)> {
    match stored {
        Value::Array(both) => match both.as_slice() {
            [Value::Text(name), Value::Text(value)] => Some((name.clone(), value.clone())),
            _ => None,
        },
        _ => None,
    }
}

impl Renewal {
    const fn name(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::RefreshToken, Self::ClientCredentials].into_iter().find(|renewal| renewal.name() == name)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.0.name)
            .field("level", &self.level())
            .field("issuer", &self.issuer())
            .field("bound", &self.is_bound())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
