//! Tokens that only the authorization server understands.

use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{
    CLIENT_KEY, ISSUER, ISSUER_KEY, RESOURCE, bearer, bound, claims, jwk_set, with,
};
use serde_json::{Value, json};

const ENDPOINT: &str = "https://as.example.com/introspect";

/// A resource that asks an endpoint, whose options have these members besides.
fn asking(members: &Value) -> Value {
    let endpoint = json!({ "url": ENDPOINT, "client_id": "api", "client_secret": "its-secret" });
    json!({ "resource": RESOURCE, "introspection": with(&endpoint, members) })
}

/// What the endpoint says of a token that is active.
fn active() -> Value {
    json!({ "active": true, "sub": "alice", "client_id": "app", "scope": "read", "cnf": { "jkt": CLIENT_KEY.thumbprint() } })
}

/// A request with this opaque token waits for the answer about it, which it has asked for.
fn begin(story: &mut Story, name: &str, request: &Value) -> Value {
    let seen = story.admit(name, request);
    assert_eq!(seen["step"], "share", "{seen}");
    story.task(name, &format!("{name}'s task"))
}

fn asked(story: &mut Story, name: &str, token: &str) {
    let request = bound(token, name, story.now);
    let seen = begin(story, name, &request);
    assert_eq!(seen["url"], ENDPOINT, "{seen}");
}

/// The endpoint answers, and the request goes on.
fn said(story: &mut Story, name: &str, body: &Value) -> Value {
    story.answer(&format!("{name}'s task"), 200, body);
    story.ok(name)
}

fn admitted(story: &mut Story, name: &str, seen: &Value) {
    assert_eq!(seen["step"], "insert", "{seen}");
    assert_eq!(story.insert(name, "fresh")["result"]["kind"], "admitted");
}

#[test]
fn answers() {
    let about = "an active token, one that is not, and answers that do not fit";
    let mut story = Story::new("introspection", about, &asking(&json!({})), &json!({}));
    asked(&mut story, "active", "opaque-1");
    let seen = said(&mut story, "active", &active());
    admitted(&mut story, "active", &seen);
    asked(&mut story, "asked again", "opaque-1");
    assert_eq!(reason(&said(&mut story, "asked again", &json!({ "active": false }))), "token_inactive");
    // For ten seconds it is known that this token is not active.
    assert_eq!(story.refused("remembered", &bound("opaque-1", "remembered", story.now)), "token_inactive");
    story.wait(10);
    asked(&mut story, "forgotten", "opaque-1");
    let seen = said(&mut story, "forgotten", &active());
    admitted(&mut story, "forgotten", &seen);
    for (name, members, expected) in [
        ("for another resource", json!({ "aud": "https://other.example/" }), "audience_mismatch"),
        ("expired", json!({ "exp": story.now - 300 }), "token_expired"),
        ("unbound", json!({ "cnf": null }), "token_unbound"),
        ("a Bearer token", json!({ "token_type": "Bearer" }), "token_unbound"),
        ("scope of a wrong type", json!({ "scope": 1 }), "token_claim_invalid"),
        ("bound otherwise", json!({ "cnf": { "kid": "1" } }), "confirmation_unknown"),
    ] {
        asked(&mut story, name, "opaque-2");
        assert_eq!(reason(&said(&mut story, name, &with(&active(), &members))), expected, "{name}");
    }
    story.end();
}

#[test]
fn answers_that_are_none() {
    let about = "an answer that is none says nothing about the token: 503";
    let mut story = Story::new("introspection-malformed", about, &asking(&json!({})), &json!({}));
    for (name, status, body) in [
        ("not JSON", 200, json!("text")),
        ("no active", 200, json!({ "sub": "alice" })),
        ("active of a wrong type", 200, json!({ "active": "true" })),
        ("an error", 500, json!({})),
        ("the resource is not known there", 401, json!({ "error": "invalid_client" })),
    ] {
        asked(&mut story, name, "opaque");
        let seen = story.answer(&format!("{name}'s task"), status, &body);
        assert!(seen["error"].is_string(), "{seen}");
        assert_eq!(reason(&story.ok(name)), "introspection_unavailable", "{name}");
    }
    story.end();
}

#[test]
fn an_outage() {
    let about = "a lost answer is asked for again, and then the request is refused with 503";
    let mut story = Story::new("introspection-outage", about, &asking(&json!({})), &json!({}));
    let lost = json!({ "failed": "connection reset" });
    asked(&mut story, "a", "opaque");
    assert_eq!(story.resume("a's task", &lost)["step"], "wait");
    assert_eq!(story.ok("a's task")["step"], "fetch");
    let seen = said(&mut story, "a", &active());
    admitted(&mut story, "a", &seen);
    asked(&mut story, "b", "opaque");
    for _ in 0..2 {
        story.resume("b's task", &lost);
        story.ok("b's task");
    }
    assert!(story.resume("b's task", &lost)["error"].is_string());
    assert_eq!(reason(&story.ok("b")), "introspection_unavailable");
    asked(&mut story, "c", "opaque");
    story.wait(10);
    story.perform(json!({ "do": "abandon", "of": "c's task" }));
    assert_eq!(reason(&story.ok("c")), "introspection_unavailable");
    asked(&mut story, "d", "opaque");
    let seen = said(&mut story, "d", &active());
    admitted(&mut story, "d", &seen);
    story.end();
}

