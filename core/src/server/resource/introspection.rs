//! Introspection answers (RFC 7662), which the host gets from the authorization server.

use super::rejection::TokenRejection;
use crate::json::Value;

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER_LEN: usize = 64 * 1024;

/// What the authorization server said of a token.
pub(super) struct Answer {
    /// The members of an answer about an active token.
    pub(super) members: Value,
    /// `token_type` is there and `DPoP` (RFC 9449 section 6.2).
    pub(super) is_bound: Option<bool>,
}

impl Answer {
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
