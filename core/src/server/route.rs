//! Which path an application routes a request by, when it is mounted below the root of its server.
//!
//! Servers let a request state where the application is mounted: gunicorn by a field `SCRIPT_NAME`, daphne by
//! `Daphne-Root-Path`. Frameworks route by the path behind that mount point, so a client that chooses it chooses the
//! handler. The mount point is therefore configuration ([`TargetSource::mounted_at`]), and [`TargetSource::route`] compares.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::vec::Vec;

use super::source::{TargetError, TargetSource};
use crate::hex;
use crate::http::uri::{MAX_URI_LEN, Parts, UriError};

/// What a server's interface tells an application about one request's path.
#[derive(Clone, Copy, Debug)]
pub struct Routing<'a> {
    /// The request target as received, never a decoded path: `/app/a%2Fb?query`, or an absolute URI.
    pub raw_target: &'a [u8],
    /// The mount point that is stated for this request (`SCRIPT_NAME` in WSGI, `root_path` in ASGI), decoded; empty for none.
    pub mount_path: &'a [u8],
    /// The decoded path that the framework routes by: what is left behind the mount point (`PATH_INFO` in WSGI).
    pub path: &'a [u8],
}

impl TargetSource {
    /// Says where the application is mounted below the root of its server, decoded: `/app`. By default nowhere.
    ///
    /// # Errors
    /// [`UriError::Character`] unless it begins with a slash, does not end with one, and has neither empty nor dot segments, white
    /// space, `?`, `#` and `%`.
    pub fn mounted_at(mut self, mount_path: &str) -> Result<Self, UriError> {
        let is_path = mount_path.starts_with('/') && !mount_path.ends_with('/');
        let is_clean =
            !mount_path.contains(|c: char| matches!(c, '?' | '#' | '%') || c.is_whitespace() || c.is_control());
        if !is_path || !is_clean || mount_path.contains("//") || has_dot_segment(mount_path) {
            return Err(UriError::Character);
        }
        self.mount_path = mount_path.to_owned();
        Ok(self)
    }

    /// The path that the application routes this request by, decoded; `/` where nothing is left behind the mount point.
    /// Whatever an application answers without credentials is looked up by this path, and only after this.
    ///
    /// # Errors
    /// [`TargetError::MountPath`] if the request states another mount point than configured, or if its raw target, decoded, is
    /// not the mount point followed by the routed path (with or without the [prefix](Self::path_prefix) that a proxy strips);
    /// [`TargetError::DotSegment`] and others for a malformed target.
    ///
    /// # Security
    /// Without this check a client that states a mount point reaches a protected handler under the path of a public one.
    pub fn route(&self, request: &Routing<'_>) -> Result<String, TargetError> {
        let raw = core::str::from_utf8(request.raw_target).map_err(|_| UriError::NonAscii)?;
        if raw.len() > MAX_URI_LEN {
            return Err(UriError::TooLong.into());
        }
        let path = raw_path(raw)?;
        if request.mount_path != self.mount_path.as_bytes() {
            return Err(TargetError::MountPath);
        }
        let received = decoded(path)?;
        if !request.is_at(&received) {
            let prefixed = [decoded(&self.prefix)?, received].concat();
            if self.prefix.is_empty() || !request.is_at(&prefixed) {
                return Err(TargetError::MountPath);
            }
        }
        Ok(match String::from_utf8_lossy(request.path) {
            Cow::Borrowed("") => "/".to_owned(),
            path => path.into_owned(),
        })
    }
}

impl TargetSource {
    /// Whether a request asks for `path` (encoded) of the public origin, such as a document at a well-known place: by the path it was sent to, or by
    /// the one that the application routes by. A proxy may pass such a request on to an application that is mounted elsewhere.
    ///
    /// # Security
    /// It says nothing about the handler that the application would route the request to. Answer it before the application does.
    pub fn asks_for(&self, path: &str, request: &Routing<'_>) -> bool {
        let Ok(wanted) = decoded(path) else { return false };
        let raw = core::str::from_utf8(request.raw_target).ok().filter(|raw| raw.len() <= MAX_URI_LEN);
        let received = raw.and_then(|raw| raw_path(raw).ok()).and_then(|path| decoded(path).ok());
        received == Some(wanted.clone()) || self.route(request).is_ok_and(|path| path.as_bytes() == wanted)
    }
}

