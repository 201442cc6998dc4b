//! The target URI of a request, as the server knows it.

use alloc::string::String;
use core::fmt;

use crate::http::uri::{MAX_URI_LEN, Parts, UriError, check_path, has_query_or_fragment, normal_path};

/// The target URI of a request: absolute, `http` or `https`, in the normal form of RFC 3986 sections 6.2.2 and 6.2.3,
/// without query and fragment.
///
/// ```
/// use keybound::TargetUri;
/// let target = TargetUri::parse("HTTPS://API.example.com:443/a/../items?page=2")?;
/// assert_eq!(target.as_str(), "https://api.example.com/items");
/// # Ok::<(), keybound::http::uri::UriError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUri {
    normal: String,
    /// Where the path begins.
    origin_len: usize,
}

impl TargetUri {
    /// Reads the URI of a request that the server knows whole.
    ///
    /// Most servers know a path and a configured origin instead: see [`TargetUri::fixed`].
    ///
    /// # Errors
    /// [`UriError`] names the defect.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        let parts = Parts::parse(uri)?;
        let mut normal = String::with_capacity(uri.len().saturating_add(1));
        parts.write_normal(&mut normal);
        let origin_len = parts.origin_len(&normal);
        Ok(Self { normal, origin_len })
    }

    /// The URI in normal form.
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// Whether the URI `claim` is this target, query and fragment ignored on both sides.
    pub(crate) fn equals(&self, claim: &str) -> Result<bool, UriError> {
        // Nearly always the claim is written like the target, and then only its path is new.
        let (origin, target_path) = self.split();
        if let Some(path) = claim.strip_prefix(origin)
            && claim.len() <= MAX_URI_LEN
            && path.starts_with('/')
            && !has_query_or_fragment(path)
        {
            return if path == target_path { Ok(true) } else { Ok(normal_path(path)? == target_path) };
        }
        let parts = Parts::split(claim)?;
        if parts.is_of(origin) {
            return Ok(normal_path(parts.path)? == target_path);
        }
        check_path(parts.path)?;
        Ok(false)
    }

    /// Scheme, host and port, and the path.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.normal.split_at_checked(self.origin_len).unwrap_or((&self.normal, ""))
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

impl fmt::Debug for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUri({})", self.normal)
    }
}

#[cfg(test)]
mod tests {
    use super::TargetUri;
    use crate::http::uri::UriError;
    use alloc::format;
    use alloc::string::{String, ToString};

    fn normal(text: &str) -> Result<String, UriError> {
        TargetUri::parse(text).map(|target| target.as_str().to_string())
    }

