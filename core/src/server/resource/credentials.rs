//! The fields that carry credentials: `Authorization` and `DPoP`.

use alloc::vec::Vec;

use super::access_token::MAX_TOKEN_LEN;
use super::rejection::TokenRejection;
use crate::http::bytes::{TOKEN68, is_in};
use crate::proof::DPOP;

/// The authentication scheme of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    Dpop,
    Bearer,
}

impl Scheme {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dpop => DPOP,
            Self::Bearer => "Bearer",
        }
    }
}

/// An access token and how it came.
#[derive(Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) scheme: Scheme,
    pub(super) token: &'a str,
}

/// A refusal, and the scheme that was used if that is clear.
pub(super) type CredentialFault = (TokenRejection, Option<Scheme>);

impl<'a> Credentials<'a> {
    /// Reads the only `Authorization` field (RFC 9110 section 11.6.2). Names of fields and schemes are compared without
    /// regard to case.
    pub(super) fn read(fields: &[(&'a str, &'a [u8])]) -> Result<Self, CredentialFault> {
        let mut values = values(fields, "authorization");
        let value = values.next().ok_or((TokenRejection::CredentialsMissing, None))?;
        if values.next().is_some() {
            return Err((TokenRejection::CredentialsRepeated, None));
        }
        let value = value.trim_ascii();
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
        let (name, rest) = value.split_at_checked(end).unwrap_or_default();
        let scheme = match name {
            name if name.eq_ignore_ascii_case(DPOP.as_bytes()) => Scheme::Dpop,
            name if name.eq_ignore_ascii_case(b"Bearer") => Scheme::Bearer,
            _ => return Err((TokenRejection::CredentialsMissing, None)),
        };
        let token = rest.trim_ascii_start();
        if token.len() > MAX_TOKEN_LEN {
            return Err((TokenRejection::TokenTooLarge, Some(scheme)));
        }
        // Two fields folded into one by an intermediary are joined by a comma, which no token holds.
        if token.contains(&b',') {
            return Err((TokenRejection::CredentialsRepeated, None));
        }
        match token68(token) {
            Some(token) => Ok(Self { scheme, token }),
            None => Err((TokenRejection::TokenMalformed, Some(scheme))),
        }
    }
}

/// The values of the `DPoP` fields.
pub(super) fn proofs<'a>(fields: &[(&'a str, &'a [u8])]) -> Vec<&'a [u8]> {
    // More than two are refused like two.
    values(fields, DPOP).take(2).map(<[u8]>::trim_ascii).collect()
}

pub(super) fn values<'a>(fields: &[(&'a str, &'a [u8])], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// `text`, if it is a token68 (RFC 9110 section 11.2).
fn token68(text: &[u8]) -> Option<&str> {
    let body = text.iter().take_while(|byte| is_in(&TOKEN68, **byte)).count();
    let padding = text.get(body..)?;
    if body == 0 || !padding.iter().all(|byte| *byte == b'=') {
        return None;
    }
    core::str::from_utf8(text).ok()
}
