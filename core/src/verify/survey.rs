//! Every check made by itself, for explanations: what a check finds where another one failed.
//!
//! Verification stops at the first check that fails. The developer of a client wants to know the other mistakes as well, so that each check
//! is made here that does not depend on a failed one. The verdict is never taken from here, and nothing is remembered.

use alloc::vec::Vec;

use super::Verifier;
use super::check::Check;
use super::claims::{Required, check_htm, check_target, check_times, check_token_hash};
use super::judge::{AskedNonce, Proven, bounded_nonce, check_binding, check_nonce, pending, single_proof};
use super::key::Head;
use super::presentation::Presentation;
use super::rejection::Rejection;
use super::shape::{Scratch, decode_segments, split};
use crate::UnixTime;
use crate::jose::thumbprint::Thumbprint;
use crate::json::{Member, Text};
use crate::nonce::issuer::ValidNonce;
use crate::proof::claims::Claims;
use crate::replay::{ReplayEntry, StoreFloor};

/// Why a check was not passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet {
    /// It failed.
    Failed(Rejection),
    /// It was not made: this check failed, which finds what the other one looks at.
    Behind(Check),
}

impl From<Rejection> for Unmet {
    fn from(rejection: Rejection) -> Self {
        Self::Failed(rejection)
    }
}

impl Unmet {
    /// What becomes of a check that needs the result of the one that ended so.
    const fn blocks(self) -> Self {
        match self {
            Self::Failed(rejection) => Self::Behind(rejection.check()),
            Self::Behind(check) => Self::Behind(check),
        }
    }
}

/// What came of each check by itself.
pub(super) struct Survey {
    /// Those that were not passed, in order.
    unmet: Vec<(Check, Unmet)>,
    /// The entry of a proof for which the store does not vouch.
    pub(super) unknown: Option<ReplayEntry>,
}

impl Survey {
    /// Makes every check of `presentation` that can be made.
    pub(super) fn of(
        verifier: &Verifier,
        presentation: &Presentation<'_>,
        now: UnixTime,
        floor: Option<StoreFloor>,
    ) -> Self {
        Self::opened(verifier, presentation, now, floor).unwrap_or_else(|rejection| {
            let failed = rejection.check();
            let later = Check::ALL.into_iter().filter(|check| *check > failed);
            let behind = later.map(|check| (check, Unmet::Behind(failed)));
            Self { unmet: [(failed, Unmet::Failed(rejection))].into_iter().chain(behind).collect(), unknown: None }
        })
    }

    /// What came of `check`; `None` if it was passed.
    pub(super) fn unmet(&self, check: Check) -> Option<Unmet> {
        self.unmet.iter().find(|(unmet, _)| *unmet == check).map(|(_, unmet)| *unmet)
    }