/// The path of a raw request target, as written: what stands before a query, behind the authority if there is one.
fn raw_path(raw: &str) -> Result<&str, TargetError> {
    let path = if raw.starts_with('/') {
        raw.split(['?', '#']).next().unwrap_or_default()
    } else {
        match Parts::parse(raw) {
            Err(UriError::NotAbsolute | UriError::Scheme | UriError::NoAuthority) => return Err(TargetError::Form),
            parts => parts?.path,
        }
    };
    if has_dot_segment(path) { Err(TargetError::DotSegment) } else { Ok(path) }
}

/// Whether a path has a segment `.` or `..`, with any of the dots written as `%2e`.
///
/// Frameworks route such a path as it stands, while RFC 3986 section 6.2.2.3 takes the segments out before two URIs are
/// compared: a proof for `/items` would open the handler of `/admin/../items`. Clients resolve dot segments before they send.
pub(super) fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let dots = segment.as_bytes();
        let rest = strip_dot(dots);
        rest.is_some_and(|rest| rest.is_empty() || strip_dot(rest).is_some_and(<[u8]>::is_empty))
    })
}

fn strip_dot(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => Some(rest),
        _ => None,
    }
}

impl Routing<'_> {
    /// Whether a decoded path is the mount point followed by the routed path.
    fn is_at(&self, received: &[u8]) -> bool {
        // The root of a mount point may be written with or without its slash.
        if matches!(self.path, b"" | b"/") {
            return received == self.mount_path || received.strip_suffix(b"/") == Some(self.mount_path);
        }
        // Half a segment is no mount point: `/app` of `/apple` leaves `le`, which some frameworks route as `/le`.
        if !self.path.starts_with(b"/") {
            return false;
        }
        let expected = [self.mount_path, self.path].concat();
        // ASGI servers read what is not UTF-8 as replacement characters, as this does.
        received == expected || String::from_utf8_lossy(received).as_bytes() == expected
    }
}

