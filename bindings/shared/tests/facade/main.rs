//! What the facade adds to the core: strict options, plain errors, one answer for each thing that can be used once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may fail"
)]

mod messages;
mod requests;

use keybound::RUSTCRYPTO;
use keybound::json::Value;
use keybound_ffi::{
    Client, Error, Handles, Key, Kind, NonceCache, Presented, ProofRequest, Reply, ResourceServer, Spelling, Verifier,
    prepare, proof, thumbprint,
};

const NOW: i64 = 1_700_000_000;
const URL: &str = "https://api.example.com/items/7";
const NONCES: &str = r#"{"nonces":{"keys":[{"id":1,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}}"#;

fn key() -> Key {
    Key::generate("ES256", &RUSTCRYPTO).unwrap()
}

fn made(key: &Key, nonce: Option<&str>) -> String {
    let request = ProofRequest { method: "GET", url: URL, access_token: Some("token"), nonce };
    proof(&request, key, &RUSTCRYPTO, NOW).unwrap()
}

fn presented<'a>(proofs: &'a [&'a [u8]], bound_to: &'a str) -> Presented<'a> {
    let (method, url) = ("GET", URL);
    Presented {
        method,
        url,
        proofs,
        access_token: Some("token"),
        bound_to: Some(bound_to),
        expected_nonce: None,
        epoch: None,
    }
}

fn misuse<T>(outcome: Result<T, Error>) -> String {
    let error = outcome.err().expect("a misuse");
    assert_eq!(error.kind, Kind::Misuse, "{error:?}");
    error.reason.clone()
}

/// A member of the JSON text.
fn member(json: &str, name: &str) -> String {
    let value = Value::parse(json.as_bytes()).unwrap();
    value.text(name).unwrap_or_else(|| panic!("{name} in {json}")).into()
}

#[test]
fn a_pending_proof_is_settled_once_and_by_a_word_of_the_enumeration() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let pending = verifier.check(&presented(&[made.as_bytes()], &bound_to), NOW).unwrap();
    for word in ["true", "Fresh", "", "ok", "1"] {
        assert_eq!(misuse(pending.settle(word, None, NOW)), "unknown_value", "{word}");
    }
    assert_eq!(pending.settle("fresh", None, NOW).unwrap().thumbprint, bound_to);
    assert_eq!(misuse(pending.settle("fresh", None, NOW)), "already_used");
    assert_eq!(misuse(pending.danger_skip_replay_check()), "already_used");
}

#[test]
fn every_word_of_a_store_has_its_outcome() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    for (word, reason, status) in [
        ("seen", "replayed", 401),
        ("unavailable", "store_unavailable", 503),
        ("full", "store_full", 503),
        ("share_full", "store_share_full", 503),
        ("before_floor", "before_store_floor", 503),
    ] {
        let pending = verifier.check(&presented(&[made.as_bytes()], &bound_to), NOW).unwrap();
        let error = pending.settle(word, None, NOW).unwrap_err();
        assert_eq!((error.reason.as_str(), error.status), (reason, Some(status)), "{word}");
        assert_eq!(error.refusal.as_ref().map(|refusal| refusal.status), Some(status), "{word}");
    }
}

#[test]
fn a_refusal_brings_its_answer() {
    let (key, verifier) = (key(), Verifier::new(NONCES, &RUSTCRYPTO).unwrap());
    let (first, bound_to) = (made(&key, None), key.thumbprint());
    let error = verifier.check(&presented(&[first.as_bytes()], &bound_to), NOW).err().unwrap();
    assert_eq!((error.kind, error.reason.as_str()), (Kind::Rejected, "nonce_missing"));
    assert_eq!(error.code.as_deref(), Some("use_dpop_nonce"));
    let refusal = error.refusal.clone().unwrap();
    let nonce = refusal.headers.iter().find(|(name, _)| name == "DPoP-Nonce").unwrap().1.clone();
    assert!(error.to_json(keybound::Spelling::Snake).contains(&nonce));
    // A client that keeps nonces sends it with the next proof.
    let cache = NonceCache::new();
    cache.observe("https://api.example.com", "resource", &bound_to, &[nonce.as_bytes()]).unwrap();
    let nonce = cache.get("https://api.example.com", "resource", &bound_to).unwrap();
    let second = made(&key, nonce.as_deref());
    assert!(verifier.check(&presented(&[second.as_bytes()], &bound_to), NOW).is_ok());
    // Without the token's binding nothing is judged.
    let unbound = Presented { bound_to: None, ..presented(&[], "") };
    assert_eq!(misuse(verifier.check(&unbound, NOW)), "missing_option");
}

