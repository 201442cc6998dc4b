//! Refused responses as browsers and others see them.

use alloc::format;

use super::{Advice, NonceSeen, RefusedResponse};
use crate::json::Value;
use crate::server::resource::TokenRejection;
use crate::{Rejection, UnixTime};

const NONCE_WANTED: &[u8] = br#"DPoP error="use_dpop_nonce", algs="ES256 none""#;
/// 1,700,000,000.
const DATE: &[u8] = b"Tue, 14 Nov 2023 22:13:20 GMT";

#[test]
fn a_nonce_that_the_browser_hides_is_told_from_one_that_is_not_sent() {
    let fields = [("WWW-Authenticate", NONCE_WANTED), ("Date", DATE)];
    let mut response = RefusedResponse::new(401, &fields);
    let advice = Advice::of(&response);
    assert_eq!((advice.nonce.name(), advice.hidden.len()), ("absent", 0));
    assert!(advice.wrong.contains("sends none"));
    response.cross_origin = true;
    let advice = Advice::of(&response);
    assert_eq!((advice.nonce.name(), &*advice.hidden), ("hidden", &["DPoP-Nonce"][..]));
    assert!(advice.next.contains("Access-Control-Expose-Headers"));
    assert_eq!(advice.challenges[0].unknown_algs(), ["none"]);
}

#[test]
fn a_challenge_that_the_browser_hides_is_noticed_by_its_absence() {
    let mut response = RefusedResponse::new(401, &[]);
    response.cross_origin = true;
    let advice = Advice::of(&response);
    assert_eq!(advice.hidden, ["WWW-Authenticate", "Date"]);
    assert!(advice.wrong.contains("hides why"));
    response.cross_origin = false;
    assert!(Advice::of(&response).cause.contains("RFC 9110"));
}

#[test]
fn one_nonce_counts_and_two_do_not() {
    let fields = [("WWW-Authenticate", NONCE_WANTED), ("DPoP-Nonce", b"abc"), ("dpop-nonce", b"def")];
    assert_eq!(Advice::of(&RefusedResponse::new(401, &fields[..2])).nonce, NonceSeen::Present("abc".into()));
    let advice = Advice::of(&RefusedResponse::new(401, &fields));
    assert_eq!(advice.nonce, NonceSeen::Repeated);
    assert!(advice.wrong.contains("more than one"));
}

#[test]
fn fixed_sentences_lead_back_to_reason_cause_and_fix() {
    let challenge = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", Rejection::Replayed);
    let fields = [("www-authenticate", challenge.as_bytes())];
    let advice = Advice::of(&RefusedResponse::new(401, &fields));
    assert_eq!((advice.reason, &*advice.next), (Some("replayed"), Rejection::Replayed.fix()));
    assert_eq!(advice.wrong, "the proof was used before");
    let challenge =
        format!("Bearer, DPoP error=\"invalid_token\", error_description=\"{}\"", TokenRejection::TokenExpired);
    let fields = [("www-authenticate", challenge.as_bytes())];
    let advice = Advice::of(&RefusedResponse::new(401, &fields));
    assert_eq!((advice.reason, advice.error.as_deref()), (Some("token_expired"), Some("invalid_token")));
    assert_eq!(advice.wrong, "the access token has expired");
}

