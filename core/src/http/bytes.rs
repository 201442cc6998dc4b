//! Sets of bytes as tables, so that each byte of what a stranger sends costs the same.

/// What a token68 holds besides its padding (RFC 9110 section 11.2).
pub(crate) const TOKEN68: [bool; 256] = letters_digits_and(b"-._~+/");

/// Whether `byte` is in `set`.
#[inline(always)]
pub(crate) fn is_in(set: &[bool; 256], byte: u8) -> bool {
    set.get(usize::from(byte)).copied().unwrap_or(false)
}

/// ASCII letters and digits, and `others`.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over all bytes"
)]
pub(crate) const fn letters_digits_and(others: &[u8]) -> [bool; 256] {
    let mut table = only(others);
    let mut byte = 0;
    while byte < 256 {
        table[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
}

/// The bytes of `these`.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over few bytes"
)]
pub(crate) const fn only(these: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut each = 0;
    while each < these.len() {
        table[these[each] as usize] = true;
        each += 1;
    }
    table
}
