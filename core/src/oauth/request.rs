//! What a session is asked for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::client::Inner;
use super::discovery::Discovered;
use super::error::{DiscoveryDefect, Downgrade, FlowError};
use super::members::{Members, is_sub};
use super::metadata::AuthorizationServer;
use super::session::Session;
use super::switches::Switches;
use crate::http::form::Form;
use crate::json::Value;
use crate::{Misuse, SecurityLevel};

/// The longest name of a session, in bytes.
const MAX_NAME_LEN: usize = 256;
/// How long an intent lasts unless said otherwise, in seconds.
const INTENT_LIFETIME: u64 = 300;
/// The longest intent, in seconds: the one that authorization servers declare at most
/// ([`MAX_LIFETIME`](crate::intent::MAX_LIFETIME)).
pub(super) const MAX_INTENT_LIFETIME: u64 = 3_600;

/// A session to be made: its name, where, and for what.
#[derive(Clone)]
#[must_use]
pub struct SessionRequest {
    pub(super) name: String,
    pub(super) server: AuthorizationServer,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) level: Option<SecurityLevel>,
    /// The level of the session that this is [`again`](Self::again): the new one is not below it.
    pub(super) floor: SecurityLevel,
    pub(super) details: Option<Value>,
    /// Whether the details are an intent.
    pub(super) is_intent: bool,
    /// For how long the intent may be carried out, in seconds.
    pub(super) lifetime: Option<u64>,
    pub(super) parameters: Vec<(String, String)>,
    /// The subject to expect in token responses.
    pub(super) subject: Option<String>,
    pub(super) switches: Switches,
    pub(super) step_ups: u8,
}

impl SessionRequest {
    /// A session called `name`, for what was discovered.
    ///
    /// Its scope is the one the challenge named, else all that the resource's metadata lists, else none: the server then grants
    /// what it thinks right. Tokens are asked for the resource, byte for byte as published (RFC 8707).
    pub fn new(name: &str, discovered: &Discovered) -> Self {
        let published = discovered.resource().map(|resource| resource.scopes().collect::<Vec<_>>().join(" "));
        let scope = discovered.scope.clone().or(published).filter(|scope| !scope.is_empty());
        let resource = discovered.resource().map(|resource| resource.resource().into());
        Self {
            name: name.into(),
            server: discovered.server.clone(),
            resource: resource.or_else(|| discovered.origin.clone()),
            scope,
            level: None,
            floor: SecurityLevel::Standard,
            details: None,
            is_intent: false,
            lifetime: None,
            parameters: Vec::new(),
            subject: None,
            switches: if discovered.assumed { Switches::PKCE_ASSUMED } else { Switches::default() },
            step_ups: 0,
        }
    }

