//! `http` and `https` URIs in normal form, and their comparison (RFC 3986 sections 6.2.2 and 6.2.3).
//!
//! The text is read as it stands. A WHATWG URL parser must never see it: it swallows tabs and backslashes,
//! mends `https:host` and computes hexadecimal addresses, so that two servers could read two targets in one text.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "dpop")]
use crate::proof::target::TargetUri;

/// The longest URI that is read, in bytes.
pub const MAX_URI_LEN: usize = 8 * 1024;

/// Why a text is no absolute `http` or `https` URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UriError {
    /// There is no text.
    Empty,
    /// It is longer than [`MAX_URI_LEN`].
    TooLong,
    /// It does not begin with a scheme: a relative reference.
    NotAbsolute,
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// The scheme is not followed by `//`.
    NoAuthority,
    /// There is no host.
    EmptyHost,
    /// User information stands before the host.
    UserInfo,
    /// The host has a character it cannot have, or brackets around something other than an IPv6 address.
    Host,
    /// The port is not a number up to 65535 without leading zeros.
    Port,
    /// A percent sign is not followed by two hexadecimal digits.
    Percent,
    /// A backslash, which some parsers take for a slash.
    Backslash,
    /// White space or a control character.
    WhiteSpace,
    /// A character outside ASCII.
    NonAscii,
    /// Another character that a URI cannot hold as it is.
    Character,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty; give an absolute http or https URI",
            Self::TooLong => "it is longer than 8 KiB",
            Self::NotAbsolute => "it is relative; give scheme and host as well",
            Self::Scheme => "its scheme is neither http nor https",
            Self::NoAuthority => "its scheme is not followed by two slashes",
            Self::EmptyHost => "it has no host",
            Self::UserInfo => "it has user information before the host; leave that out",
            Self::Host => "its host is malformed",
            Self::Port => "its port is not a number up to 65535 without leading zeros",
            Self::Percent => "it has a percent sign without two hexadecimal digits; encode it as %25",
            Self::Backslash => "it has a backslash; use a slash, or encode it as %5C",
            Self::WhiteSpace => "it has white space or a control character; encode it, a space as %20",
            Self::NonAscii => {
                "it has a character outside ASCII; encode it as UTF-8 with percent signs, hosts with Punycode"
            }
            Self::Character => "it has a character that must be percent-encoded",
        })
    }
}

impl core::error::Error for UriError {}

/// The parts of a URI as written, each known to hold valid characters only.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) host: &'a str,
    /// As written, and not the scheme's own.
    pub(crate) port: Option<&'a str>,
    /// Empty or beginning with a slash.
    pub(crate) path: &'a str,
    /// Scheme to path, as written.
    pub(crate) bare: &'a str,
    /// Whether host or path may hold encoded bytes or dot segments, so that they must be rewritten to be compared.
    rewrite: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    const fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, UriError> {
        match text.len() {
            0 => return Err(UriError::Empty),
            length if length > MAX_URI_LEN => return Err(UriError::TooLong),
            _ => {}
        }
        let bare_len = memchr::memchr2(b'?', b'#', text.as_bytes()).unwrap_or(text.len());
        let (bare, rest) = text.split_at_checked(bare_len).unwrap_or((text, ""));
        // Query and fragment are not compared, but nothing may hide in them that a header or a log would trip over.
        check(rest, |byte| byte.is_ascii_graphic() && byte != b'\\')?;

        let (scheme, after) = split_scheme(bare)?;
        let path_start = memchr::memchr(b'/', after.as_bytes()).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(path_start).unwrap_or((after, ""));
        let (host, port) = split_authority(authority)?;
        let port = port.filter(|port| !port.is_empty() && *port != scheme.default_port());
        let rewrite_path = check_encoded(path, &PATH_BYTES)?;
        let rewrite = rewrite_path || memchr::memchr(b'%', host.as_bytes()).is_some();
        Ok(Self { scheme, host, port, path, bare, rewrite })
    }

    /// Where the path begins in `normal`, the normal form of these parts.
    #[cfg(feature = "dpop")]
    pub(crate) fn origin_len(&self, normal: &str) -> usize {
        let authority = self.scheme.prefix().len();
        normal
            .get(authority..)
            .and_then(|rest| rest.find('/'))
            .map_or(normal.len(), |host| authority.saturating_add(host))
    }

    /// The same without its path.
    pub(crate) const fn root(self) -> Self {
        Self { path: "", ..self }
    }

    /// Appends the URI in normal form, without query and fragment.
    pub(crate) fn write_normal(&self, out: &mut String) {
        out.push_str(self.scheme.prefix());
        let host_start = out.len();
        write_decoded(self.host, out);
        if let Some(host) = out.get_mut(host_start..) {
            host.make_ascii_lowercase();
        }
        // Lower-casing may have reached into the digits of an encoded byte; those are upper case everywhere.
        if self.host.contains('%') {
            let host = out.split_off(host_start);
            write_decoded(&host, out);
        }
        if let Some(port) = self.port {
            out.push(':');
            out.push_str(port);
        }
        if self.rewrite {
            let mut path = String::with_capacity(self.path.len());
            write_decoded(self.path, &mut path);
            remove_dot_segments(&path, out);
        } else {
            out.push_str(if self.path.is_empty() { "/" } else { self.path });
        }
    }
}

