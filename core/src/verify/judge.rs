//! The checks, one after the other. Each is a function of the files beside this one.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use super::Verifier;
use super::claims::{Required, Times, check_target, check_token_hash};
use super::key::{Head, Key};
use super::pending::{NextNonce, PendingProof, VerifiedProof};
use super::policy::NonceMode;
use super::presentation::{Presentation, PresentedProof};
use super::rejection::Rejection;
use super::shape::{Scratch, Segments, check_fields, check_size, decode_segments, split};
use crate::UnixTime;
use crate::base64url;
use crate::jose::compact::Compact;
use crate::jose::header::Header;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Text;
use crate::nonce::Role;
use crate::nonce::issuer::{ISSUED_LEN, NonceVerdict, ValidNonce};
use crate::proof::claims::Claims;
use crate::replay::{ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};

/// A proof that was taken apart, and its key.
pub(super) struct Opened<'a> {
    pub(super) compact: Compact<'a>,
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) key: Key,
}

/// What a proof says, fitting its request and the clock.
pub(super) struct Fitting<'a> {
    pub(super) claims: Required<'a>,
    pub(super) times: Times,
}

/// A proof that does not fit, and its nonce if the clock alone is wrong: then the nonce decides whether a new one helps.
pub(super) struct Unfit<'a> {
    pub(super) rejection: Rejection,
    pub(super) nonce: Option<Text<'a>>,
}

impl From<Rejection> for Unfit<'_> {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, nonce: None }
    }
}

impl From<Unfit<'_>> for Rejection {
    fn from(unfit: Unfit<'_>) -> Self {
        unfit.rejection
    }
}

/// The first six of the checks, in the order of [`Check::ALL`](super::check::Check::ALL): one line for each, beside it the check of RFC 9449
/// section 4.3. [`fitting`] has the next four, [`judge`] the others.
#[inline(always)]
pub(super) fn opened<'a>(
    verifier: &Verifier,
    presented: &PresentedProof<'a>,
    inline: &'a mut Scratch,
    heap: &'a mut Vec<u8>,
) -> Result<Opened<'a>, Rejection> {
    let proof = check_fields(presented.proofs)?; //                               Fields      check 1
    check_size(proof)?; //                                                        Size
    let compact = split(proof)?; //                                               Shape       check 2
    let Segments { header, payload, signature } = decode_segments(&compact, inline, heap)?;
    let head = Head::read(verifier, &compact, header)?;
    head.check_type()?; //                                                        Type        check 4
    let algorithm = head.check_algorithm(verifier)?; //                           Algorithm   check 5
    let key = head.check_key(verifier, algorithm)?; //                            Key         check 7
    Ok(Opened { compact, payload, signature, key })
}

/// The next four: whether what a proof says fits its request and the clock.
#[inline(always)]
pub(super) fn fitting<'a>(
    verifier: &Verifier,
    presented: &PresentedProof<'_>,
    payload: &'a [u8],
    now: UnixTime,
) -> Result<Fitting<'a>, Unfit<'a>> {
    let claims = Required::read(payload, presented.access_token.is_some())?; //   Claims      check 3
    claims.check_method(presented.method)?; //                                    Method      check 8
    check_target(verifier, presented, claims.htu)?; //                            Target      check 9
    let times = claims.check_time(verifier, now); //                              Time        check 11
    match times {
        Ok(times) => Ok(Fitting { claims, times }),
        Err(rejection) => Err(Unfit { rejection, nonce: claims.nonce }),
    }
}

/// Makes every check but replay: those of [`opened`] and [`fitting`], and the other six.
///
/// Servers make the same in two parts ([`ReadProof`](super::read::ReadProof)), and keep what was read for their refusal. At a resource a token
/// is judged between them. There the nonce comes after the signature, so that only clients that would be let in are asked for one (decision
/// 0007), and the hash of the token, which is at hand, before anything is asked of an issuer.
pub(super) fn judge(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    now: UnixTime,
) -> Result<PendingProof, Rejection> {
    let presented = &presentation.presented();
    let (mut inline, mut heap): (Scratch, _) = ([0; 1024], Vec::new());
    let Opened { compact, payload, signature, key } = opened(verifier, presented, &mut inline, &mut heap)?;
    let Fitting { claims, times } = fitting(verifier, presented, payload, now)?;
    let thumbprint = key.thumbprint(verifier);
    let given = claims.nonce.map(|nonce| bounded_nonce(nonce, presented.nonce));
    let asked = AskedNonce { exact: presented.nonce, role: presented.role, epoch: presented.epoch };
    let nonce = check_nonce(verifier, &asked, given.as_deref(), &thumbprint, now)?; // Nonce       check 10
    key.check_curve(verifier)?; //                                                Curve
    check_binding(presentation.context.bound_to(), &thumbprint)?; //              Binding     check 12b
    check_token_hash(verifier, presented.access_token, claims.ath)?; //           TokenHash   check 12a
    key.check_signature(verifier, &compact, signature)?; //                       Signature   check 6
    key.remember(verifier, &compact, &thumbprint);
    let jti = &claims.jti.to_cow();
    // Replay, section 11.1: the store's.
    Ok(pending(verifier, &asked, Proven { key: &key, thumbprint, jti, times, nonce }, now))
}

/// Which nonce is asked for.
pub(super) struct AskedNonce<'a> {
    /// The one that this client was given, where the host remembers it.
    pub(super) exact: Option<&'a str>,
    pub(super) role: Role,
    pub(super) epoch: StoreEpoch,
}

