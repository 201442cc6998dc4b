//! Nonces of the server: demanded, outdated, of an earlier life of the replay store.

use keybound::base64url;
use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{CLIENT_KEY, ISSUER_KEY, claims, proof_claims, proven, with};
use serde_json::{Value, json};

use crate::resource;

const NAMESPACE: &str = "https://api.example.com/";

fn key(id: u8) -> Value {
    json!({ "id": id, "secret": base64url::encode(&[id; 32]) })
}

fn nonces(keys: &[Value]) -> Value {
    json!({ "nonces": { "keys": keys, "namespace": NAMESPACE } })
}

/// A request whose proof has this nonce.
fn request(story: &Story, jti: &str, nonce: &str) -> Value {
    let claims = with(&claims(), &json!({ "exp": story.now + 300 }));
    let token = ISSUER_KEY.token(&claims);
    let claims = with(&proof_claims(jti, story.now), &json!({ "nonce": nonce }));
    proven(&token, &CLIENT_KEY.proof(&claims, &token))
}

/// The nonce that an answer brings.
fn given(seen: &Value) -> String {
    let result = &seen["result"];
    let place = if result["kind"] == "refused" { &result["refusal"] } else { &result["principal"] };
    let headers = place["headers"].as_array().expect("fields");
    let nonce = headers.iter().find(|field| field[0] == "DPoP-Nonce").unwrap_or_else(|| panic!("no nonce: {seen}"));
    nonce[1].as_str().expect("text").to_owned()
}

#[test]
fn demanded() {
    let about = "a nonce is demanded, good for a while, renewed in time, and then stale";
    let mut story = Story::new("nonces", about, &resource(), &nonces(&[key(1)]));
    let seen = story.admit("without", &story.request("one", &claims()));
    assert_eq!(reason(&seen), "nonce_missing");
    let nonce = given(&seen);
    story.admitted("with", &request(&story, "two", &nonce));
    assert_eq!(story.refused("invented", &request(&story, "three", "invented")), "nonce_mismatch");
    let own = |nonce: &Value| with(&proof_claims("four", 0), &json!({ "iat": story.now, "nonce": nonce }));
    let token = ISSUER_KEY.token(&claims());
    let wrong = proven(&token, &CLIENT_KEY.proof(&own(&json!(7)), &token));
    assert_eq!(story.refused("of a wrong type", &wrong), "nonce_invalid");
    let mut renewed = None;
    while renewed.is_none() {
        story.wait(30);
        let jti = story.now.to_string();
        story.admit(&jti, &request(&story, &jti, &nonce));
        let seen = story.insert(&jti, "fresh");
        assert_eq!(seen["result"]["kind"], "admitted", "{seen}");
        renewed = seen.to_string().contains("[\"DPoP-Nonce\"").then(|| given(&seen));
    }
    story.wait(3_600);
    let seen = story.admit("an hour later", &request(&story, "five", &nonce));
    assert_eq!(reason(&seen), "nonce_stale");
    story.admitted("with the new one", &request(&story, "six", &given(&seen)));
    story.end();
}

#[test]
fn judged_after_the_signature() {
    let about = "the nonce is looked at after token, binding and signature: a stranger is given none";
    let mut story = Story::new("nonces-last", about, &resource(), &nonces(&[key(1)]));
    let expired = with(&claims(), &json!({ "exp": story.now - 300 }));
    let seen = story.admit("expired", &story.request("one", &expired));
    assert_eq!(reason(&seen), "token_expired");
    assert!(!seen.to_string().contains("[\"DPoP-Nonce\""), "{seen}");
    let mut forged = story.request("two", &claims());
    let proof = forged["fields"][1][1].as_str().expect("a proof").to_owned();
    forged["fields"][1][1] = json!(format!("{}.{}", proof.rsplit_once('.').expect("a dot").0, "A".repeat(86)));
    assert_eq!(story.refused("forged", &forged), "signature_invalid");
    story.end();
}

#[test]
fn rotated() {
    let about = "nonces of the key before still count";
    let mut before = Story::new("", "", &resource(), &nonces(&[key(1)]));
    let nonce = given(&before.admit("a", &before.request("a", &claims())));
    let mut story = Story::new("nonces-rotated", about, &resource(), &nonces(&[key(2), key(1)]));
    story.admitted("of the key before", &request(&story, "one", &nonce));
    let seen = story.admit("none", &story.request("two", &claims()));
    assert_ne!(given(&seen), nonce);
    story.admitted("of the present key", &request(&story, "three", &given(&seen)));
    let mut after =
        Story::new("nonces-dropped", "nonces of a dropped key do not count", &resource(), &nonces(&[key(2)]));
    assert_eq!(after.refused("of the dropped key", &request(&after, "one", &nonce)), "nonce_mismatch");
    story.end();
    after.end();
}

#[test]
fn a_loss_noticed_by_the_insert_costs_one_challenge() {
    let about = "the store lost its memory: the insert notices, and the refusal brings a nonce of its new life";
    let mut story = Story::new("store-lost", about, &resource(), &nonces(&[key(1)]));
    let first = given(&story.admit("without", &story.request("one", &claims())));
    story.admitted("in the first life", &request(&story, "two", &first));
    story.admit("lost", &request(&story, "three", &first));
    let seen = story.resume("lost", &json!({ "inserted": { "insertion": "before_floor", "epoch": "2" } }));
    assert_eq!(reason(&seen), "before_store_floor");
    let second = given(&seen);
    assert_ne!(first, second);
    // One challenge was enough.
    let again = with(&request(&story, "four", &second), &json!({ "epoch": "2" }));
    let seen = story.admit("again", &again);
    assert_eq!(seen["entry"]["nonce_epoch"], "2", "{seen}");
    let seen = story.resume("again", &json!({ "inserted": { "insertion": "fresh", "epoch": "2" } }));
    assert_eq!(seen["result"]["kind"], "admitted");
    let old = with(&request(&story, "five", &first), &json!({ "epoch": "2" }));
    // Whether an old nonce still counts is for the store to say.
    assert_eq!(story.admit("of the first life", &old)["entry"]["nonce_epoch"], "1");
    let seen = story.resume("of the first life", &json!({ "inserted": { "insertion": "before_floor", "epoch": "2" } }));
    assert_eq!((reason(&seen).as_str(), given(&seen)), ("before_store_floor", second));
    story.end();
}

#[test]
fn bound_to_keys() {
    let about = "nonces that one key alone can use";
    let mut verifier = nonces(&[key(1)]);
    verifier["nonces"]["bound_to_key"] = json!(true);
    let mut story = Story::new("nonces-bound", about, &resource(), &verifier);
    let nonce = given(&story.admit("without", &story.request("one", &claims())));
    story.admitted("with", &request(&story, "two", &nonce));
    let other = keybound_conformance::request::world::LATER_KEY;
    let token = ISSUER_KEY.token(&with(&claims(), &json!({ "cnf": { "jkt": other.thumbprint() } })));
    let claims = with(&proof_claims("three", story.now), &json!({ "nonce": nonce }));
    assert_eq!(story.refused("by another key", &proven(&token, &other.proof(&claims, &token))), "nonce_mismatch");
    story.end();
}
