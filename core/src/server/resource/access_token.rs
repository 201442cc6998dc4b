//! What an access token says, whoever vouches for it (RFC 9068 section 2.2, RFC 7662 section 2.2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::confirmation::Confirmation;
use super::policy::ResourcePolicy;
use super::profile::IssuerProfile;
use super::rejection::TokenRejection;
use crate::UnixTime;
use crate::crypto::Digest;
use crate::json::Value;

/// The longest access token that is read, in bytes.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;
/// The value of `typ` of a JWT access token (RFC 9068 section 2.1).
pub(in crate::server) const TYP: &str = "at+jwt";

/// The claims that are checked before a token's signature is. Lists that may be long, such as scopes and roles, are not among them.
pub(super) const CHECKED: [&str; 11] =
    ["iss", "aud", "sub", "client_id", "azp", "cid", "appid", "iat", "nbf", "exp", "cnf"];

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

/// Where claims come from, which decides what their members are called.
#[derive(Clone, Copy)]
struct Source {
    profile: IssuerProfile,
    introspected: bool,
}

/// Why claims are refused.
pub(super) struct Unfit {
    pub(super) rejection: TokenRejection,
    /// The claim that is missing or of the wrong type, if that is why.
    pub(super) claim: Option<&'static str>,
}

impl Unfit {
    const fn claim(name: &'static str) -> Self {
        Self { rejection: TokenRejection::TokenClaimInvalid, claim: Some(name) }
    }
}

impl From<TokenRejection> for Unfit {
    fn from(rejection: TokenRejection) -> Self {
        Self { rejection, claim: None }
    }
}

impl From<Unfit> for TokenRejection {
    fn from(unfit: Unfit) -> Self {
        unfit.rejection
    }
}

impl Source {
    const fn client(self) -> &'static str {
        self.profile.client(self.introspected)
    }
}

impl AccessToken {
    /// The claims of a JWT (RFC 9068 section 4), whose signature is checked elsewhere.
    pub(super) fn of_jwt(
        claims: Value,
        policy: &ResourcePolicy,
        digest: &dyn Digest,
        now: UnixTime,
    ) -> Result<Self, TokenRejection> {
        let profile = check_jwt(&claims, policy, now)?;
        Self::of_checked(claims, policy, Source { profile, introspected: false }, digest)
    }

    /// What an authorization server says of a token that is active (RFC 7662 section 2.2): nothing more is required, unless by the
    /// issuer's profile, but what is said must fit.
    pub(super) fn of_introspection(
        answer: Value,
        policy: &ResourcePolicy,
        digest: &dyn Digest,
        now: UnixTime,
    ) -> Result<Self, TokenRejection> {
        let profile = policy.answer_profile(required_text(&answer, "iss")?).ok_or(TokenRejection::IssuerMismatch)?;
        let source = Source { profile, introspected: true };
        check(&answer, policy, source, now)?;
        Self::of_checked(answer, policy, source, digest)
    }

    /// Takes out what is asked for most. The claims passed [`check`].
    fn of_checked(
        claims: Value,
        policy: &ResourcePolicy,
        source: Source,
        digest: &dyn Digest,
    ) -> Result<Self, TokenRejection> {
        let Source { profile, introspected } = source;
        profile.check(&claims, introspected)?;
        let owned = |name| text(&claims, name).map(|text| text.map(ToOwned::to_owned));
        let token = Self {
            issuer: owned("iss")?,
            subject: owned("sub")?,
            client_id: owned(source.client())?,
            audience: match claims.member("aud") {
                Some(Value::Text(one)) => alloc::vec![one.clone()],
                _ => claims.texts("aud").map(ToOwned::to_owned).collect(),
            },
            scopes: scopes(claims.member(profile.scope(introspected)))?,
            expires_at: time(&claims, "exp")?,
            confirmation: Confirmation::read(claims.member("cnf"), Some(digest))?,
            leeway: policy.leeway,
            claims,
        };
        if profile.is_preset() && is_for_its_client(&token, policy) {
            return Err(TokenRejection::AudienceIsClient);
        }
        Ok(token)
    }
}

impl AccessToken {
    /// Whether the token says what exactly it permits (RFC 9396 section 9.1), in whatever form: it is good for nothing else.
    pub(super) fn has_details(&self) -> bool {
        self.claims.member("authorization_details").is_some()
    }
}

