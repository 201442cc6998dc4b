//! How the servers behave.

use keybound::SecurityLevel;

use super::client::{ClientSecret, PublicClient, loopback};
use super::clock::Clock;
use super::fault::Faults;

/// How the servers behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// The identifier of the API; `/api` below the issuer if there is none.
    pub resource: Option<String>,
    /// The user, who is the only one there is.
    pub user: String,
    /// The scopes of the API, the one that is granted unasked first. `openid` is none of them: no ID tokens are issued. For
    /// [`also_resources`](Self::also_resources) every other scope is granted, too.
    pub scopes: Vec<String>,
    /// Paths below the API's, and the scope that each requires.
    pub scopes_at: Vec<(String, String)>,
    /// The time.
    pub clock: Clock,
    /// What is demanded of clients. Standard: the API takes Bearer tokens beside bound ones. Enhanced: the API takes bound tokens
    /// alone. Maximum: all tokens are bound, requests for authorization are pushed, proofs carry nonces and FAPI 2.0's algorithms.
    pub level: SecurityLevel,
    /// Whether proofs must carry nonces, at both servers; at the level Maximum they must.
    pub nonces: bool,
    /// For how long access tokens are good, in seconds.
    pub token_lifetime: u64,
    /// Whether the user is asked; otherwise every login is approved at once.
    pub consent: bool,
    /// After how many seconds a device login is approved by itself; `None` leaves it to the user.
    pub device_approval: Option<u64>,
    /// Resources besides the API that tokens are issued for: identifiers of APIs of your own.
    pub also_resources: Vec<String>,
    /// What to do wrong.
    pub faults: Faults,
    /// Public clients known from the beginning: `keybound-demo` unless told otherwise, which may come back to any port on loopback.
    pub public_clients: Vec<PublicClient>,
    /// Confidential clients known from the beginning.
    pub clients: Vec<ClientSecret>,
}

impl Default for Options {
    /// At the level Enhanced, with nonces, tokens of five minutes, and logins that are approved at once.
    fn default() -> Self {
        Self {
            resource: None,
            user: "alice".to_owned(),
            scopes: ["read", "write", "admin", "offline_access"].map(str::to_owned).into(),
            scopes_at: ["write", "admin"].map(|scope| (format!("/{scope}"), scope.to_owned())).into(),
            clock: Clock::default(),
            level: SecurityLevel::Enhanced,
            nonces: true,
            token_lifetime: 300,
            consent: false,
            device_approval: Some(0),
            also_resources: Vec::new(),
            faults: Faults::default(),
            public_clients: vec![PublicClient { client_id: "keybound-demo".to_owned(), redirect_uris: loopback() }],
            clients: Vec::new(),
        }
    }
}

impl Options {
    /// Makes a scope known beside the others.
    ///
    /// # Errors
    /// What to write instead of a text that cannot be a scope, and why `openid` is not one.
    pub fn add_scope(&mut self, name: &str) -> Result<(), &'static str> {
        if name == OPENID {
            return Err("no ID tokens are issued here");
        }
        if !could_be_known(name) {
            return Err("a scope is visible ASCII characters without quotes and backslashes, for example items:read");
        }
        if !self.scopes.iter().any(|known| known == name) {
            self.scopes.push(name.to_owned());
        }
        Ok(())
    }
}

/// It asks for an ID token (OpenID Connect Core section 3.1.2.1).
const OPENID: &str = "openid";

/// Whether a text has the form of a scope (RFC 6749 section 3.3), and is not `openid`.
pub(super) fn could_be_known(name: &str) -> bool {
    let is_scope = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    name != OPENID && !name.is_empty() && name.bytes().all(is_scope)
}