#[test]
fn options_are_strict() {
    for (options, reason) in [
        ("[]", "not_json"),
        (r#"{"max_age":60,"max_age":60}"#, "not_json"),
        (r#"{"maxAge":60}"#, "unknown_option"),
        (r#"{"max_age":"60"}"#, "wrong_type"),
        (r#"{"max_age":-1}"#, "wrong_type"),
        (r#"{"max_age":301}"#, "policy_bound"),
        (r#"{"require_nonces":"yes"}"#, "wrong_type"),
        (r#"{"require_nonces":true}"#, "nonce_issuer_missing"),
        (r#"{"preset":"fapi"}"#, "unknown_value"),
        (r#"{"algorithms":["HS256"]}"#, "unknown_algorithm"),
        (r#"{"algorithms":"ES256"}"#, "wrong_type"),
        (r#"{"nonces":{"keys":[{"id":1,"secret":"short"}]}}"#, "nonce_key"),
        (r#"{"nonces":{"keys":[{"id":256,"secret":""}]}}"#, "nonce_key"),
    ] {
        assert_eq!(misuse(Verifier::new(options, &RUSTCRYPTO)), reason, "{options}");
    }
    assert_eq!(misuse(Client::new("{}", &RUSTCRYPTO)), "missing_option");
    assert_eq!(misuse(Client::new(r#"{"level":"high"}"#, &RUSTCRYPTO)), "unknown_value");
    for secret in [r#""secret":"s""#, r#""method":"none","secret":"s""#, r#""public_jwk":{}"#] {
        let known = format!(r#"{{"issuer":"https://as.example.com","client_id":"service",{secret}}}"#);
        let options = format!(r#"{{"level":"enhanced","credentials":[{known}]}}"#);
        assert_eq!(misuse(Client::new(&options, &RUSTCRYPTO)), "missing_option", "{options}: it would not be used");
    }
    assert_eq!(misuse(ResourceServer::new(r#"{"resource":"api"}"#, "{}", None, &RUSTCRYPTO)), "target_unusable");
}

#[test]
fn a_flow_waits_for_a_reply_that_fits() {
    let client = Client::new(r#"{"level":"enhanced"}"#, &RUSTCRYPTO).unwrap();
    let operation = r#"{"do":"discover_issuer","issuer":"https://as.example.com"}"#;
    let flow = client.begin(operation, Handles::default(), NOW).unwrap();
    let step = flow.step(Spelling::Snake).unwrap();
    assert_eq!((member(&step, "step"), member(&step, "body")), ("fetch".into(), "empty".into()));
    assert_eq!(misuse(flow.resume(Reply::Ok, NOW, Spelling::Snake)), "reply_mismatch");
    assert_eq!(flow.step(Spelling::Snake).unwrap(), step, "nothing is lost by a reply of the wrong kind");
    for text in ["{}", "[]", r#"{"response":{}}"#, r#"{"ok":false}"#, r#"{"response":{"status":200,"body":"\u0100"}}"#]
    {
        assert_eq!(Reply::from_json(text).err().map(|error| error.kind), Some(Kind::Misuse), "{text}");
    }
    let failed = || Reply::from_json(r#"{"failed":"no network"}"#).unwrap();
    // A question is asked again, twice, after a pause.
    for _ in 0..2 {
        assert_eq!(member(&flow.resume(failed(), NOW, Spelling::Snake).unwrap(), "step"), "wait");
        assert_eq!(member(&flow.resume(Reply::Ok, NOW, Spelling::Snake).unwrap(), "step"), "fetch");
    }
    let error = flow.resume(failed(), NOW, Spelling::Snake).unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (Kind::Host, "no network"));
    assert_eq!(misuse(flow.step(Spelling::Snake)), "already_used");
    assert_eq!(misuse(client.begin(r#"{"do":"refresh"}"#, Handles::default(), NOW)), "missing_option");
    assert_eq!(misuse(client.begin(r#"{"do":"fly"}"#, Handles::default(), NOW)), "unknown_value");
}

#[test]
fn a_discovery_ends_with_a_handle() {
    let client = Client::new(r#"{"level":"enhanced"}"#, &RUSTCRYPTO).unwrap();
    let operation = r#"{"do":"discover_issuer","issuer":"https://as.example.com"}"#;
    let flow = client.begin(operation, Handles::default(), NOW).unwrap();
    let body = r#"{\"issuer\":\"https://as.example.com\",\"token_endpoint\":\"https://as.example.com/token\"}"#;
    let reply =
        format!(r#"{{"response":{{"status":200,"headers":[["Content-Type","application/json"]],"body":"{body}"}}}}"#);
    let done = flow.resume(Reply::from_json(&reply).unwrap(), NOW, Spelling::Snake).unwrap();
    assert!(done.contains(r#""kind":"discovered","issuer":"https://as.example.com""#), "{done}");
    assert!(flow.handle().is_some());
    assert_eq!(misuse(flow.step(Spelling::Snake)), "already_used");
}

#[test]
fn an_outside_signature_completes_a_proof_once() {
    let key = key();
    let request = ProofRequest { method: "GET", url: URL, access_token: None, nonce: None };
    let unsigned = prepare(&request, &key.public_jwk(), "ES256", &RUSTCRYPTO, NOW).unwrap();
    assert_eq!(unsigned.digest().map(<[u8]>::len), Some(32));
    let signature = key.sign(unsigned.message()).unwrap();
    assert!(unsigned.attach(&signature, "raw").unwrap().starts_with("ey"));
    assert_eq!(misuse(unsigned.attach(&signature, "raw")), "already_used");
    // The signature of another key is found out at once.
    let other = prepare(&request, &key.public_jwk(), "ES256", &RUSTCRYPTO, NOW).unwrap();
    let wrong = Key::generate("ES256", &RUSTCRYPTO).unwrap().sign(other.message()).unwrap();
    assert_eq!(misuse(other.attach(&wrong, "raw")), "signature_does_not_verify");
    let again = Key::from_jwk(&key.danger_private_jwk().unwrap(), None, &RUSTCRYPTO).unwrap();
    assert_eq!(again.thumbprint(), thumbprint(&key.public_jwk(), &RUSTCRYPTO).unwrap());
    assert!(!format!("{again:?}").contains(&member(&key.danger_private_jwk().unwrap(), "d")));
}