/// Checks the claims of a JWT that may be anyone's: nothing is allocated. They need to hold no more than [`CHECKED`]. Gives the profile of
/// its issuer.
pub(super) fn check_jwt(claims: &Value, policy: &ResourcePolicy, now: UnixTime) -> Result<IssuerProfile, Unfit> {
    let issuer = required_text(claims, "iss")?.ok_or(Unfit::claim("iss"))?;
    let profile = policy.profile_of(issuer).ok_or(TokenRejection::IssuerMismatch)?;
    let source = Source { profile, introspected: false };
    check(claims, policy, source, now)?;
    let missing = |name| text(claims, name).is_ok_and(|text| text.is_none());
    let needed = [
        ("sub", profile.needs_subject() && missing("sub")),
        ("exp", claims.member("exp").is_none()),
        (source.client(), policy.client_id_required && missing(source.client())),
    ];
    match needed.into_iter().find(|(_, is_missing)| *is_missing) {
        Some((name, _)) => Err(Unfit::claim(name)),
        None => Ok(profile),
    }
}

/// Checks what a token says, each part of its type and fitting the policy and the clock.
fn check(claims: &Value, policy: &ResourcePolicy, source: Source, now: UnixTime) -> Result<(), Unfit> {
    check_audience(claims, policy, source)?;
    if time(claims, "exp")?.is_some_and(|end| now >= end.saturating_add(policy.leeway)) {
        return Err(TokenRejection::TokenExpired.into());
    }
    for name in ["nbf", "iat"] {
        // Null is no time: unlike `exp`, a missing one leaves nothing open.
        let start = if claims.member(name) == Some(&Value::Null) { None } else { time(claims, name)? };
        if start.is_some_and(|start| start > now.saturating_add(policy.leeway)) {
            return Err(TokenRejection::TokenNotYetValid.into());
        }
    }
    for name in ["sub", source.client()] {
        text(claims, name)?;
    }
    Confirmation::read(claims.member("cnf"), None)?;
    Ok(())
}

/// Checks that the token is for this resource.
fn check_audience(claims: &Value, policy: &ResourcePolicy, source: Source) -> Result<(), Unfit> {
    let Source { profile, introspected } = source;
    let named = match claims.member("aud") {
        Some(one @ Value::Text(_)) => core::slice::from_ref(one),
        Some(Value::Array(several)) => several.as_slice(),
        Some(_) => return Err(Unfit::claim("aud")),
        None => {
            return match profile.client_as_audience(claims) {
                Some(client) if policy.is_audience(client) => Ok(()),
                Some(_) => Err(TokenRejection::AudienceMismatch.into()),
                None if introspected && !profile.is_preset() => Ok(()),
                None => Err(Unfit::claim("aud")),
            };
        }
    };
    if named.iter().any(|one| one.as_text().is_none()) {
        return Err(Unfit::claim("aud"));
    }
    let mut ours = named.iter().filter_map(Value::as_text).filter(|name| policy.is_audience(name));
    if ours.next().is_some() { Ok(()) } else { Err(TokenRejection::AudienceMismatch.into()) }
}

/// Whether the token is, like an ID token, for its own client alone. With DPoP an ID token fails for want of a binding; with Bearer
/// nothing but its members would stop it.
fn is_for_its_client(token: &AccessToken, policy: &ResourcePolicy) -> bool {
    let mut ours = token.audience.iter().filter(|name| policy.is_audience(name)).peekable();
    policy.schemes.bearer() && ours.peek().is_some() && ours.all(|name| token.client_id.as_ref() == Some(name))
}

/// The scopes of a token: one text, separated by spaces (RFC 6749 section 3.3), or an array with one in each element.
fn scopes(value: Option<&Value>) -> Result<Vec<String>, TokenRejection> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Text(scope)) => Ok(words(scope)),
        Some(Value::Array(several)) => {
            // What holds a space is no scope, and is not taken apart into several: no one granted those.
            let each = several.iter().map(|one| one.as_text().map(ToOwned::to_owned));
            each.collect::<Option<_>>().ok_or(TokenRejection::TokenClaimInvalid)
        }
        Some(_) => Err(TokenRejection::TokenClaimInvalid),
    }
}

/// The scopes of a list that is separated by spaces (RFC 6749 section 3.3).
pub(super) fn words(scope: &str) -> Vec<String> {
    scope.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}

/// A member that describes: null says as little as none.
fn text<'c>(claims: &'c Value, name: &'static str) -> Result<Option<&'c str>, Unfit> {
    match claims.member(name) {
        Some(Value::Null) => Ok(None),
        _ => required_text(claims, name),
    }
}

/// A member that decides: null is of the wrong type.
fn required_text<'c>(claims: &'c Value, name: &'static str) -> Result<Option<&'c str>, Unfit> {
    match claims.member(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Unfit::claim(name)),
    }
}

fn time(claims: &Value, name: &'static str) -> Result<Option<UnixTime>, Unfit> {
    match claims.member(name) {
        None => Ok(None),
        Some(Value::Number(_)) => Ok(claims.time(name)),
        Some(_) => Err(Unfit::claim(name)),
    }
}
