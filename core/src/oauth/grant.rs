//! What all grants have in common: a key and credentials before, a session after; and the grants without a user.

use alloc::string::String;
use core::fmt;

use super::audit::Deed;
use super::binding::Binding;
use super::client::{Client, Inner};
use super::credentials::Credentials;
use super::details::within;
use super::error::{AnswerDefect, Downgrade, Endpoint, FlowError};
use super::flow::{Flow, Io};
use super::id_token::Login;
use super::members::Members;
use super::post::{Post, object, text};
use super::registration;
use super::request::SessionRequest;
use super::secret::Secret;
use super::session::{Session, slot};
use super::state::{Intent, Renewal, State};
use super::step::Step;
use super::switches::Switches;
use super::token::{Issued, Wanted, seconds};
use crate::http::form::Form;
use crate::http::message::Response;
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

/// The token type of access tokens in token exchange (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A token that is exchanged for another one (RFC 8693 section 2.1).
#[derive(Clone)]
#[must_use]
pub struct TokenExchange {
    subject: (Secret, String),
    actor: Option<(Secret, String)>,
    audience: Option<String>,
    requested: Option<String>,
}

/// A token that is no access token: for example an assertion for another authorization server.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// What it is: `issued_token_type` (RFC 8693 section 2.2.1).
    pub token_type: String,
    /// When it ends, if the server said so.
    pub expires_at: Option<UnixTime>,
}

impl TokenExchange {
    /// Exchanges `subject_token`, of the type named by the URI `subject_token_type`.
    pub fn new(subject_token: Secret, subject_token_type: &str) -> Self {
        Self { subject: (subject_token, subject_token_type.into()), actor: None, audience: None, requested: None }
    }

    /// The token of who acts for the subject.
    pub fn actor(mut self, token: Secret, token_type: &str) -> Self {
        self.actor = Some((token, token_type.into()));
        self
    }

    /// The name of the service the new token is for.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The type of the new token; the server chooses otherwise.
    pub fn requested_type(mut self, token_type: &str) -> Self {
        self.requested = Some(token_type.into());
        self
    }

    fn describe(&self, form: &mut Form) {
        form.push("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        form.push("subject_token", self.subject.0.expose());
        form.push("subject_token_type", &self.subject.1);
        if let Some((token, token_type)) = &self.actor {
            form.push("actor_token", token.expose());
            form.push("actor_token_type", token_type);
        }
        form.push_some("audience", self.audience.as_deref());
        form.push_some("requested_token_type", self.requested.as_deref());
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("subject_token_type", &self.subject.1).finish_non_exhaustive()
    }
}

impl Client {
    /// A session in the client's own name (OAuth 2.1 section 4.2). It renews itself by asking again.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn client_credentials(&self, request: SessionRequest, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let client = self.0.clone();
        Flow::start(now, |io| async move { client_credentials(&io, &client, &request).await })
    }

    /// A session for a token that the client holds (RFC 8693).
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn token_exchange(
        &self,
        request: SessionRequest,
        exchange: &TokenExchange,
        now: UnixTime,
    ) -> Result<Step<Session>, FlowError> {
        let (client, exchange) = (self.0.clone(), exchange.clone());
        Flow::start(now, |io| async move { token_exchange(&io, &client, &request, &exchange).await })
    }

    /// A session for an assertion that another server signed (RFC 7523 section 2.1).
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn jwt_bearer(
        &self,
        request: SessionRequest,
        assertion: &Secret,
        now: UnixTime,
    ) -> Result<Step<Session>, FlowError> {
        let (client, assertion) = (self.0.clone(), assertion.clone());
        Flow::start(now, |io| async move { jwt_bearer(&io, &client, &request, &assertion).await })
    }

    /// Exchanges a token for one that is no access token, such as an assertion that [`jwt_bearer`](Self::jwt_bearer) takes to
    /// another server.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed; [`Downgrade::TokenType`] if the server issues an access token, which would
    /// not be bound.
    pub fn exchange_for(
        &self,
        request: SessionRequest,
        exchange: &TokenExchange,
        now: UnixTime,
    ) -> Result<Step<IssuedToken>, FlowError> {
        let (client, exchange) = (self.0.clone(), exchange.clone());
        Flow::start(now, |io| async move { exchange_for(&io, &client, &request, &exchange).await })
    }
}

pub(super) async fn client_credentials(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
) -> Result<Session, FlowError> {
    let mut form = Form::new();
    form.push("grant_type", "client_credentials");
    grant(io, client, request, form, Renewal::ClientCredentials).await
}

