//! A JSON document in memory: metadata, claims, token responses, `authorization_details`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::text::written_string_len;
use super::{JsonError, Limits, Reader, write_string};

/// The longest document that is read, in bytes.
pub const MAX_DOCUMENT_LEN: usize = 1024 * 1024;
/// How deep documents may nest.
pub const MAX_DOCUMENT_DEPTH: u8 = 24;
/// How many members one object of a document may have.
pub const MAX_DOCUMENT_MEMBERS: usize = 256;
/// How many values a document may hold in all.
pub const MAX_DOCUMENT_VALUES: usize = 65_536;
/// The longest document that [`Value::parse_request`] reads, in bytes.
pub const MAX_REQUEST_LEN: usize = 8 * 1024;
/// How many values such a document may hold in all.
pub const MAX_REQUEST_VALUES: usize = 256;
/// How many values the claims of a token may hold in all. Its length is bounded where it comes in.
const MAX_CLAIMS_VALUES: usize = 512;

/// What documents get whose author is known: metadata, keys, answers.
const DOCUMENT: Limits =
    Limits { depth: MAX_DOCUMENT_DEPTH, members: MAX_DOCUMENT_MEMBERS, values: MAX_DOCUMENT_VALUES };
/// What documents of strangers get.
const REQUEST: Limits = Limits { values: MAX_REQUEST_VALUES, members: super::MAX_MEMBERS, ..DOCUMENT };
/// What the claims of a token get.
const CLAIMS: Limits = Limits { values: MAX_CLAIMS_VALUES, ..DOCUMENT };

/// A JSON value. Numbers are kept as written, so that none is changed by being read.
///
/// `Debug` shows the names of members and no value: claims and token responses are secrets.
///
/// ```
/// use keybound::json::Value;
/// let token = Value::parse(br#"{"token_type":"DPoP","expires_in":3600,"scope":"read"}"#)?;
/// assert_eq!(token.text("token_type"), Some("DPoP"));
/// assert_eq!(token.integer("expires_in"), Some(3600));
/// assert_eq!(token.to_json(), r#"{"token_type":"DPoP","expires_in":3600,"scope":"read"}"#);
/// # Ok::<(), keybound::json::NotJson>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members in the order they were written; no name occurs twice.
    Object(Vec<(String, Value)>),
}

/// The bytes are not one JSON document within the limits: broken syntax, not UTF-8, a name that occurs twice, too deep, too
/// long, or followed by something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not one JSON document with unique names within the limits")
    }
}

impl core::error::Error for NotJson {}
debug_as_text!(NotJson);

impl From<JsonError> for NotJson {
    fn from(_: JsonError) -> Self {
        Self
    }
}

impl Value {
    /// Reads a document: any value, at most [`MAX_DOCUMENT_LEN`] bytes.
    ///
    /// # Errors
    /// [`NotJson`].
    ///
    /// # Security
    /// For what a known server or a file of one's own says. A document of the permitted size takes milliseconds, so what
    /// strangers send is read by [`parse_request`](Self::parse_request).
    pub fn parse(bytes: &[u8]) -> Result<Self, NotJson> {
        Self::within(bytes, MAX_DOCUMENT_LEN, DOCUMENT)
    }

    /// Reads a document that anyone may have sent, such as client metadata to be registered or `authorization_details`: at most
    /// [`MAX_REQUEST_LEN`] bytes and [`MAX_REQUEST_VALUES`] values, so that reading costs less than verifying one signature.
    ///
    /// # Errors
    /// [`NotJson`].
    pub fn parse_request(bytes: &[u8]) -> Result<Self, NotJson> {
        Self::within(bytes, MAX_REQUEST_LEN, REQUEST)
    }

