//! What the access tokens of an issuer look like: those of RFC 9068, and those of servers that write their own.

use core::fmt;

use super::access_token::TYP;
use super::rejection::TokenRejection;
use crate::issuer::UnverifiedJwt;
use crate::json::Value;

/// How an issuer writes access tokens: which `typ` they have, what only they have, and which members name scopes and client.
///
/// A profile is chosen for each issuer ([`ResourcePolicy::with_issuer_profile`](super::ResourcePolicy::with_issuer_profile)). The
/// default, [`rfc9068`](Self::rfc9068), takes tokens of `typ` `at+jwt`. Many servers write `JWT` or nothing there, as in ID tokens and
/// logout tokens. The profile of such a server names members that its access tokens have and its other tokens lack, and they must be
/// there. A token with any other `typ` is refused.
///
/// | profile | `typ` | required | scopes | client |
/// |---|---|---|---|---|
/// | `rfc9068` | `at+jwt` | `sub` | `scope` | `client_id` |
/// | `keycloak` | `JWT`, `at+jwt` | `typ` = `Bearer` or `DPoP`, `azp` | `scope` | `azp` |
/// | `auth0` | `JWT` | `sub`, `azp` | `scope` | `azp` |
/// | `okta` | none, `JWT`, `at+jwt` | `sub`, `cid` | `scp` | `cid` |
/// | `entra_id` | `JWT` | `sub`, `azp`, `scp` or `roles`, `tid` = the tenant in `iss` | `scp` | `azp` |
/// | `entra_id_v1` | `JWT` | `sub`, `appid`, `scp` or `roles`, `tid` = the tenant in `iss` | `scp` | `appid` |
/// | `duende` | `at+jwt` | `client_id` | `scope` | `client_id` |
/// | `cognito` | none, `JWT` | `sub`, `token_use` = `access`, `client_id` | `scope` | `client_id` |
///
/// Every token needs `iss`, `aud` and `exp` too; [`cognito`](Self::cognito) says what stands for `aud` there. Scopes may be one text or an
/// array in each of them. A scope or client in any other member counts for nothing, so that a custom claim cannot add to what the
/// issuer granted.
///
/// ```
/// use keybound::server::resource::{IssuerProfile, ResourcePolicy};
/// let policy = ResourcePolicy::new("https://api.example.com/")?
///     .with_issuer_profile("https://id.example.com/realms/main", IssuerProfile::keycloak())?;
/// assert_eq!(IssuerProfile::from_name("keycloak"), Some(IssuerProfile::keycloak()));
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Clone, Copy)]
pub struct IssuerProfile(&'static Shape);

struct Shape {
    name: &'static str,
    /// What `typ` may be.
    types: &'static [&'static str],
    /// Whether it may be missing.
    untyped: bool,
    /// What other tokens of this issuer have.
    forbidden: &'static [&'static str],
    needs_subject: bool,
    /// Whether `client_id` stands for a missing `aud`.
    client_is_audience: bool,
    /// Whether the issuer's path begins with a tenant, which `tid` names as well.
    names_tenant: bool,
    token: Members,
    /// The same of introspection answers.
    answer: Members,
}

/// One member for each purpose.
#[derive(Clone, Copy)]
struct Members {
    scope: &'static str,
    client: &'static str,
    required: &'static [Marker],
}

/// One of these members is there, with one of these values; without values, with anything that is not empty.
struct Marker {
    names: &'static [&'static str],
    values: &'static [&'static str],
}

const fn present(names: &'static [&'static str]) -> Marker {
    Marker { names, values: &[] }
}

/// The names of RFC 9068 section 2.2 and RFC 7662 section 2.2.
const REGISTERED: Members = Members { scope: "scope", client: "client_id", required: &[] };
const REGISTERED_CLIENT: Members = Members { required: &[present(&["client_id"])], ..REGISTERED };

const RFC9068: Shape = Shape {
    name: "rfc9068",
    types: &[TYP],
    untyped: false,
    forbidden: &[],
    needs_subject: true,
    client_is_audience: false,
    names_tenant: false,
    token: REGISTERED,
    answer: REGISTERED,
};

const JWT: &str = "JWT";

/// What ID tokens (OpenID Connect Core sections 2 and 3.3.2.11), logout tokens and introspection responses (RFC 9701) have.
const OTHERS: &[&str] = &["nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection"];