pub(super) async fn token_exchange(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    exchange: &TokenExchange,
) -> Result<Session, FlowError> {
    let mut form = Form::new();
    exchange.describe(&mut form);
    grant(io, client, request, form, Renewal::RefreshToken).await
}

pub(super) async fn jwt_bearer(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    assertion: &Secret,
) -> Result<Session, FlowError> {
    let mut form = Form::new();
    form.push("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    form.push("assertion", assertion.expose());
    grant(io, client, request, form, Renewal::RefreshToken).await
}

pub(super) async fn exchange_for(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    exchange: &TokenExchange,
) -> Result<IssuedToken, FlowError> {
    let level = request.checked(client)?;
    let mut form = Form::new();
    exchange.describe(&mut form);
    request.describe(&mut form);
    let credentials = registration::credentials(io, client, &request.server, level).await?;
    let post = Post::without_proof(&request.server, Endpoint::Token, &credentials);
    let response = post.form(io, client, &form).await?;
    let document = object(Endpoint::Token, &response)?;
    request.check_subject(&Members::read(&document))?;
    let token_type = text(Endpoint::Token, &document, "issued_token_type")?;
    if token_type == ACCESS_TOKEN {
        return Err(Downgrade::TokenType.into());
    }
    Ok(IssuedToken {
        token: Secret::new(text(Endpoint::Token, &document, "access_token")?),
        token_type: token_type.into(),
        expires_at: seconds(&document, "expires_in").map(|seconds| io.now().saturating_add(seconds)),
    })
}

async fn grant(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    mut form: Form,
    renewal: Renewal,
) -> Result<Session, FlowError> {
    let level = request.checked(client)?;
    request.describe(&mut form);
    let grant = Grant::prepare(io, client, request, level).await?;
    grant.redeem(io, client, &form, renewal, None).await
}

/// A grant under way: who asks, at which level, with which key.
pub(super) struct Grant {
    pub(super) request: SessionRequest,
    pub(super) level: SecurityLevel,
    pub(super) credentials: Credentials,
    pub(super) binding: Option<Binding>,
}

/// The user who has logged in.
#[derive(Clone, Copy)]
pub(super) struct User<'a> {
    /// The `nonce` that an ID token about the login has, if one was sent.
    pub(super) nonce: Option<&'a str>,
}

impl Grant {
    /// Finds the credentials and has a key made.
    pub(super) async fn prepare(
        io: &Io,
        client: &Inner,
        request: &SessionRequest,
        level: SecurityLevel,
    ) -> Result<Self, FlowError> {
        Replaced::load(io, client, &request.name).await?.permits(level)?;
        let credentials = registration::credentials(io, client, &request.server, level).await?;
        let binding = match level.binds() {
            true => Some(Binding::create(io, client, &request.server, &credentials, level).await?),
            false => None,
        };
        Ok(Self { request: request.clone(), level, credentials, binding })
    }

    /// Sends the token request and makes the session of its answer. The key is deleted if there is none.
    pub(super) async fn redeem(
        self,
        io: &Io,
        client: &Inner,
        form: &Form,
        renewal: Renewal,
        user: Option<User<'_>>,
    ) -> Result<Session, FlowError> {
        let binding = self.binding.clone();
        let who = client.asks(&self.credentials, binding.as_ref());
        let outcome = self.try_redeem(io, client, form, renewal, user).await;
        client.note(who.as_ref(), Deed::Issue, outcome.as_ref().err().map(FlowError::reason), io.now());
        // A session whose storing failed has its tokens lost with it as well.
        concluded(io, binding.as_ref(), outcome).await
    }

    async fn try_redeem(
        self,
        io: &Io,
        client: &Inner,
        form: &Form,
        renewal: Renewal,
        user: Option<User<'_>>,
    ) -> Result<Session, FlowError> {
        let response = self.token_request().form(io, client, form).await?;
        self.establish(io, client, &response, renewal, user).await
    }

