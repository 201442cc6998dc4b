//! Login by the user's browser: the authorization request, and the response that comes back (OAuth 2.1 section 4.1).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::binding::Binding;
use super::client::{Client, Inner};
use super::error::{Denial, DiscoveryDefect, Downgrade, Endpoint, FlowError, RedirectDefect, StoredDefect};
use super::flow::{Flow, Io};
use super::grant::{Grant, User, concluded};
use super::kept::{Claimed, Unfit, check_format, is_plausible_end};
use super::metadata::AuthorizationServer;
use super::pkce;
use super::post::{Post, object, text};
use super::registration;
use super::request::{MAX_INTENT_LIFETIME, SessionRequest};
use super::secret::Secret;
use super::session::Session;
use super::state::Renewal;
use super::step::{Saved, Saving, Slot, Step, Stored};
use super::switches::Switches;
use crate::http::form::Form;
use crate::http::url::Url;
use crate::json::Value;
use crate::{Misuse, SecurityLevel, UnixTime};

/// For how long an authorization response is waited for, in seconds.
const LOGIN_LIFETIME: u64 = 600;
/// How often a session may be stepped up before it counts as a loop.
const MAX_STEP_UPS: u8 = 3;

/// Where to send the user's browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The URL to open.
    pub url: String,
    /// The `state` by which the response will be recognised. The browser that comes back with it must be the one that was
    /// sent: keep it in that browser's own session and compare.
    pub state: String,
    /// Until when the response is waited for.
    pub expires_at: UnixTime,
    /// Whether the server has the request already and the URL holds a reference to it (RFC 9126). If not, the user can read
    /// and change what the URL says, because the server takes no pushed requests, answered that it has no such endpoint, or
    /// [`without_pushed_request`](SessionRequest::without_pushed_request) was asked for.
    pub pushed: bool,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("expires_at", &self.expires_at)
            .field("pushed", &self.pushed)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a login: PKCE, `state`, a fresh key, and a pushed authorization request where the server takes one.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn authorize(&self, request: SessionRequest, now: UnixTime) -> Result<Step<Authorization>, FlowError> {
        let client = self.0.clone();
        Flow::start(now, |io| async move { begin(&io, &client, &request).await })
    }

    /// Begins a login that asks for `scope` besides what the session has, after [`Demand::StepUp`](super::Demand::StepUp).
    ///
    /// # Errors
    /// [`FlowError::StepUpExhausted`] if all of it was asked for before, or this was tried three times;
    /// [`Misuse::NoUser`] if no user made the session.
    pub fn step_up(&self, session: &Session, scope: &str, now: UnixTime) -> Result<Step<Authorization>, FlowError> {
        let (_, session) = self.own(session)?;
        self.authorize(stepped_up(&session, scope)?, now)
    }

    /// Completes a login with the URL that the browser came back to.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed. Whatever the outcome, the login is used up.
    pub fn exchange(&self, callback: &str, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let (client, callback) = (self.0.clone(), String::from(callback));
        Flow::start(now, |io| async move { exchange(&io, &client, &callback).await })
    }
}

pub(super) async fn begin(io: &Io, client: &Inner, request: &SessionRequest) -> Result<Authorization, FlowError> {
    let level = request.checked(client)?;
    let mut outcome = authorize(io, client, request, level).await;
    let retries = match &outcome {
        // A server that lost its clients, as one in memory does, is registered with anew, once.
        Err(error) if error.is_unknown_client() => {
            registration::forget(io, client, &request.server, level, None).await?
        }
        // It took the registration without a port, and now wants the port that was registered.
        Err(error) if error.refuses_redirect_uri() => {
            registration::insist_on_port(io, client, &request.server, level).await?
        }
        _ => false,
    };
    if retries {
        outcome = authorize(io, client, request, level).await;
    }
    outcome
}

/// The request for a login that adds `scope` to a session.
pub(super) fn stepped_up(session: &Session, scope: &str) -> Result<SessionRequest, FlowError> {
    if session.state().renewal == Renewal::ClientCredentials {
        return Err(Misuse::NoUser.into());
    }
    let (union, step_ups) = widened(session, scope)?;
    let mut request = SessionRequest::again(session).scope(&union);
    request.step_ups = step_ups;
    Ok(request)
}

