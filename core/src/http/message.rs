//! A request that the host is to send, and the response it got.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

/// A request the core wants sent: method, URL and fields exactly as given, redirects not followed.
///
/// `Debug` shows neither credentials nor the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, case significant.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Names and values, one element for each field line, in order.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// These bytes, which can be sent again.
    Bytes(Vec<u8>),
    /// The host holds it and can send it any number of times.
    Repeatable,
    /// The host holds it and can send it once, for example a stream.
    OneShot,
}

/// A response as the host received it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names and values, one element for each field line, as received.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, where it was asked for.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without fields and body.
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.into(), url: url.into(), fields: Vec::new(), body: Body::Empty }
    }

    /// Adds a field.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The value of the first field with this name, case not regarded.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Response {
    /// The values of all fields with this name, case not regarded (RFC 9110 section 5.1).
    pub fn all<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The value of a field that occurs once and is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_some() {
            return None;
        }
        core::str::from_utf8(first).ok()
    }
}

/// Names of fields whose values are credentials.
const SECRET: [&str; 4] = ["authorization", "dpop", "cookie", "proxy-authorization"];

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str| !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let fields =
            self.fields.iter().map(|(name, value)| (name, if shown(name) { value.as_str() } else { "redacted" }));
        let url = self.url.split('?').next();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &url.unwrap_or_default())
            .field("fields", &fields.collect::<Vec<_>>())
            .field("body", &self.body)
            .finish()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Repeatable => f.write_str("Repeatable"),
            Self::OneShot => f.write_str("OneShot"),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} fields, {} bytes)", self.status, self.fields.len(), self.body.len())
    }
}

/// Bodies of token requests and answers hold secrets.
impl Drop for Body {
    fn drop(&mut self) {
        if let Self::Bytes(bytes) = self {
            bytes.as_mut_slice().zeroize();
        }
    }
}

/// Fields of requests hold tokens, proofs and clients' secrets.
impl Drop for Request {
    fn drop(&mut self) {
        for (_, value) in &mut self.fields {
            value.as_mut_str().zeroize();
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.body.as_mut_slice().zeroize();
        for (_, value) in &mut self.fields {
            value.as_mut_slice().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Request, Response};
    use alloc::format;
    use alloc::vec;

    #[test]
    fn debug_shows_no_credentials() {
        let request = Request::new("POST", "https://as.example/token?code=visible")
            .with_field("Authorization", "Basic visible")
            .with_field("dpop", "visible")
            .with_body(Body::Bytes(b"visible".to_vec()));
        assert!(!format!("{request:?}").contains("visible"));
        let response = Response { status: 200, fields: vec![], body: b"visible".to_vec() };
        assert!(!format!("{response:?}").contains("visible"));
    }

    #[test]
    fn a_field_that_occurs_twice_is_no_text() {
        let fields = vec![("Date".into(), b"a".to_vec()), ("DATE".into(), b"b".to_vec())];
        let response = Response { status: 200, fields, body: vec![] };
        assert_eq!((response.text("date"), response.all("date").count()), (None, 2));
    }
}
