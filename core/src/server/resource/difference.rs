//! What differed in a request that was refused, for the log of the server.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::access_token::{CHECKED, check_jwt};
use super::confirmation::Confirmation;
use super::credentials::{self, Credentials, Scheme};
use super::{IncomingRequest, ResourceServer, TokenRejection};
use crate::issuer::UnverifiedJwt;
use crate::json::Value;
use crate::verify::presentation::{Context, Presentation};
use crate::{Rejection, UnixTime};

/// How many bytes of what a peer wrote are shown.
const SHOWN: usize = 200;

/// What a request was expected to have, and what it has instead. It holds no token, no proof and no query of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Difference {
    /// What this server expects.
    pub expected: String,
    /// What the request has. Of a token it is read before its signature is verified: it is what the peer says.
    pub found: String,
}

impl ResourceServer {
    /// What differed in a request that was refused for `reason`: of its proof, or of the issuer, audience and lifetime of its token. None where the reason of
    /// the refusal says it all, or a look at the request alone does not show it.
    ///
    /// It reads the request once more, so call it only where its answer is wanted, such as at level DEBUG of a log. It is not for the peer.
    pub fn difference(&self, reason: &str, request: &IncomingRequest<'_>, now: UnixTime) -> Option<Difference> {
        let Ok(Credentials { scheme, token }) = Credentials::read(request.fields) else {
            return of_credentials(reason, request.fields);
        };
        let (_, claims) = UnverifiedJwt::read(token, self.policy().token_algorithms, &CHECKED).ok()?;
        if Rejection::from_reason(reason).is_none() {
            return self.of_token(reason, &claims, now);
        }
        let confirmation = Confirmation::read(claims.member("cnf"), None).ok()?;
        let bound_to = confirmation.key.filter(|_| matches!(scheme, Scheme::Dpop))?;
        let proofs = credentials::proofs(request.fields);
        let context = Context::Resource { access_token: token, bound_to };
        let shown = Presentation::new(request.method, request.target, &proofs, context);
        let epoch = self.consumption().epoch(request.arrival.epoch);
        let explanation = self.verifier().explain(&shown.in_epoch(epoch), now);
        // A look at the request alone may find defects that are checked before, such as a nonce that has ended since.
        let failure = explanation.failures().find(|failure| failure.rejection.reason() == reason)?;
        Some(Difference { expected: bounded(&failure.expected), found: bounded(&failure.found) })
    }

    fn of_token(&self, reason: &str, claims: &Value, now: UnixTime) -> Option<Difference> {
        let policy = self.policy();
        let is = |rejection: TokenRejection| reason == rejection.reason();
        let said = |name| match claims.member(name) {
            Some(value) => format!("{name} {}", value.to_json()),
            None => format!("no {name}"),
        };
        let (expected, found) = if is(TokenRejection::IssuerMismatch) {
            (format!("iss {}", policy.issuers().collect::<Vec<_>>().join(" or ")), said("iss"))
        } else if is(TokenRejection::AudienceMismatch) {
            (format!("aud {}", policy.audiences.join(" or ")), said("aud"))
        } else if is(TokenRejection::TokenExpired) {
            ("a token whose time is not over".to_owned(), format!("{}, and it is {}", said("exp"), now.secs()))
        } else if is(TokenRejection::TokenNotYetValid) {
            (
                "a token whose time has begun".to_owned(),
                format!("{}, {}, and it is {}", said("nbf"), said("iat"), now.secs()),
            )
        } else if is(TokenRejection::TokenClaimInvalid) {
            let name = check_jwt(claims, policy, now).err()?.claim?;
            (format!("a claim {name} of the type that access tokens have"), said(name))
        } else {
            return None;
        };
        Some(Difference { expected: bounded(&expected), found: bounded(&found) })
    }
}

/// What the `Authorization` field has instead of a scheme and a token. Nothing of it is shown: it may be the token itself.
fn of_credentials(reason: &str, fields: &[(&str, &[u8])]) -> Option<Difference> {
    if reason != TokenRejection::CredentialsMissing.reason() {
        return None;
    }
    let mut parts =
        credentials::values(fields, "authorization").next()?.trim_ascii().splitn(2, u8::is_ascii_whitespace);
    let (scheme, token) = (parts.next()?, parts.next());
    let found = match token {
        _ if scheme.is_empty() => "an empty field",
        None => "one word and no scheme before it",
        Some(_) => "another scheme",
    };
    Some(Difference { expected: "Authorization: DPoP and the access token".to_owned(), found: found.to_owned() })
}

/// A text as a line of a log may hold it: short, of visible ASCII characters alone, and without the query of a URL.
fn bounded(text: &str) -> String {
    let mut kept = String::new();
    let mut in_query = false;
    for shown in text.chars() {
        in_query = (in_query || shown == '?') && !shown.is_whitespace() && shown != '"';
        match shown {
            _ if in_query => {}
            ' '..='~' => kept.push(shown),
            _ => kept.extend(shown.escape_default()),
        }
        if kept.len() > SHOWN {
            kept.push_str("...");
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn what_is_shown_is_short_and_has_no_query_and_no_line_breaks() {
        assert_eq!(
            bounded("htu \"https://a.example/b?token=s3cret\", and \u{e9}\r\n"),
            r#"htu "https://a.example/b", and \u{e9}\r\n"#
        );
        assert_eq!(bounded("?a b?c"), " b");
        assert!(bounded(&"x".repeat(9000)).len() < 210);
    }
}
