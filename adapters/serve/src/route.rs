//! Which endpoint answers a request.

use keybound::server::cors::Cors;

use super::http::{Incoming, Outgoing};
use super::place::Place;
use super::state::State;
use super::{api, authorize, device, metadata, register, token, tokens};

type Endpoint = fn(&State, &Incoming) -> Result<Outgoing, Outgoing>;

/// The answer to a request.
pub(super) fn route(state: &State, request: &Incoming) -> Outgoing {
    if !is_visited(request.endpoint())
        && let Some(answer) = preflight(request)
    {
        return answer;
    }
    let path = match &request.place {
        Place::Api(path) => return api::answer(state, request, path).unwrap_or_else(|answer| answer),
        Place::ServerMetadata => return got(state, request, "GET", metadata::server),
        Place::ApiMetadata => return got(state, request, "GET", metadata::resource),
        Place::Server(path) => path.as_str(),
        Place::Nowhere => "",
    };
    let (method, endpoint): (&str, Endpoint) = match path {
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
    got(state, request, method, endpoint)
}

fn got(state: &State, request: &Incoming, method: &str, endpoint: Endpoint) -> Outgoing {
    let is_head = method == "GET" && request.method == "HEAD";
    if request.method != method && !is_head {
        return Outgoing::error(405, "invalid_request", "this endpoint has another method").with("Allow", method);
    }
    endpoint(state, request).unwrap_or_else(|answer| answer)
}

/// Whether an endpoint is one that the user's browser visits. Scripts of other origins have no business there (RFC 9700 section 2.6).
pub(super) fn is_visited(path: &str) -> bool {
    ["/authorize", "/decide", "/device"].contains(&path)
}

/// Scripts of every origin may send tokens and proofs here.
fn preflight(request: &Incoming) -> Option<Outgoing> {
    let fields: Vec<(&str, &[u8])> =
        request.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let cors = Cors::of(&["*"]).and_then(|cors| cors.with_allowed_headers(&["Accept"])).ok()?;
    cors.preflight(&request.method, &fields).map(Outgoing::from)
}
