//! JSON (RFC 8259), read strictly: objects of proofs without allocating, and whole documents as a `Value`.
//!
//! What a lenient reader lets through is an error here: a member name that occurs twice at any depth, however
//! it is spelled (RFC 7515 section 4, RFC 7519 section 4); anything after the object; nesting beyond
//! `MAX_DEPTH`; more than `MAX_MEMBERS` members in one object; text that is not UTF-8. Numbers are handed
//! out as written, so that no reader's idea of a float stands between a claim and its check.

mod number;
mod text;
#[cfg(feature = "oauth")]
mod value;

use alloc::vec::Vec;

pub(crate) use number::floor;
pub(crate) use text::{Text, write_string};
use text::{Unescaped, special};
#[cfg(feature = "oauth")]
pub use value::{MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_LEN, MAX_DOCUMENT_MEMBERS, NotJson, Value};

/// How deep objects and arrays may nest.
pub(crate) const MAX_DEPTH: u8 = 8;
/// The longest escape behind its backslash: a surrogate pair, two times `u` and four digits.
const MAX_ESCAPE_LEN: usize = 11;
/// How many members one object may have.
pub(crate) const MAX_MEMBERS: usize = 64;

/// How much of a text is read before it is refused.
#[derive(Clone, Copy)]
struct Limits {
    depth: u8,
    members: usize,
}

/// What proofs get.
const PROOF: Limits = Limits { depth: MAX_DEPTH, members: MAX_MEMBERS };

/// Why a text is not an object we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JsonError {
    /// Not JSON, not UTF-8, not an object, or followed by something.
    Syntax,
    /// A member name occurs twice in one object.
    Duplicate,
    /// Nested too deep or too many members.
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

/// The member names of one object so far: the first few on the stack, which is all that most objects have.
#[derive(Default)]
struct Names<'a> {
    count: usize,
    first: [Text<'a>; 12],
    others: Vec<Text<'a>>,
}

impl<'a> Names<'a> {
    fn insert(&mut self, name: Text<'a>, limit: usize) -> Result<(), JsonError> {
        let earlier = self.first.get(..self.count).unwrap_or(&self.first);
        if earlier.iter().chain(&self.others).any(|other| other.same_as(name)) {
            return Err(JsonError::Duplicate);
        }
        match self.first.get_mut(self.count) {
            _ if self.count >= limit => return Err(JsonError::TooComplex),
            Some(slot) => *slot = name,
            None => self.others.push(name),
        }
        self.count = self.count.saturating_add(1);
        Ok(())
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
    // Nearly all proofs are ASCII, which is quicker to see.
    if !bytes.is_ascii() {
        core::str::from_utf8(bytes).map_err(|_| JsonError::Syntax)?;
    }
    let mut reader = Reader { rest: bytes, depth: 0, limits: PROOF };
    reader.object(member)?;
    reader.end()
}

/// Checks that `text` is one JSON value of any type that can be a member: the object around it counts as one level.
pub(crate) fn check_value(text: &str) -> Result<(), JsonError> {
    let mut reader = Reader { rest: text.as_bytes(), depth: 1, limits: PROOF };
    reader.skip()?;
    reader.end()
}

impl<'a> Reader<'a> {
    /// Reads a string; a value of another type is skipped and gives `Wrong`.
    pub(crate) fn text(&mut self) -> Result<Member<Text<'a>>, JsonError> {
        match self.peek()? {
            b'"' => self.string().map(Member::Is),
            _ => self.skip().map(|()| Member::Wrong),
        }
    }

    /// Reads a number as written; a value of another type is skipped and gives `Wrong`.
    pub(crate) fn number(&mut self) -> Result<Member<&'a str>, JsonError> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.digits().map(Member::Is),
            _ => self.skip().map(|()| Member::Wrong),
        }
    }

    /// Reads an object member by member, if the value is one; else skips it and answers `false`.
    pub(crate) fn object_or_skip(
        &mut self,
        member: impl FnMut(&mut Self, Text<'a>) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.peek()? == b'{' { self.object(member).map(|()| true) } else { self.skip().map(|()| false) }
    }

    /// Reads an array element by element, if the value is one; else skips it and answers `false`.
    pub(crate) fn array_or_skip(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.peek()? == b'[' { self.array(element).map(|()| true) } else { self.skip().map(|()| false) }
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
        match self.peek()? {
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
                _ => return self.leave(b'}'),
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
        loop {
            let (_, at_stop) = special(rest).and_then(|stop| rest.split_at_checked(stop)).ok_or(JsonError::Syntax)?;
            match at_stop {
                [b'"', after @ ..] => {
                    let length = start.len().saturating_sub(at_stop.len());
                    self.rest = after;
                    return Ok(Text { raw: start.get(..length).unwrap_or_default(), escaped });
                }
                [b'\\', after @ ..] => {
                    escaped = true;
                    // Escapes are rare, and re-reading the rest as text for each of them would cost its length again.
                    let head = after.get(..after.len().min(MAX_ESCAPE_LEN)).unwrap_or_default();
                    let ascii = head.iter().position(|byte| !byte.is_ascii()).unwrap_or(head.len());
                    let head = core::str::from_utf8(head.get(..ascii).unwrap_or_default()).unwrap_or_default();
                    let mut scan = Unescaped { rest: head.chars() };
                    scan.escape().ok_or(JsonError::Syntax)?;
                    let length = head.len().saturating_sub(scan.rest.as_str().len());
                    rest = after.get(length..).unwrap_or_default();
                }
                _ => return Err(JsonError::Syntax),
            }
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
        core::str::from_utf8(written).map_err(|_| JsonError::Syntax)
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
