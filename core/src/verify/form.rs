//! The form of a proof: what it says, each claim there and of its type, fitting the request and the clock.

use subtle::ConstantTimeEq;

use super::Verifier;
use super::judge::Key;
#[cfg(feature = "oauth")]
use super::judge::{Scratch, Segments, decode_segments, single_proof, split};
use super::presentation::Presentation;
use super::rejection::Rejection;
use crate::UnixTime;
use crate::base64url;
use crate::http::uri;
use crate::jose::compact::Compact;
use crate::json::{self, JsonError, Member, Text};
use crate::proof::MAX_JTI_LEN;
use crate::proof::claims::Claims;

/// Makes the checks that need no knowledge of the token: all up to the time of the proof, and the hash of the token.
#[cfg(feature = "oauth")]
pub(super) fn judge_form(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    now: UnixTime,
) -> Result<FormChecked, Rejection> {
    let compact = split(single_proof(presentation.proofs)?)?;
    let (mut inline, mut heap): (Scratch, _) = ([0; 1024], alloc::vec::Vec::new());
    let Segments { header, payload, .. } = decode_segments(&compact, &mut inline, &mut heap)?;
    let form = Form::read(verifier, presentation, &compact, header, payload, None, now)?;
    if let (Some(token), Some(ath)) = (presentation.context.access_token(), form.required.ath) {
        check_token_hash(verifier, token, ath)?;
    }
    Ok(FormChecked(()))
}

/// Shows that a proof fits its method, target and token, so that the same proof need not be compared with them a second time.
#[derive(Clone, Copy)]
pub(crate) struct FormChecked(());

/// What a proof says, each part known to be well-formed and to fit request and clock.
pub(super) struct Form<'a> {
    pub(super) key: Key,
    pub(super) required: Required<'a>,
    pub(super) issued_at: UnixTime,
    pub(super) ends: Option<UnixTime>,
}

impl<'a> Form<'a> {
    #[inline(always)]
    pub(super) fn read(
        verifier: &Verifier,
        presentation: &Presentation<'_>,
        compact: &Compact<'_>,
        header: &[u8],
        payload: &'a [u8],
        checked: Option<FormChecked>,
        now: UnixTime,
    ) -> Result<Self, Rejection> {
        let key = Key::of_header(verifier, compact, header)?;
        let claims = read_claims(payload)?;
        let required = Required::take(&claims, presentation.context.access_token().is_some())?;
        if checked.is_none() {
            if !required.htm.is(presentation.method) {
                return Err(Rejection::MethodMismatch);
            }
            check_target(verifier, presentation, &required)?;
        }
        let issued_at = UnixTime::from_secs(json::floor(required.iat));
        if !verifier.times_by_nonce() {
            check_age(verifier, issued_at, now)?;
        }
        let ends = check_lifetime(&claims, verifier.policy.max_ahead(), now)?;
        Ok(Self { key, required, issued_at, ends })
    }
}

/// The claims a proof must have, known to be there and of the right type.
pub(super) struct Required<'a> {
    pub(super) jti: Text<'a>,
    htm: Text<'a>,
    htu: Text<'a>,
    iat: &'a str,
    /// Present if there is an access token.
    pub(super) ath: Option<Text<'a>>,
    pub(super) nonce: Option<Text<'a>>,
}

impl<'a> Required<'a> {
    fn take(claims: &Claims<'a>, with_token: bool) -> Result<Self, Rejection> {
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
        Ok(Self { jti, htm, htu, iat, ath, nonce })
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

fn check_target(
    verifier: &Verifier,
    presentation: &Presentation<'_>,
    required: &Required<'_>,
) -> Result<(), Rejection> {
    if !required.htu.may_be(uri::MAX_URI_LEN) {
        return Err(Rejection::HtuMalformed);
    }
    let htu = required.htu.to_bytes();
    // A URI is ASCII. Seen first, that spares looking at other characters one by one.
    let htu = Some(&htu).filter(|htu| htu.is_ascii()).and_then(|htu| core::str::from_utf8(htu).ok());
    let htu = htu.ok_or(Rejection::HtuMalformed)?;
    let same = presentation.target.equals(htu).map_err(|_| Rejection::HtuMalformed)?;
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

/// Honours `exp` and `nbf` where they are given (RFC 7519 section 4.1); gives the time of `exp`.
fn check_lifetime(claims: &Claims<'_>, max_ahead: u64, now: UnixTime) -> Result<Option<UnixTime>, Rejection> {
    let time = |member: Member<&str>| member.value().map(|text| UnixTime::from_secs(json::floor(text)));
    let ends = time(claims.exp);
    if ends.is_some_and(|end| now >= end) {
        return Err(Rejection::Expired);
    }
    if time(claims.nbf).is_some_and(|start| start > now.saturating_add(max_ahead)) {
        return Err(Rejection::NotYetValid);
    }
    Ok(ends)
}

pub(super) fn check_token_hash(verifier: &Verifier, token: &str, ath: Text<'_>) -> Result<(), Rejection> {
    let mut claimed = [0; 32];
    // A token of 16 KiB is hashed only for a claim that could be a hash.
    let ath = ath.among_known(base64url::encoded_len(claimed.len()));
    base64url::decode_exact(&ath, &mut claimed).map_err(|_| Rejection::AthMismatch)?;
    let expected = verifier.crypto.digest.sha256(&[token.as_bytes()]);
    if bool::from(expected.ct_eq(&claimed)) { Ok(()) } else { Err(Rejection::AthMismatch) }
}
