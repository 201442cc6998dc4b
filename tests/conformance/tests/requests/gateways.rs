//! A gateway in front of the service that uses proofs up.

use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{CLIENT_KEY, ISSUER_KEY, bearer, claims, with};
use serde_json::{Value, json};

use crate::resource;

#[test]
fn checks_use_nothing_up() {
    let about = "a gateway checks all but replay, and asks no store";
    let options = with(&resource(), &json!({ "schemes": "dpop_and_bearer" }));
    let mut story = Story::new("gateway", about, &options, &json!({}));
    let check = |story: &mut Story, name: &str, request: &Value| {
        story.perform(json!({ "do": "check", "as": name, "request": request }))
    };
    let request = story.request("one", &claims());
    for name in ["first", "again"] {
        let seen = check(&mut story, name, &request);
        assert_eq!(seen["result"], json!({ "kind": "unconsumed", "thumbprint": CLIENT_KEY.thumbprint() }));
    }
    let unbound = bearer(&ISSUER_KEY.token(&with(&claims(), &json!({ "cnf": null }))));
    assert_eq!(check(&mut story, "unbound", &unbound)["result"], json!({ "kind": "unconsumed" }));
    let expired = story.request("two", &with(&claims(), &json!({ "exp": story.now - 300 })));
    assert_eq!(reason(&check(&mut story, "expired", &expired)), "token_expired");
    story.admitted("the service", &request);
    story.wait(400);
    assert_eq!(reason(&check(&mut story, "late", &request)), "iat_too_old");
    story.end();
}
