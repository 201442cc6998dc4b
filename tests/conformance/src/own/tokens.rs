//! Tokens as real servers write them, for each profile of issuers: access tokens to accept, and all their other tokens to refuse.

use keybound::server::resource::IssuerProfile;
use serde_json::{Map, Value, json};

use super::{CRYPTO, Maker, P256};
use crate::{NOW, raw};

const RESOURCE: &str = "https://api.example.com";
const CLIENT: &str = "web-app";
const USER: &str = "user-1";

/// What one server writes.
struct Server {
    profile: IssuerProfile,
    issuer: &'static str,
    /// The `typ` of its access tokens, if they have any.
    typ: Option<&'static str>,
    /// The claims of its access tokens besides `iss`, `sub`, `iat` and `exp`.
    access: Value,
    /// What its ID tokens have that others have not.
    id: Value,
    /// What its other tokens have.
    other: Value,
}

/// Each file by its name.
pub(super) fn files(maker: &Maker) -> impl Iterator<Item = (String, Value)> {
    servers().into_iter().map(|server| {
        let key: Value = serde_json::from_str(&format!(r#"{P256},"kid":"1"}}"#)).expect("a key");
        let file = json!({
            "profile": server.profile.name(),
            "issuer": server.issuer,
            "keys": { "keys": [key] },
            "resource": RESOURCE,
            "audiences": [CLIENT],
            "now": NOW.secs(),
            "entries": entries(maker, &server),
        });
        (format!("tokens/{}.json", server.profile.name()), file)
    })
}

fn servers() -> [Server; 8] {
    let registered = json!({ "aud": RESOURCE, "client_id": CLIENT, "scope": "read write", "jti": "t1" });
    let none = || json!({});
    let server = |profile, issuer, typ, access, id, other| Server { profile, issuer, typ, access, id, other };
    [
        server(
            IssuerProfile::rfc9068(),
            "https://as.example.com",
            Some("at+jwt"),
            registered.clone(),
            json!({ "nonce": "n1", "auth_time": NOW.secs() }),
            none(),
        ),
        server(
            IssuerProfile::keycloak(),
            "https://id.example.com/realms/main",
            Some("JWT"),
            json!({
                "aud": [RESOURCE, "account"], "typ": "Bearer", "azp": CLIENT, "scope": "read write", "sid": "s1", "acr": "1",
                "jti": "onrtac:t1", "realm_access": { "roles": ["offline_access"] }, "allowed-origins": ["https://app.example.com"],
            }),
            json!({ "typ": "ID", "azp": CLIENT, "sid": "s1", "at_hash": "MJ4Q5Cxlv7jAa7r9zOWsMQ", "acr": "1" }),
            json!({ "typ": "Refresh", "azp": CLIENT, "sid": "s1", "scope": "openid read" }),
        ),
        server(
            IssuerProfile::auth0(),
            "https://tenant.example.com/",
            Some("JWT"),
            json!({ "aud": [RESOURCE, "https://tenant.example.com/userinfo"], "azp": CLIENT, "scope": "read write" }),
            json!({ "nonce": "n1", "sid": "s1", "name": "User" }),
            none(),
        ),
        server(
            IssuerProfile::okta(),
            "https://tenant.example.com/oauth2/default",
            None,
            json!({ "aud": RESOURCE, "ver": 1, "jti": "AT.t1", "cid": CLIENT, "uid": "00u1", "scp": ["read", "write"] }),
            json!({ "ver": 1, "jti": "ID.t1", "nonce": "n1", "auth_time": NOW.secs(), "at_hash": "MJ4Q5Cxlv7jAa7r9zOWsMQ" }),
            none(),
        ),
        server(
            IssuerProfile::entra_id(),
            "https://login.example.com/11111111-2222-3333-4444-555555555555/v2.0",
            Some("JWT"),
            json!({
                "aud": RESOURCE, "azp": CLIENT, "azpacr": "0", "scp": "read write", "oid": "o1", "ver": "2.0",
                "tid": "11111111-2222-3333-4444-555555555555", "uti": "u1", "rh": "r1", "nbf": NOW.secs(),
            }),
            json!({ "nonce": "n1", "oid": "o1", "ver": "2.0", "roles": ["Admin"], "rh": "r1", "uti": "u1" }),
            none(),
        ),
        server(
            IssuerProfile::entra_id_v1(),
            "https://sts.example.com/11111111-2222-3333-4444-555555555555/",
            Some("JWT"),
            json!({ "aud": RESOURCE, "appid": CLIENT, "appidacr": "0", "scp": "read write", "oid": "o1", "ver": "1.0",
                "tid": "11111111-2222-3333-4444-555555555555",
            }),
            json!({ "oid": "o1", "ver": "1.0", "roles": ["Admin"], "amr": ["pwd"] }),
            none(),
        ),
        server(
            IssuerProfile::duende(),
            "https://identity.example.com",
            Some("at+jwt"),
            json!({ "aud": RESOURCE, "client_id": CLIENT, "scope": ["read", "write"], "jti": "T1", "nbf": NOW.secs() }),
            json!({ "nonce": "n1", "sid": "S1", "at_hash": "MJ4Q5Cxlv7jAa7r9zOWsMQ", "idp": "local" }),
            none(),
        ),
        server(
            IssuerProfile::cognito(),
            "https://cognito-idp.example.com/eu-central-1_AbCdEf",
            None,
            json!({
                "token_use": "access", "client_id": CLIENT, "scope": "read write", "version": 2, "username": "user",
                "origin_jti": "j1", "event_id": "e1", "auth_time": NOW.secs(), "jti": "t1",
            }),
            json!({ "token_use": "id", "cognito:username": "user", "auth_time": NOW.secs(), "nonce": "n1" }),
            json!({ "token_use": "refresh" }),
        ),
    ]
}

fn entries(maker: &Maker, server: &Server) -> Vec<Value> {
    let mut entries = accepted(maker, server);
    entries.extend(own(maker, server));
    entries.extend(outvoted(maker, server));
    entries.extend(others(maker, server));
    entries
}

fn accepted(maker: &Maker, server: &Server) -> Vec<Value> {
    let access = &server.access;
    let shows = "an access token as this server writes it";
    let good = Entry::new(maker, server, "access-token", server.typ, access, shows).accepted();
    let null = with(access, &json!({ "nbf": null, "jku": null }));
    let null = Entry::new(maker, server, "null-describes-nothing", server.typ, &null, "null says as little as nothing");
    let mut entries = vec![good, null.accepted()];
    if server.profile != IssuerProfile::rfc9068() {
        let alone = with(access, &json!({ "aud": CLIENT }));
        let text = "with Bearer a token that is for its own client alone is refused, as an ID token would be";
        let alone = Entry::new(maker, server, "audience-is-client", server.typ, &alone, text);
        entries.push(alone.refused("audience_is_client"));
    }
    entries
}

/// What differs from server to server.
fn own(maker: &Maker, server: &Server) -> Vec<Value> {
    let access = &server.access;
    let entry = |id: &str, typ, claims: &Value, shows: &str| Entry::new(maker, server, id, typ, claims, shows);
    let entry_of = |id: &str, claims: Value, shows: &str| entry(id, server.typ, &with(access, &claims), shows);
    match server.profile.name() {
        "rfc9068" => vec![
            entry("typ-jwt", Some("JWT"), access, "another typ needs a profile of its own")
                .refused("token_typ_mismatch"),
            entry("typ-missing", None, access, "so does none").refused("token_typ_mismatch"),
            entry_of("scope-array", json!({ "scope": ["read", "write"] }), "an array of scopes").accepted(),
        ],
        "keycloak" => vec![
            entry("typ-at-jwt", Some("at+jwt"), access, "the client's switch for RFC 9068").accepted(),
            entry("typ-missing", None, access, "Keycloak always writes a typ").refused("token_typ_mismatch"),
            entry_of("no-subject", json!({ "sub": null }), "a client's own token without the scope basic")
                .subject(None)
                .accepted(),
            entry_of(
                "bound",
                json!({ "typ": "DPoP", "cnf": { "jkt": maker_jkt(), "any": null } }),
                "a bound token needs a proof",
            )
            .refused("token_bound"),
            entry_of("no-marker", json!({ "typ": null }), "the claim typ says what a token is")
                .refused("not_access_token"),
            entry_of("offline-token", json!({ "typ": "Offline" }), "a refresh token without end")
                .refused("not_access_token"),
            entry_of(
                "introspected",
                json!({ "active": true, "client_id": CLIENT, "token_type": "Bearer", "username": "user" }),
                "an answer of Keycloak",
            )
            .introspected()
            .accepted(),
            entry_of(
                "introspected-refresh-token",
                json!({ "active": true, "client_id": CLIENT, "typ": "Refresh" }),
                "Keycloak's answer about a refresh token",
            )
            .introspected()
            .refused("not_access_token"),
            entry_of("introspected-no-audience", json!({ "active": true, "aud": null }), "an answer without audience")
                .introspected()
                .refused("token_claim_invalid"),
        ],
        "auth0" => vec![
            entry_of(
                "client-credentials",
                json!({ "sub": "web-app@clients", "aud": RESOURCE, "gty": "client-credentials" }),
                "a client's own token",
            )
            .subject(Some("web-app@clients"))
            .accepted(),
            entry("typ-at-jwt", Some("at+jwt"), access, "the dialect RFC 9068 needs the profile rfc9068")
                .refused("token_typ_mismatch"),
        ],
        "okta" => vec![
            entry("typ-jwt", Some("JWT"), access, "the typ of some versions").accepted(),
            entry(
                "typ-internal",
                Some("application/okta-internal-at+jwt"),
                access,
                "a token of the organization server",
            )
            .refused("token_typ_mismatch"),
            entry_of(
                "introspected",
                json!({ "active": true, "client_id": CLIENT, "scope": "read write", "cid": null, "scp": null }),
                "Okta answers with the registered names",
            )
            .introspected()
            .accepted(),
        ],
        "entra_id" | "entra_id_v1" => vec![
            entry_of("app-only", json!({ "scp": null, "roles": ["Tasks.Read.All"] }), "a client's own token has roles")
                .scopes(&[])
                .accepted(),
            entry_of("no-marker", json!({ "scp": null }), "neither scp nor roles").refused("not_access_token"),
            entry_of(
                "other-tenant",
                json!({ "tid": "22222222-2222-3333-4444-555555555555" }),
                "another tenant than in iss",
            )
            .refused("issuer_mismatch"),
            entry_of("no-tenant", json!({ "tid": null }), "no tenant").refused("issuer_mismatch"),
        ],
        "duende" => vec![
            entry_of("client-credentials", json!({ "sub": null }), "a client's own token names no subject")
                .subject(None)
                .accepted(),
            entry("typ-jwt", Some("JWT"), access, "IdentityServer writes at+jwt").refused("token_typ_mismatch"),
            entry_of("introspected", json!({ "active": true, "scope": "read write" }), "an answer of IdentityServer")
                .introspected()
                .accepted(),
        ],
        "cognito" => vec![
            entry_of("audience", json!({ "aud": RESOURCE }), "a token for a resource").accepted(),
            entry_of(
                "other-audience",
                json!({ "aud": "https://other.example.com" }),
                "an audience counts where there is one",
            )
            .refused("audience_mismatch"),
            entry_of("other-client", json!({ "client_id": "other" }), "a token of a client that is not named")
                .refused("audience_mismatch"),
            entry_of("audience-null", json!({ "aud": null }), "null is no audience").refused("token_claim_invalid"),
        ],
        _ => Vec::new(),
    }
}

/// Custom claims that look like another server's scopes and client.
fn outvoted(maker: &Maker, server: &Server) -> Vec<Value> {
    let claims = json!({
        "scope": "admin", "scp": ["admin"], "scopes": "admin", "client_id": "admin", "azp": "admin", "cid": "admin", "appid": "admin",
    });
    let claims = with(&claims, &server.access);
    let shows = "one member for each purpose: custom claims add nothing";
    vec![Entry::new(maker, server, "custom-claims", server.typ, &claims, shows).accepted()]
}

/// Everything else that the server signs with the same key, each with its own `typ` and with the one of access tokens.
fn others(maker: &Maker, server: &Server) -> Vec<Value> {
    let to_client = json!({ "aud": CLIENT });
    let id_token = with(&to_client, &server.id);
    let refresh = with(&json!({ "aud": CLIENT, "jti": "r1" }), &server.other);
    let logout = json!({
        "aud": CLIENT, "jti": "l1", "sid": "s1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let jarm = json!({ "aud": CLIENT, "code": "c1", "state": "s1", "sub": null });
    let introspection = json!({
        "aud": RESOURCE, "jti": "i1",
        "token_introspection": { "active": true, "aud": RESOURCE, "sub": USER, "scope": "read", "client_id": CLIENT },
    });
    let id_typ = if server.typ.is_some() { Some("JWT") } else { None };
    [
        ("id-token", id_typ, id_token, "an ID token, where its client is named as an audience"),
        ("refresh-token", id_typ, refresh, "a refresh token"),
        ("logout-token", Some("logout+jwt"), logout, "a logout token (OpenID Connect Back-Channel Logout 2.4)"),
        ("jarm", id_typ, jarm, "an authorization response (JARM 2.1)"),
        ("introspection", Some("token-introspection+jwt"), introspection, "an introspection response (RFC 9701 5)"),
    ]
    .into_iter()
    .flat_map(|(id, typ, claims, shows)| {
        let plain = Entry::new(maker, server, id, typ, &claims, shows);
        let plain = plain.refused(if typed(server, typ) { verdict(server, id) } else { "token_typ_mismatch" });
        // The worst that a server could write: the same `typ` as that of its access tokens. Where that alone tells them apart, none does.
        let alike = (typ != server.typ && server.typ != Some("at+jwt")).then(|| {
            let id = format!("{id}-typed-like-access");
            let shows = format!("{shows}, with the typ of an access token");
            Entry::new(maker, server, &id, server.typ, &claims, &shows).refused(verdict(server, &id))
        });
        [Some(plain), alike].into_iter().flatten()
    })
    .collect()
}

/// Whether the profile takes a token of this `typ` for an access token.
fn typed(server: &Server, typ: Option<&str>) -> bool {
    typ == server.typ && server.typ != Some("at+jwt")
}

/// The first check that a token of another kind fails.
fn verdict(server: &Server, id: &str) -> &'static str {
    match server.profile.name() {
        "keycloak" => "not_access_token",
        _ if id.starts_with("jarm") => "token_claim_invalid",
        _ => "not_access_token",
    }
}

/// The thumbprint of the key of RFC 7515 A.3.
fn maker_jkt() -> String {
    super::thumbprint(&format!("{P256}}}"))
}

/// `claims` with those of `more`; null takes one out, but for the audience.
fn with(claims: &Value, more: &Value) -> Value {
    let mut all = claims.as_object().cloned().unwrap_or_default();
    for (name, value) in more.as_object().into_iter().flatten() {
        all.insert(name.clone(), value.clone());
    }
    Value::Object(all)
}

/// One entry of a file.
struct Entry(Map<String, Value>);

impl Entry {
    fn new(maker: &Maker, server: &Server, id: &str, typ: Option<&str>, claims: &Value, shows: &str) -> Self {
        let standing = json!({ "iss": server.issuer, "sub": USER, "iat": NOW.secs() - 30, "exp": NOW.secs() + 270 });
        let claims = with(&standing, claims);
        let mut header = json!({ "alg": "ES256", "kid": "1" });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let token = raw::sign(&maker.es256, &CRYPTO, &header.to_string(), &claims.to_string());
        let entry = json!({
            "id": format!("{}-{id}", server.profile.name()),
            "header": header,
            "claims": claims,
            "token": token,
            "answer": null,
            "expect": null,
            "reason": shows,
            "rejection": null,
            "principal": { "subject": USER, "client_id": CLIENT, "scopes": ["read", "write"] },
        });
        let Value::Object(entry) = entry else { unreachable!("written as one above") };
        Self(entry)
    }

    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same as an answer about an opaque token.
    fn introspected(mut self) -> Self {
        let answer = self.0.get_mut("claims").map(Value::take);
        self.0.insert("header".into(), Value::Null);
        self.set("answer", answer.unwrap_or_default()).set("token", "opaque-1")
    }

    fn subject(mut self, subject: Option<&str>) -> Self {
        self.0["principal"]["subject"] = subject.into();
        self
    }

    fn scopes(mut self, scopes: &[&str]) -> Self {
        self.0["principal"]["scopes"] = scopes.into();
        self
    }

    fn accepted(self) -> Value {
        Value::Object(self.set("expect", "accept").0)
    }

    fn refused(self, rejection: &str) -> Value {
        Value::Object(self.set("expect", "reject").set("rejection", rejection).set("principal", Value::Null).0)
    }
}
