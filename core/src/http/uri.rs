//! `http` and `https` URIs in normal form, and their comparison (RFC 3986 sections 6.2.2 and 6.2.3).
//!
//! The text is read as it stands. A WHATWG URL parser must never see it: it swallows tabs and backslashes,
//! mends `https:host` and computes hexadecimal addresses, so that two servers could read two targets in one text.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::hex;
use crate::http::bytes::{is_in, letters_digits_and, only};

/// The longest URI that is read, in bytes.
pub const MAX_URI_LEN: usize = 8 * 1024;

/// Why a text is no absolute `http` or `https` URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
    /// A fragment, where none can be.
    Fragment,
    /// An origin with more than scheme, host and port.
    Origin,
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
    /// A path prefix that does not begin with a slash, ends with one, or has dot segments, a query or a fragment.
    Prefix,
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
            Self::Fragment => "it has a fragment, from its # on; leave that out",
            Self::Origin => {
                "an origin is scheme, host and perhaps a port, such as https://api.example.com; a path that a proxy strips is `path_prefix`"
            }
            Self::Host => "its host is malformed",
            Self::Port => "its port is not a number up to 65535 without leading zeros",
            Self::Percent => "it has a percent sign without two hexadecimal digits; encode it as %25",
            Self::Backslash => "it has a backslash; use a slash, or encode it as %5C",
            Self::WhiteSpace => "it has white space or a control character; encode it, a space as %20",
            Self::NonAscii => {
                "it has a character outside ASCII; encode it as UTF-8 with percent signs, hosts with Punycode"
            }
            Self::Character => "it has a character that must be percent-encoded",
            Self::Prefix => {
                "a path prefix starts with / and has no trailing /, no dot segments and no query; write for example /v1"
            }
        })
    }
}

impl core::error::Error for UriError {}
debug_as_text!(UriError);

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
        let parts = Self::split(text)?;
        check_encoded(parts.path, &PATH)?;
        Ok(parts)
    }

    /// The parts of a URI whose path has yet to be looked at.
    pub(crate) fn split(text: &'a str) -> Result<Self, UriError> {
        match text.len() {
            0 => return Err(UriError::Empty),
            length if length > MAX_URI_LEN => return Err(UriError::TooLong),
            _ => {}
        }
        let bare_len = memchr::memchr2(b'?', b'#', text.as_bytes()).unwrap_or(text.len());
        let (bare, rest) = text.split_at_checked(bare_len).unwrap_or((text, ""));
        // Query and fragment are not compared, but nothing may hide in them that a header or a log would trip over.
        check(rest, |byte| byte.is_ascii_graphic() & (byte != b'\\'))?;

        let (scheme, after) = split_scheme(bare)?;
        let path_start = memchr::memchr(b'/', after.as_bytes()).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(path_start).unwrap_or((after, ""));
        let (host, port) = split_authority(authority)?;
        let port = port.filter(|port| !port.is_empty() && *port != scheme.default_port());
        Ok(Self { scheme, host, port, path, bare })
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
        self.write_origin(out);
        match normal_path(self.path) {
            Ok(path) => out.push_str(&path),
            // The characters were checked, so this is not reached; the path as written equals no other one by mistake.
            Err(_) => out.push_str(self.path),
        }
    }

    /// Appends scheme, host and port in normal form.
    fn write_origin(&self, out: &mut String) {
        out.push_str(self.scheme.prefix());
        let mut host = self.host.to_ascii_lowercase();
        if host.contains('%') {
            // A byte that was encoded may be a capital letter, and the digits of those that stay are upper case everywhere.
            host = decoded(&decoded(&host, &NAME).unwrap_or_default().to_ascii_lowercase(), &NAME).unwrap_or_default();
        }
        out.push_str(&host);
        if let Some(port) = self.port {
            out.push(':');
            out.push_str(port);
        }
    }

    /// Whether scheme, host and port are those of `origin`, which is in normal form.
    #[cfg(feature = "dpop")]
    pub(crate) fn is_of(&self, origin: &str) -> bool {
        // An encoded byte takes three, so that a host longer than that is another one, and need not be decoded to see it.
        if self.host.len() > origin.len().saturating_mul(3) {
            return false;
        }
        let mut own = String::with_capacity(origin.len());
        self.write_origin(&mut own);
        own == origin
    }
}

/// Whether a URI has a query or a fragment, be it empty.
#[cfg(feature = "dpop")]
pub(crate) fn has_query_or_fragment(text: &str) -> bool {
    memchr::memchr2(b'?', b'#', text.as_bytes()).is_some()
}

