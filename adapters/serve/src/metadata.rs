//! What the servers publish about themselves.

use keybound::SecurityLevel;
use keybound::json::Value;
use keybound::key::Signer as _;

use super::http::{Incoming, Outgoing};
use super::state::{KEY_ID, State};

/// The ways to authenticate.
pub(super) const METHODS: [&str; 4] = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
/// The grants there are.
pub(super) const GRANTS: [&str; 6] = [
    "authorization_code",
    "refresh_token",
    "client_credentials",
    DEVICE_CODE,
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
];
/// The grant of devices (RFC 8628 section 3.4).
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The algorithms of client assertions.
pub(super) const ASSERTION_ALGORITHMS: [&str; 5] = ["ES256", "ES384", "Ed25519", "EdDSA", "PS256"];

pub(super) fn server(state: &State, _: &Incoming) -> Result<Outgoing, Outgoing> {
    unless_failing(state)?;
    let at = |path: &str| format!("{}{path}", state.issuer.trim_end_matches('/'));
    let document = state
        .authorization()
        .metadata(&state.issuer)
        .with("authorization_endpoint", at("/authorize"))
        .with("token_endpoint", at("/token"))
        .with("jwks_uri", at("/jwks"))
        .with("registration_endpoint", at("/register"))
        .with("pushed_authorization_request_endpoint", at("/par"))
        .with("device_authorization_endpoint", at("/device_authorization"))
        .with("introspection_endpoint", at("/introspect"))
        .with("revocation_endpoint", at("/revoke"))
        .with("require_pushed_authorization_requests", state.options.level == SecurityLevel::Maximum)
        .with("client_id_metadata_document_supported", true)
        .with("grant_types_supported", Value::from_iter(GRANTS))
        .with("response_modes_supported", Value::from_iter(["query"]))
        .with("scopes_supported", state.options.scopes.iter().map(String::as_str).collect::<Value>())
        .with("token_endpoint_auth_methods_supported", Value::from_iter(METHODS))
        .with("token_endpoint_auth_signing_alg_values_supported", Value::from_iter(ASSERTION_ALGORITHMS))
        .with("introspection_endpoint_auth_methods_supported", METHODS[1..].iter().copied().collect::<Value>())
        .with("introspection_endpoint_auth_signing_alg_values_supported", Value::from_iter(ASSERTION_ALGORITHMS))
        .with("revocation_endpoint_auth_methods_supported", Value::from_iter(METHODS))
        .with("revocation_endpoint_auth_signing_alg_values_supported", Value::from_iter(ASSERTION_ALGORITHMS))
        .with("authorization_details_types_supported", Value::from_iter([keybound::intent::REQUEST_TYPE]));
    Ok(cacheable(&document))
}

pub(super) fn resource(state: &State, _: &Incoming) -> Result<Outgoing, Outgoing> {
    unless_failing(state)?;
    Ok(cacheable(&state.api().metadata()))
}

fn unless_failing(state: &State) -> Result<(), Outgoing> {
    if state.faults().metadata_failing {
        return Err(Outgoing::error(503, "temporarily_unavailable", "metadata is not available for now"));
    }
    Ok(())
}

/// The key that verifies access tokens (RFC 7517).
pub(super) fn keys(state: &State, _: &Incoming) -> Result<Outgoing, Outgoing> {
    let jwk = Value::parse_object(state.signer.public_key().to_json().as_bytes()).unwrap_or(Value::object());
    let jwk = jwk.with("kid", KEY_ID).with("use", "sig").with("alg", state.signer.algorithm().name());
    Ok(cacheable(&Value::object().with("keys", Value::from(vec![jwk]))))
}

fn cacheable(document: &Value) -> Outgoing {
    let mut answer = Outgoing::new(200).with("Content-Type", "application/json").with("Cache-Control", "max-age=60");
    answer.body = document.to_json();
    answer
}
