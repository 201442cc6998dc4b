//! Which pages of other origins may call a resource: preflights, and the fields that let scripts read answers (the CORS protocol of the
//! Fetch standard, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! ```
//! use keybound::server::cors::Cors;
//! let cors = Cors::of(&["https://app.example.com"])?;
//! let fields: [(&str, &[u8]); 2] =
//!     [("Origin", b"https://app.example.com"), ("Access-Control-Request-Method", b"PUT")];
//! let answer = cors.preflight("OPTIONS", &fields).expect("browsers ask this before they send a PUT with a token");
//! assert_eq!(answer.status(), 204);
//! assert!(answer.headers().contains(&("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type".to_owned())));
//! // All other requests go on to the handler, and their answers get these fields.
//! assert!(cors.preflight("GET", &fields).is_none());
//! assert_eq!(cors.fields(&fields)[0], ("Access-Control-Allow-Origin", "https://app.example.com".to_owned()));
//! # Ok::<(), keybound::Misuse>(())
//! ```
//!
//! # Security
//! CORS decides which pages may send and read, not who is admitted: every request needs its token and proof all the same.
//! `Access-Control-Allow-Credentials` is never sent. Tokens and proofs are fields that a page sets itself, so they need none, and cookies of
//! the user are not sent to a server that does not ask for them.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::source::normal_origin;
use crate::Misuse;
use crate::http::url::Url;
use crate::proof::build::is_token;
use crate::verify::refusal::{EXPOSED_FIELDS, Refusal};

/// What a page may send besides what browsers let every page send.
const ALLOWED_FIELDS: &str = "Authorization, DPoP, Content-Type";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Which pages of other origins may call, with what, and what their scripts may read.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    methods: String,
    allowed: String,
    exposed: String,
    max_age: u64,
}

#[derive(Clone, Debug)]
enum Origins {
    Any,
    /// As browsers write them.
    Listed(Vec<String>),
}

impl Cors {
    /// The longest time for which browsers are told to remember a preflight, in seconds: a day.
    pub const MAX_AGE_LIMIT: u64 = 86_400;

    /// Pages of these origins may call. An origin is compared exactly, and is written as browsers send it: `https://app.example.com`, or
    /// `http://localhost:5173` for a page on this machine. `*` alone stands for every origin.
    ///
    /// They may use the methods GET, HEAD, POST, PUT, PATCH and DELETE, and send `Authorization`, `DPoP` and `Content-Type`. Browsers
    /// remember that for ten minutes.
    ///
    /// # Errors
    /// [`Misuse::Cors`] for no origin, and for one that no browser sends or that others could send too: `null`, a pattern, `http` elsewhere
    /// than on this machine.
    pub fn of(origins: &[&str]) -> Result<Self, Misuse> {
        let origins = match origins {
            [] => {
                return Err(Misuse::Cors(
                    "without an origin no page may call; list the origins of your pages, such as https://app.example.com, or leave cors out",
                ));
            }
            ["*"] => Origins::Any,
            listed => {
                listed.iter().try_for_each(|origin| check_origin(origin))?;
                Origins::Listed(listed.iter().map(|origin| (*origin).to_owned()).collect())
            }
        };
        let (methods, allowed) = (METHODS.to_owned(), ALLOWED_FIELDS.to_owned());
        Ok(Self { origins, methods, allowed, exposed: EXPOSED_FIELDS.to_owned(), max_age: 600 })
    }

    /// They may use exactly these methods.
    ///
    /// # Errors
    /// [`Misuse::Cors`] unless each is a token (RFC 9110 section 5.6.2), and for none.
    pub fn with_methods(self, methods: &[&str]) -> Result<Self, Misuse> {
        if methods.is_empty() || !methods.iter().all(|method| is_token(method)) {
            return Err(Misuse::Cors("its methods are names such as GET and PUT, at least one"));
        }
        Ok(Self { methods: methods.join(", "), ..self })
    }

    /// They may send these fields too.
    ///
    /// # Errors
    /// [`Misuse::Cors`] unless each is the name of a field.
    pub fn with_allowed_headers(mut self, names: &[&str]) -> Result<Self, Misuse> {
        add(&mut self.allowed, names)?;
        Ok(self)
    }

