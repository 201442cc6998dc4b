//! Which endpoint answers a request.

use keybound::server::cors::Cors;

use super::http::{Incoming, Outgoing};
use super::state::State;
use super::{api, authorize, browser, device, metadata, register, token, tokens};

type Endpoint = fn(&State, &Incoming) -> Result<Outgoing, Outgoing>;

/// The answer to a request.
pub(super) fn route(state: &State, request: &Incoming) -> Outgoing {
    if !browser::is_visited(&request.path)
        && let Some(answer) = preflight(request)
    {
        return answer;
    }
    let is_api = request.path == "/api" || request.path.starts_with("/api/");
    if is_api {
        return api::answer(state, request).unwrap_or_else(|answer| answer);
    }
    let (method, endpoint): (&str, Endpoint) = match request.path.as_str() {
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => ("GET", metadata::server),
        "/.well-known/oauth-protected-resource/api" => ("GET", metadata::resource),
        "/jwks" => ("GET", metadata::keys),
        "/authorize" => ("GET", authorize::authorize),
        "/decide" => ("POST", authorize::decide),
        "/par" => ("POST", authorize::push),
        "/token" => ("POST", token::token),
        "/device_authorization" => ("POST", device::begin),
        "/device" if request.method == "POST" => ("POST", device::decide),
        "/device" => ("GET", device::page),
        "/register" => ("POST", register::register),
        "/introspect" => ("POST", tokens::introspect),
        "/revoke" => ("POST", tokens::revoke),
        _ => return Outgoing::error(404, "not_found", "there is nothing here"),
    };
    let is_head = method == "GET" && request.method == "HEAD";
    if request.method != method && !is_head {
        return Outgoing::error(405, "invalid_request", "this endpoint has another method").with("Allow", method);
    }
    endpoint(state, request).unwrap_or_else(|answer| answer)
}

/// Scripts of every origin may send tokens and proofs here.
fn preflight(request: &Incoming) -> Option<Outgoing> {
    let fields: Vec<(&str, &[u8])> =
        request.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let cors = Cors::of(&["*"]).and_then(|cors| cors.with_allowed_headers(&["Accept"])).ok()?;
    cors.preflight(&request.method, &fields).map(Outgoing::from)
}
