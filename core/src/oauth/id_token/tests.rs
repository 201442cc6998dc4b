//! One ID token for each defect.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::{Expected, IdTokenDefect, LEEWAY};
use crate::crypto::SigningKey;
use crate::issuer::JwkSet;
use crate::json::Value;
use crate::{Algorithm, RUSTCRYPTO, UnixTime, base64url};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const EXPECTED: Expected<'_> = Expected {
    issuer: "https://as.example.com",
    client_id: "app",
    nonce: Some("n-0S6_WzA2Mj"),
    access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
    digest: RUSTCRYPTO.digest,
};

/// Claims that pass. The hash is that of OpenID Connect Core, appendix A.3.
fn claims() -> Value {
    Value::object()
        .with("iss", "https://as.example.com")
        .with("sub", "alice")
        .with("aud", "app")
        .with("exp", NOW.saturating_add(300))
        .with("iat", NOW)
        .with("nonce", "n-0S6_WzA2Mj")
        .with("at_hash", "77QmUPtjPfzWtF2AnpK9RQ")
}

fn token(header: &str, claims: &Value) -> String {
    format!("{}.{}.c2ln", base64url::encode(header.as_bytes()), base64url::encode(claims.to_json().as_bytes()))
}

fn read_at(claims: &Value, now: UnixTime) -> Result<String, IdTokenDefect> {
    EXPECTED.read(&token(r#"{"alg":"ES256"}"#, claims), now).map(|(_, sub)| sub)
}

fn read(claims: &Value) -> Result<String, IdTokenDefect> {
    read_at(claims, NOW)
}

fn without(name: &str) -> Value {
    let Value::Object(members) = &claims() else { return Value::Null };
    Value::Object(members.iter().filter(|(known, _)| known != name).cloned().collect())
}

#[test]
fn a_good_one_says_whose_it_is() {
    assert_eq!(read(&claims()).as_deref(), Ok("alice"));
    assert_eq!(read(&without("at_hash")).as_deref(), Ok("alice"));
    assert_eq!(read(&claims().with("aud", Value::from_iter(["app", "app"]))).as_deref(), Ok("alice"));
    let others = claims().with("aud", Value::from_iter(["api", "app"])).with("azp", "app");
    assert_eq!(read(&others).as_deref(), Ok("alice"));
}

#[test]
fn one_without_a_signature_or_with_the_secrets_is_refused() {
    for alg in ["none", "HS256", "HS512", "RS1", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let read = EXPECTED.read(&token(&header, &claims()), NOW);
        assert_eq!(read.map(drop).unwrap_err(), IdTokenDefect::Algorithm, "{alg}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let encrypted = "e30.e30.e30.e30.e30";
    let extended = token(r#"{"alg":"ES256","crit":["x"],"x":1}"#, &claims());
    for text in ["", "a", "e30.e30.c2ln.", encrypted, &extended, "eyJhbGciOiJFUzI1NiJ9.W10.c2ln"] {
        assert_eq!(EXPECTED.read(text, NOW).map(drop).unwrap_err(), IdTokenDefect::Malformed, "{text}");
    }
}

#[test]
fn claims_that_are_required_are_there() {
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        assert_eq!(read(&without(name)), Err(IdTokenDefect::Claim(name)));
        assert_eq!(read(&claims().with(name, Value::Bool(true))), Err(IdTokenDefect::Claim(name)));
    }
    for name in ["azp", "nonce", "at_hash"] {
        assert_eq!(read(&claims().with(name, Value::Bool(true))), Err(IdTokenDefect::Claim(name)));
    }
    for sub in [String::new(), "x".repeat(2_049)] {
        assert_eq!(read(&claims().with("sub", sub.as_str())), Err(IdTokenDefect::Claim("sub")));
    }
}

#[test]
fn one_of_another_issuer_is_refused() {
    for issuer in ["https://as.example.com/", "https://evil.example", ""] {
        assert_eq!(read(&claims().with("iss", issuer)), Err(IdTokenDefect::Issuer), "{issuer}");
    }
}

#[test]
fn one_for_another_client_is_refused() {
    let with = |value: Value| claims().with("aud", value);
    let audiences = [Value::from("api"), Value::from_iter(["api"]), Value::from_iter::<[&str; 0]>([])];
    for aud in audiences {
        assert_eq!(read(&with(aud)), Err(IdTokenDefect::Audience));
    }
    let shared = with(Value::from_iter(["app", "api"]));
    assert_eq!(read(&shared), Err(IdTokenDefect::Audience), "it does not say who asked for it");
    for azp in ["api", ""] {
        assert_eq!(read(&shared.clone().with("azp", azp)), Err(IdTokenDefect::AuthorizedParty));
        assert_eq!(read(&claims().with("azp", azp)), Err(IdTokenDefect::AuthorizedParty));
    }
}

#[test]
fn one_of_another_time_is_refused() {
    let end = NOW.saturating_add(300 + LEEWAY);
    assert_eq!(read_at(&claims(), end), Err(IdTokenDefect::Expired));
    assert!(read_at(&claims(), UnixTime::from_secs(end.secs() - 1)).is_ok());
    let early = |seconds| read(&claims().with("iat", NOW.saturating_add(seconds)));
    assert_eq!(early(LEEWAY + 1), Err(IdTokenDefect::NotYetValid));
    assert!(early(LEEWAY).is_ok());
}

#[test]
fn one_of_another_login_is_refused() {
    assert_eq!(read(&without("nonce")), Err(IdTokenDefect::Nonce));
    assert_eq!(read(&claims().with("nonce", "another")), Err(IdTokenDefect::Nonce));
    // Where none was sent, one may be there: some servers repeat it in refreshes.
    let expected = Expected { nonce: None, ..EXPECTED };
    assert!(expected.read(&token(r#"{"alg":"ES256"}"#, &claims()), NOW).is_ok());
}

#[test]
fn one_of_another_access_token_is_refused() {
    for hash in ["77QmUPtjPfzWtF2AnpK9RA", "77QmUPtjPfzWtF2AnpK9RQ==", ""] {
        assert_eq!(read(&claims().with("at_hash", hash)), Err(IdTokenDefect::AccessToken), "{hash}");
    }
    let token = [EXPECTED.access_token.as_bytes()];
    for half in [&EXPECTED.digest.sha384(&token)[..24], &EXPECTED.digest.sha512(&token)[..32]] {
        assert!(read(&claims().with("at_hash", base64url::encode(half).as_str())).is_ok());
    }
    let whole = base64url::encode(&EXPECTED.digest.sha256(&token));
    assert_eq!(read(&claims().with("at_hash", whole.as_str())), Err(IdTokenDefect::AccessToken));
}

#[test]
fn the_signature_is_the_issuers() {
    let signer = RUSTCRYPTO.signer(Algorithm::Es256).unwrap();
    let make = || signer.load(&signer.generate(RUSTCRYPTO.random).unwrap()).unwrap();
    let (issuer, other): (Box<dyn SigningKey>, Box<dyn SigningKey>) = (make(), make());
    let unsigned = token(r#"{"alg":"ES256","kid":"k1"}"#, &claims());
    let input = unsigned.rsplit_once('.').unwrap().0;
    let signed = |key: &dyn SigningKey| {
        let signature = key.sign(input.as_bytes(), RUSTCRYPTO.random).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_bytes()))
    };
    let verify = |text: &str, kid: &str| {
        let (jwt, _) = EXPECTED.read(text, NOW).unwrap();
        let keys = JwkSet::default().with_key(Some(kid), issuer.public_key().clone());
        jwt.verify(text, &keys, &RUSTCRYPTO).map_err(IdTokenDefect::from)
    };
    assert_eq!(verify(&signed(&*issuer), "k1"), Ok(()));
    assert_eq!(verify(&signed(&*other), "k1"), Err(IdTokenDefect::Signature));
    assert_eq!(verify(&unsigned, "k1"), Err(IdTokenDefect::Signature));
    assert_eq!(verify(&signed(&*issuer), "k2"), Err(IdTokenDefect::KeyUnknown));
}
