//! Token responses (OAuth 2.1 section 3.2.3, RFC 9449 section 5).

use alloc::string::String;
use alloc::vec::Vec;

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

/// The longest time that is believed, in seconds: some three hundred years.
const MAX_SECONDS: i64 = 10_000_000_000;

/// A number of seconds above 0 in a server's answer: a number, or one in a string. Any other value says nothing.
pub(super) fn seconds(document: &Value, name: &str) -> Option<u64> {
    let said = document.text(name).and_then(|text| Value::parse(text.as_bytes()).ok());
    let said = match said {
        Some(number) => Value::object().with("n", number).time("n"),
        None => document.time(name),
    };
    said.map(UnixTime::secs).filter(|seconds| (1..=MAX_SECONDS).contains(seconds)).map(i64::unsigned_abs)
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
        // A list of names instead of one text: what was granted must not go unseen.
        let names = document.texts("scope").collect::<Vec<_>>();
        let scope = document.text("scope").map(String::from).or_else(|| (!names.is_empty()).then(|| names.join(" ")));
        Ok(Self {
            access: Secret::new(access),
            is_bound,
            expires: seconds(&document, "expires_in").map(|seconds| now.saturating_add(seconds)),
            refresh: document.text("refresh_token").filter(|token| !token.is_empty()).map(Secret::new),
            scope,
            details: document.member("authorization_details").filter(|details| **details != Value::Null).cloned(),
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

#[cfg(test)]
mod tests {
    use super::{MAX_SECONDS, seconds};
    use crate::json::Value;

    #[test]
    fn lifetimes_as_servers_write_them() {
        let read = |text: &str| {
            let document = Value::parse_object(alloc::format!("{{\"n\":{text}}}").as_bytes());
            seconds(&document.unwrap(), "n")
        };
        for text in ["300", "300.0", "3e2", "\"300\"", "\"300.0\"", "300.9"] {
            assert_eq!(read(text), Some(300), "{text}");
        }
        assert_eq!(read(&alloc::format!("{MAX_SECONDS}")), Some(10_000_000_000));
        let unknown = [
            "null",
            "0",
            "-1",
            "-300",
            "1e400",
            "10000000001",
            "\"\"",
            "\"soon\"",
            "\"-5\"",
            "true",
            "[300]",
            "\"[300]\"",
        ];
        for text in unknown {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
