//! The checks themselves, one function for each, called in the order of [`Check`](super::check::Check).

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use super::Verifier;
use super::form::{Form, FormChecked, check_token_hash};
#[cfg(feature = "std")]
use super::headers::RememberedKey;
use super::pending::{NextNonce, PendingProof, VerifiedProof};
use super::policy::NonceMode;
use super::presentation::Presentation;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::base64url;
use crate::jose::algorithm::Algorithm;
use crate::jose::compact::Compact;
use crate::jose::header::Header;
use crate::jose::jwk::raw::RawJwk;
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::jose::thumbprint::Thumbprint;
use crate::json::{JsonError, Member, Text};
use crate::nonce::issuer::{ISSUED_LEN, NonceVerdict, ValidNonce};
use crate::proof::claims::Claims;
use crate::proof::{MAX_PROOF_LEN, TYP};
use crate::replay::{ReplayEntry, ReplayEntryParts, ReplayKey};

/// What was checked of a proof before, and with it when a nonce is asked for.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Nothing: every check is made, that of the nonce in its place.
    Whole,
    /// Its form. The nonce is asked for behind the signature: who is asked for one would be let in with one.
    #[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "only a resource server reads a proof in two steps"))]
    Formed(FormChecked),
}

/// Makes every check but replay.
pub(super) fn judge(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    stage: Stage,
    now: UnixTime,
) -> Result<PendingProof, Rejection> {
    let proof = single_proof(presentation.proofs)?;
    let compact = split(proof)?;
    let (mut inline, mut heap): (Scratch, _) = ([0; 1024], Vec::new());
    let Segments { header, payload, signature } = decode_segments(&compact, &mut inline, &mut heap)?;
    let formed = match stage {
        Stage::Whole => None,
        Stage::Formed(checked) => Some(checked),
    };
    let Form { key, required, issued_at, ends } =
        Form::read(verifier, presentation, &compact, header, payload, formed, now)?;

    let thumbprint = key.thumbprint(verifier);
    let judge_nonce = || check_nonce(verifier, presentation, required.nonce, &thumbprint, now);
    let early_nonce = if formed.is_none() { judge_nonce()? } else { None };
    key.check_curve(verifier)?;
    if presentation.context.bound_to().is_some_and(|bound_to| bound_to != thumbprint) {
        return Err(Rejection::BindingMismatch);
    }
    if let (None, Some(token), Some(ath)) = (formed, presentation.context.access_token(), required.ath) {
        check_token_hash(verifier, token, ath)?;
    }
    key.check_signature(verifier, &compact, signature)?;
    key.remember(verifier, &compact, &thumbprint);
    let nonce = if formed.is_some() { judge_nonce()? } else { early_nonce };

    let nonce_time = nonce.as_ref().filter(|_| verifier.times_by_nonce());
    let entry = ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::derive(
            verifier.crypto.digest,
            verifier.policy.namespace(),
            &thumbprint,
            &required.jti.to_cow(),
        ),
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
        role: presentation.context.role(),
        of: nonce,
        epoch: presentation.epoch,
        checked_at: now,
    });
    Ok(PendingProof {
        entry,
        late,
        ends,
        next,
        verified: VerifiedProof { thumbprint, algorithm: key.algorithm(), issued_at, next_nonce: None },
    })
}

/// The one proof, neither missing nor repeated nor too long.
pub(super) fn single_proof<'a>(proofs: &[&'a [u8]]) -> Result<&'a [u8], Rejection> {
    match proofs {
        [] => Err(Rejection::ProofMissing),
        [proof] if proof.len() > MAX_PROOF_LEN => Err(Rejection::ProofTooLarge),
        [proof] => Ok(proof),
        _ => Err(Rejection::MultipleProofs),
    }
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

/// The key of a proof, from its header or from memory.
pub(super) enum Key {
    Read {
        algorithm: Algorithm,
        jwk: PublicJwk,
    },
    #[cfg(feature = "std")]
    Remembered(alloc::sync::Arc<RememberedKey>),
}