/// A proof that passed every check but replay.
pub(super) struct Proven<'a> {
    pub(super) key: &'a Key,
    pub(super) thumbprint: Thumbprint,
    pub(super) jti: &'a str,
    pub(super) times: Times,
    pub(super) nonce: Option<ValidNonce>,
}

pub(super) fn check_binding(bound_to: Option<Thumbprint>, thumbprint: &Thumbprint) -> Result<(), Rejection> {
    match bound_to {
        Some(bound_to) if bound_to != *thumbprint => Err(Rejection::BindingMismatch),
        _ => Ok(()),
    }
}

/// What is left to the replay store.
#[inline(always)]
pub(super) fn pending(verifier: &Verifier, asked: &AskedNonce<'_>, proven: Proven<'_>, now: UnixTime) -> PendingProof {
    let Proven { key, thumbprint, jti, times: Times { issued_at, ends }, nonce } = proven;
    let nonce_time = nonce.as_ref().filter(|_| verifier.times_by_nonce());
    let entry = ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::derive(verifier.crypto.digest, verifier.policy.namespace(), &thumbprint, jti),
        thumbprint,
        timed_at: nonce_time.map_or(issued_at, |nonce| nonce.issued_at),
        max_ahead: verifier.policy.max_ahead(),
        expires_at: nonce_time
            .map_or(issued_at.saturating_add(verifier.policy.max_age()), |nonce| nonce.accepted_until),
        store_margin: verifier.policy.store_margin(),
        nonce_epoch: nonce.map(|nonce| nonce.epoch),
        agreement: verifier.agreement,
    });
    let late = if nonce_time.is_some() { Rejection::NonceStale } else { Rejection::IatTooOld };
    let next = verifier.nonces.as_ref().zip(nonce).map(|(issuer, nonce)| NextNonce {
        issuer: Arc::clone(issuer),
        role: asked.role,
        of: nonce,
        epoch: asked.epoch,
        checked_at: now,
    });
    let verified = VerifiedProof { thumbprint, algorithm: key.algorithm(), issued_at, next_nonce: None };
    PendingProof { entry, late, ends, next, verified }
}

/// The text of a nonce that may be the one that is asked for, or one of an issuer; of a longer one nothing, which is none.
pub(super) fn bounded_nonce<'a>(nonce: Text<'a>, exact: Option<&str>) -> Cow<'a, str> {
    let longest = exact.map_or(ISSUED_LEN, |exact| exact.len().max(ISSUED_LEN));
    if nonce.may_be(longest) { nonce.to_cow() } else { Cow::Borrowed("") }
}

/// Judges the nonce; gives what is known about it if this verifier's issuer made it.
pub(super) fn check_nonce(
    verifier: &Verifier,
    asked: &AskedNonce<'_>,
    nonce: Option<&str>,
    thumbprint: &Thumbprint,
    now: UnixTime,
) -> Result<Option<ValidNonce>, Rejection> {
    if let Some(expected) = asked.exact {
        let nonce = nonce.ok_or(Rejection::NonceMissing)?;
        if expected.is_empty() || !bool::from(nonce.as_bytes().ct_eq(expected.as_bytes())) {
            return Err(Rejection::NonceMismatch);
        }
        // Where nonces are the clock, all proofs go by it: one proof timed in two ways would be remembered in two places.
        if !verifier.times_by_nonce() {
            return Ok(None);
        }
    }
    match (&verifier.nonces, nonce) {
        (None, _) if verifier.policy.nonces() == NonceMode::Followed => Ok(None),
        (_, None) => Err(Rejection::NonceMissing),
        (None, Some(_)) => Err(Rejection::NonceMismatch),
        (Some(issuer), Some(nonce)) => match issuer.check(nonce, asked.role, thumbprint, asked.epoch, now) {
            NonceVerdict::Valid(valid) => Ok(Some(valid)),
            NonceVerdict::Stale => Err(Rejection::NonceStale),
            NonceVerdict::Unknown => Err(Rejection::NonceMismatch),
        },
    }
}

/// The nonce a proof carries, judged by the verifier's issuer: whatever else is wrong with the proof.
pub(super) fn nonce_verdict(
    verifier: &Verifier,
    presented: &PresentedProof<'_>,
    now: UnixTime,
) -> Option<NonceVerdict> {
    let issuer = verifier.nonces.as_ref()?;
    let compact = split(single_proof(presented.proofs).ok()?).ok()?;
    let payload = base64url::decode(compact.payload).ok()?;
    let nonce = bounded_nonce(Claims::read(&payload).ok()?.nonce.value()?, None);
    let thumbprint = claimed_thumbprint(verifier, presented)?;
    Some(issuer.check(&nonce, presented.role, &thumbprint, presented.epoch, now))
}

/// The thumbprint of the key in the proof's header, whatever else is wrong with the proof.
pub(super) fn claimed_thumbprint(verifier: &Verifier, presented: &PresentedProof<'_>) -> Option<Thumbprint> {
    let compact = split(single_proof(presented.proofs).ok()?).ok()?;
    let json = base64url::decode(compact.header).ok()?;
    let jwk = Header::read(&json).ok()?.jwk.value()?;
    jwk.check_public().ok()?;
    let key = jwk.decode(jwk.key_type().ok()?, verifier.policy.rsa_bounds()).ok()?;
    Some(key.thumbprint(verifier.crypto.digest))
}

/// The one proof, neither missing nor repeated nor too long.
pub(super) fn single_proof<'a>(proofs: &[&'a [u8]]) -> Result<&'a [u8], Rejection> {
    let proof = check_fields(proofs)?;
    check_size(proof)?;
    Ok(proof)
}