    fn opened(
        verifier: &Verifier,
        presentation: &Presentation<'_>,
        now: UnixTime,
        floor: Option<StoreFloor>,
    ) -> Result<Self, Rejection> {
        let presented = &presentation.presented();
        let (mut inline, mut heap): (Scratch, _) = ([0; 1024], Vec::new());
        // Without these there is nothing to look at.
        let compact = split(single_proof(presented.proofs)?)?;
        let segments = decode_segments(&compact, &mut inline, &mut heap)?;
        let head = Head::read(verifier, &compact, segments.header)?;

        let (typ, algorithm) = (head.check_type(), head.check_algorithm(verifier));
        let key = algorithm
            .map_err(|rejection| Unmet::Failed(rejection).blocks())
            .and_then(|algorithm| Ok(head.check_key(verifier, algorithm)?));
        let of_key = || key.as_ref().map_err(|unmet| unmet.blocks());
        let curve = of_key().and_then(|key| Ok(key.check_curve(verifier)?));
        let signature = curve
            .map_err(Unmet::blocks)
            .and_then(|()| of_key().and_then(|key| Ok(key.check_signature(verifier, &compact, segments.signature)?)));
        let thumbprint = of_key().map(|key| key.thumbprint(verifier));
        let binding = match presentation.context.bound_to() {
            None => Ok(()),
            bound_to => thumbprint.and_then(|thumbprint| Ok(check_binding(bound_to, &thumbprint)?)),
        };

        let claims = Required::read(segments.payload, presented.access_token.is_some());
        let said = Claims::read(segments.payload);
        let is_object = said.is_ok();
        let Claims { jti, htm, htu, iat, ath, nonce, exp, nbf } = said.unwrap_or_default();
        let method = the(htm).and_then(|htm| Ok(check_htm(htm, presented.method)?));
        let target = the(htu).and_then(|htu| Ok(check_target(verifier, presented, htu)?));
        let times = the(iat).and_then(|iat| Ok(check_times(verifier, iat, given(exp)?, given(nbf)?, now)?));
        let ath = match presented.access_token {
            None => Ok(()),
            token => the(ath).and_then(|ath| Ok(check_token_hash(verifier, token, Some(ath))?)),
        };
        let asked = AskedNonce { exact: presented.nonce, role: presented.role, epoch: presented.epoch };
        let nonce = match is_object {
            true => given(nonce).and_then(|nonce| nonce_of(verifier, &asked, nonce, thumbprint, now)),
            false => Err(Unmet::Behind(Check::Claims)),
        };

        let unknown = match (floor, &key, jti, thumbprint, times, nonce) {
            (Some(floor), Ok(key), Member::Is(jti), Ok(thumbprint), Ok(times), Ok(nonce)) => {
                let proven = Proven { key, thumbprint, jti: &jti.to_cow(), times, nonce };
                let entry = *pending(verifier, &asked, proven, now).replay_entry();
                (!floor.vouches_for(&entry)).then_some(entry)
            }
            _ => None,
        };
        let made = [
            (Check::Type, typ.err().map(Unmet::from)),
            (Check::Algorithm, algorithm.err().map(Unmet::from)),
            (Check::Key, key.as_ref().err().copied()),
            (Check::Claims, claims.err().map(Unmet::from)),
            (Check::Method, method.err()),
            (Check::Target, target.err()),
            (Check::Time, times.err()),
            (Check::Nonce, nonce.err()),
            (Check::Curve, curve.err()),
            (Check::Binding, binding.err()),
            (Check::TokenHash, ath.err()),
            (Check::Signature, signature.err()),
        ];
        let unmet = made.into_iter().filter_map(|(check, unmet)| Some((check, unmet?))).collect();
        Ok(Self { unmet, unknown })
    }
}

/// A claim that a check looks at.
fn the<T>(claim: Member<T>) -> Result<T, Unmet> {
    given(claim)?.ok_or(Unmet::Behind(Check::Claims))
}

/// A claim that a check looks at, if it is there.
fn given<T>(claim: Member<T>) -> Result<Option<T>, Unmet> {
    match claim {
        Member::Absent => Ok(None),
        Member::Is(value) => Ok(Some(value)),
        Member::Wrong => Err(Unmet::Behind(Check::Claims)),
    }
}

/// Judges the nonce, also where the key is not known, unless it is an issuer that has to know it.
fn nonce_of(
    verifier: &Verifier,
    asked: &AskedNonce<'_>,
    nonce: Option<Text<'_>>,
    thumbprint: Result<Thumbprint, Unmet>,
    now: UnixTime,
) -> Result<Option<ValidNonce>, Unmet> {
    let nonce = nonce.map(|nonce| bounded_nonce(nonce, asked.exact));
    let asks_issuer =
        verifier.nonces.is_some() && nonce.is_some() && (asked.exact.is_none() || verifier.times_by_nonce());
    let thumbprint = match thumbprint {
        Err(unmet) if asks_issuer => return Err(unmet),
        thumbprint => thumbprint.unwrap_or(Thumbprint::from_bytes([0; 32])),
    };
    Ok(check_nonce(verifier, asked, nonce.as_deref(), &thumbprint, now)?)
}
