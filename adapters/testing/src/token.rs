//! What an access token says.

use keybound::Thumbprint;
use keybound::json::Value;

/// For how many seconds a token is valid unless it is told.
const LIFETIME: u64 = 300;

/// What an access token says. Unless told otherwise it is for the issuer's resource, was issued to the client `test-client`, has no
/// scopes and is valid for 300 seconds.
///
/// ```
/// use keybound_testing::TestToken;
/// let token = TestToken::of("alice").scopes(["items:read", "items:write"]).client_id("app").lifetime(60);
/// ```
#[derive(Clone, Debug)]
pub struct TestToken {
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) lifetime: u64,
    pub(crate) audience: Option<String>,
    pub(crate) bound_to: Option<Thumbprint>,
    pub(crate) more: Vec<(String, Value)>,
}

impl TestToken {
    /// A token of this user (`sub`).
    pub fn of(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            client_id: "test-client".to_owned(),
            scopes: Vec::new(),
            lifetime: LIFETIME,
            audience: None,
            bound_to: None,
            more: Vec::new(),
        }
    }

    /// The client it was issued to (`client_id`).
    #[must_use]
    pub fn client_id(self, id: &str) -> Self {
        Self { client_id: id.to_owned(), ..self }
    }

    /// What it permits (`scope`).
    #[must_use]
    pub fn scopes<I: IntoIterator<Item: Into<String>>>(self, scopes: I) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..self }
    }

    /// For how many seconds it is valid (`exp`). A server accepts it for its leeway longer.
    #[must_use]
    pub fn lifetime(self, seconds: u64) -> Self {
        Self { lifetime: seconds, ..self }
    }

    /// The resource it is for (`aud`), instead of the issuer's.
    #[must_use]
    pub fn audience(self, resource: &str) -> Self {
        Self { audience: Some(resource.to_owned()), ..self }
    }

    /// Binds it to this key (`cnf.jkt`), instead of that of the client it is made for.
    #[must_use]
    pub fn bound_to(self, key: Thumbprint) -> Self {
        Self { bound_to: Some(key), ..self }
    }

    /// One more claim, or another value for one that the token has anyway.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.push((name.to_owned(), value.into()));
        self
    }
}
