//! URLs that a client fetches or shows: checked once, kept byte for byte as published.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use super::form::Form;
use super::uri::{Parts, Scheme, UriError};

/// An absolute `http` or `https` URL without fragment and user information, as written.
///
/// ```
/// use keybound::http::url::Url;
/// let url = Url::parse("https://API.example.com:443/mcp?x=1")?;
/// assert_eq!(url.as_str(), "https://API.example.com:443/mcp?x=1");
/// assert_eq!(url.origin(), "https://api.example.com");
/// assert_eq!((url.path(), url.query()), ("/mcp", Some("x=1")));
/// # Ok::<(), keybound::http::uri::UriError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    /// Lower case scheme and host, the port only where it is not the scheme's own, no slash at the end.
    origin: String,
    /// Where path, and query, begin and end in `text`.
    path_start: usize,
    path_end: usize,
    secure: bool,
    loopback: bool,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UriError`] says what is wrong with it; a fragment is [`UriError::Fragment`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.contains('#') {
            return Err(UriError::Fragment);
        }
        let parts = Parts::parse(text)?;
        let mut origin = String::new();
        parts.root().write_normal(&mut origin);
        origin.pop();
        let path_end = parts.bare.len();
        let path_start = path_end.saturating_sub(parts.path.len());
        let secure = parts.scheme == Scheme::Https;
        Ok(Self { loopback: is_loopback(parts.host), text: text.to_owned(), origin, path_start, path_end, secure })
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin in the one spelling of RFC 6454 section 6.1: `https://api.example.com`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path as written; empty or beginning with a slash.
    pub fn path(&self) -> &str {
        self.text.get(self.path_start..self.path_end).unwrap_or_default()
    }

    /// The query as written, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_end..).and_then(|rest| rest.strip_prefix('?'))
    }

    /// The URL as written, up to its query.
    pub fn without_query(&self) -> &str {
        self.text.get(..self.path_end).unwrap_or_default()
    }

    /// Whether what is sent there is encrypted.
    pub const fn is_https(&self) -> bool {
        self.secure
    }

    /// Whether the host is `localhost`, in 127.0.0.0/8, or `[::1]`.
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The same URL with `form` added to its query.
    pub fn with_query(&self, form: &Form) -> String {
        let mut out = self.text.clone();
        out.push(if self.query().is_some() { '&' } else { '?' });
        out.push_str(&form.encode());
        out
    }

    /// The well-known URL of a resource: `/.well-known/{name}` put between host and path (RFC 9728 section 3.1). A slash at the
    /// end of the path is dropped where the path is nothing else; a query stays.
    pub fn well_known(&self, name: &str) -> String {
        self.inserted(name, if self.path() == "/" { "" } else { self.path() })
    }

    /// The well-known URL of an issuer: as [`well_known`](Self::well_known), but a slash at the end of the path is always dropped
    /// (RFC 8414 section 3.1).
    pub fn issuer_well_known(&self, name: &str) -> String {
        self.inserted(name, self.path().strip_suffix('/').unwrap_or(self.path()))
    }

    /// Where the metadata of an issuer with this identifier is looked for, in this order: in both forms of RFC 8414 section 3.1, and
    /// where OpenID Connect Discovery section 4 puts it, behind the path.
    pub fn issuer_metadata_places(&self) -> [String; 3] {
        const OPENID: &str = "openid-configuration";
        let issuer = self.as_str();
        let appended = [issuer.strip_suffix('/').unwrap_or(issuer), "/.well-known/", OPENID].concat();
        [self.issuer_well_known("oauth-authorization-server"), self.issuer_well_known(OPENID), appended]
    }

    fn inserted(&self, name: &str, path: &str) -> String {
        let mut out = self.root();
        out.push_str("/.well-known/");
        out.push_str(name);
        out.push_str(path);
        if let Some(query) = self.query() {
            out.push('?');
            out.push_str(query);
        }
        out
    }

    /// Scheme, host and port as written.
    pub(crate) fn root(&self) -> String {
        self.text.get(..self.path_start).unwrap_or_default().to_owned()
    }

    /// What a `Location` field says, seen from this URL (RFC 3986 section 5.2): absolute, or an absolute or relative path.
    ///
    /// # Errors
    /// [`UriError`] for what is neither.
    pub fn join(&self, reference: &str) -> Result<Self, UriError> {
        let reference = reference.split('#').next().unwrap_or_default();
        match Self::parse(reference) {
            Err(UriError::NotAbsolute | UriError::Empty) => {}
            known => return known,
        }
        let mut text;
        if reference.starts_with("//") {
            text = self.text.split("//").next().unwrap_or_default().to_owned();
        } else if reference.starts_with('/') {
            text = self.root();
        } else if reference.starts_with('?') || reference.is_empty() {
            text = self.without_query().to_owned();
        } else {
            let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            text = self.root();
            text.push_str(folder);
            text.push('/');
        }
        text.push_str(reference);
        Self::parse(&text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Shows the URL without its query, which may hold a code or a state.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({})", self.without_query())
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || host.parse::<core::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Form, Url};
    use crate::http::uri::UriError;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn well_known_goes_between_host_and_path() {
        let name = "oauth-authorization-server";
        for (issuer, expected) in [
            ("https://as.example", "https://as.example/.well-known/oauth-authorization-server"),
            ("https://as.example/", "https://as.example/.well-known/oauth-authorization-server"),
            ("https://as.example/a/b", "https://as.example/.well-known/oauth-authorization-server/a/b"),
            ("https://as.example/a/", "https://as.example/.well-known/oauth-authorization-server/a"),
            ("https://as.example:8443/a?t=1", "https://as.example:8443/.well-known/oauth-authorization-server/a?t=1"),
        ] {
            assert_eq!(url(issuer).issuer_well_known(name), expected);
        }
        // The two documents differ in this.
        let resource = url("https://api.example/a/").well_known("oauth-protected-resource");
        assert_eq!(resource, "https://api.example/.well-known/oauth-protected-resource/a/");
    }

    #[test]
    fn references_are_resolved() {
        let base = url("https://api.example/a/b?x=1");
        for (reference, expected) in [
            ("https://other.example/c#frag", "https://other.example/c"),
            ("//other.example/c", "https://other.example/c"),
            ("/c?d=1", "https://api.example/c?d=1"),
            ("c", "https://api.example/a/c"),
            ("?y=2", "https://api.example/a/b?y=2"),
            ("", "https://api.example/a/b"),
        ] {
            assert_eq!(base.join(reference).unwrap().as_str(), expected, "{reference}");
        }
        assert_eq!(base.join("javascript:alert(1)"), Err(UriError::Scheme));
        assert_eq!(url("https://api.example").join("c").unwrap().as_str(), "https://api.example/c");
    }

    #[test]
    fn loopback_is_recognised() {
        for text in ["http://localhost:1/", "http://127.0.0.1", "http://127.8.9.1:80/a", "http://[::1]:3000/"] {
            assert!(url(text).is_loopback(), "{text}");
        }
        for text in ["http://localhost.example/", "http://128.0.0.1/", "http://127.0.0.1.example/", "http://[::2]/"] {
            assert!(!url(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn queries_are_extended() {
        let mut form = Form::new();
        form.push("state", "a b");
        assert_eq!(url("https://as.example/authorize").with_query(&form), "https://as.example/authorize?state=a+b");
        assert_eq!(url("https://as.example/?x=1").with_query(&form), "https://as.example/?x=1&state=a+b");
        assert_eq!(Url::parse("https://as.example/#a"), Err(UriError::Fragment));
    }
}