/// Whether the URI `claim` is `target`, query and fragment ignored on both sides.
#[cfg(feature = "dpop")]
pub(crate) fn equals(claim: &str, target: &TargetUri) -> Result<bool, UriError> {
    // Nearly always the claim is written like the target, and then only its path is new.
    let (origin, target_path) = target.split();
    if let Some(path) = claim.strip_prefix(origin)
        && claim.len() <= MAX_URI_LEN
        && path.starts_with('/')
        && !has_query_or_fragment(path)
    {
        if path == target_path {
            return Ok(true);
        }
        if !check_encoded(path, &PATH_BYTES)? {
            return Ok(false);
        }
    }
    let parts = Parts::parse(claim)?;
    if parts.bare == target.as_str() {
        return Ok(true);
    }
    if parts.rewrite {
        let mut normal = String::with_capacity(claim.len().saturating_add(1));
        parts.write_normal(&mut normal);
        return Ok(normal == target.as_str());
    }
    // What is left needs no rewriting, so it is compared in place.
    let same = || {
        let rest = target.as_str().strip_prefix(parts.scheme.prefix())?;
        let (host, rest) = rest.split_at_checked(parts.host.len())?;
        let path = match parts.port {
            Some(port) => rest.strip_prefix(':')?.strip_prefix(port)?,
            None => rest,
        };
        let own_path = if parts.path.is_empty() { "/" } else { parts.path };
        (host.eq_ignore_ascii_case(parts.host) && path == own_path).then_some(())
    };
    Ok(same().is_some())
}

/// Whether a URI has a query or a fragment, be it empty.
#[cfg(feature = "dpop")]
pub(crate) fn has_query_or_fragment(text: &str) -> bool {
    memchr::memchr2(b'?', b'#', text.as_bytes()).is_some()
}

/// A valid URI as written, without query and fragment.
#[cfg(feature = "dpop")]
pub(crate) fn without_query(text: &str) -> Result<&str, UriError> {
    Parts::parse(text).map(|parts| parts.bare)
}

/// The scheme, and what follows its two slashes.
fn split_scheme(text: &str) -> Result<(Scheme, &str), UriError> {
    if let Some(rest) = text.strip_prefix(Scheme::Https.prefix()) {
        return Ok((Scheme::Https, rest));
    }
    let (scheme, rest) = text.split_once(':').ok_or_else(|| misplaced(text).unwrap_or(UriError::NotAbsolute))?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        Scheme::Https
    } else if scheme.eq_ignore_ascii_case("http") {
        Scheme::Http
    } else if is_scheme {
        return Err(UriError::Scheme);
    } else {
        return Err(misplaced(scheme).unwrap_or(UriError::NotAbsolute));
    };
    rest.strip_prefix("//").map(|rest| (scheme, rest)).ok_or(UriError::NoAuthority)
}

fn split_authority(authority: &str) -> Result<(&str, Option<&str>), UriError> {
    if memchr::memchr(b'@', authority.as_bytes()).is_some() {
        return Err(UriError::UserInfo);
    }
    let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
        let (address, rest) = literal.split_once(']').ok_or(UriError::Host)?;
        let is_address = address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.')
            && address.parse::<core::net::Ipv6Addr>().is_ok();
        if !is_address {
            return Err(misplaced(address).unwrap_or(UriError::Host));
        }
        let host = authority.get(..authority.len().saturating_sub(rest.len())).unwrap_or_default();
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(UriError::Host),
        }
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        check_encoded(host, &NAME_BYTES).map_err(|error| match error {
            UriError::Character => UriError::Host,
            other => other,
        })?;
        (host, port)
    };
    if host.is_empty() {
        return Err(UriError::EmptyHost);
    }
    match port {
        Some(port) if !is_port(port) => Err(misplaced(port).unwrap_or(UriError::Port)),
        port => Ok((host, port)),
    }
}