    /// Their scripts may read these fields of answers besides `WWW-Authenticate`, `DPoP-Nonce` and `Date`.
    ///
    /// # Errors
    /// [`Misuse::Cors`] unless each is the name of a field.
    pub fn with_exposed_headers(mut self, names: &[&str]) -> Result<Self, Misuse> {
        add(&mut self.exposed, names)?;
        Ok(self)
    }

    /// Browsers remember the answer to a preflight for so many seconds: 0 to 86,400, 600 by default.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`].
    pub fn with_max_age(self, seconds: u64) -> Result<Self, Misuse> {
        if seconds > Self::MAX_AGE_LIMIT {
            return Err(Misuse::PolicyBound("max_age of cors (0 to 86,400 seconds)"));
        }
        Ok(Self { max_age: seconds, ..self })
    }

    /// The answer to a preflight; none if the request is another one. `fields` are all its fields, one element for each field line.
    ///
    /// A preflight is an `OPTIONS` request with one `Origin` and one `Access-Control-Request-Method`. No handler gets to see it: it
    /// carries neither token nor proof. That from an origin that may not call is answered with 403.
    pub fn preflight(&self, method: &str, fields: &[(&str, &[u8])]) -> Option<Refusal> {
        let asked = one(fields, "Access-Control-Request-Method").filter(|asked| is_token(asked));
        if method != "OPTIONS" || one(fields, "Origin").is_none() || asked.is_none() {
            return None;
        }
        let mut headers = Vec::new();
        let Some(allowed) = self.allowed(fields) else {
            headers.extend(self.vary());
            return Some(Refusal::with_headers(403, Refusal::CORS_ORIGIN, None, None, headers));
        };
        headers.push((ALLOW_ORIGIN, allowed.to_owned()));
        headers.push(("Access-Control-Allow-Methods", self.methods.clone()));
        headers.push(("Access-Control-Allow-Headers", self.allowed.clone()));
        headers.push(("Access-Control-Max-Age", self.max_age.to_string()));
        headers.extend(self.vary());
        Some(Refusal::with_headers(204, Refusal::PREFLIGHT, None, None, headers))
    }

    /// What the answer to any other request carries besides its own fields: who may read it, and which fields. They replace those of the
    /// same name, except for `Vary`, which is a list.
    pub fn fields(&self, fields: &[(&str, &[u8])]) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(allowed) = self.allowed(fields) {
            headers.push((ALLOW_ORIGIN, allowed.to_owned()));
            headers.push(("Access-Control-Expose-Headers", self.exposed.clone()));
        }
        headers.extend(self.vary());
        headers
    }

    /// What `Access-Control-Allow-Origin` says: a text of the configuration, never the peer's.
    fn allowed(&self, fields: &[(&str, &[u8])]) -> Option<&str> {
        match &self.origins {
            Origins::Any => Some("*"),
            Origins::Listed(known) => {
                let origin = one(fields, "Origin")?;
                known.iter().find(|known| *known == origin).map(String::as_str)
            }
        }
    }

    /// An answer that depends on who asked is not for others, whether or not this one was allowed.
    fn vary(&self) -> Option<(&'static str, String)> {
        matches!(self.origins, Origins::Listed(_)).then(|| ("Vary", "Origin".to_owned()))
    }
}

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// The value of a field that occurs in one line.
fn one<'f>(fields: &[(&str, &'f [u8])], name: &str) -> Option<&'f str> {
    let mut lines = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    match (lines.next(), lines.next()) {
        (Some((_, value)), None) => core::str::from_utf8(value).ok(),
        _ => None,
    }
}

fn add(list: &mut String, names: &[&str]) -> Result<(), Misuse> {
    for name in names {
        if !is_token(name) {
            return Err(Misuse::Cors(
                "its headers are names of header fields, such as X-Request-Id, one in each entry",
            ));
        }
        list.push_str(", ");
        list.push_str(name);
    }
    Ok(())
}

