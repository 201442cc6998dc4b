//! What callers read of their mistakes, and the lists that other languages have.

use keybound::RUSTCRYPTO;
use keybound::json::Value;
use keybound_ffi::{Error, Key, MemoryStore, Presented, ResourceServer, Spelling, Verifier, reasons};

use super::{NOW, key, made, presented};

#[test]
fn the_contract_is_what_the_core_says() {
    let told = Value::parse(reasons(Spelling::Snake).as_bytes()).unwrap();
    for (file, list, members) in [
        ("reasons.json", "rejections", ["reason", "check", "section"]),
        ("token_reasons.json", "token_rejections", ["reason", "status", "error"]),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract").join(file);
        let known = Value::parse(&std::fs::read(path).unwrap()).unwrap();
        let Value::Array(known) = &known else { panic!("{file} is an array") };
        let shown = |value: &Value| members.map(|name| value.member(name).map(Value::to_json));
        let told: Vec<_> = told.array(list).unwrap().iter().map(shown).collect();
        assert_eq!(told, known.iter().map(shown).collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn a_store_of_another_policy_is_told_with_both_values() {
    let (key, verifier) = (key(), Verifier::new(r#"{"max_age":20}"#, &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let told = |options: &str| {
        let store = MemoryStore::new(100, options, &RUSTCRYPTO, NOW - 1000).unwrap();
        let error = verifier.verify(&presented(&[made.as_bytes()], &bound_to), &store, NOW).unwrap_err();
        (error.reason.clone(), error.detail(Spelling::Camel))
    };
    let (reason, detail) = told("{}");
    assert_eq!(reason, "store_disagreement");
    assert!(detail.contains("maxAge is 20 s in this policy and 60 s in that of its replay store"), "{detail}");
    let (_, detail) = told(r#"{"max_age":20,"max_ahead":5}"#);
    assert!(detail.contains("maxAhead is 10 s in this policy and 5 s"), "{detail}");
    let (_, detail) = told(r#"{"max_age":20,"nonce_replaces_iat":true,"nonces":true}"#);
    assert!(detail.contains("by their iat, and that of its replay store by their nonce"), "{detail}");
}

#[test]
fn advice_about_options_is_in_the_language_of_its_reader() {
    let (key, verifier) = (key(), Verifier::new("{}", &RUSTCRYPTO).unwrap());
    let (made, bound_to) = (made(&key, None), key.thumbprint());
    let store = MemoryStore::new(100, "{}", &RUSTCRYPTO, NOW).unwrap();
    let told = |spelling| {
        let explained =
            verifier.explain_with_store(&presented(&[made.as_bytes()], &bound_to), &store, NOW, spelling).unwrap();
        [explained, reasons(spelling)]
    };
    for text in told(Spelling::Camel) {
        assert!(text.contains(" dangerFirstStart.") && !text.contains("danger_first_start"), "{text}");
    }
    for text in told(Spelling::Snake) {
        assert!(text.contains(" danger_first_start.") && !text.contains("`danger"), "{text}");
    }
}

#[test]
fn a_path_prefix_of_another_form_says_what_to_write() {
    for wrong in ["v1", "/v1/", "/v1/../v2", "/v1?a"] {
        let options = format!(
            r#"{{"resource":"https://api.example.com","issuers":["https://as.example.com"],"path_prefix":"{wrong}"}}"#
        );
        let error = ResourceServer::new(&options, "{}", None, &RUSTCRYPTO).unwrap_err();
        assert_eq!(error.reason, "path_prefix_unusable");
        let detail = error.detail(Spelling::Camel);
        assert!(detail.contains("pathPrefix") && detail.contains("starts with / and has no trailing /"), "{detail}");
    }
}

#[test]
fn a_public_key_without_a_member_says_which() {
    let told = |jwk: &str| keybound_ffi::public_key(jwk).unwrap_err().detail(Spelling::Snake);
    for (jwk, member) in [
        (r#"{"crv":"P-256"}"#, "(kty)"),
        (r#"{"kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#, "(crv)"),
        (r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#, "(y)"),
        (r#"{"kty":"OKP","crv":"Ed25519"}"#, "(x)"),
        (r#"{"kty":"RSA","e":"AQAB"}"#, "(n)"),
    ] {
        let detail = told(jwk);
        assert!(detail.ends_with(member), "{detail}");
    }
}

#[test]
fn a_mistake_in_a_word_says_what_was_meant() {
    let detail = |outcome: Result<Key, Error>| outcome.unwrap_err().detail(Spelling::Camel);
    assert!(detail(Key::generate("es256", &RUSTCRYPTO)).starts_with("did you mean ES256? "));
    assert!(detail(Key::generate("HS256", &RUSTCRYPTO)).starts_with("there is no algorithm"));
    let unavailable = detail(Key::generate("RS256", &RUSTCRYPTO));
    assert!(unavailable.contains("ES256") && !unavailable.contains("keybound-aws-lc"), "{unavailable}");
    let verifier = Verifier::new("{}", &RUSTCRYPTO).unwrap();
    let relative = Presented { url: "/items", ..presented(&[], "j6t9Bnhh1GDxkLFjFdcFDdtHPkIYM8VkZCTVdwoXBQc") };
    let error = verifier.check(&relative, NOW).err().unwrap();
    assert_eq!((error.reason.as_str(), error.status), ("target_malformed", Some(400)));
    assert!(error.detail.ends_with("(its URL: it is relative; give scheme and host as well)"));
}
