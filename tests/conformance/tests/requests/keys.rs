//! Keys of issuers: looked for, shared, kept, rotated, and out of reach.

use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{
    ISSUER, ISSUER_KEY, JWKS_URI, LATER_KEY, RESOURCE, bound, claims, jwk_set, with,
};
use serde_json::{Value, json};

/// A resource whose issuer's keys are at a known place.
fn at() -> Value {
    json!({ "resource": RESOURCE, "issuers": [{ "issuer": ISSUER, "jwks_uri": JWKS_URI }] })
}

/// A request with a token that is good for long, signed with the issuer's key.
fn request(story: &Story, jti: &str) -> Value {
    story.request(jti, &lasting())
}

fn lasting() -> Value {
    with(&claims(), &json!({ "exp": claims()["exp"].as_i64().expect("a time") + 200_000 }))
}

/// A request with a token whose key the issuer has later.
fn later(story: &Story, jti: &str) -> Value {
    bound(&LATER_KEY.token(&lasting()), jti, story.now)
}

/// A request with a token whose key no one has.
fn stranger(story: &Story, jti: &str) -> Value {
    let header = json!({ "typ": "at+jwt", "alg": "Ed25519", "kid": jti });
    bound(&ISSUER_KEY.sign(&header, &lasting()), jti, story.now)
}

/// A request that waits for keys; it has the turn to fetch them.
fn begin(story: &mut Story, name: &str, request: fn(&Story, &str) -> Value) {
    assert_eq!(story.admit(name, &request(story, name))["step"], "share");
    let seen = story.task(name, &format!("{name}'s task"));
    assert_eq!(seen["url"], JWKS_URI, "{seen}");
}

/// The task has its answer, and the request goes on.
fn fetched(story: &mut Story, name: &str, keys: &Value) -> Value {
    let seen = story.answer(&format!("{name}'s task"), 200, keys);
    assert_eq!(seen["result"]["kind"], "nothing", "{seen}");
    story.ok(name)
}

/// The task fails however often it tries, and the request goes on.
fn unreachable(story: &mut Story, name: &str) -> Value {
    let task = format!("{name}'s task");
    for _ in 0..2 {
        assert_eq!(story.resume(&task, &json!({ "failed": "connection reset" }))["step"], "wait");
        assert_eq!(story.ok(&task)["step"], "fetch");
    }
    let seen = story.resume(&task, &json!({ "failed": "connection reset" }));
    assert!(seen["error"].is_string(), "{seen}");
    story.ok(name)
}

fn admitted(story: &mut Story, name: &str, seen: &Value) {
    assert_eq!(seen["step"], "insert", "{seen}");
    assert_eq!(story.insert(name, "fresh")["result"]["kind"], "admitted");
}

#[test]
fn looked_for() {
    let about = "keys are where the issuer's metadata says";
    let options = json!({ "resource": RESOURCE, "issuers": [ISSUER] });
    let mut story = Story::new("keys-metadata", about, &options, &json!({}));
    story.admit("a", &request(&story, "one"));
    let seen = story.task("a", "lookup");
    assert_eq!(seen["url"], "https://as.example.com/.well-known/oauth-authorization-server");
    let seen = story.answer("lookup", 404, &json!({}));
    assert_eq!(seen["url"], "https://as.example.com/.well-known/openid-configuration");
    let endpoints = json!({ "issuer": ISSUER, "token_endpoint": "https://as.example.com/token", "jwks_uri": JWKS_URI });
    assert_eq!(story.answer("lookup", 200, &endpoints)["url"], JWKS_URI);
    story.answer("lookup", 200, &jwk_set(&[ISSUER_KEY]));
    let seen = story.ok("a");
    admitted(&mut story, "a", &seen);
    story.admitted("known", &request(&story, "two"));
    story.end();
}

#[test]
fn metadata_of_another_issuer() {
    let about = "metadata that names another issuer is not believed";
    let options = json!({ "resource": RESOURCE, "issuers": [ISSUER] });
    let mut story = Story::new("keys-metadata-foreign", about, &options, &json!({}));
    story.admit("a", &request(&story, "one"));
    story.task("a", "lookup");
    let foreign = json!({ "issuer": "https://other.example", "jwks_uri": "https://other.example/jwks" });
    let seen = story.answer("lookup", 200, &foreign);
    assert!(seen["error"].is_string(), "{seen}");
    assert_eq!(reason(&story.ok("a")), "keys_unavailable");
    story.end();
}

#[test]
fn shared() {
    let about = "one fetch for all that wait, even if the request that began it is given up";
    let mut story = Story::new("keys-shared", about, &at(), &json!({}));
    begin(&mut story, "a", request);
    assert_eq!(story.admit("b", &request(&story, "two"))["step"], "share");
    assert_eq!(story.task("b", "none"), Value::Null);
    story.perform(json!({ "do": "abandon", "of": "a" }));
    assert_eq!(story.admit("c", &request(&story, "three"))["step"], "share");
    assert_eq!(story.task("c", "none either"), Value::Null);
    story.answer("a's task", 200, &jwk_set(&[ISSUER_KEY]));
    for name in ["b", "c"] {
        let seen = story.ok(name);
        admitted(&mut story, name, &seen);
    }
    story.end();
}

