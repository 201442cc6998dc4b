//! What is wrong with proofs: the first vector of each rejection, as it comes with a request to a resource.

use std::collections::BTreeSet;

use keybound::Rejection;
use keybound_conformance::request::Story;
use keybound_conformance::request::story::{folder, reason};
use keybound_conformance::request::world::RESOURCE;
use serde_json::{Value, json};

/// Vectors of proofs for a resource that need a verifier of their own for these members alone.
fn vectors(members: &[&str]) -> Vec<Value> {
    let special = [
        "allowed_algs",
        "max_age",
        "max_ahead",
        "bare_htu",
        "without_verifiers",
        "nonce_issuer",
        "already_used",
        "store_floor",
    ];
    let folder = folder().join("..");
    let paths = std::fs::read_dir(folder).expect("the vectors").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).expect("a file"));
    let entries = texts.flat_map(|text| serde_json::from_str::<Vec<Value>>(&text).expect("JSON"));
    let fits = |entry: &Value| special.iter().all(|name| entry.get(name).is_some() == members.contains(name));
    let is_whole =
        |entry: &Value| ["access_token", "method", "url", "now", "jkt"].iter().all(|name| !entry[name].is_null());
    entries
        .filter(|entry| entry["expect"] == "reject" && fits(entry) && is_whole(entry) && entry["nonce"].is_null())
        .collect()
}

/// A resource that asks its host about tokens: the host says that they are bound as the vector says.
fn story(name: &'static str, about: &str, verifier: &Value) -> Story {
    Story::new(name, about, &json!({ "resource": RESOURCE, "introspection": true }), verifier)
}

/// The reason for which a vector is refused.
fn refused(story: &mut Story, vector: &Value) -> String {
    let (id, token) = (vector["id"].as_str().expect("an id"), vector["access_token"].as_str().expect("a token"));
    story.now = vector["now"].as_i64().expect("a time");
    let mut fields = vec![json!(["Authorization", format!("DPoP {token}")])];
    match &vector["proof"] {
        Value::Null => {}
        Value::Array(proofs) => fields.extend(proofs.iter().map(|proof| json!(["DPoP", proof]))),
        proof => fields.push(json!(["DPoP", proof])),
    }
    let request = json!({ "method": vector["method"], "url": vector["url"], "fields": fields, "epoch": "1" });
    let seen = story.admit(id, &request);
    if seen["step"] != "share" {
        return reason(&seen);
    }
    let task = format!("{id}'s task");
    story.task(id, &task);
    let told = json!({ "active": true, "cnf": { "jkt": vector["jkt"] } });
    story.resume(&task, &json!({ "told": told.to_string() }));
    reason(&story.ok(id))
}

#[test]
fn each_rejection() {
    let about = "the first vector of each rejection";
    let algorithms =
        ["ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
    let mut story = story("proofs", about, &json!({ "algorithms": algorithms }));
    let mut shown = BTreeSet::new();
    for vector in vectors(&[]) {
        let expected = vector["rejection"].as_str().expect("a rejection");
        // ML-DSA is not in every build.
        if !vector["id"].as_str().expect("an id").contains("ml-dsa") && shown.insert(expected.to_owned()) {
            assert_eq!(refused(&mut story, &vector), expected, "{}", vector["id"]);
        }
    }
    assert!(shown.len() > Rejection::ALL.len() - 12, "{shown:?}");
    story.end();
}

#[test]
fn by_policy() {
    for (name, member, verifier) in [
        ("proofs-algorithms", "allowed_algs", json!({ "algorithms": ["EdDSA"] })),
        ("proofs-bare-htu", "bare_htu", json!({ "bare_htu": true })),
    ] {
        let mut story = story(name, "proofs that this policy refuses", &verifier);
        let vectors = vectors(&[member]);
        let vector = vectors.first().expect("a vector");
        assert_eq!(refused(&mut story, vector), vector["rejection"].as_str().expect("a rejection"));
        story.end();
    }
}
