//! What an access token says, whoever vouches for it (RFC 9068 section 2.2, RFC 7662 section 2.2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::policy::ResourcePolicy;
use super::rejection::TokenRejection;
use crate::UnixTime;
use crate::base64url;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;

/// The longest access token that is read, in bytes.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;
/// The value of `typ` of a JWT access token (RFC 9068 section 2.1).
pub(super) const TYP: &str = "at+jwt";

/// The claims that are checked before a token's signature is.
pub(super) const CHECKED: [&str; 9] = ["iss", "aud", "sub", "client_id", "scope", "iat", "nbf", "exp", "cnf"];

/// The claims of an access token that passed every check but those of its binding.
pub(super) struct AccessToken {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) confirmation: Confirmation,
    /// For how many seconds the token counts beyond its end, and before its beginning.
    pub(super) leeway: u64,
    pub(super) claims: Value,
}

/// What a token is bound to (RFC 7800 section 3). Every member present must hold.
#[derive(Clone, Copy, Default)]
pub(super) struct Confirmation {
    /// The thumbprint of a DPoP key (RFC 9449 section 6.1).
    pub(super) key: Option<Thumbprint>,
    /// The SHA-256 hash of a client certificate (RFC 8705 section 3.1).
    pub(super) certificate: Option<[u8; 32]>,
}

impl AccessToken {
    /// The claims of a JWT (RFC 9068 section 4), whose signature is checked elsewhere.
    pub(super) fn of_jwt(claims: Value, policy: &ResourcePolicy, now: UnixTime) -> Result<Self, TokenRejection> {
        check_jwt(&claims, policy, now)?;
        Self::of_checked(claims, policy)
    }

    /// What an authorization server says of a token that is active (RFC 7662 section 2.2): nothing more is required, but
    /// what is said must fit.
    pub(super) fn of_introspection(
        answer: Value,
        policy: &ResourcePolicy,
        now: UnixTime,
    ) -> Result<Self, TokenRejection> {
        check(&answer, policy, now)?;
        match text(&answer, "iss")? {
            Some(issuer) if !policy.issuers.is_empty() && !is_among(&policy.issuers, issuer) => {
                Err(TokenRejection::IssuerMismatch)
            }
            _ => Self::of_checked(answer, policy),
        }
    }

    /// Takes out what is asked for most. The claims passed [`check`].
    fn of_checked(claims: Value, policy: &ResourcePolicy) -> Result<Self, TokenRejection> {
        let owned = |name| text(&claims, name).map(|text| text.map(ToOwned::to_owned));
        Ok(Self {
            issuer: owned("iss")?,
            subject: owned("sub")?,
            client_id: owned("client_id")?,
            audience: match claims.member("aud") {
                Some(Value::Text(one)) => alloc::vec![one.clone()],
                _ => claims.texts("aud").map(ToOwned::to_owned).collect(),
            },
            scopes: text(&claims, "scope")?.map(words).unwrap_or_default(),
            expires_at: time(&claims, "exp")?,
            confirmation: Confirmation::read(claims.member("cnf"))?,
            leeway: policy.leeway,
            claims,
        })
    }
}

impl AccessToken {
    /// Whether the token says what exactly it permits (RFC 9396 section 9.1), in whatever form: it is good for nothing else.
    pub(super) fn has_details(&self) -> bool {
        self.claims.member("authorization_details").is_some()
    }
}

/// Checks the claims of a JWT that may be anyone's: nothing is allocated. They need to hold no more than [`CHECKED`].
pub(super) fn check_jwt(claims: &Value, policy: &ResourcePolicy, now: UnixTime) -> Result<(), TokenRejection> {
    check(claims, policy, now)?;
    match text(claims, "iss")? {
        Some(issuer) if is_among(&policy.issuers, issuer) => {}
        Some(_) => return Err(TokenRejection::IssuerMismatch),
        None => return Err(TokenRejection::TokenClaimInvalid),
    }
    let missing = |name| claims.member(name).is_none();
    let required = missing("sub") || missing("exp") || missing("aud");
    if required || (policy.client_id_required && missing("client_id")) {
        return Err(TokenRejection::TokenClaimInvalid);
    }
    Ok(())
}

/// Checks what a token says, each part of its type and fitting the policy and the clock.
fn check(claims: &Value, policy: &ResourcePolicy, now: UnixTime) -> Result<(), TokenRejection> {
    let is_ours = |name: &str| is_among(&policy.audiences, name);
    let named = match claims.member("aud") {
        None => true,
        Some(Value::Text(one)) => is_ours(one),
        Some(Value::Array(several)) => {
            if several.iter().any(|one| one.as_text().is_none()) {
                return Err(TokenRejection::TokenClaimInvalid);
            }
            several.iter().filter_map(Value::as_text).any(is_ours)
        }
        Some(_) => return Err(TokenRejection::TokenClaimInvalid),
    };
    if !named {
        return Err(TokenRejection::AudienceMismatch);
    }
    if time(claims, "exp")?.is_some_and(|end| now >= end.saturating_add(policy.leeway)) {
        return Err(TokenRejection::TokenExpired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|start| start > now.saturating_add(policy.leeway)) {
            return Err(TokenRejection::TokenNotYetValid);
        }
    }
    for name in ["iss", "sub", "client_id", "scope"] {
        text(claims, name)?;
    }
    Confirmation::read(claims.member("cnf")).map(drop)
}

fn is_among(known: &[String], name: &str) -> bool {
    known.iter().any(|other| other == name)
}

impl Confirmation {
    fn read(cnf: Option<&Value>) -> Result<Self, TokenRejection> {
        let members = match cnf {
            None => return Ok(Self::default()),
            // An empty confirmation binds to nothing, which nobody writes on purpose.
            Some(Value::Object(members)) if !members.is_empty() => members,
            Some(_) => return Err(TokenRejection::ConfirmationInvalid),
        };
        let mut confirmation = Self::default();
        for (name, value) in members {
            let value = value.as_text();
            match name.as_str() {
                "jkt" => {
                    let key = value.and_then(Thumbprint::parse).ok_or(TokenRejection::ConfirmationInvalid)?;
                    confirmation.key = Some(key);
                }
                "x5t#S256" => {
                    let mut hash = [0; 32];
                    let text = value.ok_or(TokenRejection::ConfirmationInvalid)?;
                    base64url::decode_exact(text.as_bytes(), &mut hash)
                        .map_err(|_| TokenRejection::ConfirmationInvalid)?;
                    confirmation.certificate = Some(hash);
                }
                _ => return Err(TokenRejection::ConfirmationUnknown),
            }
        }
        Ok(confirmation)
    }

    /// Whether the certificate of the connection is the one the token is bound to, if it is bound to one.
    pub(super) fn check_certificate(&self, presented: Option<[u8; 32]>) -> Result<(), TokenRejection> {
        match self.certificate {
            Some(_) if self.certificate != presented => Err(TokenRejection::CertificateMismatch),
            _ => Ok(()),
        }
    }
}

/// The scopes of a list that is separated by spaces (RFC 6749 section 3.3).
pub(super) fn words(scope: &str) -> Vec<String> {
    scope.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}

fn text<'c>(claims: &'c Value, name: &str) -> Result<Option<&'c str>, TokenRejection> {
    match claims.member(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(TokenRejection::TokenClaimInvalid),
    }
}

fn time(claims: &Value, name: &str) -> Result<Option<UnixTime>, TokenRejection> {
    match claims.member(name) {
        None => Ok(None),
        Some(Value::Number(_)) => Ok(claims.time(name)),
        Some(_) => Err(TokenRejection::TokenClaimInvalid),
    }
}
