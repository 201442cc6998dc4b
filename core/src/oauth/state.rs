//! What is stored of a session, and its stored form.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::binding::Binding;
use super::client::Inner;
use super::credentials::Credentials;
use super::error::{FlowError, StoredDefect};
use super::kept::{Claimed, Unfit, check_format, is_plausible_end};
use super::members::Members;
use super::metadata::AuthorizationServer;
use super::renew::EXPIRY_MARGIN;
use super::request::{MAX_INTENT_LIFETIME, SessionRequest};
use super::secret::Secret;
use super::switches::Switches;
use super::token::{Issued, Token};
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

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
    pub(super) members: Members,
    pub(super) switches: Switches,
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
        let token = issued.token();
        let mut members = issued.members;
        // A step-up whose answer names no account is of the one there was.
        members.sub = members.sub.or_else(|| request.subject.clone());
        Self {
            level,
            server: Arc::new(request.server.clone()),
            resource: request.resource.clone(),
            client_id: credentials.client_id().into(),
            binding,
            token: Some(token),
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
            members,
            switches: request.switches.without(Switches::PROVISIONAL.with(Switches::IDENTIFIED)),
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
        let stored = Value::object()
            .with("v", self.switches.format())
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
            .with_some("intent", intent);
        self.switches.add_to(self.members.add_to(stored))
    }

    /// Reads a stored state and holds it against what this client is configured with.
    pub(super) fn read(bytes: &[u8], client: &Inner, now: UnixTime) -> Result<Self, FlowError> {
        let malformed = StoredDefect::Malformed;
        let value = Value::parse_object(bytes).map_err(|_| malformed)?;
        check_format(&value)?;
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
            members: Members::stored(&value),
            switches: Switches::stored(&value),
            intent,
        })
    }

    /// The `resource` parameter of its requests for tokens.
    pub(super) fn resource_parameter(&self) -> Option<&str> {
        self.resource.as_deref().filter(|_| !self.switches.has(Switches::NO_RESOURCE))
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
