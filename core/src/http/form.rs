//! `application/x-www-form-urlencoded`: the bodies of OAuth requests and the queries of redirects (RFC 6749 appendix B).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use crate::hex;

/// The longest form that is read, in bytes.
pub const MAX_FORM_LEN: usize = 24 * 1024;
/// How many parameters a form has at most.
pub const MAX_PARAMS: usize = 128;

/// The parameters of a form, in order. `Debug` shows their names alone: the values are codes, tokens and secrets.
///
/// ```
/// use keybound::http::form::Form;
/// let mut form = Form::new();
/// form.push("scope", "read write");
/// form.push("resource", "https://api.example.com/");
/// assert_eq!(form.encode(), "scope=read+write&resource=https%3A%2F%2Fapi.example.com%2F");
/// assert_eq!(Form::parse(b"scope=read%20write")?.get("scope"), Ok(Some("read write")));
/// # Ok::<(), keybound::http::form::FormError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Form(Vec<(String, String)>);

/// Why bytes are no form, or a parameter cannot be taken from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FormError {
    /// More than [`MAX_FORM_LEN`] or [`MAX_PARAMS`].
    TooLong,
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    Encoding,
    /// A parameter that may occur once occurs twice (RFC 6749 section 3.1).
    Repeated,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the form is longer than 24 KiB or has more than 128 parameters",
            Self::Encoding => "the form is not percent-encoded UTF-8",
            Self::Repeated => "a parameter that may occur once occurs twice",
        })
    }
}

impl core::error::Error for FormError {}

impl Form {
    /// A form without parameters.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reads a form, or a query without its question mark. Empty pieces between `&` are passed over.
    ///
    /// # Errors
    /// [`FormError::TooLong`] or [`FormError::Encoding`]; repetition is an error of [`get`](Self::get).
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > MAX_FORM_LEN {
            return Err(FormError::TooLong);
        }
        let mut form = Self::new();
        for piece in bytes.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
            let (name, value) = match memchr::memchr(b'=', piece).and_then(|at| piece.split_at_checked(at)) {
                Some((name, value)) => (name, value.strip_prefix(b"=").unwrap_or_default()),
                None => (piece, [].as_slice()),
            };
            form.0.push((decode(name)?, decode(value)?));
            if form.0.len() > MAX_PARAMS {
                return Err(FormError::TooLong);
            }
        }
        Ok(form)
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a parameter if there is a value for it.
    pub fn push_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The value of a parameter that may occur once. A parameter without a value counts as left out (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// [`FormError::Repeated`] if it occurs twice.
    pub fn get(&self, name: &str) -> Result<Option<&str>, FormError> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.next() {
            Some(_) => Err(FormError::Repeated),
            None => Ok(first.filter(|value| !value.is_empty())),
        }
    }

    /// All values of a parameter that may occur several times, for example `resource` (RFC 8707).
    pub fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The form as it is sent: names and values percent-encoded, spaces as `+`.
    pub fn encode(&self) -> String {
        // In one piece: a text that grows leaves its secrets where it stood before.
        let length = |text: &str| text.bytes().map(encoded_len).sum::<usize>().saturating_add(1);
        let total = self.0.iter().map(|(name, value)| length(name).saturating_add(length(value))).sum();
        let mut out = String::with_capacity(total);
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push('&');
            }
            encode_into(name, &mut out);
            out.push('=');
            encode_into(value, &mut out);
        }
        out
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            // The text as a whole, which takes a tenth of the time that byte after byte does.
            value.as_mut_str().zeroize();
        }
    }
}

/// How many characters a byte takes in a form.
const fn encoded_len(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' | b' ' => 1,
        _ => 3,
    }
}

/// The most that `text` takes in a form, in bytes.
pub(crate) const fn longest_encoding(text: &str) -> usize {
    text.len().saturating_mul(3)
}

/// Appends `text` encoded for a form; also what client identifiers and secrets go through before they become Basic
/// credentials (RFC 6749 section 2.3.1).
pub(crate) fn encode_into(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.extend(hex::digits(byte).map(char::from));
            }
        }
    }
}

/// The text that `bytes` stand for in a form.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, FormError> {
    let mut out = Vec::with_capacity(bytes.len());
    let decoded = decode_into(bytes, &mut out);
    let read = String::from_utf8(out);
    match (decoded, read) {
        (Ok(()), Ok(text)) => Ok(text),
        // What cannot be read may be a secret all the same.
        (_, Ok(mut text)) => {
            text.as_mut_str().zeroize();
            Err(FormError::Encoding)
        }
        (_, Err(error)) => {
            error.into_bytes().as_mut_slice().zeroize();
            Err(FormError::Encoding)
        }
    }
}

/// How many bytes without an encoded one make it worth looking for the next one.
const RUN: usize = 16;

fn decode_into(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FormError> {
    // Encoded text is ASCII (RFC 6749 appendix B). Seen first, that spares looking at other characters one by one.
    if !bytes.is_ascii() {
        return Err(FormError::Encoding);
    }
    let plain = |byte: u8| if byte == b'+' { b' ' } else { byte };
    let mut rest = bytes;
    while !rest.is_empty() {
        let stop = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        let (text, encoded) = rest.split_at_checked(stop).unwrap_or((rest, &[]));
        out.extend(text.iter().map(|byte| plain(*byte)));
        rest = encoded;
        // Where there is one encoded byte there are often more, and looking for each would cost more than what lies between.
        let mut run = 0_usize;
        while run < RUN {
            rest = match rest {
                [b'%', high, low, after @ ..] => {
                    out.push(hex::byte([*high, *low]).ok_or(FormError::Encoding)?);
                    run = 0;
                    after
                }
                [b'%', ..] => return Err(FormError::Encoding),
                [byte, after @ ..] => {
                    out.push(plain(*byte));
                    run = run.saturating_add(1);
                    after
                }
                [] => return Ok(()),
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Form, FormError, MAX_FORM_LEN, MAX_PARAMS};

    #[test]
    fn every_text_survives_the_round_trip() {
        let mut form = Form::new();
        for value in ["", "a b+c", "100%", "é😀", "a=b&c", "\0\u{7f}", "~!'()*"] {
            form.push(value, value);
        }
        assert!(form.encode().is_ascii());
        assert!(Form::parse(form.encode().as_bytes()).unwrap() == form);
    }

    #[test]
    fn repeated_and_empty_parameters() {
        let form = Form::parse(b"a=1&b=&a=2&c&&d=x").unwrap();
        assert_eq!(form.get("a"), Err(FormError::Repeated));
        assert_eq!(form.all("a").count(), 2);
        assert_eq!((form.get("b"), form.get("c"), form.get("d")), (Ok(None), Ok(None), Ok(Some("x"))));
    }

    #[test]
    fn broken_encodings_and_floods_are_refused() {
        for broken in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"%=1"] {
            assert_eq!(Form::parse(broken), Err(FormError::Encoding));
        }
        assert_eq!(Form::parse(&[b'a'; MAX_FORM_LEN + 1]), Err(FormError::TooLong));
        assert_eq!(Form::parse("a=&".repeat(MAX_PARAMS + 1).as_bytes()), Err(FormError::TooLong));
    }

    #[test]
    fn debug_shows_no_value() {
        let form = Form::parse(b"client_secret=visible").unwrap();
        assert_eq!(alloc::format!("{form:?}"), r#"{"client_secret"}"#);
    }
}
