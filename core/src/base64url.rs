//! Strict base64url without padding (RFC 7515 section 2, RFC 4648 section 5): one spelling for each value.
//!
//! For public text only: the time taken depends on the text. Secrets go through `base64ct`.

use alloc::string::String;
use alloc::vec::Vec;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

/// Not base64url in its one permitted spelling: another character, padding, an impossible length or
/// unused bits that are not zero (RFC 4648 section 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBase64Url;

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
    URL_SAFE_NO_PAD.decode(text, out.as_out()).map(drop).map_err(|_| NotBase64Url)
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
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Appends the base64url spelling of `bytes` to `text`.
pub fn encode_into(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

/// The spelling of 16 bytes, 22 characters, without an allocation.
#[cfg(feature = "dpop")]
pub(crate) struct Short([u8; 22]);

#[cfg(feature = "dpop")]
impl Short {
    pub(crate) fn encode(bytes: &[u8; 16]) -> Self {
        let mut out = [b'A'; 22];
        let _ = URL_SAFE_NO_PAD.encode(bytes, out.as_mut_slice().as_out());
        Self(out)
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
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
