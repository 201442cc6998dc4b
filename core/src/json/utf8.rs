//! Whether bytes are UTF-8 (RFC 3629), at the same cost for each byte.
//!
//! The standard library's check branches on every character that is not ASCII, so that a text of letters and accents in no order takes
//! ten times as long as one of letters. Here the next state is a shift of a word from a table, whatever the byte.

/// One character is complete.
const DONE: u64 = 0;
/// What no text has. Nothing leads out of it.
const BROKEN: u64 = 6;
/// One, two or three more bytes of a character have to come.
const MORE: [u64; 3] = [12, 18, 24];
/// Behind these first bytes the second one has a narrower range.
const AFTER_E0: u64 = 30;
const AFTER_ED: u64 = 36;
const AFTER_F0: u64 = 42;
const AFTER_F4: u64 = 48;
/// The number of bits that a state takes.
const STATE: u64 = 0x3f;

/// For each byte the next state of every state, at the place that the state is the number of.
const ROWS: [u64; 256] = rows();

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over all bytes"
)]
const fn rows() -> [u64; 256] {
    let [one, two, three] = MORE;
    let states = [DONE, BROKEN, one, two, three, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4];
    let mut rows = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut index = 0;
        while index < states.len() {
            let state = states[index];
            rows[byte] |= next(state, byte as u8) << state;
            index += 1;
        }
        byte += 1;
    }
    rows
}

const fn next(state: u64, byte: u8) -> u64 {
    let [one, two, three] = MORE;
    match (state, byte) {
        (DONE, 0..=0x7f) => DONE,
        (DONE, 0xc2..=0xdf) => one,
        (DONE, 0xe0) => AFTER_E0,
        (DONE, 0xed) => AFTER_ED,
        (DONE, 0xe1..=0xef) => two,
        (DONE, 0xf0) => AFTER_F0,
        (DONE, 0xf1..=0xf3) => three,
        (DONE, 0xf4) => AFTER_F4,
        (12, 0x80..=0xbf) => DONE,
        (18, 0x80..=0xbf) | (AFTER_E0, 0xa0..=0xbf) | (AFTER_ED, 0x80..=0x9f) => one,
        (24, 0x80..=0xbf) | (AFTER_F0, 0x90..=0xbf) | (AFTER_F4, 0x80..=0x8f) => two,
        _ => BROKEN,
    }
}

/// Whether `bytes` are UTF-8.
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    // Nearly all that is read is ASCII, which is quicker to see.
    bytes.is_ascii() || bytes.iter().fold(DONE, step) & STATE == DONE
}

#[inline(always)]
fn step(state: u64, byte: &u8) -> u64 {
    let row = ROWS.get(usize::from(*byte)).copied().unwrap_or_default();
    row.wrapping_shr(u32::try_from(state & STATE).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::is_utf8;
    use alloc::vec::Vec;

    #[test]
    fn what_the_standard_library_says_is_said_here() {
        // Every two bytes, and behind each lead byte every third and the edges of the fourth.
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let pair = [first, second];
                assert_eq!(is_utf8(&pair), core::str::from_utf8(&pair).is_ok(), "{pair:x?}");
                for third in [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff] {
                    for fourth in [b'a', 0x80, 0xbf, 0xc0] {
                        let bytes = [first, second, third, fourth];
                        assert_eq!(is_utf8(&bytes), core::str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
                        assert_eq!(is_utf8(&bytes[..3]), core::str::from_utf8(&bytes[..3]).is_ok(), "{bytes:x?}");
                    }
                }
            }
        }
        let long: Vec<u8> = "aé漢😀".repeat(100).into_bytes();
        assert!(is_utf8(&long) && !is_utf8(&long[..long.len() - 1]) && is_utf8(b""));
    }
}
