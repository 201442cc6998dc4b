//! HTTP as bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use keybound::http::form::Form;
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    /// The value of a field, which occurs at most once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} occurs twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A member of the body that is there and a text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// The error of the body.
    pub(crate) fn error(&self) -> Option<&'static str> {
        let body = self.json();
        let error = body["error"].as_str()?;
        KNOWN_ERRORS.into_iter().find(|known| *known == error).or(Some("another error"))
    }

    /// Status and error.
    pub(crate) fn verdict(&self) -> (u16, Option<&'static str>) {
        (self.status, self.error())
    }

    /// A parameter of the URL that the browser is sent to.
    pub(crate) fn returned(&self, name: &str) -> Option<String> {
        let location = self.field("Location").unwrap_or_else(|| panic!("no redirect: {self:?}"));
        let (_, query) = location.split_once('?').expect("a query");
        Form::parse(query.as_bytes()).unwrap().get(name).unwrap().map(str::to_owned)
    }
}

const KNOWN_ERRORS: [&str; 22] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "insufficient_scope",
    "invalid_authorization_details",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "not_found",
    "request_not_supported",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "use_dpop_nonce",
];

/// A form as it is sent.
pub(crate) fn encode(params: &[(&str, &str)]) -> String {
    let mut form = Form::new();
    params.iter().for_each(|(name, value)| form.push(name, value));
    form.encode()
}

/// Sends one request on a connection of its own.
pub(crate) fn send(origin: &str, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Received {
    let host = origin.strip_prefix("http://").expect("plain http");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    raw(origin, &bytes)
}

/// Sends bytes and reads the answer.
pub(crate) fn raw(origin: &str, bytes: &[u8]) -> Received {
    let mut stream = TcpStream::connect(origin.strip_prefix("http://").expect("plain http")).unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Received { status, fields: lines.filter_map(field).collect(), body: body.to_owned() }
}