fn decoded(path: &str) -> Result<Vec<u8>, UriError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(UriError::Percent) };
        bytes.push(hex::byte([*high, *low]).ok_or(UriError::Percent)?);
        rest = tail;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Routing, has_dot_segment};
    use crate::TargetUri;
    use crate::server::source::{RequestHead, TargetError, TargetSource};

    fn source() -> TargetSource {
        TargetUri::fixed("https://api.example.com").unwrap()
    }

    fn mounted() -> TargetSource {
        source().mounted_at("/app").unwrap()
    }

    fn route(source: &TargetSource, raw: &str, mount: &str, path: &str) -> Result<alloc::string::String, TargetError> {
        let [raw_target, mount_path, path] = [raw, mount, path].map(str::as_bytes);
        source.route(&Routing { raw_target, mount_path, path })
    }

    #[test]
    fn the_mount_point_is_configuration() {
        assert_eq!(route(&source(), "/items?page=2", "", "/items").as_deref(), Ok("/items"));
        assert_eq!(route(&mounted(), "/app/items", "/app", "/items").as_deref(), Ok("/items"));
        for (source, mount) in
            [(source(), "/admin"), (source(), "/app"), (mounted(), "/admin"), (mounted(), ""), (mounted(), "/app/")]
        {
            let raw = alloc::format!("{mount}/health");
            assert_eq!(route(&source, &raw, mount, "/health"), Err(TargetError::MountPath), "{raw}");
        }
    }

    #[test]
    fn a_routed_path_is_what_the_raw_target_holds_behind_the_mount_point() {
        for path in ["/health", "/items/", "items", "", "/", "/app/items"] {
            assert_eq!(route(&mounted(), "/app/items", "/app", path), Err(TargetError::MountPath), "{path}");
        }
        assert_eq!(route(&mounted(), "/apple", "/app", "le"), Err(TargetError::MountPath));
        for (raw, path) in [
            ("/app/a%2Fb%20c", "/a/b c"),
            ("/app/%C3%A9", "/\u{e9}"),
            ("/app/%FF%FE", "/\u{fffd}\u{fffd}"),
            ("/app//x", "//x"),
        ] {
            assert_eq!(route(&mounted(), raw, "/app", path).as_deref(), Ok(path), "{raw}");
        }
        for (raw, path) in [("/app", ""), ("/app", "/"), ("/app/", "/"), ("/app?q", "")] {
            assert_eq!(route(&mounted(), raw, "/app", path).as_deref(), Ok("/"), "{raw} {path}");
        }
        assert_eq!(route(&source(), "http://api.example.com", "", "/").as_deref(), Ok("/"));
        assert_eq!(route(&source(), "http://api.example.com/items", "", "/items").as_deref(), Ok("/items"));
        assert_eq!(route(&source(), "/%zz", "", "/%zz"), Err(crate::http::uri::UriError::Percent.into()));
    }

    #[test]
    fn a_prefix_that_a_proxy_strips_may_be_the_mount_point() {
        let source = mounted().path_prefix("/app").unwrap();
        assert_eq!(route(&source, "/items", "/app", "/items").as_deref(), Ok("/items"));
        assert_eq!(route(&source, "/admin", "/app", "/items"), Err(TargetError::MountPath));
    }

    #[test]
    fn a_well_known_place_is_asked_for_wherever_the_application_is_mounted() {
        let asks = |source: &TargetSource, raw: &str, mount: &str, path: &str| {
            let [raw_target, mount_path, path] = [raw, mount, path].map(str::as_bytes);
            source.asks_for("/.well-known/x/a%20b", &Routing { raw_target, mount_path, path })
        };
        for raw in ["/.well-known/x/a%20b", "/.well-known/x/a%20b?q", "https://api.example.com/.well-known/x/a%20b"] {
            assert!(asks(&source(), raw, "", "/.well-known/x/a b"), "{raw}");
            // A proxy passes it on as it is; the application has another mount point, and was told a path of its own.
            assert!(asks(&mounted(), raw, "/app", "/.well-known/x/a b"), "{raw}");
            assert!(asks(&mounted(), raw, "/elsewhere", "/items"), "{raw}");
        }
        assert!(asks(&mounted(), "/app/.well-known/x/a%20b", "/app", "/.well-known/x/a b"));
        assert!(!asks(&mounted(), "/app/.well-known/x/a%20b", "/elsewhere", "/.well-known/x/a b"));
        for raw in ["/.well-known/x", "/.well-known/x/a%20b/", "/a/../.well-known/x/a%20b", "/%zz", "*", ""] {
            assert!(!asks(&source(), raw, "", "/.well-known/x/a b"), "{raw}");
        }
        assert!(!source().asks_for("/%zz", &Routing { raw_target: b"/x", mount_path: b"", path: b"/x" }));
    }

    #[test]
    fn dot_segments_reach_no_handler() {
        for raw in [
            "/admin/../items",
            "/admin/%2e%2E/items",
            "/admin/.%2e/items",
            "/./items",
            "/items/%2e",
            "/..",
            "https://api.example.com/a/../items",
        ] {
            let head = RequestHead { peer: None, raw_target: raw.as_bytes(), fields: &[] };
            let source = source().also_origin("http://api.example.com").unwrap();
            assert_eq!(source.resolve(&head).err(), Some(TargetError::DotSegment), "{raw}");
            assert_eq!(route(&source, raw, "", "/items"), Err(TargetError::DotSegment), "{raw}");
        }
        for path in ["/.well-known/x", "/a..b", "/...", "/%2e%2e%2e", "/a.", "/%2ea", "/a/?x=/../"] {
            let raw = path.split('?').next().unwrap();
            assert!(!has_dot_segment(raw), "{path}");
            let head = RequestHead { peer: None, raw_target: path.as_bytes(), fields: &[] };
            assert!(source().resolve(&head).is_ok(), "{path}");
        }
    }

    #[test]
    fn raw_characters_of_browsers_are_a_target_and_routed_as_they_stand() {
        let head = RequestHead { peer: None, raw_target: b"/items/[7]|^?q=[]", fields: &[] };
        let target = source().resolve(&head).unwrap();
        assert_eq!(target.as_str(), "https://api.example.com/items/%5B7%5D%7C%5E");
        for raw in ["/items/[7]|^", "/items/%5B7%5D%7C%5E"] {
            assert_eq!(route(&source(), raw, "", "/items/[7]|^").as_deref(), Ok("/items/[7]|^"), "{raw}");
        }
        let head = RequestHead { raw_target: b"/items\\7", ..head };
        assert!(source().resolve(&head).is_err());
    }

    #[test]
    fn a_mount_point_of_another_form_is_refused_when_it_is_configured() {
        for mount in ["", "/", "app", "/app/", "/a?b", "/a#b", "/a/../b", "/%61", "//a", "/a//b", "/app\n", "/a b"] {
            assert!(source().mounted_at(mount).is_err(), "{mount}");
        }
        assert!(source().path_prefix("/a/../b").is_err());
    }
}