#[test]
fn remembered() {
    let about = "an active token is remembered where the operator says so, and not beyond its end";
    let options = asking(&json!({ "remembered_for": 30, "authentication": "client_secret_post" }));
    let mut story = Story::new("introspection-remembered", about, &options, &json!({}));
    asked(&mut story, "a", "opaque");
    let seen = said(&mut story, "a", &active());
    admitted(&mut story, "a", &seen);
    story.wait(29);
    story.admitted("b", &bound("opaque", "b", story.now));
    story.wait(1);
    asked(&mut story, "c", "opaque");
    let ending = with(&active(), &json!({ "exp": story.now + 10 }));
    let seen = said(&mut story, "c", &ending);
    admitted(&mut story, "c", &seen);
    story.wait(9);
    story.admitted("d", &bound("opaque", "d", story.now));
    story.wait(1);
    asked(&mut story, "e", "opaque");
    story.end();
}

#[test]
fn shared() {
    let about = "one question for all that bring the same token, one for each token, and 64 at a time";
    let mut story = Story::new("introspection-shared", about, &asking(&json!({})), &json!({}));
    asked(&mut story, "a", "opaque-0");
    assert_eq!(story.admit("b", &bound("opaque-0", "b", story.now))["step"], "share");
    assert_eq!(story.task("b", "none"), Value::Null);
    for number in 1..64 {
        asked(&mut story, &format!("of token {number}"), &format!("opaque-{number}"));
    }
    // This one waits for a question about another token to end.
    let queued = story.admit("queued", &bound("opaque-64", "queued", story.now));
    assert_eq!(queued["step"], "share");
    assert_eq!(story.task("queued", "not yet"), Value::Null);
    story.perform(json!({ "do": "abandon", "of": "a" }));
    story.answer("a's task", 200, &active());
    let seen = story.ok("b");
    admitted(&mut story, "b", &seen);
    assert_eq!(story.ok("queued")["step"], "share");
    assert_eq!(story.task("queued", "queued's task")["url"], ENDPOINT);
    let seen = said(&mut story, "queued", &active());
    admitted(&mut story, "queued", &seen);
    story.end();
}

#[test]
fn of_an_issuer() {
    let about = "the endpoint is where the issuer's metadata says, and JWTs of known issuers are not asked about";
    let introspection = json!({ "issuer": ISSUER, "client_id": "api", "client_secret": "its-secret" });
    let issuers = json!([{ "issuer": ISSUER, "keys": jwk_set(&[ISSUER_KEY]) }]);
    let options = json!({
        "resource": RESOURCE, "issuers": issuers, "introspection": introspection, "schemes": "dpop_and_bearer",
    });
    let mut story = Story::new("introspection-issuer", about, &options, &json!({}));
    story.admitted("a JWT", &story.request("one", &claims()));
    let seen = begin(&mut story, "a", &bearer("opaque"));
    assert_eq!(seen["url"], "https://as.example.com/.well-known/oauth-authorization-server");
    let metadata = json!({ "issuer": ISSUER, "token_endpoint": "https://as.example.com/token", "introspection_endpoint": ENDPOINT });
    let seen = story.answer("a's task", 200, &metadata);
    assert_eq!(seen["url"], ENDPOINT, "{seen}");
    let seen = said(&mut story, "a", &with(&active(), &json!({ "cnf": null, "iss": ISSUER })));
    assert_eq!(seen["result"]["kind"], "admitted", "{seen}");
    let seen = begin(&mut story, "b", &bearer("opaque-2"));
    assert_eq!(seen["url"], ENDPOINT, "the metadata is known");
    assert_eq!(reason(&said(&mut story, "b", &active())), "token_bound");
    story.end();
}

#[test]
fn by_the_host() {
    let about = "a source of the host's own says what a token is";
    let mut story =
        Story::new("introspection-host", about, &json!({ "resource": RESOURCE, "introspection": true }), &json!({}));
    let request = bound("opaque", "a", story.now);
    let seen = begin(&mut story, "a", &request);
    assert_eq!((seen["question"].as_str(), seen["subject"].as_str()), (Some("token"), Some("opaque")));
    story.resume("a's task", &json!({ "told": active().to_string() }));
    let seen = story.ok("a");
    admitted(&mut story, "a", &seen);
    let request = bound("opaque", "b", story.now);
    begin(&mut story, "b", &request);
    assert!(story.resume("b's task", &json!({ "failed": "the database is down" }))["error"].is_string());
    assert_eq!(reason(&story.ok("b")), "introspection_unavailable");
    story.end();
}
