//! JSON (RFC 8259), read strictly: objects of proofs without allocating, and whole documents as a `Value`.
//!
//! What a lenient reader lets through is an error here: a member name that occurs twice at any depth, however
//! it is spelled (RFC 7515 section 4, RFC 7519 section 4); anything after the object; nesting beyond
//! `MAX_DEPTH`; more than `MAX_MEMBERS` members in one object or `MAX_VALUES` values in all; a number longer than
//! `MAX_NUMBER_LEN`; text that is not UTF-8. Numbers are handed out as written, so that no reader's idea of a float stands
//! between a claim and its check.
//!
//! Strangers choose what is read here. Each byte costs about the same whatever it says, and each value is counted: the worst text
//! of the permitted size costs less than one signature (T8 of `docs/performance.md`).

mod names;
mod number;
mod text;
mod utf8;
#[cfg(feature = "oauth")]
mod value;

use names::Names;
pub(crate) use number::floor;
pub(crate) use text::{Text, write_string};
use text::{escape, special};
#[cfg(feature = "oauth")]
pub use value::{
    MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_LEN, MAX_DOCUMENT_MEMBERS, MAX_DOCUMENT_VALUES, MAX_REQUEST_LEN,
    MAX_REQUEST_VALUES, NotJson, Value,
};

/// How deep objects and arrays may nest.
pub(crate) const MAX_DEPTH: u8 = 8;
/// How many members one object may have.
pub(crate) const MAX_MEMBERS: usize = 64;
/// How many values a header, a set of claims or a key may hold in all, objects and arrays counted.
pub(crate) const MAX_VALUES: usize = 256;
/// The longest number that is read, in bytes.
const MAX_NUMBER_LEN: usize = 256;

/// How much of a text is read before it is refused.
#[derive(Clone, Copy)]
struct Limits {
    depth: u8,
    members: usize,
    values: usize,
}

/// What proofs get.
const PROOF: Limits = Limits { depth: MAX_DEPTH, members: MAX_MEMBERS, values: MAX_VALUES };

/// Why a text is not an object we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JsonError {
    /// Not JSON, not UTF-8, not an object, or followed by something.
    Syntax,
    /// A member name occurs twice in one object.
    Duplicate,
    /// Nested too deep, too many members or values, or a number that is too long.
    TooComplex,
}

/// A member of an object: missing, of the wrong type, or there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Member<T> {
    /// The object has no such member.
    #[default]
    Absent,
    /// The member is of another type (`null` included).
    Wrong,
    /// The member's value.
    Is(T),
}

impl<T> Member<T> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, if the member is there and of the right type.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

impl<T> From<Option<T>> for Member<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Wrong, Self::Is)
    }
}

/// A cursor over the text of one object.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
    limits: Limits,
}

/// Reads `bytes` as one object; `member` is called for each member and must read its value.
pub(crate) fn read_object<'a>(
    bytes: &'a [u8],
    member: impl FnMut(&mut Reader<'a>, Text<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if !utf8::is_utf8(bytes) {
        return Err(JsonError::Syntax);
    }
    let mut reader = Reader::new(bytes, PROOF);
    reader.object(member)?;
    reader.end()
}