/// The scope of a session with `scope` added, and how often that was done.
pub(super) fn widened(session: &Session, scope: &str) -> Result<(String, u8), FlowError> {
    let state = session.state();
    let granted = session.scope().unwrap_or_default();
    let asked = state.scope.clone().unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    for name in asked.split(' ').chain(granted.split(' ')).filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let before = names.len();
    for name in scope.split(' ').filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() == before || state.step_ups >= MAX_STEP_UPS {
        return Err(FlowError::StepUpExhausted);
    }
    Ok((names.join(" "), state.step_ups.saturating_add(1)))
}

async fn authorize(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    level: SecurityLevel,
) -> Result<Authorization, FlowError> {
    let redirect_uri = client.redirect_uri.clone().ok_or(Misuse::RedirectUriMissing)?;
    let server = &request.server;
    let endpoint = server.require(Endpoint::Authorization, client.rule)?;
    if !server.supports_pkce() && !client.assumes_pkce && !request.switches.has(Switches::PKCE_ASSUMED) {
        return Err(DiscoveryDefect::NoPkce.into());
    }
    let pushes = server.endpoint(Endpoint::PushedAuthorization).is_some();
    if !pushes && (level == SecurityLevel::Maximum || request.is_intent) {
        return Err(Downgrade::NoPushedRequests.into());
    }
    if level == SecurityLevel::Maximum && !server.announces_iss() {
        return Err(Downgrade::NoIssuerParameter.into());
    }
    let grant = Grant::prepare(io, client, request, level).await?;
    let pending = Pending {
        verifier: pkce::verifier(&client.crypto)?,
        nonce: request.nonce(client)?,
        redirect_uri,
        expires: io.now().saturating_add(LOGIN_LIFETIME),
        grant,
    };
    let outcome = pending.send(io, client, &endpoint, pushes).await;
    concluded(io, pending.grant.binding.as_ref(), outcome).await
}

/// A login that waits for its authorization response.
struct Pending {
    verifier: Secret,
    /// What the ID token of this login says again, where one is asked for.
    nonce: Option<String>,
    redirect_uri: String,
    expires: UnixTime,
    grant: Grant,
}

impl Pending {
    /// Pushes the request where the server takes that, and stores what the response will be compared with.
    async fn send(&self, io: &Io, client: &Inner, endpoint: &Url, announced: bool) -> Result<Authorization, FlowError> {
        let Grant { request, credentials, binding, .. } = &self.grant;
        let mut pushed = announced && !request.switches.has(Switches::NOT_PUSHED);
        let plain = self.may_be_plain();
        if announced && !pushed {
            plain.map_err(Misuse::PushedRequest)?;
        }
        let state = pkce::random_text::<32>(&client.crypto)?;
        let mut form = Form::new();
        form.push("response_type", "code");
        form.push("client_id", credentials.client_id());
        form.push("redirect_uri", &self.redirect_uri);
        form.push("state", &state);
        pkce::announce(&self.verifier, &mut form, client.crypto.digest);
        form.push_some("nonce", self.nonce.as_deref());
        request.describe(&mut form);
        if pushed {
            form = match self.push(io, client, &form).await {
                Err(error) if error.is_absent() && plain.is_ok() => {
                    pushed = false;
                    form
                }
                handle => handle?,
            };
        }
        if let (Some(binding), false) = (binding, pushed) {
            binding.announce(&mut form);
        }
        let value = Some(self.to_value(client).to_json().into_bytes());
        let slot = Slot(alloc::format!("login/{state}"));
        match io.save(Saving::new(&client.crypto, io.now(), slot, None, value)?).await? {
            Saved::Stored => {
                Ok(Authorization { url: endpoint.with_query(&form), state, expires_at: self.expires, pushed })
            }
            Saved::Conflict => Err(FlowError::Contended),
        }
    }