/// Where introspection answers say of which kind a token is: Keycloak in `typ`, Ory Hydra in `token_use`, others in `token_type`.
const KIND: [&str; 3] = ["typ", "token_use", "token_type"];

/// Whether a text names another kind of token, in any spelling: `Refresh`, `refresh_token`, `ID`, `logout+jwt`, or the URN of a type (RFC 8693
/// section 3).
fn is_other_kind(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind == "id" || ["id_token", "refresh", "offline", "logout"].iter().any(|word| kind.contains(word))
}

const fn with_client(client: &'static str, scope: &'static str, required: &'static [Marker]) -> Members {
    Members { scope, client, required }
}

const KEYCLOAK_MEMBERS: Members =
    with_client("azp", "scope", &[Marker { names: &["typ"], values: &["Bearer", "DPoP"] }, present(&["azp"])]);
const KEYCLOAK: Shape = Shape {
    name: "keycloak",
    types: &[JWT, TYP],
    needs_subject: false,
    token: KEYCLOAK_MEMBERS,
    answer: KEYCLOAK_MEMBERS,
    ..RFC9068
};

const AUTH0_MEMBERS: Members = with_client("azp", "scope", &[present(&["azp"])]);
const AUTH0: Shape = Shape {
    name: "auth0",
    types: &[JWT],
    forbidden: &["nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection", "sid"],
    token: AUTH0_MEMBERS,
    answer: AUTH0_MEMBERS,
    ..RFC9068
};

const OKTA: Shape = Shape {
    name: "okta",
    types: &[JWT, TYP],
    untyped: true,
    forbidden: OTHERS,
    token: with_client("cid", "scp", &[present(&["cid"])]),
    // Okta answers introspection with the registered names.
    answer: REGISTERED_CLIENT,
    ..RFC9068
};

const ENTRA_MEMBERS: Members = with_client("azp", "scp", &[present(&["scp", "roles"]), present(&["azp"])]);
const ENTRA_ID: Shape = Shape {
    name: "entra_id",
    types: &[JWT],
    forbidden: OTHERS,
    names_tenant: true,
    token: ENTRA_MEMBERS,
    answer: ENTRA_MEMBERS,
    ..RFC9068
};

const ENTRA_V1_MEMBERS: Members = with_client("appid", "scp", &[present(&["scp", "roles"]), present(&["appid"])]);
const ENTRA_ID_V1: Shape = Shape { name: "entra_id_v1", token: ENTRA_V1_MEMBERS, answer: ENTRA_V1_MEMBERS, ..ENTRA_ID };

const DUENDE: Shape =
    Shape { name: "duende", needs_subject: false, token: REGISTERED_CLIENT, answer: REGISTERED_CLIENT, ..RFC9068 };

const COGNITO_MEMBERS: Members = with_client(
    "client_id",
    "scope",
    &[Marker { names: &["token_use"], values: &["access"] }, present(&["client_id"])],
);
const COGNITO: Shape = Shape {
    name: "cognito",
    types: &[JWT],
    untyped: true,
    client_is_audience: true,
    token: COGNITO_MEMBERS,
    answer: COGNITO_MEMBERS,
    ..RFC9068
};

