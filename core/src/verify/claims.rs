//! The claims of a proof: each there and of its type, fitting the request, the clock and the token.

use subtle::ConstantTimeEq;

use super::Verifier;
use super::presentation::PresentedProof;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::base64url;
use crate::http::uri;
use crate::json::{self, JsonError, Member, Text};
use crate::proof::MAX_JTI_LEN;
use crate::proof::claims::Claims;

/// The claims a proof must have, known to be there and of the right type.
pub(super) struct Required<'a> {
    pub(super) jti: Text<'a>,
    htm: Text<'a>,
    pub(super) htu: Text<'a>,
    iat: &'a str,
    exp: Option<&'a str>,
    nbf: Option<&'a str>,
    /// Present if there is an access token.
    pub(super) ath: Option<Text<'a>>,
    pub(super) nonce: Option<Text<'a>>,
}

impl<'a> Required<'a> {
    /// Reads the claims. Those the proof must have are there, each of its type; `ath` only beside an access token.
    #[inline(always)]
    pub(super) fn read(payload: &'a [u8], with_token: bool) -> Result<Self, Rejection> {
        let claims = read_claims(payload)?;
        let jti = take(claims.jti, Rejection::JtiMissing, Rejection::JtiInvalid)?;
        check_jti(jti)?;
        let htm = take(claims.htm, Rejection::HtmMissing, Rejection::HtmInvalid)?;
        let htu = take(claims.htu, Rejection::HtuMissing, Rejection::HtuInvalid)?;
        let iat = take(claims.iat, Rejection::IatMissing, Rejection::IatInvalid)?;
        // At the token endpoint there is no token to hash, and an ath there means nothing.
        let ath = match with_token {
            true => Some(take(claims.ath, Rejection::AthMissing, Rejection::AthInvalid)?),
            false => None,
        };
        let nonce = match claims.nonce {
            Member::Absent => None,
            Member::Wrong => return Err(Rejection::NonceInvalid),
            Member::Is(nonce) => Some(nonce),
        };
        if matches!(claims.exp, Member::Wrong) || matches!(claims.nbf, Member::Wrong) {
            return Err(Rejection::LifetimeInvalid);
        }
        Ok(Self { jti, htm, htu, iat, exp: claims.exp.value(), nbf: claims.nbf.value(), ath, nonce })
    }

    #[inline(always)]
    pub(super) fn check_method(&self, method: &str) -> Result<(), Rejection> {
        check_htm(self.htm, method)
    }

    #[inline(always)]
    pub(super) fn check_time(&self, verifier: &Verifier, now: UnixTime) -> Result<Times, Rejection> {
        check_times(verifier, self.iat, self.exp, self.nbf, now)
    }
}

#[inline(always)]
pub(super) fn check_htm(htm: Text<'_>, method: &str) -> Result<(), Rejection> {
    if htm.is(method) { Ok(()) } else { Err(Rejection::MethodMismatch) }
}

/// Looks at `iat`, unless the nonce stands for it, and honours `exp` and `nbf` where they are given (RFC 7519 section 4.1).
#[inline(always)]
pub(super) fn check_times(
    verifier: &Verifier,
    iat: &str,
    exp: Option<&str>,
    nbf: Option<&str>,
    now: UnixTime,
) -> Result<Times, Rejection> {
    let issued_at = UnixTime::from_secs(json::floor(iat));
    if !verifier.times_by_nonce() {
        check_age(verifier, issued_at, now)?;
    }
    let time = |text: Option<&str>| text.map(|text| UnixTime::from_secs(json::floor(text)));
    let ends = time(exp);
    if ends.is_some_and(|end| now >= end) {
        return Err(Rejection::Expired);
    }
    if time(nbf).is_some_and(|start| start > now.saturating_add(verifier.policy.max_ahead())) {
        return Err(Rejection::NotYetValid);
    }
    Ok(Times { issued_at, ends })
}

/// When a proof was made, and when its own `exp` ends its life, if that is given.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) issued_at: UnixTime,
    pub(super) ends: Option<UnixTime>,
}

impl Times {
    /// Looks again, after a token was judged meanwhile: a proof may have gone stale.
    pub(super) fn check_again(self, verifier: &Verifier, now: UnixTime) -> Result<(), Rejection> {
        if !verifier.times_by_nonce() {
            check_age(verifier, self.issued_at, now)?;
        }
        if self.ends.is_some_and(|end| now >= end) { Err(Rejection::Expired) } else { Ok(()) }
    }
}

fn take<T>(member: Member<T>, missing: Rejection, wrong: Rejection) -> Result<T, Rejection> {
    match member {
        Member::Absent => Err(missing),
        Member::Wrong => Err(wrong),
        Member::Is(value) => Ok(value),
    }
}

fn check_jti(jti: Text<'_>) -> Result<(), Rejection> {
    if !jti.may_be(MAX_JTI_LEN) {
        return Err(Rejection::JtiTooLong);
    }
    match jti.to_bytes().len() {
        0 => Err(Rejection::JtiInvalid),
        length if length > MAX_JTI_LEN => Err(Rejection::JtiTooLong),
        _ => Ok(()),
    }
}

fn read_claims(payload: &[u8]) -> Result<Claims<'_>, Rejection> {
    Claims::read(payload).map_err(|error| match error {
        JsonError::Syntax => Rejection::ClaimsMalformed,
        JsonError::Duplicate => Rejection::ClaimsDuplicate,
        JsonError::TooComplex => Rejection::ClaimsTooComplex,
    })
}

pub(super) fn check_target(
    verifier: &Verifier,
    presented: &PresentedProof<'_>,
    htu: Text<'_>,
) -> Result<(), Rejection> {
    if !htu.may_be(uri::MAX_URI_LEN) {
        return Err(Rejection::HtuMalformed);
    }
    let htu = htu.to_bytes();
    // A URI is ASCII. Seen first, that spares looking at other characters one by one.
    let htu = Some(&htu).filter(|htu| htu.is_ascii()).and_then(|htu| core::str::from_utf8(htu).ok());
    let htu = htu.ok_or(Rejection::HtuMalformed)?;
    let same = presented.target.equals(htu).map_err(|_| Rejection::HtuMalformed)?;
    if verifier.policy.requires_bare_htu() && uri::has_query_or_fragment(htu) {
        return Err(Rejection::HtuNotBare);
    }
    if same { Ok(()) } else { Err(Rejection::TargetMismatch) }
}

fn check_age(verifier: &Verifier, issued_at: UnixTime, now: UnixTime) -> Result<(), Rejection> {
    if issued_at > now.saturating_add(verifier.policy.max_ahead()) {
        return Err(Rejection::IatInFuture);
    }
    if issued_at < now.saturating_sub(verifier.policy.max_age()) {
        return Err(Rejection::IatTooOld);
    }
    Ok(())
}

/// Compares `ath` with the hash of the access token, where there is one.
pub(super) fn check_token_hash(
    verifier: &Verifier,
    token: Option<&str>,
    ath: Option<Text<'_>>,
) -> Result<(), Rejection> {
    let (Some(token), Some(ath)) = (token, ath) else { return Ok(()) };
    let mut claimed = [0; 32];
    // A token of 16 KiB is hashed only for a claim that could be a hash.
    let ath = ath.among_known(base64url::encoded_len(claimed.len()));
    base64url::decode_exact(&ath, &mut claimed).map_err(|_| Rejection::AthMismatch)?;
    let expected = verifier.crypto.digest.sha256(&[token.as_bytes()]);
    if bool::from(expected.ct_eq(&claimed)) { Ok(()) } else { Err(Rejection::AthMismatch) }
}
