//! Hexadecimal digits, by a table: strangers choose the text, so no branch depends on what it says.

/// What stands for a byte that is not a digit.
const NONE: u8 = 0xff;

const DIGITS: [u8; 256] = table();

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over all bytes"
)]
const fn table() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
}

fn digit(byte: u8) -> u8 {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// The two digits of a byte, in upper case.
pub(crate) fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|nibble| b"0123456789ABCDEF".get(usize::from(nibble)).copied().unwrap_or_default())
}

/// The byte that two digits stand for.
#[inline(always)]
pub(crate) fn byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(digit);
    if (high | low) > 0xf { None } else { Some(high << 4 | low) }
}

/// The number that four digits stand for.
#[inline(always)]
pub(crate) fn number(digits: [u8; 4]) -> Option<u32> {
    let [a, b, c, d] = digits.map(digit);
    if (a | b | c | d) > 0xf { None } else { Some(u32::from_be_bytes([0, 0, a << 4 | b, c << 4 | d])) }
}

#[cfg(test)]
mod tests {
    use super::{byte, digits, number};
    use alloc::format;

    #[test]
    fn every_byte_has_its_digits_in_both_cases() {
        for value in 0..=u8::MAX {
            assert_eq!(digits(value), *format!("{value:02X}").as_bytes());
            for text in [format!("{value:02x}"), format!("{value:02X}")] {
                assert_eq!(byte(*text.as_bytes().first_chunk().unwrap()), Some(value));
            }
        }
        assert_eq!(number(*b"1aF0"), Some(0x1af0));
        for other in [b'g', b'/', b':', b'@', b'`', 0, 0x80, 0xff] {
            assert_eq!(
                (byte([other, b'0']), byte([b'0', other]), number([b'0', b'0', b'0', other])),
                (None, None, None)
            );
        }
    }
}
