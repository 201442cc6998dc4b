//! JSON strings: what they stand for, where they end, and how they are written.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// A JSON string as written between its quotes: UTF-8, its escapes known to be valid.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// The value, borrowed unless it holds escapes.
    pub(crate) fn to_cow(self) -> Cow<'a, str> {
        match self.to_bytes() {
            // The whole text was checked before it was cut at ASCII characters, and escapes stand for characters.
            Cow::Borrowed(raw) => Cow::Borrowed(core::str::from_utf8(raw).unwrap_or_default()),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_default()),
        }
    }

    /// The bytes of the value, borrowed unless it holds escapes.
    pub(crate) fn to_bytes(self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(unescaped(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// The bytes of a value that is looked up among known ones, none of them longer than `longest`: of a longer one nothing.
    pub(crate) fn among_known(self, longest: usize) -> Cow<'a, [u8]> {
        if self.may_be(longest) { self.to_bytes() } else { Cow::Borrowed(&[]) }
    }

    /// The value, if it was written without escapes.
    pub(crate) fn plain(self) -> Option<&'a str> {
        if self.escaped { None } else { core::str::from_utf8(self.raw).ok() }
    }

    /// Whether the value is `other`.
    pub(crate) fn is(self, other: &str) -> bool {
        if self.escaped {
            return self.may_be(other.len()) && unescaped(self.raw) == other.as_bytes();
        }
        self.raw == other.as_bytes()
    }

    /// Whether the value may have so few bytes: nothing is written in more than six bytes for one.
    pub(crate) fn may_be(self, length: usize) -> bool {
        self.raw.len() <= length.saturating_mul(LONGEST_SPELLING)
    }
}

/// How many bytes one byte of a value can be written in: `\u0061`.
const LONGEST_SPELLING: usize = 6;

/// The bytes that a string's text stands for; its escapes are known to be valid.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => return out,
            [b'\\', after @ ..] => {
                let (character, after) = escape(after).unwrap_or((char::REPLACEMENT_CHARACTER, &[]));
                match u8::try_from(character) {
                    Ok(ascii @ 0..=0x7f) => out.push(ascii),
                    _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                after
            }
            [plain, after @ ..] => {
                out.push(*plain);
                after
            }
        };
    }
}

/// The character that an escape stands for, and what follows it. `text` begins behind the backslash; `None` if the escape is not
/// valid JSON or half a surrogate pair.
#[inline(always)]
pub(super) fn escape(text: &[u8]) -> Option<(char, &[u8])> {
    let [kind, rest @ ..] = text else { return None };
    let plain = match kind {
        b'u' => return escaped_unit(rest),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'"' | b'\\' | b'/' => char::from(*kind),
        _ => return None,
    };
    Some((plain, rest))
}

/// The character of `\u` with its four digits, or of a surrogate pair.
#[inline(always)]
fn escaped_unit(text: &[u8]) -> Option<(char, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let unit = crate::hex::number(*digits)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((char::from_u32(unit)?, rest));
    }
    let (digits, rest) = rest.strip_prefix(b"\\u")?.split_first_chunk::<4>()?;
    let low = crate::hex::number(*digits)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(((unit & 0x3ff) << 10 | (low & 0x3ff)).saturating_add(0x1_0000))?, rest))
}

/// Where the first byte stands that ends a run of plain characters in a string: a quote, a backslash or a control.
///
/// Eight bytes are looked at together, since most of a proof is strings.
#[inline(always)]
pub(super) fn special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, tail) = text.as_chunks::<8>();
    let mut offset = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quotes = zero_bytes(word ^ 0x2222_2222_2222_2222);
        let backslashes = zero_bytes(word ^ 0x5c5c_5c5c_5c5c_5c5c);
        let controls = word.wrapping_sub(0x2020_2020_2020_2020) & !word & HIGH;
        // The lowest mark is exact; a borrow can only spoil marks above a true one.
        let marks = quotes | backslashes | controls;
        if marks != 0 {
            return Some(offset.saturating_add(usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0)));
        }
        offset = offset.saturating_add(8);
    }
    let found = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    Some(offset.saturating_add(found))
}

/// How many bytes [`write_string`] appends.
#[cfg(feature = "oauth")]
pub(super) fn written_string_len(value: &str) -> usize {
    let written = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => LONGEST_SPELLING,
        _ => 1,
    };
    value.bytes().map(written).sum::<usize>().saturating_add(2)
}

/// Appends `value` to `out` as a JSON string, escaping what must be.
pub(crate) fn write_string(value: &str, out: &mut String) {
    out.push('"');
    let mut rest = value;
    while let Some((plain, tail)) = special(rest.as_bytes()).and_then(|stop| rest.split_at_checked(stop)) {
        out.push_str(plain);
        let mut characters = tail.chars();
        match characters.next() {
            Some(mark @ ('"' | '\\')) => {
                out.push('\\');
                out.push(mark);
            }
            Some(control) => {
                let code = u32::from(control);
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(char::from_digit(code >> shift & 0xf, 16).unwrap_or('0'));
                }
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::write_string;
    use crate::json::check_value;
    use alloc::string::String;

    #[test]
    fn the_first_special_byte_is_found_at_every_place() {
        for length in 0..40 {
            for place in 0..length {
                for special in 0..=u8::MAX {
                    let mut text = alloc::vec![b'!'; length];
                    text[place] = special;
                    let expected = matches!(special, b'"' | b'\\' | 0..=0x1f).then_some(place);
                    assert_eq!(super::special(&text), expected, "{special:#x} at {place} of {length}");
                    if place > 0 {
                        text[place - 1] = b'"';
                        assert_eq!(super::special(&text), Some(place - 1));
                    }
                }
            }
        }
    }

    #[test]
    fn written_strings_read_back() {
        let value = "a\"b\\c\u{1}\u{1f}é😀";
        let mut out = String::new();
        write_string(value, &mut out);
        check_value(&out).unwrap();
        assert_eq!(out, "\"a\\\"b\\\\c\\u0001\\u001fé😀\"");
    }
}
