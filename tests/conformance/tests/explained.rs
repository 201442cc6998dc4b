//! Proofs with several mistakes (`tests/vectors/explained`): each is found in one run, and the verdict is that of verification.
#![allow(missing_docs)]

use std::path::PathBuf;

use keybound::replay::ReplayStore;
use keybound::{Context, Policy, Presentation, TargetUri, Thumbprint, UnixTime, Verifier};
use keybound_conformance::{make_store, providers};
use serde_json::{Value, json};

/// What was not passed, as the entries write it.
fn unmet(explanation: &Value) -> Vec<Value> {
    let checks = explanation["checks"].as_array().unwrap().iter();
    let named = checks.filter_map(|check| {
        let named = |member: &str| Some(json!({ "check": check["check"], member: check.get(member)? }));
        named("reason").or_else(|| named("because"))
    });
    named.collect()
}

#[test]
fn every_mistake_is_found_in_one_run() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/explained/mistakes.json");
    let entries: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (crypto, entry) in providers().iter().flat_map(|(_, crypto)| entries.iter().map(move |entry| (crypto, entry))) {
        let text = |name: &str| entry[name].as_str().unwrap();
        let now = UnixTime::from_secs(entry["now"].as_i64().unwrap());
        let verifier = Verifier::new(Policy::default(), crypto);
        let floor = entry["store_floor"].as_i64().and_then(|floor| {
            let store = make_store(&verifier, crypto, UnixTime::from_secs(floor));
            if entry["first_start"] == true { store.danger_first_start().floor() } else { store.floor() }
        });
        let (target, proofs) = (TargetUri::parse(text("url")).unwrap(), [text("proof").as_bytes()]);
        let bound_to = Thumbprint::parse(text("jkt")).unwrap();
        let context = Context::Resource { access_token: text("access_token"), bound_to };
        let presentation = Presentation::new(text("method"), &target, &proofs, context);
        let told: Value =
            serde_json::from_str(&verifier.explain_with_floor(&presentation, now, floor).to_json()).unwrap();
        assert_eq!(Value::from(unmet(&told)), entry["unmet"], "{}", entry["id"]);
        let first = entry["unmet"].as_array().unwrap().iter().find_map(|unmet| unmet["reason"].as_str());
        assert_eq!(told["reason"].as_str(), first);
        if let Err(verdict) = verifier.check(&presentation, now) {
            assert_eq!(first, Some(verdict.reason()));
        }
    }
}
