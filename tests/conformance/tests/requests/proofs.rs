//! What is wrong with proofs: the first vector of each rejection, as it comes with a request to a resource and to a token endpoint.

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

/// A server of either kind that is asked about a vector.
struct Asked {
    prefix: &'static str,
    begin: fn(&'static str, &Value) -> Story,
    refused: fn(&mut Story, &Value) -> String,
    /// Whether a rejection can occur there.
    occurs: fn(&str) -> bool,
}

/// A resource asks its host about tokens: the host says that they are bound as the vector says. At the token endpoint, codes are.
const BOTH: [Asked; 2] = [
    Asked {
        prefix: "",
        begin: |name, verifier| {
            let options = json!({ "resource": RESOURCE, "introspection": true });
            Story::new(name, "proofs that a resource refuses", &options, verifier)
        },
        refused: refused_with_token,
        occurs: |_| true,
    },
    Asked {
        prefix: "authorization-",
        begin: |name, verifier| {
            Story::of_authorization(name, "proofs that a token endpoint refuses", &json!({}), verifier)
        },
        refused: refused_with_code,
        // There is no token yet, and no target that a client chooses.
        occurs: |rejection| !rejection.starts_with("ath_") && rejection != "target_malformed",
    },
];

fn proofs(vector: &Value) -> Vec<&str> {
    match &vector["proof"] {
        Value::Array(proofs) => proofs.iter().filter_map(Value::as_str).collect(),
        proof => proof.as_str().into_iter().collect(),
    }
}

/// The name of a vector, whose time it is now.
fn begun<'v>(story: &mut Story, vector: &'v Value) -> &'v str {
    story.now = vector["now"].as_i64().expect("a time");
    vector["id"].as_str().expect("an id")
}

fn refused_with_token(story: &mut Story, vector: &Value) -> String {
    let (id, token) = (begun(story, vector), vector["access_token"].as_str().expect("a token"));
    let mut fields = vec![json!(["Authorization", format!("DPoP {token}")])];
    fields.extend(proofs(vector).into_iter().map(|proof| json!(["DPoP", proof])));
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

fn refused_with_code(story: &mut Story, vector: &Value) -> String {
    let id = begun(story, vector);
    let grant = json!({ "type": "authorization_code", "bound_to": vector["jkt"] });
    let request =
        json!({ "method": vector["method"], "url": vector["url"], "client": "public", "grant": grant, "epoch": "1" });
    reason(&story.ask(id, &request, &proofs(vector)))
}

fn named(asked: &Asked, name: &str) -> &'static str {
    String::leak(format!("{}{name}", asked.prefix))
}

#[test]
fn each_rejection() {
    let algorithms =
        ["ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
    for asked in BOTH {
        let mut story = (asked.begin)(named(&asked, "proofs"), &json!({ "algorithms": algorithms }));
        let mut shown = BTreeSet::new();
        for vector in vectors(&[]) {
            let expected = vector["rejection"].as_str().expect("a rejection");
            // ML-DSA is not in every build.
            let is_everywhere = !vector["id"].as_str().expect("an id").contains("ml-dsa");
            if is_everywhere && (asked.occurs)(expected) && shown.insert(expected.to_owned()) {
                assert_eq!((asked.refused)(&mut story, &vector), expected, "{}", vector["id"]);
            }
        }
        assert!(shown.len() > Rejection::ALL.len() - 16, "{shown:?}");
        story.end();
    }
}

#[test]
fn by_policy() {
    for asked in BOTH {
        for (name, member, verifier) in [
            ("proofs-algorithms", "allowed_algs", json!({ "algorithms": ["EdDSA"] })),
            ("proofs-bare-htu", "bare_htu", json!({ "bare_htu": true })),
        ] {
            let mut story = (asked.begin)(named(&asked, name), &verifier);
            let vectors = vectors(&[member]);
            let vector = vectors.first().expect("a vector");
            assert_eq!((asked.refused)(&mut story, vector), vector["rejection"].as_str().expect("a rejection"));
            story.end();
        }
    }
}
