//! JSON strings: what they stand for, where they end, and how they are written.

use alloc::borrow::Cow;
use alloc::string::String;

/// A JSON string as written between its quotes: UTF-8, its escapes known to be valid.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text<'a> {
    pub(super) raw: &'a [u8],
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// The value, borrowed unless it holds escapes.
    pub(crate) fn to_cow(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(self.chars().collect()) } else { Cow::Borrowed(self.raw_str()) }
    }

    /// The bytes of the value, borrowed unless it holds escapes.
    pub(crate) fn to_bytes(self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(self.chars().collect::<String>().into_bytes()) } else { Cow::Borrowed(self.raw) }
    }

    /// The value, if it was written without escapes.
    pub(crate) fn plain(self) -> Option<&'a str> {
        (!self.escaped).then(|| self.raw_str())
    }

    /// Whether the value is `other`.
    pub(crate) fn is(self, other: &str) -> bool {
        if self.escaped { self.chars().eq(other.chars()) } else { self.raw == other.as_bytes() }
    }

    pub(super) fn same_as(self, other: Text<'_>) -> bool {
        if self.escaped || other.escaped {
            return self.chars().eq(other.chars());
        }
        // Names are short, and most differ in length or in their first byte.
        self.raw.len() == other.raw.len() && self.raw.iter().eq(other.raw)
    }

    fn raw_str(self) -> &'a str {
        // The whole text was checked before it was cut at ASCII characters.
        core::str::from_utf8(self.raw).unwrap_or_default()
    }

    fn chars(self) -> Unescaped<'a> {
        Unescaped { rest: self.raw_str().chars() }
    }
}

/// The characters that a string's text stands for.
pub(super) struct Unescaped<'a> {
    pub(super) rest: core::str::Chars<'a>,
}

impl Unescaped<'_> {
    fn hex4(&mut self) -> Option<u32> {
        (0..4).try_fold(0_u32, |unit, _| Some(unit << 4 | self.rest.next()?.to_digit(16)?))
    }

    /// The character an escape stands for; `None` if the escape is not valid JSON or half a surrogate pair.
    pub(super) fn escape(&mut self) -> Option<char> {
        match self.rest.next()? {
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let unit = self.hex4()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return char::from_u32(unit);
                }
                if (self.rest.next()?, self.rest.next()?) != ('\\', 'u') {
                    return None;
                }
                let low = self.hex4()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return None;
                }
                char::from_u32(((unit & 0x3ff) << 10 | (low & 0x3ff)).saturating_add(0x1_0000))
            }
            plain @ ('"' | '\\' | '/') => Some(plain),
            _ => None,
        }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => Some(self.escape().unwrap_or(char::REPLACEMENT_CHARACTER)),
            plain => Some(plain),
        }
    }
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