    #[test]
    fn normal_forms() {
        for (text, expected) in [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://Example.COM:443/a", "https://example.com/a"),
            ("http://example.com:80", "http://example.com/"),
            ("https://example.com:/a", "https://example.com/a"),
            ("https://example.com:8443", "https://example.com:8443/"),
            ("https://example.com:80/", "https://example.com:80/"),
            ("https://example.com/%70%7e%2d/%2f%c3%a9", "https://example.com/p~-/%2F%C3%A9"),
            ("https://example.com/a/./b/../c", "https://example.com/a/c"),
            ("https://example.com/a/%2E%2e/c", "https://example.com/c"),
            ("https://example.com/..", "https://example.com/"),
            ("https://example.com/a/..", "https://example.com/"),
            ("https://example.com/a/b/.", "https://example.com/a/b/"),
            ("https://example.com//a/..//", "https://example.com///"),
            ("https://example.com/.hidden/..b", "https://example.com/.hidden/..b"),
            ("https://example.com/a?b#c", "https://example.com/a"),
            ("https://example.com?b", "https://example.com/"),
            ("https://example.com#?", "https://example.com/"),
            ("https://ex%41mple.com/", "https://example.com/"),
            ("https://ex%e9mple.com/", "https://ex%E9mple.com/"),
            ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
            ("https://example.com/a%252Fb", "https://example.com/a%252Fb"),
            ("https://0x7f.1/", "https://0x7f.1/"),
            ("https://example.com/[a]|^", "https://example.com/%5Ba%5D%7C%5E"),
            ("https://example.com/\"<>`{}", "https://example.com/%22%3C%3E%60%7B%7D"),
            ("https://example.com/[/../]?[", "https://example.com/%5D"),
        ] {
            assert_eq!(normal(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(normal(expected).as_deref(), Ok(expected), "{expected} is not stable");
            assert_eq!(TargetUri::parse(expected).unwrap().equals(text), Ok(true), "{text}");
        }
    }

    #[test]
    fn what_is_no_uri_is_named() {
        for (text, error) in [
            ("", UriError::Empty),
            ("/items", UriError::NotAbsolute),
            ("items", UriError::NotAbsolute),
            ("//example.com/", UriError::NotAbsolute),
            ("ftp://example.com/", UriError::Scheme),
            ("wss://example.com/", UriError::Scheme),
            ("https:example.com", UriError::NoAuthority),
            ("https:/example.com", UriError::NoAuthority),
            ("https:\\\\example.com", UriError::NoAuthority),
            ("https:///example.com", UriError::EmptyHost),
            ("https://:443/", UriError::EmptyHost),
            ("https://user@example.com/", UriError::UserInfo),
            ("https://user:pass@example.com/", UriError::UserInfo),
            ("https://exa mple.com/", UriError::WhiteSpace),
            ("https://example.com\\@evil.com/", UriError::UserInfo),
            ("https://example.com\\evil.com/", UriError::Backslash),
            ("https://ex\u{ff0e}ample.com/", UriError::NonAscii),
            ("https://ex\u{ad}ample.com/", UriError::NonAscii),
            ("https://exa<mple.com/", UriError::Host),
            ("https://[::1", UriError::Host),
            ("https://[v1.a]/", UriError::Host),
            ("https://[fe80::1%25eth0]/", UriError::Host),
            ("https://[::1]x/", UriError::Host),
            ("https://example.com:0443/", UriError::Port),
            ("https://example.com:65536/", UriError::Port),
            ("https://example.com:+1/", UriError::Port),
            ("https://example.com:80:80/", UriError::Port),
            ("https://example.com/%", UriError::Percent),
            ("https://example.com/%zz", UriError::Percent),
            ("https://example.com/a\\b", UriError::Backslash),
            ("https://example.com/a\tb", UriError::WhiteSpace),
            ("https://example.com/a\nb", UriError::WhiteSpace),
            ("https://example.com/\0", UriError::WhiteSpace),
            ("https://example.com/a ", UriError::WhiteSpace),
            (" https://example.com/a", UriError::WhiteSpace),
            ("https://example.com/a?b ", UriError::WhiteSpace),
            ("https://example.com/a#\\", UriError::Backslash),
            ("https://example.com/é", UriError::NonAscii),
        ] {
            assert_eq!(normal(text), Err(error), "{text:?}");
            let target = TargetUri::parse("https://example.com/").unwrap();
            assert_eq!(target.equals(text), Err(error), "{text:?}");
        }
        assert_eq!(normal(&format!("https://example.com/{}", "a".repeat(8192))), Err(UriError::TooLong));
        // In normal form each bracket has three bytes, and that form is no longer than what is read.
        let brackets = format!("https://example.com/{}", "[".repeat(2731));
        assert_eq!(normal(&brackets), Err(UriError::TooLong));
        for target in ["https://example.com/", "https://example.org/"] {
            assert_eq!(TargetUri::parse(target).unwrap().equals(&brackets), Err(UriError::TooLong));
        }
    }

    #[test]
    fn different_targets_differ() {
        let target = TargetUri::parse("https://example.com/a/b").unwrap();
        for other in [
            "http://example.com/a/b",
            "https://example.com:8443/a/b",
            "https://example.com:44/a/b",
            "https://example.co/a/b",
            "https://example.com.evil/a/b",
            "https://example.com/a/b/",
            "https://example.com/a//b",
            "https://example.com/a%2Fb",
            "https://example.com/A/b",
            "https://example.com/a/b/..",
            "https://example.com",
            "https://example.com./a/b",
        ] {
            assert_eq!(target.equals(other), Ok(false), "{other}");
        }
        let root = TargetUri::parse("https://127.0.0.1/").unwrap();
        for other in ["https://0x7f.1/", "https://2130706433/", "https://127.1/"] {
            assert_eq!(root.equals(other), Ok(false), "{other}");
        }
    }
}
