//! What exactly is wrong with a proof that failed checks: expected, found, cause and fix.
//!
//! The proof is read again by the strict readers of the checks. Where they cannot read it, the fixed texts of the
//! rejection stand. Nothing here decides anything.

mod claims;
mod header;
mod key;
mod possession;
mod replay;
mod shape;
mod shown;
mod target;

use alloc::vec::Vec;

use super::Verifier;
use super::check::Check;
use super::explain::Failure;
use super::judge;
use super::presentation::Presentation;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::base64url;
use crate::jose::algorithm::Algorithm;
use crate::jose::compact::Compact;
use crate::jose::header::Header;
use crate::proof::claims::Claims;
use crate::replay::{ReplayEntry, StoreFloor};
use key::JwkText;
use shown::Shown;

/// Everything that is known about one refused proof.
struct Case<'a> {
    verifier: &'a Verifier,
    presentation: &'a Presentation<'a>,
    now: UnixTime,
    rejection: Rejection,
    /// The one proof, if there is exactly one within the limit of length.
    proof: &'a [u8],
    compact: Option<Compact<'a>>,
    /// The decoded header, empty if it cannot be decoded.
    header_json: &'a [u8],
    /// The decoded payload, empty if it cannot be decoded.
    claims_json: &'a [u8],
    header: Header<'a>,
    jwk: JwkText<'a>,
    claims: Claims<'a>,
    shown: Shown<'a>,
    unknown: Option<(ReplayEntry, StoreFloor)>,
}

impl<'a> Case<'a> {
    fn token(&self) -> Option<&'a str> {
        self.presentation.context.access_token()
    }

    /// The algorithm the header names, if it is one.
    fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_name(&self.header.alg.value()?.to_cow())
    }

    /// Whether the proof's text is the access token.
    fn is_token(&self) -> bool {
        self.token().is_some_and(|token| token.as_bytes() == self.proof)
    }

    fn general(&self) -> Failure {
        Failure::general(self.rejection)
    }

    fn diagnose(&self) -> Failure {
        match self.rejection.check() {
            Check::Fields | Check::Size | Check::Shape => shape::diagnose(self),
            Check::Type | Check::Algorithm => header::diagnose(self),
            Check::Key | Check::Curve => key::diagnose(self),
            Check::Claims | Check::Method | Check::Time | Check::Nonce => claims::diagnose(self),
            Check::Target => target::diagnose(self),
            Check::Binding | Check::TokenHash | Check::Signature => possession::diagnose(self),
            Check::Replay => replay::diagnose(self),
        }
    }
}

/// Diagnoses each of the checks that failed. `unknown` is an entry for which the store does not vouch, and its floor.
pub(super) fn diagnose(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    now: UnixTime,
    rejections: &[Rejection],
    unknown: Option<(ReplayEntry, StoreFloor)>,
) -> Vec<Failure> {
    // The rejection is exchanged for each failure: the proof is read once.
    let Some(rejection) = rejections.first().copied() else { return Vec::new() };
    let proof = judge::single_proof(presentation.proofs).unwrap_or_default();
    let compact = Compact::split(proof);
    let decoded = |segment: fn(&Compact<'_>) -> Vec<u8>| compact.as_ref().map(segment).unwrap_or_default();
    let header_json = decoded(|compact| base64url::decode(compact.header).unwrap_or_default());
    let claims_json = decoded(|compact| base64url::decode(compact.payload).unwrap_or_default());
    let header = Header::read(&header_json).unwrap_or_default();
    let jwk = JwkText::read(&header_json);
    let claims = Claims::read(&claims_json).unwrap_or_default();

    let mut shown = Shown::default();
    let segments = compact.iter().flat_map(|compact| [compact.header, compact.payload, compact.signature]);
    for text in segments.filter_map(|segment| core::str::from_utf8(segment).ok()) {
        shown.hide(text);
    }
    for text in presentation.context.access_token().into_iter().chain(presentation.nonce) {
        shown.hide(text);
    }
    for text in claims.nonce.value().into_iter().chain(jwk.key_material()) {
        shown.hide(text.to_cow());
    }

    let mut case = Case {
        verifier,
        presentation,
        now,
        rejection,
        proof,
        compact,
        header_json: &header_json,
        claims_json: &claims_json,
        header,
        jwk,
        claims,
        shown,
        unknown,
    };
    let diagnose_next = |rejection: &Rejection| {
        case.rejection = *rejection;
        case.diagnose()
    };
    rejections.iter().map(diagnose_next).collect()
}