    /// Whether the request may go through the browser although the server announces pushed requests; else why not.
    fn may_be_plain(&self) -> Result<(), &'static str> {
        let Grant { request, credentials, level, .. } = &self.grant;
        let obstacles = [
            (*level == SecurityLevel::Maximum, "at the level maximum"),
            (request.is_intent, "with an intent"),
            (request.details.is_some(), "with authorization_details"),
            (credentials.is_confidential(), "for a client that authenticates"),
            (request.server.requires_pushed_requests(), "at a server that requires pushed requests"),
        ];
        obstacles.iter().find(|(is_there, _)| *is_there).map_or(Ok(()), |(_, why)| Err(*why))
    }

    /// Pushes the request (RFC 9126 section 2), and gives what is left of it for the browser.
    async fn push(&self, io: &Io, client: &Inner, form: &Form) -> Result<Form, FlowError> {
        let Grant { request, credentials, binding, level } = &self.grant;
        let proof = binding.as_ref().filter(|_| client.pushes_proof);
        let mut form = form.clone();
        if let (Some(binding), None) = (binding, &proof) {
            binding.announce(&mut form);
        }
        let post = Post {
            server: &request.server,
            endpoint: Endpoint::PushedAuthorization,
            credentials,
            binding: proof,
            requires_nonce: proof.is_some() && *level == SecurityLevel::Maximum,
        };
        let response = post.form(io, client, &form).await?;
        let document = object(Endpoint::PushedAuthorization, &response)?;
        let mut left = Form::new();
        left.push("client_id", credentials.client_id());
        left.push("request_uri", text(Endpoint::PushedAuthorization, &document, "request_uri")?);
        Ok(left)
    }

    fn to_value(&self, client: &Inner) -> Value {
        let Grant { request, credentials, binding, level } = &self.grant;
        let stored = Value::object()
            .with("v", request.switches.format())
            .with("session", request.name.as_str())
            .with("level", level.name())
            .with("server", request.server.document().clone())
            .with("client_id", credentials.client_id())
            .with("redirect_uri", self.redirect_uri.as_str())
            .with("verifier", self.verifier.expose())
            .with("expires", self.expires)
            .with_some("nonce", self.nonce.as_deref())
            .with("step_ups", u64::from(request.step_ups))
            .with_some("resource", request.resource.as_deref())
            .with_some("scope", request.scope.as_deref())
            .with_some("authorization_details", request.details.clone())
            .with_some("intent_lifetime", request.intent_seconds())
            .with_some("sub", request.subject.as_deref())
            .with_some("key", binding.as_ref().map(|binding| binding.to_value(client, request.server.issuer(), None)));
        request.switches.add_to(stored)
    }

    async fn read(io: &Io, client: &Inner, stored: &Stored) -> Result<Self, FlowError> {
        let malformed = StoredDefect::Malformed;
        let value = Value::parse_object(&stored.value).map_err(|_| malformed)?;
        check_format(&value)?;
        let document = value.member("server").cloned().ok_or(malformed)?;
        let server = AuthorizationServer::stored(document).ok_or(malformed)?;
        let level = value.text("level").and_then(SecurityLevel::from_name).ok_or(malformed)?;
        let binding = value.member("key").map(|key| Binding::from_value(key, client)).transpose()?;
        let count = |name: &str| value.integer(name).and_then(|number| u64::try_from(number).ok());
        let details = value.member("authorization_details").cloned();
        let is_intent = value.member("intent_lifetime").is_some();
        let lifetime = count("intent_lifetime");
        let is_whole =
            details.is_some() && lifetime.is_some_and(|seconds| (1..=MAX_INTENT_LIFETIME).contains(&seconds));
        let expires = value.time("expires").ok_or(malformed)?;
        if (is_intent && !is_whole) || !is_plausible_end(expires, LOGIN_LIFETIME, io.now()) {
            return Err(malformed.into());
        }
        let (server_of, has_intent) = (Some(&server), is_intent);
        let claimed = Claimed { level, server: server_of, binding: binding.as_ref(), has_intent, is_pending: true };
        claimed.check(client).map_err(Unfit::stored)?;
        let client_id = value.text("client_id").ok_or(malformed)?;
        let credentials = registration::known(io, client, &server, level, client_id).await?;
        let credentials = credentials.ok_or(StoredDefect::Client)?;
        #[cfg(feature = "dpop")]
        if let Some(binding) = &binding {
            credentials.differs_from(&binding.thumbprint(), client)?;
        }
        let request = SessionRequest {
            name: value.text("session").ok_or(malformed)?.into(),
            server,
            resource: value.text("resource").map(String::from),
            scope: value.text("scope").map(String::from),
            level: Some(level),
            floor: level,
            details,
            is_intent,
            lifetime,
            parameters: Vec::new(),
            subject: value.text("sub").map(String::from),
            switches: Switches::stored(&value),
            step_ups: count("step_ups").and_then(|count| u8::try_from(count).ok()).unwrap_or(u8::MAX),
        };
        Ok(Self {
            verifier: Secret::new(value.text("verifier").ok_or(malformed)?),
            nonce: value.text("nonce").map(String::from),
            redirect_uri: value.text("redirect_uri").ok_or(malformed)?.into(),
            expires,
            grant: Grant { request, level, credentials, binding },
        })
    }
}