    fn within(bytes: &[u8], longest: usize, limits: Limits) -> Result<Self, NotJson> {
        if bytes.len() > longest || !super::utf8::is_utf8(bytes) {
            return Err(NotJson);
        }
        let mut reader = Reader::new(bytes, limits);
        let value = read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// Reads the claims of a token, whose length the caller has bounded.
    pub(crate) fn parse_claims(bytes: &[u8]) -> Result<Self, NotJson> {
        Self::within(bytes, MAX_DOCUMENT_LEN, CLAIMS)
    }

    /// Reads an object as [`parse_claims`](Self::parse_claims) does, and keeps the members called `names` alone, with at most `most`
    /// values in all.
    pub(crate) fn parse_members(bytes: &[u8], names: &[&str], most: usize) -> Result<Self, NotJson> {
        if !super::utf8::is_utf8(bytes) {
            return Err(NotJson);
        }
        let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut reader = Reader::new(bytes, CLAIMS);
        let mut members = Vec::new();
        let mut left = most;
        reader.object(|reader, name| {
            let known = name.among_known(longest);
            let Some(name) = names.iter().find(|kept| kept.as_bytes() == &*known) else { return reader.skip() };
            // What is kept is counted twice: within the document, and within what is allocated for.
            let all = reader.limits.values;
            reader.limits.values = all.min(left);
            let value = read(reader)?;
            let used = all.min(left).saturating_sub(reader.limits.values);
            (left, reader.limits.values) = (left.saturating_sub(used), all.saturating_sub(used));
            members.push(((*name).into(), value));
            Ok(())
        })?;
        reader.end()?;
        Ok(Self::Object(members))
    }

    /// Reads an object; any other value is [`NotJson`].
    ///
    /// # Errors
    /// [`NotJson`].
    pub fn parse_object(bytes: &[u8]) -> Result<Self, NotJson> {
        match Self::parse(bytes)? {
            object @ Self::Object(_) => Ok(object),
            _ => Err(NotJson),
        }
    }

    /// An object without members.
    pub const fn object() -> Self {
        Self::Object(Vec::new())
    }

    /// The object with one more member at its end, or with the member's new value. Other values stay what they are.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Self>) -> Self {
        self.set(name, value.into());
        self
    }