    /// A request for the grant's tokens.
    pub(super) fn token_request(&self) -> Post<'_> {
        Post::for_tokens(&self.request.server, &self.credentials, self.binding.as_ref(), self.level)
    }

    /// Makes the session of a token response and stores it. `user` is there if one has logged in for it: an ID token is then about that
    /// user and for this client.
    pub(super) async fn establish(
        self,
        io: &Io,
        client: &Inner,
        response: &Response,
        renewal: Renewal,
        user: Option<User<'_>>,
    ) -> Result<Session, FlowError> {
        let Self { request, mut level, credentials, mut binding } = self;
        let wanted = match level {
            SecurityLevel::Standard => Wanted::Bearer,
            SecurityLevel::Enhanced if client.accepts_bearer && !request.is_intent => Wanted::BoundIfPossible,
            SecurityLevel::Enhanced | SecurityLevel::Maximum => Wanted::Bound,
        };
        let mut issued = Issued::read(response, wanted, io.now())?;
        let is_identified = match user.filter(|_| request.asks_who()) {
            Some(User { nonce }) => {
                let login = Login { server: &request.server, credentials: &credentials, nonce };
                login.check(io, client, response, &mut issued).await?
            }
            None => false,
        };
        request.check_subject(&issued.members)?;
        if !issued.is_bound {
            if let Some(binding) = binding.take() {
                binding.delete(io).await?;
            }
            level = SecurityLevel::Standard;
        }
        let lifetime = request.intent_seconds();
        let intent = lifetime.map(|lifetime| intent(&request, &issued, io.now(), lifetime)).transpose()?;
        let mut state = State::granted(&request, &credentials, level, binding, issued, renewal);
        state.intent = intent;
        if is_identified {
            state.switches = state.switches.with(Switches::IDENTIFIED);
        }
        let session = Session::of(client, request.name, credentials, state);
        if request.switches.has(Switches::PROVISIONAL) {
            session.0.live.lock().provisional = true;
        } else {
            settle(io, client, &session).await?;
        }
        Ok(session)
    }
}

/// Stores a new session in place of the one of its name, whose key is deleted.
pub(super) async fn settle(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let replaced = Replaced::load(io, client, session.name()).await?;
    replaced.permits(session.level())?;
    session.0.live.lock().version = replaced.version;
    session.save(io, client).await?;
    let binding = session.0.live.lock().state.binding.clone();
    // A host that answers with one key for all its sessions goes on with it.
    let is_another = |old: &Binding| binding.as_ref().is_none_or(|new| !new.has_key_of(old));
    if let Some(old) = replaced.binding.filter(is_another) {
        client.note(client.of_session(session).as_ref(), Deed::Rotation, None, io.now());
        // The new session is stored: it does not fall because the old one's key cannot be deleted now.
        drop(old.delete(io).await);
    }
    Ok(())
}

/// The outcome of a login. If it came to nothing, its key is deleted; the error that counts is the login's.
pub(super) async fn concluded<T>(
    io: &Io,
    binding: Option<&Binding>,
    outcome: Result<T, FlowError>,
) -> Result<T, FlowError> {
    if let (Err(error), Some(binding)) = (&outcome, binding)
        && !matches!(error, FlowError::Interrupted)
    {
        drop(binding.delete(io).await);
    }
    outcome
}

/// What was granted for an intent, if that is what was asked for.
fn intent(request: &SessionRequest, issued: &Issued, now: UnixTime, lifetime: u64) -> Result<Intent, FlowError> {
    if issued.refresh.is_some() {
        return Err(Downgrade::RefreshToken.into());
    }
    let nothing = Value::Null;
    let requested = request.details.as_ref().unwrap_or(&nothing);
    let Some(granted) = &issued.details else {
        return Err(FlowError::Answer(Endpoint::Token, AnswerDefect::Missing("authorization_details")));
    };
    if !within(granted, requested) {
        return Err(FlowError::IntentExceeded);
    }
    let asked = request.scope.as_deref().unwrap_or_default();
    let mut scope = issued.scope.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    if !scope.all(|word| asked.split(' ').any(|known| known == word)) {
        return Err(Downgrade::IntentScope.into());
    }
    Ok(Intent { details: granted.clone(), expires: now.saturating_add(lifetime) })
}

/// What is stored under the name of a new session.
#[derive(Default)]
struct Replaced {
    version: Option<u64>,
    level: SecurityLevel,
    binding: Option<Binding>,
}

impl Replaced {
    async fn load(io: &Io, client: &Inner, name: &str) -> Result<Self, FlowError> {
        let Some(stored) = io.load(slot(name)).await? else { return Ok(Self::default()) };
        let version = Some(stored.version);
        // Bytes that are not a session of any version say nothing about a level, and a new login is what helps.
        let Ok(value) = Value::parse_object(&stored.value) else { return Ok(Self { version, ..Self::default() }) };
        let binding = value.member("key").and_then(|key| Binding::from_value(key, client).ok());
        // A level that is not known here may be a higher one.
        let level = value.text("level").and_then(SecurityLevel::from_name).ok_or(Downgrade::Level)?;
        Ok(Self { version, level, binding })
    }

    /// A session is never lowered: neither by its own program nor by another one with the same store.
    fn permits(&self, level: SecurityLevel) -> Result<(), FlowError> {
        if level < self.level { Err(Downgrade::Level.into()) } else { Ok(()) }
    }
}
