//! What hosts that send commands to Redis themselves ask the facade.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use keybound::RUSTCRYPTO;
use keybound::json::Value;
use keybound_ffi::{Key, Presented, ProofRequest, RedisReplay, Verifier, proof, redis_limits, redis_needs_tls};

const NOW: i64 = 1_700_000_000;

#[test]
fn a_store_serves_entries_of_its_own_policy_alone() {
    let key = Key::generate("ES256", &RUSTCRYPTO).unwrap();
    let (method, url) = ("POST", "https://as.example.com/token");
    let made = proof(&ProofRequest { method, url, access_token: None, nonce: None }, &key, &RUSTCRYPTO, NOW).unwrap();
    let proofs: &[&[u8]] = &[made.as_bytes()];
    let presented =
        Presented { method, url, proofs, access_token: None, bound_to: None, expected_nonce: None, epoch: None };
    let store = RedisReplay::new("api", r#"{"max_age":30}"#, &RUSTCRYPTO).unwrap();
    let is_served = |options: &str| {
        let verifier = Verifier::new(options, &RUSTCRYPTO).unwrap();
        let pending = verifier.check(&presented, NOW).unwrap();
        store.serves(pending.entry())
    };
    assert!(is_served(r#"{"max_age":30}"#));
    assert!(!is_served("{}"));
    // The same before there is any proof.
    assert!(store.check_policy(r#"{"max_age":30,"nonces":true,"header_memory":1024}"#, &RUSTCRYPTO).is_ok());
    let reason = |options: &str| store.check_policy(options, &RUSTCRYPTO).unwrap_err().reason.to_string();
    assert_eq!(reason("{}"), "store_disagreement");
    assert_eq!(reason(r#"{"max_age":1000}"#), "policy_bound");
}

#[test]
fn keys_have_the_hash_tag_of_their_namespace() {
    let store = RedisReplay::new("api", "{}", &RUSTCRYPTO).unwrap();
    assert_eq!(store.prefix(), "{kb1:api}");
}

#[test]
fn loopback_alone_needs_no_encryption() {
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1"] {
        assert!(!redis_needs_tls(host), "{host}");
    }
    for host in ["redis.internal", "10.0.0.1", "::2", "localhost.example.com", "127.0.0.1@example.com", "", "a b"] {
        assert!(redis_needs_tls(host), "{host}");
    }
}

#[test]
fn limits_are_numbers_that_hosts_keep_to() {
    let limits = Value::parse(redis_limits().as_bytes()).unwrap();
    let number = |name: &str| limits.integer(name).unwrap();
    assert_eq!(number("batch"), 256);
    for name in ["queue", "under_way", "answer_ms", "connect_ms", "opening_turns", "hops"] {
        assert!(number(name) > 0, "{name}");
    }
}