impl Key {
    #[cfg_attr(not(feature = "std"), expect(unused_variables, reason = "the header memory needs locks"))]
    pub(super) fn of_header(verifier: &Verifier, compact: &Compact<'_>, json: &[u8]) -> Result<Self, Rejection> {
        #[cfg(feature = "std")]
        if let Some(known) = verifier.headers.as_ref().and_then(|memory| memory.recall(compact.header)) {
            // Memory holds facts about the header; what the policy makes of them is asked every time.
            permit(verifier, known.algorithm)?;
            if !verifier.policy.rsa_bounds().permit(&known.jwk) {
                return Err(Rejection::RsaTooLarge);
            }
            return Ok(Self::Remembered(known));
        }
        let header = Header::read(json).map_err(|error| match error {
            JsonError::Syntax => Rejection::HeaderMalformed,
            JsonError::Duplicate => Rejection::HeaderDuplicate,
            JsonError::TooComplex => Rejection::HeaderTooComplex,
        })?;
        if header.crit {
            return Err(Rejection::CritUnsupported);
        }
        if header.unencoded {
            return Err(Rejection::PayloadUnencoded);
        }
        match header.typ {
            Member::Absent => return Err(Rejection::TypMissing),
            Member::Is(typ) if typ.is(TYP) => {}
            _ => return Err(Rejection::TypMismatch),
        }
        let algorithm = read_algorithm(header.alg)?;
        permit(verifier, algorithm)?;
        let jwk = match &header.jwk {
            Member::Absent => return Err(Rejection::JwkMissing),
            Member::Wrong => return Err(Rejection::JwkMalformed),
            Member::Is(jwk) => read_key(verifier, jwk, algorithm)?,
        };
        Ok(Self::Read { algorithm, jwk })
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Read { algorithm, .. } => *algorithm,
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.algorithm,
        }
    }

    fn jwk(&self) -> &PublicJwk {
        match self {
            Self::Read { jwk, .. } => jwk,
            #[cfg(feature = "std")]
            Self::Remembered(known) => &known.jwk,
        }
    }

    fn thumbprint(&self, verifier: &Verifier) -> Thumbprint {
        match self {
            Self::Read { jwk, .. } => jwk.thumbprint(verifier.crypto.digest),
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.thumbprint,
        }
    }

    /// Checks that an elliptic curve point is one. A remembered key has verified a signature, so it is.
    fn check_curve(&self, verifier: &Verifier) -> Result<(), Rejection> {
        match self {
            Self::Read { algorithm, jwk } => {
                let capability = verifier.crypto.verifier(*algorithm).ok_or(Rejection::AlgUnavailable)?;
                capability.validate(jwk).map_err(|_| Rejection::KeyOffCurve)
            }
            #[cfg(feature = "std")]
            Self::Remembered(_) => Ok(()),
        }
    }

    fn check_signature(&self, verifier: &Verifier, compact: &Compact<'_>, signature: &[u8]) -> Result<(), Rejection> {
        let expected = self.algorithm().signature_len().or(self.jwk().rsa_modulus_len());
        if expected != Some(signature.len()) {
            return Err(Rejection::SignatureMalformed);
        }
        match self {
            Self::Read { algorithm, jwk } => verifier
                .crypto
                .verifier(*algorithm)
                .ok_or(Rejection::AlgUnavailable)?
                .verify(jwk, compact.signing_input, signature),
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.prepared.verify(compact.signing_input, signature),
        }
        .map_err(|_| Rejection::SignatureInvalid)
    }

    /// Remembers the header of a proof whose signature verified.
    #[cfg_attr(not(feature = "std"), expect(unused_variables, reason = "the header memory needs locks"))]
    fn remember(self: &Key, verifier: &Verifier, compact: &Compact<'_>, thumbprint: &Thumbprint) {
        #[cfg(feature = "std")]
        if let (Some(memory), Self::Read { algorithm, jwk }) = (&verifier.headers, self) {
            let prepared = verifier.crypto.verifier(*algorithm).and_then(|capability| capability.prepare(jwk).ok());
            if let Some(prepared) = prepared {
                let known =
                    RememberedKey { algorithm: *algorithm, jwk: jwk.clone(), thumbprint: *thumbprint, prepared };
                memory.remember(compact.header, known);
            }
        }
    }
}

fn read_algorithm(alg: Member<Text<'_>>) -> Result<Algorithm, Rejection> {
    let name = match alg {
        Member::Absent => return Err(Rejection::AlgMissing),
        Member::Wrong => return Err(Rejection::AlgUnknown),
        Member::Is(name) if !name.may_be(Algorithm::LONGEST_NAME) => return Err(Rejection::AlgUnknown),
        Member::Is(name) => name.to_cow(),
    };
    Algorithm::from_name(&name).ok_or_else(|| {
        let is_mac = matches!(&*name, "HS256" | "HS384" | "HS512");
        if is_mac || name.eq_ignore_ascii_case("none") { Rejection::AlgNotAsymmetric } else { Rejection::AlgUnknown }
    })
}

