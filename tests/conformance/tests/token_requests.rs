//! Every proof of a vector that must be refused, sent with a token request at the vector's own time: 400 with
//! `invalid_dpop_proof`, whatever the defect (R9449-5-2).
#![allow(missing_docs)]

use std::path::PathBuf;

use keybound::server::Consumption;
use keybound::server::authorization::{AuthorizationServer, ClientType, EndpointPolicy, EndpointRequest, Grant};
use keybound::{AlgorithmSet, Policy, RUSTCRYPTO, TargetUri, UnixTime, Verifier, base64url};
use keybound_cli::vectors;
use serde_json::{Map, Value};

type Entry = Map<String, Value>;

fn entries() -> Vec<Entry> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    texts.flat_map(|path| vectors::parse(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

fn text<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

fn claims(proof: &str) -> Entry {
    let segment = proof.split('.').nth(1).and_then(|segment| base64url::decode(segment.as_bytes()).ok());
    segment.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Whether the entry tests what a token request has, and needs no verifier of its own.
fn fits(entry: &Entry) -> bool {
    let own = [
        "nonce_issuer",
        "already_used",
        "store_floor",
        "without_verifiers",
        "allowed_algs",
        "max_age",
        "max_ahead",
        "bare_htu",
    ];
    let of_resources = ["ath_missing", "ath_invalid", "ath_mismatch"];
    // The binding has an error of its own, and a nonce that the server did not issue brings a challenge.
    let others =
        ["binding_mismatch", "nonce_missing", "nonce_mismatch", "nonce_invalid", "nonce_stale", "proof_missing"];
    let rejection = text(entry, "rejection").unwrap_or_default();
    !own.iter().any(|name| entry.get(*name).is_some_and(|value| !value.is_null()))
        && ![of_resources.as_slice(), &others].concat().contains(&rejection)
}

#[test]
fn each_reject_vector_is_an_invalid_proof_at_the_token_endpoint() {
    let policy = Policy::default().with_algorithms(AlgorithmSet::ALL).unwrap();
    let verifier = Verifier::new(policy, &RUSTCRYPTO);
    let server = AuthorizationServer::new(EndpointPolicy::new(), verifier, Consumption::danger_nowhere()).unwrap();
    let mut refused = 0;
    let mut accepted = 0;
    for entry in entries().iter().filter(|entry| fits(entry)) {
        let fields: Vec<&[u8]> = match entry.get("proof") {
            Some(Value::String(proof)) => vec![proof.as_bytes()],
            Some(Value::Array(proofs)) => proofs.iter().filter_map(Value::as_str).map(str::as_bytes).collect(),
            _ => continue,
        };
        let claims = fields.first().and_then(|proof| std::str::from_utf8(proof).ok()).map(claims).unwrap_or_default();
        let url = text(entry, "url").or(text(&claims, "htu")).unwrap_or("https://as.example.com/token");
        let Ok(target) = TargetUri::parse(url) else { continue };
        let method = text(entry, "method").or(text(&claims, "htm")).unwrap_or("POST");
        let number = |value: Option<&Value>| {
            value.and_then(|value| value.as_i64().or_else(|| value.as_f64().map(|time| time as i64)))
        };
        let now =
            number(entry.get("now")).or(number(claims.get("iat"))).map_or_else(UnixTime::now, UnixTime::from_secs);
        let grant = Grant::AuthorizationCode { dpop_jkt: None };
        let request = EndpointRequest::new(method, &target, &fields, ClientType::Public, grant);
        let name = text(entry, "id").unwrap();
        match (text(entry, "expect"), server.admit(&request, now).unwrap().finished().unwrap()) {
            (Some("reject"), Err(refusal)) => {
                assert_eq!((refusal.status(), refusal.error()), (400, Some("invalid_dpop_proof")), "{name}");
                assert!(refusal.www_authenticate().is_none(), "{name}");
                refused += 1;
            }
            (Some("reject"), Ok(_)) => panic!("{name} was admitted"),
            (Some("accept"), outcome) => {
                // One algorithm is in no build.
                assert!(outcome.is_ok() || name == "key-ed448", "{name}");
                accepted += 1;
            }
            _ => {}
        }
    }
    assert!(refused > 250 && accepted > 50, "only {refused} and {accepted} were sent");
}