/// Checks that `text` is one JSON value of any type that can be a member: the object around it counts as one level. Gives how
/// many values it holds.
pub(crate) fn check_value(text: &str) -> Result<usize, JsonError> {
    let mut reader = Reader { depth: 1, ..Reader::new(text.as_bytes(), PROOF) };
    reader.skip()?;
    reader.end()?;
    Ok(MAX_VALUES.saturating_sub(reader.limits.values))
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8], limits: Limits) -> Self {
        Self { rest: bytes, depth: 0, limits }
    }

    /// Reads a string; a value of another type is skipped and gives `Wrong`.
    pub(crate) fn text(&mut self) -> Result<Member<Text<'a>>, JsonError> {
        match self.next_value()? {
            b'"' => self.string().map(Member::Is),
            first => self.skip_from(first).map(|()| Member::Wrong),
        }
    }

    /// Reads a number as written; a value of another type is skipped and gives `Wrong`.
    pub(crate) fn number(&mut self) -> Result<Member<&'a str>, JsonError> {
        match self.next_value()? {
            b'-' | b'0'..=b'9' => self.digits().map(Member::Is),
            first => self.skip_from(first).map(|()| Member::Wrong),
        }
    }

    /// Reads an object member by member, if the value is one; else skips it and answers `false`.
    pub(crate) fn object_or_skip(
        &mut self,
        member: impl FnMut(&mut Self, Text<'a>) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        match self.next_value()? {
            b'{' => self.object(member).map(|()| true),
            first => self.skip_from(first).map(|()| false),
        }
    }

    /// Reads an array element by element, if the value is one; else skips it and answers `false`.
    pub(crate) fn array_or_skip(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        match self.next_value()? {
            b'[' => self.array(element).map(|()| true),
            first => self.skip_from(first).map(|()| false),
        }
    }

    /// Reads `false`; any other value is skipped. Answers whether it was `false`.
    pub(crate) fn is_false(&mut self) -> Result<bool, JsonError> {
        self.skip_space();
        let before = self.rest;
        self.skip()?;
        Ok(before.starts_with(b"false"))
    }

    /// Checks and passes over one value, whatever its type.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        let first = self.next_value()?;
        self.skip_from(first)
    }

    /// Passes over the value that begins with `first` and has been counted.
    fn skip_from(&mut self, first: u8) -> Result<(), JsonError> {
        match first {
            b'"' => self.string().map(drop),
            b'{' => self.object(|reader, _| reader.skip()),
            b'[' => self.array(Self::skip),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.digits().map(drop),
        }
    }

    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.enter(b'{')?;
        if self.peek()? == b'}' {
            return self.leave(b'}');
        }
        let mut names = Names::default();
        loop {
            self.skip_space();
            let name = self.string()?;
            names.insert(name, self.limits.members)?;
            self.skip_space();
            self.expect(b':')?;
            member(self, name)?;
            match self.peek()? {
                b',' => self.expect(b',')?,
                _ => {
                    names.check()?;
                    return self.leave(b'}');
                }
            }
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        self.enter(b'[')?;
        if self.peek()? == b']' {
            return self.leave(b']');
        }
        loop {
            element(self)?;
            match self.peek()? {
                b',' => self.expect(b',')?,
                _ => return self.leave(b']'),
            }
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.skip_space();
        self.expect(bracket)?;
        self.depth = self.depth.saturating_add(1);
        if self.depth > self.limits.depth { Err(JsonError::TooComplex) } else { Ok(()) }
    }

    fn leave(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.depth = self.depth.saturating_sub(1);
        self.expect(bracket)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.expect(b'"')?;
        let start = self.rest;
        if let Some((raw, [b'"', rest @ ..])) = special(start).and_then(|stop| start.split_at_checked(stop)) {
            self.rest = rest;
            return Ok(Text { raw, escaped: false });
        }
        self.string_with_escapes()
    }

    /// The rest of a string in which something other than its end comes first.
    #[cold]
    fn string_with_escapes(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.rest;
        let mut rest = start;
        let mut escaped = false;
        // Byte by byte: where there is one escape there are often more, and looking for each would cost more than what lies between.
        loop {
            rest = match rest {
                [b'"', after @ ..] => {
                    let length = start.len().saturating_sub(rest.len());
                    self.rest = after;
                    return Ok(Text { raw: start.get(..length).unwrap_or_default(), escaped });
                }
                [b'\\', after @ ..] => {
                    escaped = true;
                    escape(after).ok_or(JsonError::Syntax)?.1
                }
                [] | [0..=0x1f, ..] => return Err(JsonError::Syntax),
                [_, after @ ..] => after,
            };
        }
    }

    fn digits(&mut self) -> Result<&'a str, JsonError> {
        fn some_digits(text: &[u8]) -> Result<&[u8], JsonError> {
            match text {
                [b'0'..=b'9', rest @ ..] => Ok(any_digits(rest)),
                _ => Err(JsonError::Syntax),
            }
        }
        fn any_digits(mut text: &[u8]) -> &[u8] {
            while let [b'0'..=b'9', rest @ ..] = text {
                text = rest;
            }
            text
        }
        let start = self.rest;
        let mut rest = match start.strip_prefix(b"-").unwrap_or(start) {
            [b'0', rest @ ..] => rest,
            unsigned => some_digits(unsigned)?,
        };
        if let [b'.', fraction @ ..] = rest {
            rest = some_digits(fraction)?;
        }
        if let [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] = rest {
            rest = some_digits(exponent)?;
        }
        self.rest = rest;
        let written = start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default();
        if written.len() > MAX_NUMBER_LEN {
            return Err(JsonError::TooComplex);
        }
        core::str::from_utf8(written).map_err(|_| JsonError::Syntax)
    }

    /// The first byte of the next value, which is counted.
    #[inline(always)]
    fn next_value(&mut self) -> Result<u8, JsonError> {
        self.limits.values = self.limits.values.checked_sub(1).ok_or(JsonError::TooComplex)?;
        self.peek()
    }

    #[inline(always)]
    fn peek(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.rest.first().copied().ok_or(JsonError::Syntax)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        // Most often there is none, which one comparison shows.
        while let [byte @ ..=b' ', rest @ ..] = self.rest
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.rest = rest;
        }
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(JsonError::Syntax),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        self.rest = self.rest.strip_prefix(word).ok_or(JsonError::Syntax)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.rest.is_empty() { Ok(()) } else { Err(JsonError::Syntax) }
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonError, MAX_MEMBERS, read_object};
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn names(text: &str) -> Result<Vec<String>, JsonError> {
        let mut names = Vec::new();
        read_object(text.as_bytes(), |reader, name| {
            names.push(name.to_cow().into_owned());
            reader.skip()
        })?;
        Ok(names)
    }

    #[test]
    fn reads_every_kind_of_value() {
        let text = " {\"a\" : \"x\\u00e9\\ud83d\\ude00\\n\", \"b\":-1.5e+3,\"c\":[1,[],{\"a\":{}}],\"d\":null,\"e\":true,\"f\":{}}\n";
        assert_eq!(names(text).unwrap(), ["a", "b", "c", "d", "e", "f"]);
        read_object(br#"{"a":"\ud83d\ude00\/\""}"#, |reader, _| {
            let text = reader.text()?.value().unwrap();
            assert!(text.is("😀/\"") && text.plain().is_none());
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn duplicates_are_found_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"jti":1,"j\u0074i":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[[{"b":1,"c":0,"b":2}]]}"#,
        ] {
            assert_eq!(names(text), Err(JsonError::Duplicate), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in [
            "",
            " ",
            "[]",
            "\"a\"",
            "1",
            "{",
            "}",
            "{}x",
            "{}{}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":truex}",
            "{\"a\":NaN}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\\udc00\"}",
            "{\"a\":[1,]}",
            "{\"a\":[}",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
            "{\u{a0}}",
            "{/**/}",
        ] {
            assert_eq!(names(text), Err(JsonError::Syntax), "{text:?}");
        }
        assert_eq!(read_object(b"{\"a\":\"\xff\"}", |reader, _| reader.skip()), Err(JsonError::Syntax));
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(names(&deep(7)).is_ok());
        assert_eq!(names(&deep(8)), Err(JsonError::TooComplex));
        let wide = |count: usize| {
            let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(names(&wide(MAX_MEMBERS)).is_ok());
        assert_eq!(names(&wide(MAX_MEMBERS + 1)), Err(JsonError::TooComplex));
    }
}
