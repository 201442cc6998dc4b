//! Refusals as HTTP responses, and what admitted requests are answered with besides.

use std::fmt;

use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, VARY};
use http::{Response, StatusCode};
use keybound::Refusal;
use keybound::server::resource::{EXPOSED_FIELDS, Principal};

/// A refusal that a handler can return: with axum it is a response, else see [`into_response`](Self::into_response).
pub struct Refused(pub(crate) Box<Refusal>);

impl Refused {
    /// The refusal.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }

    /// The response to send.
    pub fn into_response<B: Default>(self) -> Response<B> {
        response(&self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request was refused: {}", self.0.reason())
    }
}

impl std::error::Error for Refused {}

/// The response to a request that is refused. Refusals of a resource have no body.
pub(crate) fn response<B: Default>(refusal: &Refusal) -> Response<B> {
    let mut response = preflight(refusal);
    expose(response.headers_mut());
    response
}

/// The response to a preflight.
pub(crate) fn preflight<B: Default>(refusal: &Refusal) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in refusal.headers() {
        add(response.headers_mut(), name, value);
    }
    response
}

/// Adds what an answer says to the browser of a page of another origin. What the handler exposes stays exposed.
pub(crate) fn cross(headers: &mut HeaderMap, crossing: &[(&'static str, String)]) {
    for (name, value) in crossing {
        match (*name, HeaderValue::from_str(value)) {
            ("Vary", Ok(value)) => add_to_list(headers, &VARY, value),
            ("Access-Control-Expose-Headers", Ok(value)) => add_to_list(headers, &ACCESS_CONTROL_EXPOSE_HEADERS, value),
            _ => add(headers, name, value),
        }
    }
}

/// Adds what an admitted request is answered with besides: the next nonce, and what scripts may read.
pub(crate) fn complete(headers: &mut HeaderMap, principal: &Principal) {
    for (name, value) in principal.headers() {
        // A handler that says how its answer is cached has said so knowingly; all else with a nonce is not cached.
        if name != "Cache-Control" || !headers.contains_key(CACHE_CONTROL) {
            add(headers, name, value);
        }
    }
    expose(headers);
}

/// Lets scripts of other origins read what they need. Refusals of the core say so themselves, most of them.
fn expose(headers: &mut HeaderMap) {
    add_to_list(headers, &ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_FIELDS));
}

fn add_to_list(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    if !headers.get_all(name).iter().any(|known| known == value) {
        headers.append(name, value);
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    // Both come from the core and hold nothing from the peer.
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}