fn permit(verifier: &Verifier, algorithm: Algorithm) -> Result<(), Rejection> {
    if !verifier.policy.algorithms().contains(algorithm) {
        return Err(Rejection::AlgNotPermitted);
    }
    if verifier.crypto.verifier(algorithm).is_none() { Err(Rejection::AlgUnavailable) } else { Ok(()) }
}

fn read_key(verifier: &Verifier, jwk: &RawJwk<'_>, algorithm: Algorithm) -> Result<PublicJwk, Rejection> {
    jwk.check_public()?;
    let key_type = jwk.key_type()?;
    if key_type != algorithm.key_type() {
        return Err(Rejection::JwkAlgMismatch);
    }
    if !jwk.permits_algorithm(algorithm) {
        return Err(Rejection::JwkAlgConflict);
    }
    jwk.check_use()?;
    Ok(jwk.decode(key_type, verifier.policy.rsa_bounds())?)
}

impl From<JwkError> for Rejection {
    fn from(error: JwkError) -> Self {
        match error {
            JwkError::Malformed => Self::JwkMalformed,
            JwkError::Private => Self::JwkPrivate,
            JwkError::Symmetric => Self::JwkSymmetric,
            JwkError::Unsupported => Self::JwkUnsupported,
            JwkError::NonCanonical => Self::JwkNonCanonical,
            JwkError::NotForSignatures => Self::JwkNotForSignatures,
            JwkError::RsaTooSmall => Self::RsaTooSmall,
            JwkError::RsaTooLarge => Self::RsaTooLarge,
            JwkError::RsaInvalid => Self::RsaInvalid,
            JwkError::SmallOrder => Self::KeySmallOrder,
        }
    }
}

/// Judges the nonce; gives what is known about it if this verifier's issuer made it.
fn check_nonce(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    nonce: Option<Text<'_>>,
    thumbprint: &Thumbprint,
    now: UnixTime,
) -> Result<Option<ValidNonce>, Rejection> {
    if let Some(expected) = presentation.nonce {
        let nonce = nonce.ok_or(Rejection::NonceMissing)?.among_known(expected.len());
        if expected.is_empty() || !bool::from(nonce.ct_eq(expected.as_bytes())) {
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
        (Some(issuer), Some(nonce)) => {
            match issuer.check(&read_nonce(nonce), presentation.context.role(), thumbprint, presentation.epoch, now) {
                NonceVerdict::Valid(valid) => Ok(Some(valid)),
                NonceVerdict::Stale => Err(Rejection::NonceStale),
                NonceVerdict::Unknown => Err(Rejection::NonceMismatch),
            }
        }
    }
}

/// The text of a nonce that may be one of an issuer; of a longer one nothing, which is none.
fn read_nonce(nonce: Text<'_>) -> Cow<'_, str> {
    if nonce.may_be(ISSUED_LEN) { nonce.to_cow() } else { Cow::Borrowed("") }
}

/// The nonce a proof carries, judged by the verifier's issuer: whatever else is wrong with the proof.
pub(super) fn nonce_verdict(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    now: UnixTime,
) -> Option<NonceVerdict> {
    let issuer = verifier.nonces.as_ref()?;
    let compact = split(single_proof(presentation.proofs).ok()?).ok()?;
    let payload = base64url::decode(compact.payload).ok()?;
    let nonce = read_nonce(Claims::read(&payload).ok()?.nonce.value()?);
    let thumbprint = claimed_thumbprint(verifier, presentation)?;
    Some(issuer.check(&nonce, presentation.context.role(), &thumbprint, presentation.epoch, now))
}

/// The thumbprint of the key in the proof's header, whatever else is wrong with the proof.
pub(super) fn claimed_thumbprint(verifier: &Verifier, presentation: &Presentation<'_>) -> Option<Thumbprint> {
    let compact = split(single_proof(presentation.proofs).ok()?).ok()?;
    let json = base64url::decode(compact.header).ok()?;
    let jwk = Header::read(&json).ok()?.jwk.value()?;
    jwk.check_public().ok()?;
    let key = jwk.decode(jwk.key_type().ok()?, verifier.policy.rsa_bounds()).ok()?;
    Some(key.thumbprint(verifier.crypto.digest))
}
