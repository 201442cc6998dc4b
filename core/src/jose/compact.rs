//! The compact form of a signed JWT (RFC 7515 section 7.1): three segments and two dots.

/// The segments of a compact JWS, still encoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// Header, dot and payload: what the signature covers.
    pub(crate) signing_input: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Splits `text` at its dots; `None` unless there are exactly two and all segments hold something.
    pub(crate) fn split(text: &'a [u8]) -> Option<Self> {
        let first = text.iter().position(|byte| *byte == b'.')?;
        let (header, rest) = text.split_at_checked(first)?;
        let (_, rest) = rest.split_first()?;
        let second = rest.iter().position(|byte| *byte == b'.')?;
        let (payload, tail) = rest.split_at_checked(second)?;
        let (_, signature) = tail.split_first()?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || signature.contains(&b'.') {
            return None;
        }
        let signing_input = text.get(..text.len().saturating_sub(tail.len()))?;
        Some(Self { header, payload, signature, signing_input })
    }
}
