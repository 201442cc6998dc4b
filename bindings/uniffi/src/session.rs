//! What operations refer to: discovered servers, sessions, and logins on other devices.

use std::sync::Arc;

use keybound_ffi as ffi;

use crate::options::SecurityLevel;
use crate::plain::shown_by_methods;
use crate::step::Protection;

/// What protects a target.
#[derive(Debug, uniffi::Object)]
#[uniffi::export(Display)]
pub struct Discovered(pub(crate) ffi::Discovered);

shown_by_methods!(Discovered { issuer, resource });

#[uniffi::export]
impl Discovered {
    /// The authorization server's issuer identifier (RFC 8414).
    pub fn issuer(&self) -> String {
        self.0.server().issuer().into()
    }

    /// The resource's identifier (RFC 9728), if it publishes one.
    pub fn resource(&self) -> Option<String> {
        self.0.resource().map(|resource| resource.resource().into())
    }

    /// The scope that the resource asked for.
    pub fn challenged_scope(&self) -> Option<String> {
        self.0.challenged_scope().map(Into::into)
    }
}

/// A session: tokens bound to a key. Its tokens are renewed within it.
#[derive(Debug, uniffi::Object)]
#[uniffi::export(Display)]
pub struct Session(pub(crate) ffi::Session);

shown_by_methods!(Session { name, issuer });

impl Session {
    fn name(&self) -> String {
        self.0.name().into()
    }

    fn issuer(&self) -> String {
        self.0.issuer()
    }
}

/// An account, as its authorization server names it. Identify it by both: another issuer may give the same `sub` to another
/// account.
#[derive(Clone, PartialEq, Eq, Hash, Debug, uniffi::Record)]
pub struct Subject {
    /// The authorization server's issuer identifier.
    pub issuer: String,
    /// The `sub` of the ID token or of the token response.
    pub sub: String,
}

/// What a session shows.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct SessionInfo {
    /// Its name: sessions are stored and opened by it.
    pub name: String,
    /// How much protection it has.
    pub level: SecurityLevel,
    /// The issuer of its tokens.
    pub issuer: String,
    /// The account its tokens are for, if the server named it: by an ID token that the scope `openid` asked for and that was checked, or
    /// by a `sub` in a token response.
    pub subject: Option<Subject>,
    /// Where they are good.
    pub resource: Option<String>,
    /// Its scopes, separated by spaces.
    pub scope: Option<String>,
    /// What was granted (RFC 9396): a JSON array.
    pub authorization_details: Option<String>,
    /// When the access token ends; it is renewed before that where it can be.
    pub expires_at: Option<i64>,
    /// Whether the tokens are bound to a key.
    pub bound: bool,
    /// The thumbprint of that key.
    pub thumbprint: Option<String>,
    /// Where that key lives, as the device or store said when it was made.
    pub protection: Option<Protection>,
    /// Whether only a new login helps.
    pub ended: bool,
}

#[uniffi::export]
impl Session {
    /// What it shows at present. No token.
    pub fn info(&self) -> SessionInfo {
        SessionInfo {
            name: self.0.name().into(),
            level: SecurityLevel::of(self.0.level()),
            issuer: self.0.issuer(),
            subject: self.0.subject().map(|subject| Subject { issuer: subject.issuer, sub: subject.sub }),
            resource: self.0.resource(),
            scope: self.0.scope(),
            authorization_details: self.0.authorization_details().map(|details| details.to_json()),
            expires_at: self.0.expires_at().map(|time| time.secs()),
            bound: self.0.is_bound(),
            thumbprint: self.0.thumbprint().map(|thumbprint| thumbprint.to_string()),
            protection: self.0.protection().map(Protection::of),
            ended: self.0.has_ended(),
        }
    }

    /// Another member of the token responses, for example `id_token`, as the server sent it last. Nothing of it was verified but an ID
    /// token that was asked for (see `subject`). A text as it is, everything else as JSON. A secret.
    pub fn member(&self, name: String) -> Option<String> {
        ffi::session_member(&self.0, &name)
    }

    /// The access token: a secret, worthless without its key if it is bound. None, if the session has ended.
    pub fn danger_access_token(&self) -> Option<String> {
        self.0.danger_access_token().map(|token| token.expose().into())
    }
}

/// A login on another device, to be polled once.
#[derive(Debug, uniffi::Object)]
pub struct DeviceLogin(pub(crate) Arc<ffi::Device>);
