//! No vector is out of date in any provider, and no reason is without one.

use std::collections::BTreeSet;

use keybound::Rejection;
use keybound::intent::IntentDefect;
use keybound::replay::Insertion;
use keybound::server::resource::TokenRejection;
use keybound_conformance::providers;
use keybound_conformance::request::play_back;
use keybound_conformance::request::story::folder;
use serde_json::Value;

fn vectors() -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder()).expect("the vectors").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        (path.display().to_string(), serde_json::from_str(&text).expect("JSON"))
    };
    entries.map(read).collect()
}

#[test]
fn every_vector_can_be_played_back_with_both_providers() {
    let vectors = vectors();
    assert!(vectors.len() >= 20, "only {} vectors", vectors.len());
    for (provider, crypto) in providers() {
        for (name, vector) in &vectors {
            if let Err(difference) = play_back(vector, &crypto) {
                panic!("{name} with {provider}: {difference}");
            }
        }
    }
}

#[test]
fn a_changed_vector_is_noticed() {
    let (_, mut vector) = vectors().remove(0);
    vector["events"][0]["seen"]["changed"] = Value::Bool(true);
    assert!(play_back(&vector, &keybound::RUSTCRYPTO).is_err());
}

/// The reasons of all refusals by servers whose options have this name.
fn seen_at(server: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let vectors = vectors().into_iter().filter(|(_, vector)| vector.get(server).is_some());
    vectors.for_each(|(_, vector)| reasons(&vector["events"], &mut seen));
    seen
}

/// Fails unless each of these occurs.
fn all_occur(at: &str, reasons: impl IntoIterator<Item = &'static str>) {
    let seen = seen_at(at);
    let missing: Vec<_> = reasons.into_iter().filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no vector of the {at} server shows {missing:?}");
}

/// Of stores, and of limits.
const NO_FAULT_OF_THE_PEER: [&str; 4] = ["store_unavailable", "store_full", "store_share_full", "rate_limited"];

#[test]
fn every_reason_of_a_resource_occurs() {
    // A verifier without algorithms cannot be made through the facade.
    let shown = |rejection: &&Rejection| **rejection != Rejection::AlgUnavailable;
    all_occur("resource", Rejection::ALL.iter().filter(shown).map(|rejection| rejection.reason()));
    all_occur("resource", TokenRejection::ALL.iter().map(|rejection| rejection.reason()));
    all_occur("resource", NO_FAULT_OF_THE_PEER.into_iter().chain(["keys_unavailable", "introspection_unavailable"]));
    let intents = [IntentDefect::NoMatch, IntentDefect::NoIdentifier, IntentDefect::NoIntent, IntentDefect::Expired];
    let intents = intents.into_iter().chain([IntentDefect::Used, IntentDefect::BeforeFloor]);
    all_occur("resource", intents.map(IntentDefect::reason));
}

#[test]
fn every_reason_of_an_authorization_server_occurs() {
    use Rejection::{AlgUnavailable, AthInvalid, AthMismatch, AthMissing, TargetMalformed};
    // Its targets are configuration, and there is no access token yet.
    let others = [AlgUnavailable, TargetMalformed, AthMissing, AthInvalid, AthMismatch];
    let shown = |rejection: &&Rejection| !others.contains(rejection);
    all_occur("authorization", Rejection::ALL.iter().filter(shown).map(|rejection| rejection.reason()));
    all_occur("authorization", NO_FAULT_OF_THE_PEER.into_iter().chain(["tokens_of_two_keys", "dpop_jkt_malformed"]));
}

#[test]
fn every_answer_of_a_store_occurs() {
    use Insertion::{BeforeFloor, Fresh, Full, Seen, ShareFull, Unavailable};
    let all: String = vectors().iter().map(|(_, vector)| vector["events"].to_string()).collect();
    for insertion in [Fresh, Seen, Unavailable, Full, ShareFull, BeforeFloor] {
        assert!(all.contains(&format!("\"insertion\":\"{}\"", insertion.name())), "{insertion:?}");
    }
}

/// The reasons of all refusals within a value.
fn reasons(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reason)) = members.get("reason") {
                found.insert(reason.clone());
            }
            members.values().for_each(|member| reasons(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| reasons(element, found)),
        _ => {}
    }
}
