//! `resource`: what a protected resource makes of hostile credentials, keys and introspection answers.

use std::sync::Arc;

use keybound::http::challenge::Challenge;
use keybound::replay::memory::MemoryStore;
use keybound::server::resource::{IncomingRequest, Introspection, ResourcePolicy, ResourceServer, Schemes};
use keybound::server::{Consumption, JwkSet, KeySource};
use keybound::{Policy, RUSTCRYPTO, Refusal, TargetUri, UnixTime, Verifier};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

/// Lines `name: value`, an empty line, and a document that is both the issuer's JWK Set and the introspection answer.
pub fn resource(data: &[u8]) {
    let (head, document) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let lines: Vec<(String, &[u8])> = head.split(|byte| *byte == b'\n').filter_map(field).collect();
    let fields: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let target = TargetUri::parse("https://api.example.com/items").expect("a target");
    let server = server(document);

    let judge = |fields: &[(&str, &[u8])]| {
        let step = server.admit(&IncomingRequest::new("GET", &target, fields), NOW).expect("a step");
        step.answered(NOW, &mut |_, _| Ok(document.to_vec())).expect("keys, store and answers are there")
    };
    match judge(&fields) {
        Ok(principal) if principal.thumbprint().is_none() => {
            assert!(has(&fields, b"bearer"), "only a Bearer token is good without a proof");
            assert!(document.windows(6).any(|window| window == b"active") || document.windows(4).any(|w| w == b"keys"));
        }
        Ok(_) => {
            let unproven: Vec<_> = fields.iter().copied().filter(|(name, _)| !is(name, "dpop")).collect();
            check(&judge(&unproven).expect_err("admitted without its proof"), true);
            check(&judge(&fields).expect_err("a replay"), true);
        }
        // What is no answer at all says nothing about the token.
        Err(refusal) if refusal.reason() == "introspection_unavailable" => assert_eq!(refusal.status(), 503),
        Err(refusal) => check(&refusal, fields.iter().any(|(name, _)| is(name, "authorization"))),
    }
}

fn server(document: &[u8]) -> ResourceServer {
    let policy = ResourcePolicy::new("https://api.example.com").expect("a resource");
    let keys = KeySource::Given(JwkSet::parse(document).unwrap_or_default());
    let policy = policy.with_issuer_keys("https://as.example.com", keys).expect("an issuer");
    let policy = policy.with_introspection(Introspection::by_host()).with_schemes(Schemes::Both);
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
    let before = NOW.saturating_sub(1_000);
    let store = MemoryStore::new(8, verifier.replay_agreement(), RUSTCRYPTO.random, before).expect("a store");
    ResourceServer::new(policy, verifier, Consumption::local(Arc::new(store))).expect("a server")
}

/// A refusal says what to send, and blames nobody who sent nothing.
fn check(refusal: &Refusal, with_credentials: bool) {
    assert!(matches!(refusal.status(), 400 | 401), "{refusal:?}");
    let value = refusal.www_authenticate().expect("a challenge").as_bytes();
    assert!(value.iter().all(|byte| matches!(byte, b' '..=b'~')), "{refusal:?}");
    let challenges = Challenge::parse_fields(&[value]).list;
    assert_eq!(challenges.iter().map(Challenge::scheme).collect::<Vec<_>>(), ["DPoP", "Bearer"]);
    assert!(challenges[0].algs().any(|name| name == "ES256"));
    if !with_credentials {
        assert_eq!((refusal.status(), refusal.error()), (401, None));
    }
    assert!(refusal.body().is_empty());
}

fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let end = line.windows(2).position(|pair| pair == b": ")?;
    Some((String::from_utf8(line[..end].to_vec()).ok()?, &line[end + 2..]))
}

fn has(fields: &[(&str, &[u8])], scheme: &[u8]) -> bool {
    let starts = |value: &[u8]| value.trim_ascii_start().to_ascii_lowercase().starts_with(scheme);
    fields.iter().any(|(name, value)| is(name, "authorization") && starts(value))
}

fn is(name: &str, expected: &str) -> bool {
    name.eq_ignore_ascii_case(expected)
}
