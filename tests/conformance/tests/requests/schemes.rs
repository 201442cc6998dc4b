//! DPoP and Bearer at one resource.

use keybound_conformance::request::Story;
use keybound_conformance::request::world::{BEGIN, ISSUER_KEY, bearer, bound, claims, get, with};
use serde_json::{Value, json};

use crate::resource;

fn unbound() -> String {
    ISSUER_KEY.token(&with(&claims(), &json!({ "cnf": null })))
}

fn accepting(schemes: &str) -> Value {
    with(
        &resource(),
        &json!({ "schemes": schemes, "realm": "items", "challenge_scope": "read", "publish_metadata": true }),
    )
}

#[test]
fn both() {
    let about = "bound tokens with DPoP, unbound ones with Bearer, and never the other way round";
    let mut story = Story::new("schemes-both", about, &accepting("dpop_and_bearer"), &json!({}));
    let token = ISSUER_KEY.token(&claims());
    let seen = story.admit("unbound, Bearer", &bearer(&unbound()));
    assert_eq!(seen["result"]["kind"], "admitted");
    story.admitted("bound, DPoP", &bound(&token, "one", BEGIN));
    assert_eq!(story.refused("bound, Bearer", &bearer(&token)), "token_bound");
    assert_eq!(story.refused("unbound, DPoP", &bound(&unbound(), "two", BEGIN)), "token_unbound");
    let proof = bound(&token, "three", BEGIN)["fields"][1][1].clone();
    let downgraded = get(&[("Authorization", &format!("Bearer {token}")), ("DPoP", proof.as_str().expect("a proof"))]);
    assert_eq!(story.refused("bound, Bearer with a proof", &downgraded), "token_bound");
    let seen = story.admit("nothing", &get(&[]));
    assert!(seen.to_string().contains("DPoP realm") && seen.to_string().contains("Bearer realm"), "{seen}");
    story.end();
}

#[test]
fn bearer_alone() {
    let about = "a resource that takes no DPoP says so to clients that send it";
    let mut story = Story::new("schemes-bearer", about, &accepting("bearer"), &json!({}));
    assert_eq!(story.admit("Bearer", &bearer(&unbound()))["result"]["kind"], "admitted");
    let token = ISSUER_KEY.token(&claims());
    assert_eq!(story.refused("DPoP", &bound(&token, "one", BEGIN)), "credentials_missing");
    story.end();
}