#[test]
fn clocks_are_compared_by_date() {
    let challenge = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{}\"", Rejection::IatTooOld);
    let fields = [("www-authenticate", challenge.as_bytes()), ("date", DATE), ("Age", b"1")];
    let mut response = RefusedResponse::new(401, &fields[..2]);
    response.now = Some(UnixTime::from_secs(1_700_000_000 - 412));
    response.proof_iat = response.now;
    let advice = Advice::of(&response);
    assert_eq!((advice.clock_offset, advice.proof_age), (Some(412), Some(412)));
    assert_eq!(advice.cause, "this machine's clock is 412 s behind the server's");
    response.now = Some(UnixTime::from_secs(1_700_000_000 + 90));
    assert!(Advice::of(&response).cause.contains("90 s ahead of"));
    // A cached answer shows an old date.
    response.fields = &fields;
    assert_eq!(Advice::of(&response).clock_offset, None);
    // Nothing is said where the date cannot be seen.
    response.fields = &fields[..1];
    response.cross_origin = true;
    let advice = Advice::of(&response);
    assert!(advice.cause.contains("hides Date") && advice.next.contains("Access-Control-Expose-Headers"));
    // Without a reason, only a large difference is a suspicion.
    let fields = [("www-authenticate", &b"DPoP error=invalid_dpop_proof"[..]), ("date", DATE)];
    let mut response = RefusedResponse::new(401, &fields);
    response.now = Some(UnixTime::from_secs(1_700_000_000 - 30));
    assert!(!Advice::of(&response).cause.contains("clock"));
    response.now = Some(UnixTime::from_secs(1_700_000_000 - 100));
    assert!(Advice::of(&response).cause.contains("100 s behind"));
}

#[test]
fn an_authorization_server_says_it_in_the_body() {
    let mut response = RefusedResponse::new(400, &[]);
    response.body =
        br#"{"error":"invalid_grant","error_description":"the token, code or session is bound to another key"}"#;
    assert_eq!(Advice::of(&response).error.as_deref(), Some("invalid_grant"));
    response.body = br#"{"error":"use_dpop_nonce"}"#;
    response.cross_origin = true;
    assert_eq!(Advice::of(&response).nonce, NonceSeen::Hidden);
    response.body = b"<html>";
    assert_eq!(Advice::of(&response).error, None);
}

#[test]
fn a_fault_of_the_token_is_not_blamed_on_its_age_or_key() {
    for rejection in [
        TokenRejection::SchemeNotAccepted,
        TokenRejection::IssuerMismatch,
        TokenRejection::AudienceMismatch,
        TokenRejection::AudienceIsClient,
        TokenRejection::TokenKeyUnknown,
        TokenRejection::TokenSignatureInvalid,
    ] {
        let challenge = format!("DPoP error=\"invalid_token\", error_description=\"{rejection}\"");
        let fields = [("www-authenticate", challenge.as_bytes())];
        let advice = Advice::of(&RefusedResponse::new(401, &fields));
        assert_eq!((advice.reason, &advice.wrong), (Some(rejection.reason()), &rejection.to_string()));
        assert!(
            !advice.cause.contains("time is over") && !advice.cause.contains("issued for is gone"),
            "{}",
            advice.cause
        );
        assert!(!advice.next.contains("key it was issued for"), "{}", advice.next);
    }
}

#[test]
fn answers_without_challenges_are_told_apart() {
    let wrong = |status| Advice::of(&RefusedResponse::new(status, &[])).wrong;
    assert!(wrong(0).contains("no answer"));
    assert!(wrong(200).contains("not a refusal"));
    assert!(wrong(403).contains("permit"));
    assert!(wrong(429).contains("too many"));
    assert!(wrong(503).contains("could not decide"));
    assert!(wrong(500).contains("failed"));
    let fields = [("WWW-Authenticate", &b"DPoP realm=\"a"[..])];
    assert!(Advice::of(&RefusedResponse::new(401, &fields)).wrong.contains("malformed"));
}

#[test]
fn json_holds_what_programs_need_and_no_control_characters() {
    let fields = [("WWW-Authenticate", &b"DPoP error=\"\xc2\x9b31mred\", scope=\"a b\""[..]), ("DPoP-Nonce", b"n\x07")];
    let advice = Advice::of(&RefusedResponse::new(401, &fields));
    let json = Value::parse(advice.to_json().as_bytes()).unwrap();
    assert_eq!(json.text("nonce_state"), Some("present"));
    assert_eq!(json.array("challenges").unwrap()[0].text("scope"), Some("a b"));
    assert!(!json.to_json().contains(['\u{9b}', '\u{7}']));
    assert!(json.member("reason").is_some_and(|reason| reason.to_json() == "null"));
}
