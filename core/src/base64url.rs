//! Strict base64url without padding (RFC 7515 section 2, RFC 4648 section 5): one spelling for each value.
//!
//! For public text only: the time taken depends on the text. Secrets go through `base64ct`.

use alloc::string::String;
use alloc::vec::Vec;

/// Not base64url in its one permitted spelling: another character, padding, an impossible length or
/// unused bits that are not zero (RFC 4648 section 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBase64Url;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Marks a character outside the alphabet; values occupy the lower 24 bits.
const INVALID: u32 = 1 << 31;
/// The value of each character at each of the four places of a group, already shifted there.
const PLACES: [[u32; 256]; 4] = [values(18), values(12), values(6), values(0)];

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler, over a constant"
)]
const fn values(shift: u32) -> [u32; 256] {
    let mut table = [INVALID; 256];
    let mut index = 0;
    while index < 64 {
        table[ALPHABET[index] as usize] = (index as u32) << shift;
        index += 1;
    }
    table
}

/// The bits of a character at a place, or [`INVALID`] set.
fn bits(place: &[u32; 256], character: u8) -> u32 {
    place.get(usize::from(character)).copied().unwrap_or(INVALID)
}

/// The number of bytes that `characters` characters of base64url hold; none for impossible lengths.
pub const fn decoded_len(characters: usize) -> Option<usize> {
    let whole = (characters / 4).saturating_mul(3);
    match characters % 4 {
        0 => Some(whole),
        2 => Some(whole.saturating_add(1)),
        3 => Some(whole.saturating_add(2)),
        _ => None,
    }
}

/// Decodes `text` into `out`, whose length must be exactly that of the value.
///
/// # Errors
/// [`NotBase64Url`] if `text` is not the one spelling of a value of that length.
pub fn decode_exact(text: &[u8], out: &mut [u8]) -> Result<(), NotBase64Url> {
    if decoded_len(text.len()) != Some(out.len()) {
        return Err(NotBase64Url);
    }
    let (quads, tail) = text.as_chunks::<4>();
    let (triples, rest) = out.as_chunks_mut::<3>();
    // Every group is decoded, and all are judged at once.
    let mut seen = 0;
    let [high, upper, lower, low] = &PLACES;
    for ([a, b, c, d], triple) in quads.iter().zip(triples) {
        let group = bits(high, *a) | bits(upper, *b) | bits(lower, *c) | bits(low, *d);
        seen |= group;
        let [_, first, second, third] = group.to_be_bytes();
        *triple = [first, second, third];
    }
    let group = PLACES.iter().zip(tail).fold(0, |group, (place, character)| group | bits(place, *character));
    seen |= group;
    let [_, first, second, third] = group.to_be_bytes();
    // Bits beyond the last byte must be zero, else one value has several spellings.
    let unused = match (tail, rest) {
        ([], []) => 0,
        ([_, _], [only]) => {
            *only = first;
            second | third
        }
        ([_, _, _], [former, latter]) => {
            (*former, *latter) = (first, second);
            third
        }
        _ => return Err(NotBase64Url),
    };
    if seen & INVALID == 0 && unused == 0 { Ok(()) } else { Err(NotBase64Url) }
}

/// Decodes `text`.
///
/// # Errors
/// [`NotBase64Url`] if `text` is not the one spelling of some value.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, NotBase64Url> {
    let mut out = alloc::vec![0; decoded_len(text.len()).ok_or(NotBase64Url)?];
    decode_exact(text, &mut out)?;
    Ok(out)
}

/// The base64url spelling of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    encode_into(bytes, &mut text);
    text
}

/// The spelling of 16 bytes, 22 characters, without an allocation.
#[cfg(feature = "dpop")]
pub(crate) struct Short([u8; 24]);

#[cfg(feature = "dpop")]
impl Short {
    pub(crate) fn encode(bytes: &[u8; 16]) -> Self {
        let mut out = [b'A'; 24];
        encode_block(bytes, &mut out);
        Self(out)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.get(..encoded_len(16)).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// The number of characters that `bytes` bytes take.
pub const fn encoded_len(bytes: usize) -> usize {
    let whole = (bytes / 3).saturating_mul(4);
    match bytes % 3 {
        0 => whole,
        1 => whole.saturating_add(2),
        _ => whole.saturating_add(3),
    }
}

fn digit(bits: u32) -> u8 {
    let [.., low] = bits.to_be_bytes();
    ALPHABET.get(usize::from(low & 0x3f)).copied().unwrap_or(b'A')
}

/// Spells `block` out into `out`, which has room for whole groups of four characters.
fn encode_block(block: &[u8], out: &mut [u8]) {
    let (triples, rest) = block.as_chunks::<3>();
    let (quads, _) = out.as_chunks_mut::<4>();
    for ([a, b, c], quad) in triples.iter().zip(&mut *quads) {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        *quad = [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)];
    }
    if let (Some(quad), false) = (quads.get_mut(triples.len()), rest.is_empty()) {
        let mut last = rest.iter().copied();
        let bits = u32::from_be_bytes([0, last.next().unwrap_or(0), last.next().unwrap_or(0), 0]);
        *quad = [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), b'A'];
    }
}

/// Appends the base64url spelling of `bytes` to `text`.
pub fn encode_into(bytes: &[u8], text: &mut String) {
    const BLOCK: usize = 48;
    for block in bytes.chunks(BLOCK) {
        let mut out = [b'A'; BLOCK / 3 * 4];
        encode_block(block, &mut out);
        let written = out.get(..encoded_len(block.len())).unwrap_or_default();
        text.push_str(core::str::from_utf8(written).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::{NotBase64Url, decode, encode};
    use alloc::vec::Vec;

    #[test]
    fn round_trips_every_length() {
        for length in 0..200_u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37).wrapping_add(length)).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()).unwrap(), bytes);
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn other_spellings_are_refused() {
        for wrong in ["A", "AAAAA", "AB", "AAB", "AA==", "AA=", "+/AA", "AA A", "AAA\n", "AAAé", "AAA="] {
            assert_eq!(decode(wrong.as_bytes()), Err(NotBase64Url), "{wrong:?}");
        }
        assert_eq!(decode(b"AA").unwrap(), [0]);
    }
}
