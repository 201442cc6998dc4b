//! Token responses (OAuth 2.1 section 3.2.3, RFC 9449 section 5).

use alloc::string::String;

use super::binding::SCHEME;
use super::error::{AnswerDefect, Downgrade, Endpoint, FlowError};
use super::members::Members;
use super::post::{object, text};
use super::secret::Secret;
use crate::UnixTime;
use crate::http::message::Response;
use crate::json::Value;

/// A token that a server issued, and what it said about it.
pub(super) struct Issued {
    pub(super) access: Secret,
    pub(super) is_bound: bool,
    pub(super) expires: Option<UnixTime>,
    pub(super) refresh: Option<Secret>,
    pub(super) scope: Option<String>,
    pub(super) details: Option<Value>,
    pub(super) members: Members,
}

/// An access token that a session has.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) access: Secret,
    pub(super) expires: Option<UnixTime>,
    pub(super) scope: Option<String>,
    pub(super) details: Option<Value>,
}

/// Which token types an answer may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A bound one.
    Bound,
    /// A bound one rather, but one that anybody can use is kept.
    BoundIfPossible,
    /// A Bearer token.
    Bearer,
}

impl Issued {
    /// Reads the answer to a token request.
    pub(super) fn read(response: &Response, wanted: Wanted, now: UnixTime) -> Result<Self, FlowError> {
        let document = object(Endpoint::Token, response)?;
        let access = text(Endpoint::Token, &document, "access_token")?;
        if !access.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FlowError::Answer(Endpoint::Token, AnswerDefect::Missing("access_token")));
        }
        let kind = text(Endpoint::Token, &document, "token_type")?;
        let is_bound = match wanted {
            Wanted::Bearer if kind.eq_ignore_ascii_case("Bearer") => false,
            // A token of a type that the client does not know cannot be used (RFC 6749 section 7.1).
            Wanted::Bearer => return Err(FlowError::Answer(Endpoint::Token, AnswerDefect::TokenType)),
            Wanted::Bound | Wanted::BoundIfPossible if kind.eq_ignore_ascii_case(SCHEME) => true,
            Wanted::BoundIfPossible if kind.eq_ignore_ascii_case("Bearer") => false,
            Wanted::Bound | Wanted::BoundIfPossible => return Err(Downgrade::TokenType.into()),
        };
        let lifetime = document.integer("expires_in").and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Self {
            access: Secret::new(access),
            is_bound,
            expires: lifetime.map(|seconds| now.saturating_add(seconds)),
            refresh: document.text("refresh_token").filter(|token| !token.is_empty()).map(Secret::new),
            scope: document.text("scope").map(String::from),
            details: document.member("authorization_details").cloned(),
            members: Members::read(&document),
        })
    }

    pub(super) fn token(&self) -> Token {
        Token {
            access: self.access.clone(),
            expires: self.expires,
            scope: self.scope.clone(),
            details: self.details.clone(),
        }
    }
}

impl Token {
    /// Whether the token will not be taken any more in `margin` seconds.
    pub(super) fn is_over(&self, now: UnixTime, margin: u64) -> bool {
        self.expires.is_some_and(|expires| now.saturating_add(margin) >= expires)
    }
}
