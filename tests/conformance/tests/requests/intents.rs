//! Tokens that carry an intent: carried out once, as it was agreed.

use keybound::RUSTCRYPTO;
use keybound::intent::request_detail;
use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{CLIENT_KEY, ISSUER_KEY, claims, proof_claims, proven, with};
use serde_json::{Value, json};

use crate::resource;

const PAY: &str = "https://api.example.com/pay";
const BODY: &str = "ten euros";

fn paying() -> Value {
    with(&resource(), &json!({ "intents_at": ["/pay"] }))
}

/// POST to the endpoint that pays, with a token that permits it and has these members.
fn pay(story: &Story, jti: &str, members: &Value) -> Value {
    let detail = request_detail("POST", PAY, Some(BODY.as_bytes()), RUSTCRYPTO.digest).to_json();
    let detail: Value = serde_json::from_str(&detail).expect("JSON");
    let claims = with(&claims(), &json!({ "jti": "token", "authorization_details": [detail] }));
    let token = ISSUER_KEY.token(&with(&claims, members));
    let claims = with(&proof_claims(jti, story.now), &json!({ "htm": "POST", "htu": PAY }));
    with(&proven(&token, &CLIENT_KEY.proof(&claims, &token)), &json!({ "method": "POST", "url": PAY }))
}

fn carry_out(of: &str, name: &str, body: &str) -> Value {
    json!({ "do": "carry_out", "of": of, "as": name, "method": "POST", "url": PAY, "body": body })
}

#[test]
fn carried_out_once() {
    let about = "an intent is compared with the request, body included, and used up";
    let mut story = Story::new("intents", about, &paying(), &json!({}));
    story.admitted("a", &pay(&story, "one", &json!({})));
    assert_eq!(reason(&story.perform(carry_out("a", "another body", "nine euros"))), "intent_no_match");
    let seen = story.perform(carry_out("a", "once", BODY));
    assert_eq!(seen["step"], "insert");
    assert_eq!(story.insert("once", "fresh")["result"]["kind"], "carried_out");
    for (insertion, expected) in [
        ("seen", "intent_used"),
        ("before_floor", "intent_before_floor"),
        ("unavailable", "store_unavailable"),
        ("full", "store_full"),
        ("share_full", "store_share_full"),
    ] {
        story.perform(carry_out("a", insertion, BODY));
        assert_eq!(reason(&story.insert(insertion, insertion)), expected);
    }
    story.perform(carry_out("a", "late", BODY));
    story.wait(400);
    assert_eq!(reason(&story.insert("late", "fresh")), "intent_expired");
    story.end();
}

#[test]
fn tokens_that_carry_none() {
    let about = "a token without details, without identifier, or at another endpoint carries no intent out";
    let mut story = Story::new("intents-none", about, &paying(), &json!({}));
    story.admitted("no details", &pay(&story, "one", &json!({ "authorization_details": null })));
    assert_eq!(reason(&story.perform(carry_out("no details", "a", BODY))), "no_intent");
    story.admitted("no identifier", &pay(&story, "two", &json!({ "jti": null })));
    assert_eq!(reason(&story.perform(carry_out("no identifier", "b", BODY))), "intent_no_identifier");
    let detail = json!([{ "type": "payment" }]);
    let elsewhere =
        story.request("three", &with(&claims(), &json!({ "jti": "token", "authorization_details": detail })));
    assert_eq!(story.refused("elsewhere", &elsewhere), "intent_elsewhere");
    story.end();
}