    /// The object with one more member, if there is a value for it.
    #[must_use]
    pub fn with_some<V: Into<Self>>(self, name: &str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Sets a member of an object. Other values stay what they are.
    pub fn set(&mut self, name: &str, value: Self) {
        if let Self::Object(members) = self {
            match members.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => members.push((name.into(), value)),
            }
        }
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A member that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name)?.as_text()
    }

    /// A member that is a whole number within 64 bits, written without fraction and exponent.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.member(name)? {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// A member that is a NumericDate (RFC 7519 section 2), rounded down to seconds.
    pub fn time(&self, name: &str) -> Option<crate::UnixTime> {
        match self.member(name)? {
            Self::Number(digits) => Some(crate::UnixTime::from_secs(super::floor(digits))),
            _ => None,
        }
    }

    /// A member that is `true` or `false`.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.member(name)? {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A member that is an array.
    pub fn array(&self, name: &str) -> Option<&[Self]> {
        match self.member(name)? {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The strings of a member that is an array of strings; elements of other types are left out.
    pub fn texts<'v>(&'v self, name: &str) -> impl Iterator<Item = &'v str> {
        self.array(name).unwrap_or_default().iter().filter_map(Self::as_text)
    }

    /// The string, if the value is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as JSON, without white space.
    pub fn to_json(&self) -> String {
        // In one piece: a text that grows leaves its secrets where it stood before.
        let mut out = String::with_capacity(self.written_len());
        self.write(&mut out);
        out
    }

    /// How long [`to_json`](Self::to_json) is, in bytes.
    fn written_len(&self) -> usize {
        let list = |sum: usize, part: usize| sum.saturating_add(part).saturating_add(1);
        match self {
            Self::Null => 4,
            Self::Bool(_) => 5,
            Self::Number(digits) => digits.len(),
            Self::Text(text) => written_string_len(text),
            Self::Array(elements) => elements.iter().map(Self::written_len).fold(2, list),
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| list(written_string_len(name), value.written_len());
                members.iter().map(member).fold(2, list)
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Value, JsonError> {
    Ok(match reader.next_value()? {
        b'"' => Value::Text(reader.string()?.to_cow().into_owned()),
        b'{' => {
            let mut members = Vec::new();
            reader.object(|reader, name| {
                members.push((name.to_cow().into_owned(), read(reader)?));
                Ok(())
            })?;
            Value::Object(members)
        }
        b'[' => {
            let mut elements = Vec::new();
            reader.array(|reader| {
                elements.push(read(reader)?);
                Ok(())
            })?;
            Value::Array(elements)
        }
        b't' => reader.word(b"true").map(|()| Value::Bool(true))?,
        b'f' => reader.word(b"false").map(|()| Value::Bool(false))?,
        b'n' => reader.word(b"null").map(|()| Value::Null)?,
        _ => Value::Number(reader.digits()?.into()),
    })
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(alloc::format!("{number}"))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(alloc::format!("{number}"))
    }
}

impl From<crate::UnixTime> for Value {
    fn from(time: crate::UnixTime) -> Self {
        time.secs().into()
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl<'t> FromIterator<&'t str> for Value {
    fn from_iter<I: IntoIterator<Item = &'t str>>(texts: I) -> Self {
        Self::Array(texts.into_iter().map(Self::from).collect())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(members) => f.debug_set().entries(members.iter().map(|(name, _)| name)).finish(),
            Self::Array(elements) => write!(f, "[{} elements]", elements.len()),
            Self::Text(_) => f.write_str("text"),
            Self::Null | Self::Bool(_) | Self::Number(_) => f.write_str(&self.to_json()),
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Self::Text(text) = self {
            // The text as a whole, which takes a tenth of the time that byte after byte does.
            text.as_mut_str().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DOCUMENT_LEN, NotJson, Value};
    use alloc::format;

    #[test]
    fn what_is_read_is_written_back() {
        for text in [
            r#"{"a":[1,-0.5e3,{"b":null}],"c":"\u0007é😀\"","d":{},"e":[],"f":true,"g":18446744073709551616}"#,
            r#"[]"#,
            r#""a""#,
            "null",
        ] {
            let value = Value::parse(text.as_bytes()).unwrap();
            assert_eq!(Value::parse(value.to_json().as_bytes()), Ok(value), "{text}");
        }
        assert_eq!(Value::parse(b" {\"n\" : 1.50 } ").unwrap().to_json(), r#"{"n":1.50}"#);
    }

    #[test]
    fn what_is_not_one_strict_document_is_refused() {
        let deep = format!("{}1{}", "[".repeat(25), "]".repeat(25));
        let long = format!("[{}]", "1,".repeat(70_000));
        for text in ["", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"\\u0062\":1}}", "1 2", "{'a':1}", &deep, &long] {
            assert_eq!(Value::parse(text.as_bytes()), Err(NotJson), "{text:.40}");
        }
        assert_eq!(Value::parse(b"\"\xff\""), Err(NotJson));
        assert_eq!(Value::parse_object(b"[]"), Err(NotJson));
        assert_eq!(Value::parse(&alloc::vec![b' '; MAX_DOCUMENT_LEN + 1]), Err(NotJson));
    }

    #[test]
    fn members_of_the_wrong_type_are_absent() {
        let value = Value::parse(br#"{"n":1.5,"t":"x","a":["b",1],"d":1e3}"#).unwrap();
        assert_eq!((value.integer("n"), value.text("n"), value.integer("t")), (None, None, None));
        assert_eq!(value.time("n"), Some(crate::UnixTime::from_secs(1)));
        assert_eq!(value.texts("a").count(), 1);
        assert_eq!(value.member("missing"), None);
    }

    #[test]
    fn debug_shows_names_and_no_text() {
        let value = Value::object().with("access_token", "visible").with("expires_in", 5_i64);
        assert_eq!(format!("{value:?}"), r#"{"access_token", "expires_in"}"#);
        assert!(!format!("{:?}", value.member("access_token")).contains("visible"));
    }
}
