//! What an authorization server answers: tokens, and what it knows about them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::admission::Admitted;
use super::token::confirmation;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::nonce::Nonce;
use crate::proof::{DPOP, DPOP_NONCE};
use crate::verify::refusal::EXPOSED_FIELDS;

/// A response ready to send. Its body holds tokens and is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    /// The HTTP status: 200.
    pub const fn status(&self) -> u16 {
        200
    }

    /// All fields to send.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The JSON body.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl core::fmt::Debug for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reply({} bytes)", self.body.len())
    }
}

/// A token response (OAuth 2.1 section 3.2.3, RFC 9449 section 5).
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenAnswer {
    document: Value,
    scope: Option<String>,
    nonce: Option<Nonce>,
}

impl TokenAnswer {
    /// The answer to an admitted request with this access token; its `token_type` is `DPoP` if it is bound, else `Bearer`.
    pub fn new(access_token: &str, admitted: &Admitted) -> Self {
        let token_type = if admitted.access_binding().is_some() { DPOP } else { "Bearer" };
        let document = Value::object().with("access_token", access_token).with("token_type", token_type);
        Self { document, scope: None, nonce: admitted.next_nonce().cloned() }
    }

    /// For how long the access token is good, in seconds.
    pub fn expires_in(self, seconds: u64) -> Self {
        self.member("expires_in", seconds)
    }

    /// The refresh token.
    pub fn refresh_token(self, token: &str) -> Self {
        self.member("refresh_token", token)
    }

    /// What was granted. Beside [`authorization_details`](Self::authorization_details) it is left out.
    pub fn scope(self, scope: &str) -> Self {
        Self { scope: Some(scope.to_owned()), ..self }
    }

    /// What was granted in detail (RFC 9396 section 7), and nothing else: the answer names no scope beside it, as the token has none
    /// ([`Intent::token_claims`](crate::intent::Intent::token_claims)).
    ///
    /// Servers whose details are no intents, and which grant a scope as well, say so by [`member`](Self::member).
    pub fn authorization_details(self, details: Value) -> Self {
        self.member("authorization_details", details)
    }

    /// Any other member, for example `issued_token_type` (RFC 8693 section 2.2.1).
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.document.set(name, value.into());
        self
    }

    /// The response. It is not to be cached, and scripts can read its nonce (RFC 9449 sections 8.2 and 8).
    pub fn finish(mut self) -> Reply {
        if let (Some(scope), None) = (self.scope.take(), self.document.member("authorization_details")) {
            self.document.set("scope", scope.into());
        }
        let mut headers = alloc::vec![
            ("Content-Type", "application/json".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
            ("Access-Control-Expose-Headers", EXPOSED_FIELDS.to_owned()),
        ];
        if let Some(nonce) = &self.nonce {
            headers.push((DPOP_NONCE, nonce.as_str().to_owned()));
        }
        Reply { headers, body: self.document.to_json() }
    }
}

/// What an introspection endpoint answers about an active token (RFC 9449 section 6.2): `claims` with `active`, the
/// `token_type` and the `cnf` of its key. A token that is not active gets `{"active":false}` alone (RFC 7662 section 2.2).
pub fn introspection(claims: Option<Value>, bound_to: Option<Thumbprint>) -> Value {
    let Some(claims) = claims else { return Value::object().with("active", false) };
    let token_type = if bound_to.is_some() { DPOP } else { "Bearer" };
    claims.with("active", true).with("token_type", token_type).with_some("cnf", bound_to.map(confirmation))
}