fn check_origin(origin: &str) -> Result<(), Misuse> {
    match origin {
        "*" => Err(Misuse::Cors("* stands for every origin; write it alone, or leave it out")),
        "null" => Err(Misuse::Cors(
            "null is the origin of every sandboxed frame and local file; serve your page over https and write its origin",
        )),
        _ if origin.contains('*') => Err(Misuse::Cors(
            "origins are compared exactly, without patterns; list each, such as https://a.example.com and https://b.example.com",
        )),
        _ if is_of_an_app(origin) => Ok(()),
        // A slash at the end, a default port, capitals: what a browser sends is in normal form and would never be the same.
        _ if normal_origin(origin).as_deref() != Ok(origin) => Err(Misuse::Cors(
            "an origin is written as browsers send it: https://app.example.com or http://localhost:5173, in lower case, without a path or slash \
             at the end, and with a port unless it is 443 or 80",
        )),
        _ if Url::parse(origin).is_ok_and(|url| url.is_https() || url.is_loopback()) => Ok(()),
        _ => Err(Misuse::Cors(
            "an origin is https, or http on this machine such as http://localhost:5173: anyone on the way can change a page that comes over http",
        )),
    }
}

/// Whether an origin is that of a web view or an extension: `capacitor://localhost`, `chrome-extension://abcdef`.
fn is_of_an_app(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let in_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    !matches!(scheme, "http" | "https" | "file" | "data" | "blob")
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(in_scheme)
        && !host.is_empty()
        && host.bytes().all(in_host)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use super::Cors;
    use crate::Misuse;

    const APP: &str = "https://app.example.com";
    type Fields<'a> = Vec<(&'a str, &'a [u8])>;

    fn asking<'a>(origin: &'a str, method: &'a str) -> Fields<'a> {
        alloc::vec![
            ("host", b"api"),
            ("origin", origin.as_bytes()),
            ("access-control-request-method", method.as_bytes())
        ]
    }

    fn field(headers: &[(&'static str, alloc::string::String)], name: &str) -> Option<alloc::string::String> {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_preflight_is_answered_for_the_origins_that_are_listed() {
        let cors = Cors::of(&["http://localhost:5173", APP]).unwrap();
        let answer = cors.preflight("OPTIONS", &asking(APP, "PUT")).unwrap();
        assert_eq!((answer.status(), answer.reason(), answer.body()), (204, "preflight", ""));
        assert_eq!(
            answer.headers(),
            [
                ("Access-Control-Allow-Origin", APP),
                ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
                ("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type"),
                ("Access-Control-Max-Age", "600"),
                ("Vary", "Origin"),
            ]
            .map(|(name, value)| (name, value.to_owned()))
        );
        for other in [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "HTTPS://app.example.com",
            "null",
            "https://app.example.com/",
        ] {
            let answer = cors.preflight("OPTIONS", &asking(other, "PUT")).unwrap();
            assert_eq!(answer.status(), 403, "{other}");
            assert_eq!(answer.headers(), [("Vary", "Origin".to_owned())], "{other}");
        }
    }

    #[test]
    fn what_is_no_preflight_goes_on() {
        let cors = Cors::of(&[APP]).unwrap();
        let preflight = asking(APP, "PUT");
        for method in ["GET", "POST", "options", "HEAD"] {
            assert!(cors.preflight(method, &preflight).is_none(), "{method}");
        }
        for at in [1, 2] {
            let (mut missing, mut twice) = (preflight.clone(), preflight.clone());
            missing.remove(at);
            twice.push(preflight[at]);
            assert!(cors.preflight("OPTIONS", &missing).is_none() && cors.preflight("OPTIONS", &twice).is_none());
        }
        for method in ["", "GET, PUT", "P UT", "\u{e9}"] {
            assert!(cors.preflight("OPTIONS", &asking(APP, method)).is_none(), "{method}");
        }
        let mut latin = asking(APP, "PUT");
        latin[1].1 = b"\xff";
        assert!(cors.preflight("OPTIONS", &latin).is_none());
    }

    #[test]
    fn an_answer_says_who_may_read_it() {
        let cors = Cors::of(&[APP]).unwrap().with_exposed_headers(&["Link"]).unwrap();
        let fields = cors.fields(&asking(APP, "GET"));
        assert_eq!(field(&fields, "Access-Control-Allow-Origin").as_deref(), Some(APP));
        assert_eq!(
            field(&fields, "Access-Control-Expose-Headers").as_deref(),
            Some("WWW-Authenticate, DPoP-Nonce, Date, Link")
        );
        // A cache keeps no answer for another origin, also where this one was not allowed.
        let vary = [("Vary", "Origin".to_owned())];
        assert_eq!(cors.fields(&[]), vary);
        assert_eq!(cors.fields(&asking("https://evil.example", "GET")), vary);
        assert_eq!(cors.fields(&[("Origin", APP.as_bytes()), ("Origin", APP.as_bytes())]), vary);
        assert!(field(&fields, "Access-Control-Allow-Credentials").is_none());
    }

    #[test]
    fn every_origin_is_said_by_a_star() {
        let cors = Cors::of(&["*"]).unwrap();
        let answer = cors.preflight("OPTIONS", &asking("https://any.example", "PUT")).unwrap();
        assert_eq!(field(answer.headers(), "Access-Control-Allow-Origin").as_deref(), Some("*"));
        assert_eq!(field(answer.headers(), "Vary"), None, "the answer is the same for all");
        assert_eq!(field(&cors.fields(&[]), "Access-Control-Allow-Origin").as_deref(), Some("*"));
    }

    #[test]
    fn what_a_page_may_send_is_configuration() {
        let cors = Cors::of(&[APP]).unwrap().with_methods(&["GET", "QUERY"]).unwrap();
        let cors = cors.with_allowed_headers(&["X-Request-Id", "Prefer"]).unwrap().with_max_age(0).unwrap();
        let answer = cors.preflight("OPTIONS", &asking(APP, "QUERY")).unwrap();
        let told = |name| field(answer.headers(), name);
        assert_eq!(told("Access-Control-Allow-Methods").as_deref(), Some("GET, QUERY"));
        assert_eq!(
            told("Access-Control-Allow-Headers").as_deref(),
            Some("Authorization, DPoP, Content-Type, X-Request-Id, Prefer")
        );
        assert_eq!(told("Access-Control-Max-Age").as_deref(), Some("0"));
        let cors = || Cors::of(&[APP]).unwrap();
        assert!(cors().with_max_age(86_401).is_err() && cors().with_methods(&[]).is_err());
        for wrong in ["", "a b", "a,b", "a\r\nb", "\u{e9}"] {
            assert!(matches!(cors().with_methods(&[wrong]), Err(Misuse::Cors(_))), "{wrong}");
            assert!(matches!(cors().with_allowed_headers(&[wrong]), Err(Misuse::Cors(_))), "{wrong}");
            assert!(matches!(cors().with_exposed_headers(&[wrong]), Err(Misuse::Cors(_))), "{wrong}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_misuse() {
        for origin in [
            "https://app.example.com:8443",
            "http://localhost:5173",
            "http://127.0.0.1",
            "http://[::1]:80",
            "capacitor://localhost",
            "chrome-extension://abcdef",
        ] {
            let is_normal = origin != "http://[::1]:80";
            assert_eq!(Cors::of(&[origin]).is_ok(), is_normal, "{origin}");
        }
        for (origin, told) in [
            ("https://app.example.com/", "without a path or slash"),
            ("https://app.example.com/app", "without a path or slash"),
            ("https://App.example.com", "in lower case"),
            ("https://app.example.com:443", "unless it is 443"),
            ("app.example.com", "https://app.example.com"),
            ("", "https://app.example.com"),
            ("https://user@app.example.com", "as browsers send it"),
            ("https://\u{e4}.example", "as browsers send it"),
            ("https://*.example.com", "without patterns"),
            ("http://app.example.com", "is https"),
            ("file://", "as browsers send it"),
            ("file://host", "as browsers send it"),
            ("null", "sandboxed"),
            ("https://app.example.com\r\nX: y", "as browsers send it"),
            ("Capacitor://localhost", "as browsers send it"),
        ] {
            let error = Cors::of(&[APP, origin]).unwrap_err().to_string();
            assert!(error.contains(told), "{origin}: {error}");
        }
        assert!(Cors::of(&[]).is_err());
        assert!(Cors::of(&["*", APP]).unwrap_err().to_string().contains("alone"));
    }
}