/// A valid URI without query and fragment, as browsers send it: `[ ] | ^` as written, encoded what they encode (WHATWG URL, path
/// percent-encode set). So no quote is left in it.
#[cfg(feature = "dpop")]
pub(crate) fn without_query(text: &str) -> Result<Cow<'_, str>, UriError> {
    let bare = Parts::parse(text)?.bare;
    if !bare.bytes().any(|byte| is_in(&ENCODED_BY_BROWSERS, byte)) {
        return Ok(Cow::Borrowed(bare));
    }
    let mut out = String::with_capacity(bare.len().saturating_mul(3));
    for byte in bare.bytes() {
        if is_in(&ENCODED_BY_BROWSERS, byte) {
            out.push('%');
            out.extend(hex::digits(byte).map(char::from));
        } else {
            out.push(char::from(byte));
        }
    }
    Ok(Cow::Owned(out))
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
        check_encoded(host, &NAME).map_err(|error| match error {
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

fn check(text: &str, permitted: impl Fn(u8) -> bool) -> Result<(), UriError> {
    // All bytes at once, without a branch for each; which one is wrong is asked only where one is.
    if text.bytes().fold(true, |valid, byte| valid & permitted(byte)) {
        return Ok(());
    }
    text.bytes().find(|byte| !permitted(*byte)).map_or(Ok(()), |byte| Err(defect(byte)))
}

/// The bytes of one part of a URI.
struct Bytes {
    /// What stays as it is.
    kept: [bool; 256],
    /// What is written raw by some clients, and means the same as its percent-encoded form.
    raw: [bool; 256],
}

const UNRESERVED: [bool; 256] = letters_digits_and(b"-._~");
/// `unreserved` and `sub-delims`: what a registered name may hold besides encoded bytes.
const NAME: Bytes = Bytes { kept: letters_digits_and(b"-._~!$&'()*+,;="), raw: [false; 256] };
/// Browsers send `[ ] | ^` raw (WHATWG URL, path percent-encode set), other clients the rest of ASCII that RFC 3986 leaves out. Only
/// the backslash is not among them: some servers take it for a slash.
const PATH: Bytes = Bytes { kept: letters_digits_and(b"-._~!$&'()*+,;=:@/"), raw: only(br#"[]|^"<>`{}"#) };

#[cfg(feature = "dpop")]
const ENCODED_BY_BROWSERS: [bool; 256] = only(br#""<>`{}"#);

/// How long `text` is once its raw bytes are encoded.
///
/// # Errors
/// [`UriError::TooLong`]: what is compared stays within the limit of what is read.
fn encoded_len(text: &str, bytes: &Bytes) -> Result<usize, UriError> {
    let raw = text.bytes().filter(|byte| is_in(&bytes.raw, *byte)).count();
    let length = text.len().saturating_add(raw.saturating_mul(2));
    if length > MAX_URI_LEN { Err(UriError::TooLong) } else { Ok(length) }
}

/// Checks that `path` holds what a path may hold.
#[cfg(feature = "dpop")]
pub(crate) fn check_path(path: &str) -> Result<(), UriError> {
    check_encoded(path, &PATH)
}

/// Checks that `text` holds permitted and encoded bytes only.
fn check_encoded(text: &str, bytes: &Bytes) -> Result<(), UriError> {
    encoded_len(text, bytes)?;
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if !is_in(&bytes.kept, *byte) && !is_in(&bytes.raw, *byte) {
            rest = match (byte, tail.split_first_chunk::<2>()) {
                (b'%', Some((digits, tail))) if hex::byte(*digits).is_some() => tail,
                (b'%', _) => return Err(UriError::Percent),
                _ => return Err(defect(*byte)),
            };
        }
    }
    Ok(())
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

/// `path` in normal form: with encoded unreserved characters decoded, raw ones that a URI cannot hold encoded, without dot segments,
/// and a slash for an empty one.
///
/// In one pass, since strangers write what is read here: 8 KiB of encoded dots cost no more than 8 KiB of letters.
pub(crate) fn normal_path(path: &str) -> Result<Cow<'_, str>, UriError> {
    if path.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    let plain = |byte: u8| byte != b'.' && is_in(&PATH.kept, byte);
    if path.bytes().all(plain) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decoded(path, &PATH)?;
    if decoded.as_bytes().windows(2).any(|pair| pair == b"/.") {
        return Ok(Cow::Owned(without_dot_segments(decoded.as_bytes())));
    }
    Ok(Cow::Owned(decoded))
}

/// `text` with encoded unreserved characters decoded, once, raw ones encoded, and the digits of all others in upper case.
fn decoded(text: &str, bytes: &Bytes) -> Result<String, UriError> {
    let mut out = Vec::with_capacity(encoded_len(text, bytes)?);
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if is_in(&bytes.kept, *byte) {
            out.push(*byte);
            continue;
        }
        if is_in(&bytes.raw, *byte) {
            out.push(b'%');
            out.extend_from_slice(&hex::digits(*byte));
            continue;
        }
        let ([high, low], tail) = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => ([*high, *low], tail),
            (b'%', _) => return Err(UriError::Percent),
            _ => return Err(defect(*byte)),
        };
        rest = tail;
        match hex::byte([high, low]) {
            Some(byte) if is_in(&UNRESERVED, byte) => out.push(byte),
            Some(_) => out.extend_from_slice(&[b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
            None => return Err(UriError::Percent),
        }
    }
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// How many dots `path` begins with, if it begins with a dot segment.
const fn leading_dots(path: &[u8]) -> usize {
    match path {
        [b'/', b'.'] | [b'/', b'.', b'/', ..] => 1,
        [b'/', b'.', b'.'] | [b'/', b'.', b'.', b'/', ..] => 2,
        _ => 0,
    }
}

/// `path` without its dot segments (RFC 3986 section 5.2.4).
fn without_dot_segments(path: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(path.len().saturating_add(1));
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let dots = leading_dots(rest);
        if dots == 0 {
            out.push(*byte);
            rest = after;
            continue;
        }
        if dots == 2 {
            let parent = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            out.truncate(parent);
        }
        rest = rest.get(dots.saturating_add(1)..).unwrap_or_default();
        if rest.is_empty() {
            out.push(b'/');
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::without_query;
    use alloc::string::String;

    #[test]
    fn the_bare_form_is_as_browsers_send_it() {
        let bare = |text| without_query(text).map(String::from);
        assert_eq!(bare("https://Example.com/a/../b?c#d").as_deref(), Ok("https://Example.com/a/../b"));
        assert_eq!(bare("https://example.com/a#d?c").as_deref(), Ok("https://example.com/a"));
        assert_eq!(
            bare("https://example.com/[a]|^\"<>`{}?\"").as_deref(),
            Ok("https://example.com/[a]|^%22%3C%3E%60%7B%7D")
        );
    }
}
