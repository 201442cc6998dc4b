//! Introspection (RFC 7662): tokens that only the authorization server understands.

use alloc::string::String;

use super::policy::check_issuer;
use super::rejection::TokenRejection;
use crate::Misuse;
use crate::json::Value;
use crate::oauth::Credentials;
use crate::oauth::metadata::{AuthorizationServer, UrlRule};

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER_LEN: usize = 64 * 1024;

/// Who is asked about tokens that are not JWTs of the policy's issuers (RFC 7662), and how long an answer counts.
///
/// ```
/// use keybound::oauth::{Credentials, Secret};
/// use keybound::server::resource::{Introspection, ResourcePolicy};
/// let credentials = Credentials::secret_basic("api", Secret::new("its-secret"));
/// let introspection = Introspection::at("https://as.example.com/introspect", credentials)?;
/// let policy = ResourcePolicy::new("https://api.example.com/")?.with_introspection(introspection);
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Clone, Debug)]
pub struct Introspection {
    pub(super) asked: Asked,
    pub(super) positive_age: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Server(AuthorizationServer, Credentials),
    Issuer(String, Credentials),
    Host,
}

impl Introspection {
    /// For how long an answer about an active token may be remembered at most, in seconds.
    pub const POSITIVE_AGE_LIMIT: u64 = 60;

    /// The endpoint at `url`, which knows this resource by `credentials`. With a key of the resource's own
    /// ([`Credentials::private_key`]) name the issuer, by [`of_issuer`](Self::of_issuer): assertions are for it.
    ///
    /// # Errors
    /// [`Misuse`] unless it is an `https` URL, or `http` on loopback.
    pub fn at(url: &str, credentials: Credentials) -> Result<Self, Misuse> {
        UrlRule::of_issuer(url).given(url)?;
        let document = Value::object().with("issuer", url).with("introspection_endpoint", url);
        let server = AuthorizationServer::stored(document).ok_or(Misuse::InsecureUrl)?;
        Ok(Self { asked: Asked::Server(server, credentials), positive_age: 0 })
    }

    /// The endpoint that the metadata of `issuer` names (RFC 8414).
    ///
    /// # Errors
    /// [`Misuse::Url`] and [`Misuse::NotHttps`] unless it is an `https` URL, or `http` on loopback; [`Misuse::IssuerMetadata`] for the
    /// address of metadata.
    pub fn of_issuer(issuer: &str, credentials: Credentials) -> Result<Self, Misuse> {
        check_issuer(issuer)?;
        Ok(Self { asked: Asked::Issuer(issuer.into(), credentials), positive_age: 0 })
    }

    /// The host, by an [`Ask`](crate::flow::step::Ask) step with [`Question::Token`](crate::flow::step::Question::Token).
    pub const fn by_host() -> Self {
        Self { asked: Asked::Host, positive_age: 0 }
    }

    pub(super) const fn asks_over_network(&self) -> bool {
        !matches!(self.asked, Asked::Host)
    }

    /// Remembers for so many seconds that a token is active, for this resource alone and not beyond the token's end; 0 otherwise, so
    /// that a revocation counts at once.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`] above 60.
    pub fn remembered_for(mut self, seconds: u64) -> Result<Self, Misuse> {
        if seconds > Self::POSITIVE_AGE_LIMIT {
            return Err(Misuse::PolicyBound("the life of introspection answers (0 to 60 seconds)"));
        }
        self.positive_age = seconds;
        Ok(self)
    }
}

/// What the authorization server said of a token.
pub(super) struct Active {
    /// The members of an answer about an active token.
    pub(super) members: Value,
    /// `token_type` is there and `DPoP` (RFC 9449 section 6.2).
    pub(super) is_bound: Option<bool>,
}

impl Active {
    /// Reads the body of a response with status 200. Only `"active":true` is active.
    pub(super) fn read(body: &[u8]) -> Result<Self, TokenRejection> {
        if body.len() > MAX_ANSWER_LEN {
            return Err(TokenRejection::TokenInactive);
        }
        let members = Value::parse_object(body).map_err(|_| TokenRejection::TokenInactive)?;
        if members.boolean("active") != Some(true) {
            return Err(TokenRejection::TokenInactive);
        }
        let is_bound = match members.member("token_type") {
            None => None,
            Some(token_type) => {
                let name = token_type.as_text().ok_or(TokenRejection::TokenClaimInvalid)?;
                Some(name.eq_ignore_ascii_case(crate::proof::DPOP))
            }
        };
        Ok(Self { members, is_bound })
    }
}
