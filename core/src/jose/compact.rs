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
    /// Splits `text` at its dots; `None` unless there are exactly two. Segments may be empty: what is missing then
    /// is a later check's business, which can name it.
    pub(crate) fn split(text: &'a [u8]) -> Option<Self> {
        let mut dots = memchr::memchr_iter(b'.', text);
        let (first, second) = (dots.next()?, dots.next()?);
        if dots.next().is_some() {
            return None;
        }
        let header = text.get(..first)?;
        let payload = text.get(first.saturating_add(1)..second)?;
        let signature = text.get(second.saturating_add(1)..)?;
        let signing_input = text.get(..second)?;
        Some(Self { header, payload, signature, signing_input })
    }
}
