//! The shape of a proof: one field with three segments of base64url, decoded on the stack where they fit.

use alloc::vec::Vec;

use super::rejection::Rejection;
use crate::base64url;
use crate::jose::compact::Compact;
use crate::proof::MAX_PROOF_LEN;

/// The one proof, neither missing nor repeated.
pub(super) fn check_fields<'a>(proofs: &[&'a [u8]]) -> Result<&'a [u8], Rejection> {
    match proofs {
        [] => Err(Rejection::ProofMissing),
        [proof] => Ok(proof),
        _ => Err(Rejection::MultipleProofs),
    }
}

pub(super) fn check_size(proof: &[u8]) -> Result<(), Rejection> {
    if proof.len() > MAX_PROOF_LEN { Err(Rejection::ProofTooLarge) } else { Ok(()) }
}

pub(super) fn split(proof: &[u8]) -> Result<Compact<'_>, Rejection> {
    Compact::split(proof).ok_or_else(|| misshapen(proof, Rejection::JwtMalformed))
}

/// Two fields folded into one by an intermediary are joined by a comma (RFC 9110 section 5.3), which no segment may hold.
fn misshapen(proof: &[u8], rejection: Rejection) -> Rejection {
    if proof.contains(&b',') { Rejection::MultipleProofs } else { rejection }
}

/// Room on the stack for the decoded segments of one proof: enough for all but RSA and ML-DSA.
pub(super) type Scratch = [u8; 1024];

pub(super) struct Segments<'a> {
    pub(super) header: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// Decodes the segments into `inline`, or into `heap` if they are too long.
pub(super) fn decode_segments<'r>(
    compact: &Compact<'_>,
    inline: &'r mut Scratch,
    heap: &'r mut Vec<u8>,
) -> Result<Segments<'r>, Rejection> {
    // Encoded, so more than will be decoded.
    let needed = compact.signing_input.len().saturating_add(compact.signature.len());
    let room = if needed <= inline.len() {
        inline.as_mut_slice()
    } else {
        heap.resize(needed, 0);
        heap.as_mut_slice()
    };
    let (header, room) = decode_into(compact.header, room)?;
    let (payload, room) = decode_into(compact.payload, room)?;
    let (signature, _) = decode_into(compact.signature, room)?;
    Ok(Segments { header, payload, signature })
}

fn decode_into<'r>(segment: &[u8], room: &'r mut [u8]) -> Result<(&'r [u8], &'r mut [u8]), Rejection> {
    let non_canonical = || misshapen(segment, Rejection::Base64NonCanonical);
    let length = base64url::decoded_len(segment.len()).ok_or_else(non_canonical)?;
    let (out, rest) = room.split_at_mut_checked(length).ok_or(Rejection::Base64NonCanonical)?;
    base64url::decode_exact(segment, out).map_err(|_| non_canonical())?;
    Ok((out, rest))
}