fn is_port(port: &str) -> bool {
    port.is_empty()
        || (port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0') && port.parse::<u16>().is_ok())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `unreserved` and `sub-delims`: what a registered name may hold besides encoded bytes.
const fn is_name_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

fn check(text: &str, permitted: impl Fn(u8) -> bool) -> Result<(), UriError> {
    match text.bytes().find(|byte| !permitted(*byte)) {
        Some(byte) => Err(defect(byte)),
        None => Ok(()),
    }
}

const NAME_BYTES: [bool; 256] = table(false);
const PATH_BYTES: [bool; 256] = table(true);

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over all bytes"
)]
const fn table(path: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_name_byte(byte as u8) || path && matches!(byte as u8, b':' | b'@' | b'/');
        byte += 1;
    }
    table
}

/// Checks that `text` holds permitted and encoded bytes only; says whether it may need rewriting: whether it has
/// encoded bytes or a dot behind a slash.
fn check_encoded(text: &str, permitted: &[bool; 256]) -> Result<bool, UriError> {
    let is_permitted = |byte: u8| permitted.get(usize::from(byte)).copied().unwrap_or(false);
    if text.bytes().all(|byte| is_permitted(byte) && byte != b'.') {
        return Ok(false);
    }
    let mut rewrite = false;
    let mut previous = 0;
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if !is_permitted(*byte) {
            match (byte, tail) {
                (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = tail,
                (b'%', _) => return Err(UriError::Percent),
                _ => return Err(defect(*byte)),
            }
            rewrite = true;
        }
        rewrite |= *byte == b'.' && previous == b'/';
        previous = *byte;
    }
    Ok(rewrite)
}

const fn defect(byte: u8) -> UriError {
    match byte {
        b'\\' => UriError::Backslash,
        0..=0x20 | 0x7f => UriError::WhiteSpace,
        0x80.. => UriError::NonAscii,
        _ => UriError::Character,
    }
}

/// The defect that explains best why `text` was taken for something else: a character that is never permitted.
fn misplaced(text: &str) -> Option<UriError> {
    text.bytes().map(defect).find(|defect| *defect != UriError::Character)
}

/// Appends `text` with encoded unreserved characters decoded, once, and the digits of all others in upper case.
fn write_decoded(text: &str, out: &mut String) {
    let mut pieces = text.split('%');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (digits, plain) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
            }
        }
        out.push_str(plain);
    }
}

/// Appends `path` without its dot segments (RFC 3986 section 5.2.4), with a slash for an empty one.
fn remove_dot_segments(path: &str, out: &mut String) {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_in_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if ends_in_dots {
        kept.push("");
    }
    if kept.is_empty() {
        out.push('/');
    }
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::{UriError, equals, without_query};
    use crate::TargetUri;
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
        ] {
            assert_eq!(normal(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(normal(expected).as_deref(), Ok(expected), "{expected} is not stable");
            assert_eq!(equals(text, &TargetUri::parse(expected).unwrap()), Ok(true), "{text}");
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
            ("https://example.com/a|b", UriError::Character),
            ("https://example.com/é", UriError::NonAscii),
        ] {
            assert_eq!(normal(text), Err(error), "{text:?}");
            let target = TargetUri::parse("https://example.com/").unwrap();
            assert_eq!(equals(text, &target), Err(error), "{text:?}");
        }
        assert_eq!(normal(&format!("https://example.com/{}", "a".repeat(8192))), Err(UriError::TooLong));
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
            assert_eq!(equals(other, &target), Ok(false), "{other}");
        }
        let root = TargetUri::parse("https://127.0.0.1/").unwrap();
        for other in ["https://0x7f.1/", "https://2130706433/", "https://127.1/"] {
            assert_eq!(equals(other, &root), Ok(false), "{other}");
        }
    }

    #[test]
    fn the_bare_form_is_as_written() {
        assert_eq!(without_query("https://Example.com/a/../b?c#d"), Ok("https://Example.com/a/../b"));
        assert_eq!(without_query("https://example.com/a#d?c"), Ok("https://example.com/a"));
    }
}
