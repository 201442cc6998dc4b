//! Requests and answers as the endpoints see them.

use keybound::Refusal;
use keybound::http::form::Form;
use keybound::json::Value;
use keybound::server::authorization::Reply;
use keybound::server::resource::Principal;

use super::place::Place;

/// A request, read whole. [`Server::request`](crate::Server::request) makes one.
pub struct Incoming {
    pub(super) method: String,
    /// Its URL without the query, whose origin is this server's own and never what the field `Host` says.
    pub(super) url: String,
    pub(super) place: Place,
    pub(super) query: String,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Outgoing {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of its fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Who called, if the API admitted the request: another answer than the echo then keeps the fields.
    pub principal: Option<Box<Principal>>,
}

impl Incoming {
    /// The endpoint of the authorization server that it came to: a path.
    pub(super) fn endpoint(&self) -> &str {
        match &self.place {
            Place::Server(path) => path,
            _ => "",
        }
    }

    /// The values of all fields of this name.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of a field that occurs once and is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [value] => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// The parameters of the body.
    pub(super) fn form(&self) -> Result<Form, Outgoing> {
        let kind = self.text("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Outgoing::error(400, "invalid_request", "the body must be application/x-www-form-urlencoded"));
        }
        let form =
            Form::parse(&self.body).map_err(|_| Outgoing::error(400, "invalid_request", "the body is no form"))?;
        // RFC 6749 section 3.2: nothing else may occur twice (RFC 8707 section 2, RFC 8693 section 2.1).
        let repeated = |name: &str| !["resource", "audience"].contains(&name) && form.get(name).is_err();
        if form.iter().any(|(name, _)| repeated(name)) {
            return Err(Outgoing::error(400, "invalid_request", "a parameter occurs twice"));
        }
        Ok(form)
    }
}

/// A parameter that occurs at most once.
pub(super) fn param<'f>(form: &'f Form, name: &str) -> Result<Option<&'f str>, Outgoing> {
    form.get(name).map_err(|_| Outgoing::error(400, "invalid_request", &format!("{name} occurs twice")))
}

/// A parameter that must be there.
pub(super) fn need<'f>(form: &'f Form, name: &str) -> Result<&'f str, Outgoing> {
    param(form, name)?.ok_or_else(|| Outgoing::error(400, "invalid_request", &format!("{name} is missing")))
}

impl Outgoing {
    pub(super) fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: String::new(), principal: None }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(super) fn json(status: u16, document: &Value) -> Self {
        let mut answer = Self::new(status).with("Content-Type", "application/json").with("Cache-Control", "no-store");
        answer.body = document.to_json();
        answer
    }

    /// An error of OAuth (RFC 6749 section 5.2).
    pub fn error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &Value::object().with("error", error).with("error_description", described(description)))
    }

    pub(super) fn page(status: u16, text: &str) -> Self {
        let mut answer = Self::new(status)
            .with("Content-Type", "text/html; charset=utf-8")
            .with("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
            // With no referrer at all the browser would not say either that a form is sent from here.
            .with("Referrer-Policy", "same-origin")
            .with("Cache-Control", "no-store");
        answer.body = format!("<!doctype html><meta charset=utf-8><title>keybound serve</title>{text}");
        answer
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::new(302).with("Location", to).with("Cache-Control", "no-store").with("Referrer-Policy", "no-referrer")
    }
}

/// What an `error_description` may hold of a sentence (RFC 6749 sections 4.1.2.1 and 5.2), and not more than is read.
pub(super) fn described(text: &str) -> String {
    let plain = |c: char| if matches!(c, ' '..='!' | '#'..='[' | ']'..='~') { c } else { '?' };
    text.chars().take(300).map(plain).collect()
}

impl From<Refusal> for Outgoing {
    fn from(refusal: Refusal) -> Self {
        let fields = refusal.headers().iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        Self { status: refusal.status(), fields, body: refusal.body().into(), principal: None }
    }
}

impl From<Reply> for Outgoing {
    fn from(reply: Reply) -> Self {
        let fields = reply.headers().iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        Self { status: reply.status(), fields, body: reply.body().into(), principal: None }
    }
}

/// Text for a page, with the characters of HTML made harmless.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}