impl IssuerProfile {
    /// Every profile, in the order of the table above.
    pub const ALL: &'static [Self] = &[
        Self(&RFC9068),
        Self(&KEYCLOAK),
        Self(&AUTH0),
        Self(&OKTA),
        Self(&ENTRA_ID),
        Self(&ENTRA_ID_V1),
        Self(&DUENDE),
        Self(&COGNITO),
    ];

    /// Access tokens as RFC 9068 has them: the default.
    pub const fn rfc9068() -> Self {
        Self(&RFC9068)
    }

    /// Keycloak. Its access tokens say `Bearer` or `DPoP` in the claim `typ`; other tokens say `ID`, `Refresh`, `Offline`, `Logout`.
    pub const fn keycloak() -> Self {
        Self(&KEYCLOAK)
    }

    /// Auth0 with the token dialect `Auth0`. An API with the dialect `RFC 9068` needs [`rfc9068`](Self::rfc9068) instead.
    pub const fn auth0() -> Self {
        Self(&AUTH0)
    }

    /// A custom authorization server of Okta. Tokens of its organization server are for Okta alone.
    pub const fn okta() -> Self {
        Self(&OKTA)
    }

    /// Microsoft Entra ID, tokens of version 2.0: issuer `https://login.microsoftonline.com/{tenant}/v2.0`.
    pub const fn entra_id() -> Self {
        Self(&ENTRA_ID)
    }

    /// Microsoft Entra ID, tokens of version 1.0: issuer `https://sts.windows.net/{tenant}/`.
    pub const fn entra_id_v1() -> Self {
        Self(&ENTRA_ID_V1)
    }

    /// Duende IdentityServer. Tokens that a client got for itself name no subject.
    pub const fn duende() -> Self {
        Self(&DUENDE)
    }

    /// Amazon Cognito user pools. Their access tokens usually have no `aud`. Then `client_id` must be one of the policy's audiences
    /// ([`ResourcePolicy::with_audience`](super::ResourcePolicy::with_audience)).
    ///
    /// # Security
    /// Without `aud`, every access token of a named client opens this resource, whichever API it was meant for. Require a scope of a
    /// resource server that you defined for this API.
    pub const fn cognito() -> Self {
        Self(&COGNITO)
    }

    /// The profile of this name, as in the table above.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether a JWT of this `typ` can be an access token.
    pub(super) fn is_type_of(self, jwt: &UnverifiedJwt) -> bool {
        if jwt.has_typ() { self.0.types.iter().any(|typ| jwt.is_typed(typ)) } else { self.0.untyped }
    }

    /// Whether a JWT says by its `typ` that it is something else than an access token: one without `typ`, or with `JWT`, leaves that open.
    pub(super) fn is_other_type(jwt: &UnverifiedJwt) -> bool {
        jwt.has_typ() && !jwt.is_typed(JWT) && !jwt.is_typed(TYP)
    }

    /// Whether this is more than the standard's own form: what its tokens need, introspection answers need as well.
    pub(super) fn is_preset(self) -> bool {
        self != Self::rfc9068()
    }

    pub(super) const fn needs_subject(self) -> bool {
        self.0.needs_subject
    }

    /// The client that stands for a missing `aud`, where one does.
    pub(super) fn client_as_audience(self, claims: &Value) -> Option<&str> {
        if self.0.client_is_audience { claims.text(self.0.token.client) } else { None }
    }

    /// The member that names the client; of an introspection answer, if it is one.
    pub(super) const fn client(self, introspected: bool) -> &'static str {
        self.members(introspected).client
    }

    /// The member that holds the scopes, likewise.
    pub(super) const fn scope(self, introspected: bool) -> &'static str {
        self.members(introspected).scope
    }

    const fn members(self, introspected: bool) -> Members {
        if introspected { self.0.answer } else { self.0.token }
    }

    /// Checks that the claims have what only access tokens have, nothing of what other tokens have, and the issuer's own tenant.
    pub(super) fn check(self, claims: &Value, introspected: bool) -> Result<(), TokenRejection> {
        let is_there = |name: &&str| claims.member(name).is_some_and(|value| *value != Value::Null);
        let fits = |marker: &Marker| marker.names.iter().any(|name| marker.is_met(claims.member(name)));
        let is_other = |name: &&str| match claims.member(name) {
            Some(Value::Text(kind)) => is_other_kind(kind),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_text).any(is_other_kind),
            _ => false,
        };
        let fits_all = self.members(introspected).required.iter().all(fits);
        let is_other = self.0.forbidden.iter().any(is_there) || (introspected && KIND.iter().any(is_other));
        if !fits_all || is_other {
            return Err(TokenRejection::NotAccessToken);
        }
        // Keys that sign for many tenants sign for others than the one that is trusted.
        let (named, tenant) = (claims.text("iss").and_then(|issuer| issuer.split('/').nth(3)), claims.text("tid"));
        let is_of_tenant = introspected || !self.0.names_tenant || (tenant.is_some() && tenant == named);
        if is_of_tenant { Ok(()) } else { Err(TokenRejection::IssuerMismatch) }
    }
}

impl Marker {
    fn is_met(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Text(text)) => {
                !text.is_empty() && (self.values.is_empty() || self.values.contains(&text.as_str()))
            }
            Some(Value::Array(elements)) => !elements.is_empty() && self.values.is_empty(),
            _ => false,
        }
    }
}

impl PartialEq for IssuerProfile {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for IssuerProfile {}

impl fmt::Debug for IssuerProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerProfile({})", self.name())
    }
}
