//! What a session is asked for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::client::Inner;
use super::discovery::Discovered;
use super::error::{Downgrade, FlowError};
use super::metadata::AuthorizationServer;
use super::session::Session;
use crate::http::form::Form;
use crate::json::Value;
use crate::{Misuse, SecurityLevel};

/// The longest name of a session, in bytes.
const MAX_NAME_LEN: usize = 256;
/// How long an intent lasts unless said otherwise, in seconds.
const INTENT_LIFETIME: u64 = 300;

/// A session to be made: its name, where, and for what.
#[derive(Clone)]
#[must_use]
pub struct SessionRequest {
    pub(super) name: String,
    pub(super) server: AuthorizationServer,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) level: Option<SecurityLevel>,
    pub(super) details: Option<Value>,
    /// For how long the details are an intent, in seconds; `None` if they are none.
    pub(super) intent: Option<u64>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) assumed: bool,
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
            details: None,
            intent: None,
            parameters: Vec::new(),
            assumed: discovered.assumed,
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
    /// It goes to the server by a pushed request (RFC 9126). What is granted must lie within it, and it ends after
    /// [`intent_lifetime`](Self::intent_lifetime) or with its token.
    pub fn intent(mut self, details: Value) -> Self {
        self.intent = self.intent.or(Some(INTENT_LIFETIME));
        self.authorization_details(details)
    }

    /// For how long the intent may be carried out, in seconds; 300 otherwise.
    pub const fn intent_lifetime(mut self, seconds: u64) -> Self {
        self.intent = Some(seconds);
        self
    }

    /// A further parameter of the request, for example `prompt`, `login_hint` or `audience`. Those that the flow sets itself
    /// are not replaced.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The same session once more, with its scope and level: to raise its level, or to ask for more.
    pub fn again(session: &Session) -> Self {
        let state = session.state();
        Self {
            name: session.name().into(),
            server: (*state.server).clone(),
            resource: state.resource,
            scope: state.scope,
            level: Some(state.level),
            details: None,
            intent: None,
            parameters: Vec::new(),
            assumed: false,
            step_ups: state.step_ups,
        }
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
        let level = self.level.unwrap_or(client.level);
        if level < client.level {
            return Err(Downgrade::Level.into());
        }
        if level.binds() && !cfg!(feature = "dpop") {
            return Err(Misuse::LevelNeedsDpop.into());
        }
        if self.intent.is_some() && !level.binds() {
            return Err(Misuse::IntentUnbound.into());
        }
        if level == SecurityLevel::Maximum && (self.intent.is_none() || self.details.is_none()) {
            return Err(Downgrade::NoIntent.into());
        }
        Ok(level)
    }

    /// Adds what every request for a token says: scope, resource, details, and the caller's own parameters.
    pub(super) fn describe(&self, form: &mut Form) {
        form.push_some("scope", self.scope.as_deref());
        form.push_some("resource", self.resource.as_deref());
        if let Some(details) = &self.details {
            form.push("authorization_details", &details.to_json());
        }
        for (name, value) in &self.parameters {
            if form.get(name).ok().flatten().is_none() {
                form.push(name, value);
            }
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