/// The parameters of an authorization response.
struct AuthorizationResponse {
    state: String,
    issuer: Option<String>,
    /// The code, or the error and its description.
    outcome: Result<Secret, (String, Option<String>)>,
}

impl AuthorizationResponse {
    fn read(callback: &str, redirect_uri: Option<&str>) -> Result<Self, FlowError> {
        let redirect_uri = redirect_uri.ok_or(Misuse::RedirectUriMissing)?;
        let callback = callback.split('#').next().unwrap_or_default();
        let (place, query) = callback.split_once('?').ok_or(RedirectDefect::Malformed)?;
        if Some(place) != redirect_uri.split('?').next() {
            return Err(RedirectDefect::Malformed.into());
        }
        let form = Form::parse(query.as_bytes()).map_err(|_| RedirectDefect::Malformed)?;
        let get = |name: &str| form.get(name).map_err(|_| RedirectDefect::Repeated);
        let state = get("state")?.ok_or(RedirectDefect::StateMissing)?.into();
        let outcome = match (get("error")?, get("code")?) {
            (Some(error), _) => Err((error.into(), get("error_description")?.map(String::from))),
            (None, Some(code)) if !code.is_empty() => Ok(Secret::new(code)),
            (None, _) => return Err(RedirectDefect::CodeMissing.into()),
        };
        Ok(Self { state, issuer: get("iss")?.map(String::from), outcome })
    }
}

pub(super) async fn exchange(io: &Io, client: &Inner, callback: &str) -> Result<Session, FlowError> {
    let response = &AuthorizationResponse::read(callback, client.redirect_uri.as_deref())?;
    let slot = Slot(alloc::format!("login/{}", response.state));
    if response.state.len() > 128 {
        return Err(RedirectDefect::StateUnknown.into());
    }
    let stored = io.load(slot.clone()).await?.ok_or(RedirectDefect::StateUnknown)?;
    // Whoever deletes it is the one who goes on: the second of two responses finds nothing.
    let taking = Saving::new(&client.crypto, io.now(), slot, Some(stored.version), None)?;
    if io.save(taking).await? == Saved::Conflict {
        return Err(RedirectDefect::StateUnknown.into());
    }
    // The login is used up, so its key is of no use either where it cannot go on.
    let named = Value::parse_object(&stored.value).ok();
    let named = named.and_then(|value| Binding::from_value(value.member("key")?, client).ok());
    let read = Pending::read(io, client, &stored).await;
    let pending = concluded(io, named.as_ref(), read).await?;
    let checked = check(&pending, response, io.now());
    let code = concluded(io, pending.grant.binding.as_ref(), checked).await?;
    let mut form = Form::new();
    form.push("grant_type", "authorization_code");
    form.push("code", code.expose());
    form.push("redirect_uri", &pending.redirect_uri);
    form.push("code_verifier", pending.verifier.expose());
    form.push_some("resource", pending.grant.request.resource_parameter());
    let user = Some(User { nonce: pending.nonce.as_deref() });
    pending.grant.redeem(io, client, &form, Renewal::RefreshToken, user).await
}

/// The code of a response that comes from the server that was asked, in time.
fn check<'r>(pending: &Pending, response: &'r AuthorizationResponse, now: UnixTime) -> Result<&'r Secret, FlowError> {
    if now >= pending.expires {
        return Err(RedirectDefect::Expired.into());
    }
    let server = &pending.grant.request.server;
    let required = server.announces_iss() || pending.grant.level == SecurityLevel::Maximum;
    // Errors as well: one from another server must not end this login with its text (RFC 9207 section 2.4).
    match response.issuer.as_deref() {
        Some(issuer) if issuer != server.issuer() => return Err(RedirectDefect::IssuerMismatch.into()),
        None if required => return Err(RedirectDefect::IssuerMissing.into()),
        _ => {}
    }
    response.outcome.as_ref().map_err(|(error, description)| {
        FlowError::Denied(Box::new(Denial::new(Endpoint::Authorization, 0, error, description.as_deref())))
    })
}