    /// The scope to ask for, names separated by spaces; an empty text asks for none.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.into()).filter(|scope: &String| !scope.is_empty());
        self
    }

    /// Asks for `offline_access` as well where the server announces that scope: it is what some servers want to hear before they
    /// issue a refresh token.
    pub fn offline_access(mut self) -> Self {
        const NAME: &str = "offline_access";
        let asked = self.scope.as_deref().unwrap_or_default();
        if self.server.supports_scope(NAME) && !asked.split(' ').any(|name| name == NAME) {
            let all = [asked, NAME].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            self.scope = Some(all.join(" "));
        }
        self
    }

    /// What the tokens are for (RFC 8707 section 2), where the resource publishes no metadata.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// A level above the client's own.
    pub const fn level(mut self, level: SecurityLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// What exactly the tokens are to permit (RFC 9396 section 2): an array of objects, each with a `type`.
    pub fn authorization_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// An intent: these details and nothing more, for a key made for them alone, with a token that is not renewed.
    ///
    /// It goes to the server by a pushed request (RFC 9126). The scope is dropped, the one that was discovered as well: a token
    /// with a scope is good for more than the intent. Only a [`scope`](Self::scope) that is asked for *after* this call counts.
    /// What is granted must lie within the details, without any other scope and without a refresh token.
    ///
    /// The intent ends after [`intent_lifetime`](Self::intent_lifetime), with its token, or with the resource's answer to the
    /// one request that carries it out. Its key and its session are deleted then.
    pub fn intent(mut self, details: Value) -> Self {
        self.is_intent = true;
        self.scope = None;
        self.authorization_details(details)
    }

    /// For how long the intent may be carried out, in seconds: 1 to 3,600, and 300 otherwise. The flow refuses another number
    /// at once ([`Misuse::IntentLifetime`]).
    ///
    /// It bounds how long this client uses the token and keeps the intent's key, counted from the moment the token arrives: the
    /// time that the user takes to agree does not count. It is not sent to the server, whose own lifetime of the token
    /// (`expires_in`) ends the intent earlier if it is shorter.
    pub const fn intent_lifetime(mut self, seconds: u64) -> Self {
        self.lifetime = Some(seconds);
        self
    }

    /// A further parameter of the request, for example `prompt`, `login_hint` or `audience`. Those that the flow sets itself
    /// are not replaced.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The account that the tokens must be for: the `sub` of every token response, at the login and at each refresh. A
    /// response that names another one, or none, ends the flow, and nothing is stored.
    ///
    /// Without it, the first `sub` that the server names is the one that later refreshes are compared with. The payload of
    /// an ID token does not count: its signature is not verified here.
    ///
    /// # Errors
    /// The flow ends with [`FlowError::SubjectMismatch`] for another account, with
    /// [`AnswerDefect::Missing`](super::AnswerDefect::Missing) for none.
    ///
    /// # Security
    /// A client of the AT Protocol that knows whose login it begins gives the account's DID here. One that does not begins a
    /// [`provisional`](Self::provisional) session.
    pub fn expect_subject(mut self, sub: &str) -> Self {
        self.subject = Some(sub.into());
        self.switch(Switches::EXPECTS_SUBJECT)
    }

    /// Makes a session that is not stored yet, so that its [`subject`](Session::subject) can be verified first: with
    /// [`Client::keep`](super::Client::keep) it is stored and replaces the one of its name, with
    /// [`Client::end`](super::Client::end) it is revoked and its key deleted. Until then it sends requests while its first
    /// token lasts, and is not renewed ([`Misuse::Provisional`]).
    ///
    /// # Security
    /// In the AT Protocol any server can claim any account. Before `keep`, resolve the DID of the subject to its
    /// authorization server, and `end` the session unless that is the subject's issuer.
    pub fn provisional(self) -> Self {
        self.switch(Switches::PROVISIONAL)
    }

    /// Sends the authorization request in the URL although the server announces pushed requests (RFC 9126), for servers
    /// whose endpoint does not work. The user can read and change what stands in a URL.
    ///
    /// # Errors
    /// The flow ends with [`Misuse::PushedRequest`] at [`SecurityLevel::Maximum`], with an intent or
    /// [`authorization_details`](Self::authorization_details), for a confidential client, and at a server that requires
    /// pushed requests.
    pub fn without_pushed_request(self) -> Self {
        self.switch(Switches::NOT_PUSHED)
    }

    /// Sends no `resource` parameter (RFC 8707), for servers that refuse it: in Entra ID (v2), scopes name the resource.
    ///
    /// # Security
    /// The session's tokens are still sent to its resource alone. But the server is not told which one they are for, so
    /// they may be good elsewhere as well.
    pub fn without_resource(self) -> Self {
        self.switch(Switches::NO_RESOURCE)
    }

    /// Says the scope that was asked for again at each refresh, for servers that need it there.
    pub fn scope_on_refresh(self) -> Self {
        self.switch(Switches::SCOPE_ON_REFRESH)
    }

    /// Takes this session's server to support PKCE with S256 although its metadata does not say so. If it does not, codes can
    /// be injected.
    pub fn danger_assume_pkce(self) -> Self {
        self.switch(Switches::PKCE_ASSUMED)
    }

    const fn switch(mut self, one: Switches) -> Self {
        self.switches = self.switches.with(one);
        self
    }

    /// The same session once more, with its scope, level, details and switches: to raise its level, or to ask for more. If it
    /// has a subject, that is expected again. An intent is not asked for again: its details are left out.
    pub fn again(session: &Session) -> Self {
        let state = session.state();
        // What was not to be stored before its subject is verified is not stored by asking for more either.
        let is_provisional = session.0.live.lock().provisional;
        let switches = if is_provisional { state.switches.with(Switches::PROVISIONAL) } else { state.switches };
        Self {
            name: session.name().into(),
            server: (*state.server).clone(),
            resource: state.resource,
            scope: state.scope,
            level: Some(state.level),
            floor: state.level,
            details: state.details.filter(|_| state.intent.is_none()),
            is_intent: false,
            lifetime: None,
            parameters: state.parameters,
            subject: state.members.sub,
            switches,
            step_ups: state.step_ups,
        }
    }

    /// For how long the intent may be carried out, in seconds, if the request is for one.
    pub(super) fn intent_seconds(&self) -> Option<u64> {
        self.is_intent.then(|| self.lifetime.unwrap_or(INTENT_LIFETIME))
    }

    /// Checks what the caller gave, and the level it comes to.
    pub(super) fn checked(&self, client: &Inner) -> Result<SecurityLevel, FlowError> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_LEN {
            return Err(Misuse::Name.into());
        }
        if let Some(resource) = &self.resource {
            // An absolute URI without fragment (RFC 8707 section 2).
            client.rule.given(resource)?;
        }
        if let Some(details) = &self.details {
            let Value::Array(elements) = details else { return Err(Misuse::Json.into()) };
            if elements.is_empty() || elements.iter().any(|element| element.text("type").is_none()) {
                return Err(Misuse::Json.into());
            }
        }
        if self.subject.as_deref().is_some_and(|sub| !is_sub(sub)) {
            return Err(Misuse::SubjectLength.into());
        }
        if self.lifetime.is_some_and(|seconds| !self.is_intent || !(1..=MAX_INTENT_LIFETIME).contains(&seconds)) {
            return Err(Misuse::IntentLifetime.into());
        }
        if !client.accepts(self.server.issuer()) {
            return Err(DiscoveryDefect::IssuerNotAccepted.into());
        }
        let level = self.level.unwrap_or(client.level);
        if level < client.level.max(self.floor) {
            return Err(Downgrade::Level.into());
        }
        if level.binds() && !cfg!(feature = "dpop") {
            return Err(Misuse::LevelNeedsDpop.into());
        }
        if self.is_intent {
            if !level.binds() {
                return Err(Misuse::IntentUnbound.into());
            }
            if client.accepts_bearer {
                return Err(Misuse::IntentAcceptsBearer.into());
            }
        } else if level == SecurityLevel::Maximum {
            return Err(Downgrade::NoIntent.into());
        }
        Ok(level)
    }

    /// Refuses the tokens of another account than was expected.
    pub(super) fn check_subject(&self, members: &Members) -> Result<(), FlowError> {
        members.check(self.subject.as_deref(), self.switches.has(Switches::EXPECTS_SUBJECT))
    }

    /// The `resource` parameter.
    pub(super) fn resource_parameter(&self) -> Option<&str> {
        self.resource.as_deref().filter(|_| !self.switches.has(Switches::NO_RESOURCE))
    }

    /// Adds what every request for a token says: scope, resource, details, and the caller's own parameters.
    pub(super) fn describe(&self, form: &mut Form) {
        let scope = self.scope.as_deref();
        describe(form, scope, self.resource_parameter(), self.details.as_ref(), &self.parameters);
    }
}

/// Adds to a request for a token what it is asked for. A renewal says all of it again: a server takes what is left out
/// for less of a restriction.
pub(super) fn describe(
    form: &mut Form,
    scope: Option<&str>,
    resource: Option<&str>,
    details: Option<&Value>,
    parameters: &[(String, String)],
) {
    form.push_some("scope", scope);
    form.push_some("resource", resource);
    if let Some(details) = details {
        form.push("authorization_details", &details.to_json());
    }
    for (name, value) in parameters {
        // The thumbprint of the key is added later.
        if name != "dpop_jkt" && form.get(name).ok().flatten().is_none() {
            form.push(name, value);
        }
    }
}

impl fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRequest")
            .field("name", &self.name)
            .field("issuer", &self.server.issuer())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
