//! `compact_jws` and `signed`: whole proofs from hostile bytes, unsigned and signed.

use crate::oracle::check_accepted;
use crate::story::{of_the_rfc, resource, sign};

/// The input is the value of a `DPoP` field.
pub fn compact_jws(data: &[u8]) {
    for request in of_the_rfc() {
        if request.judge(data).is_ok() {
            check_accepted(std::str::from_utf8(data).expect("accepted, but not text"), &request);
        }
    }
}

/// The input is a header, a line feed and claims, which are encoded and signed as they stand. The signature is good,
/// so that nothing but the rules decides.
pub fn signed(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, claims) = data.split_at(end);
    let proof = sign(header, claims.get(1..).unwrap_or_default());
    for request in [resource(), crate::story::Request { token: None, ..resource() }] {
        if request.judge(proof.as_bytes()).is_ok() {
            check_accepted(&proof, &request);
        }
    }
}
