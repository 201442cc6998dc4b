//! Requests and responses between reqwest's form and the core's.

use keybound::http::message::{Body, Request, Response};
use keybound::oauth::Answer;
use keybound::oauth::step::{FetchFailed, HostError};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// A request of the caller without its body, as the core sees it.
pub(crate) fn head(method: &Method, url: &str, headers: &HeaderMap, body: Body) -> Request {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        // Values are given back as they were: the core passes fields on and reads none of these.
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Request {
        method: method.as_str().into(),
        url: url.into(),
        fields: headers.iter().filter_map(field).collect(),
        body,
    }
}

/// A body that the host holds, as the core sees it: `again` if it is in memory and can be sent any number of times.
pub(crate) const fn body(is_there: bool, again: bool) -> Body {
    match (is_there, again) {
        (false, _) => Body::Empty,
        (true, true) => Body::Repeatable,
        (true, false) => Body::OneShot,
    }
}

/// Method and fields of a request that the core wants sent.
pub(crate) fn method_and_fields(request: &Request) -> Result<(Method, HeaderMap), HostError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.fields {
        let mut value = HeaderValue::from_str(value)?;
        let secret = name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("dpop");
        value.set_sensitive(secret);
        headers.append(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok((Method::from_bytes(request.method.as_bytes())?, headers))
}

/// A response as the core reads it.
pub(crate) fn response(status: u16, headers: &HeaderMap, body: Vec<u8>) -> Response {
    let field = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_vec());
    Response { status, fields: headers.iter().map(field).collect(), body }
}

/// Whether the answer is of a request that was refused for want of a body to send again.
pub(crate) fn wants_resend(answer: &Answer) -> bool {
    answer.demand == Some(keybound::oauth::Demand::Resend)
}

/// The error of an answer longer than the core reads.
pub(crate) fn too_long(limit: usize) -> HostError {
    format!("the answer is longer than {limit} bytes").into()
}

/// How the network failed. reqwest says where: until a connection stands, with TLS where that is asked for, nothing is sent. It sends
/// nothing again by itself that was written to a connection.
pub(crate) fn failed(error: reqwest::Error) -> FetchFailed {
    let not_sent = error.is_connect() || error.is_builder();
    let error = HostError::from(error);
    if not_sent { FetchFailed::NotSent(error) } else { FetchFailed::Lost(error) }
}