#[test]
fn timed_out() {
    let about = "a fetch that takes too long is given up, and the next request after ten seconds begins another";
    let mut story = Story::new("keys-timed-out", about, &at(), &json!({}));
    begin(&mut story, "a", request);
    story.wait(10);
    story.perform(json!({ "do": "abandon", "of": "a's task" }));
    assert_eq!(reason(&story.ok("a")), "keys_unavailable");
    begin(&mut story, "b", request);
    let seen = fetched(&mut story, "b", &jwk_set(&[ISSUER_KEY]));
    admitted(&mut story, "b", &seen);
    story.end();
}

#[test]
fn rotation() {
    let about = "a kid that is not among the known keys has them fetched again";
    let mut story = Story::new("keys-rotated", about, &at(), &json!({}));
    begin(&mut story, "a", request);
    let seen = fetched(&mut story, "a", &jwk_set(&[ISSUER_KEY]));
    admitted(&mut story, "a", &seen);
    assert_eq!(story.refused("too soon", &later(&story, "two")), "token_key_unknown");
    story.wait(10);
    begin(&mut story, "b", later);
    let seen = fetched(&mut story, "b", &jwk_set(&[LATER_KEY]));
    admitted(&mut story, "b", &seen);
    story.admitted("c", &later(&story, "four"));
    assert_eq!(story.refused("withdrawn", &request(&story, "five")), "token_key_unknown");
    story.wait(600);
    begin(&mut story, "ten minutes later", later);
    let seen = fetched(&mut story, "ten minutes later", &jwk_set(&[LATER_KEY]));
    admitted(&mut story, "ten minutes later", &seen);
    story.end();
}

#[test]
fn a_flood_of_unknown_keys() {
    let about = "tokens that name keys no one has cause one fetch in ten seconds, and delay no one";
    let mut story = Story::new("keys-flood", about, &at(), &json!({}));
    begin(&mut story, "a", request);
    let seen = fetched(&mut story, "a", &jwk_set(&[ISSUER_KEY]));
    admitted(&mut story, "a", &seen);
    story.wait(10);
    begin(&mut story, "first", stranger);
    assert_eq!(story.admit_many("crowd", 1_023, &stranger(&story, "invented 1"))["step"], "share");
    assert_eq!(reason(&story.admit("one too many", &stranger(&story, "invented 2"))), "keys_unavailable");
    // Who has a key that is known does not wait.
    story.admitted("an honest client", &request(&story, "two"));
    assert_eq!(reason(&fetched(&mut story, "first", &jwk_set(&[ISSUER_KEY]))), "token_key_unknown");
    assert_eq!(reason(&story.ok("crowd")), "token_key_unknown");
    for name in ["invented 3", "invented 4"] {
        assert_eq!(story.refused(name, &stranger(&story, name)), "token_key_unknown");
    }
    story.wait(9);
    assert_eq!(story.refused("invented 5", &stranger(&story, "invented 5")), "token_key_unknown");
    story.wait(1);
    begin(&mut story, "invented 6", stranger);
    story.end();
}

#[test]
fn an_outage() {
    let about = "keys are kept for a day while their issuer cannot be reached";
    let mut story = Story::new("keys-outage", about, &at(), &json!({}));
    begin(&mut story, "a", request);
    assert_eq!(reason(&unreachable(&mut story, "a")), "keys_unavailable");
    let waiting = story.admit("at once", &request(&story, "two"));
    assert_eq!(waiting["step"], "share");
    assert_eq!(story.task("at once", "not yet"), Value::Null);
    assert_eq!(reason(&story.ok("at once")), "keys_unavailable");
    story.wait(10);
    begin(&mut story, "b", request);
    let seen = fetched(&mut story, "b", &jwk_set(&[ISSUER_KEY]));
    admitted(&mut story, "b", &seen);
    story.wait(3_600);
    begin(&mut story, "an hour later", request);
    let seen = unreachable(&mut story, "an hour later");
    admitted(&mut story, "an hour later", &seen);
    story.admitted("meanwhile", &request(&story, "five"));
    story.wait(90_000);
    begin(&mut story, "a day later", request);
    assert_eq!(reason(&unreachable(&mut story, "a day later")), "keys_unavailable");
    story.end();
}

#[test]
fn answers_that_are_none() {
    let about = "an answer that is no JWK set is no answer";
    let mut story = Story::new("keys-malformed", about, &at(), &json!({}));
    for (name, status, body) in
        [("an error", 500, json!({})), ("a redirect", 302, json!({})), ("no set", 200, json!({ "keys": {} }))]
    {
        begin(&mut story, name, request);
        let seen = story.answer(&format!("{name}'s task"), status, &body);
        assert!(seen["error"].is_string(), "{seen}");
        assert_eq!(reason(&story.ok(name)), "keys_unavailable", "{name}");
        story.wait(10);
    }
    story.end();
}

#[test]
fn from_the_host() {
    let about = "a source of the host's own is asked for keys";
    let options = json!({ "resource": RESOURCE, "issuers": [{ "issuer": ISSUER, "keys": "host" }] });
    let mut story = Story::new("keys-host", about, &options, &json!({}));
    story.admit("a", &request(&story, "one"));
    let seen = story.task("a", "question");
    assert_eq!((seen["question"].as_str(), seen["subject"].as_str()), (Some("keys"), Some(ISSUER)));
    assert!(story.resume("question", &json!({ "failed": "no such file" }))["error"].is_string());
    assert_eq!(reason(&story.ok("a")), "keys_unavailable");
    story.wait(10);
    story.admit("b", &request(&story, "two"));
    story.task("b", "another question");
    story.resume("another question", &json!({ "told": jwk_set(&[ISSUER_KEY]).to_string() }));
    let seen = story.ok("b");
    admitted(&mut story, "b", &seen);
    story.end();
}
