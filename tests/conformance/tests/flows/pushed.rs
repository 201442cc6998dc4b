//! Pushed authorization requests that a server announces and does not take.

use keybound::http::message::Response;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{ISSUER, Server, answer, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

fn log_in() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

fn unpushed() -> Value {
    json!({ "do": "authorize", "session": "work", "without_pushed_request": true })
}

/// A story whose server answers the first pushed request so.
fn answering(name: &'static str, about: &'static str, config: Value, response: Response) -> Story {
    let mut story = Story::new(name, about, config, Server::default());
    story.discover();
    story.server.prepared.push_back(("/par", response));
    story
}

fn empty(status: u16) -> Response {
    Response { status, fields: Vec::new(), body: Vec::new() }
}

#[test]
fn a_login_where_the_announced_endpoint_is_not_there() {
    let about = "PAR answers 404 and is not required: dpop_jkt is in the URL";
    let mut story = answering("login-not-pushed", about, public("enhanced"), empty(404));
    let sent = story.ok(log_in());
    assert_eq!((&sent["pushed"], &sent["query"]["dpop_jkt"]), (&json!(false), &json!("{key-1}")));
    let callback = story.approve();
    story.ok(json!({ "do": "exchange", "callback": callback }));
    story.end();
}

#[test]
fn what_says_that_there_is_no_such_endpoint() {
    let spring = answer(404, &json!({ "status": 404, "error": "Not Found", "path": "/par" }));
    for response in [empty(302), empty(401), empty(404), empty(405), spring] {
        let mut config = public("enhanced");
        // The key is announced in the URL, whichever way it would have been pushed.
        config["push_with_proof"] = json!(true);
        let mut story = answering("", "", config, response);
        let sent = story.ok(log_in());
        assert_eq!((&sent["pushed"], &sent["query"]["dpop_jkt"]), (&json!(false), &json!("{key-1}")));
    }
    let refusals = [
        (empty(400), "answer_status"),
        (empty(403), "answer_status"),
        (empty(500), "answer_status"),
        (answer(400, &json!({ "error": "invalid_request" })), "denied"),
        (answer(401, &json!({ "error": "invalid_client" })), "denied"),
        (with(empty(401), "www-authenticate", "Basic error=\"invalid_client\""), "denied"),
        (answer(404, &json!({ "error": "invalid_client" })), "denied"),
        (answer(200, &json!({})), "answer_incomplete"),
    ];
    for (response, reason) in refusals {
        let mut story = answering("", "", public("enhanced"), response);
        assert_eq!(story.err(log_in()), reason, "an error is not a missing endpoint");
        assert_eq!(story.player.host.keys(), 0);
    }
}

/// What must not go through the browser although it could.
fn protected() -> Vec<(Value, Value, Value)> {
    let (details, none) = (json!([{ "type": "payment" }]), json!({}));
    let mut confidential = public("enhanced");
    confidential["credentials"] = json!([{ "issuer": ISSUER, "client_id": "app", "secret": "s", "method": "secret" }]);
    vec![
        (public("enhanced"), json!({ "require_pushed_authorization_requests": true }), none.clone()),
        (public("enhanced"), none.clone(), json!({ "authorization_details": details })),
        (public("enhanced"), none.clone(), json!({ "intent": details })),
        (confidential, none.clone(), none),
    ]
}

#[test]
fn what_has_to_be_pushed_does_not_go_through_the_browser() {
    for (config, metadata, more) in protected() {
        let server = || Server { metadata: changes(metadata.clone()), ..Server::default() };
        let with = |mut operation: Value| {
            operation.as_object_mut().expect("an object").extend(changes(more.clone()));
            operation
        };
        let mut story = Story::new("", "", config.clone(), server());
        story.discover();
        story.server.prepared.push_back(("/par", empty(404)));
        assert_eq!(story.err(with(log_in())), "answer_status", "{metadata} {more}");
        // Nor does the caller's own switch send it there, and it says why.
        let mut story = Story::new("", "", config, server());
        story.discover();
        let error = story.perform(with(unpushed())).expect_err("a mistake").to_string();
        assert!(error.starts_with("`without_pushed_request` has no place "), "{error}");
        assert_eq!(story.player.host.keys(), 0);
    }
}

#[test]
fn a_maximum_is_pushed() {
    let mut config = public("maximum");
    config["protection"] = json!("hsm");
    let intent = json!([{ "type": "payment" }]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.server.prepared.push_back(("/par", empty(404)));
    assert_eq!(story.err(json!({ "do": "authorize", "session": "work", "intent": intent })), "answer_status");
    let unpushed = json!({ "do": "authorize", "session": "work", "intent": intent, "without_pushed_request": true });
    assert_eq!(story.err(unpushed), "pushed_request_required");
}

#[test]
fn a_request_that_is_not_to_be_pushed() {
    let about = "the caller leaves PAR out: dpop_jkt is in the URL, and nothing is pushed";
    let mut story = Story::new("login-without-push", about, public("enhanced"), Server::default());
    story.discover();
    let sent = story.ok(unpushed());
    assert_eq!((&sent["pushed"], &sent["query"]["dpop_jkt"]), (&json!(false), &json!("{key-1}")));
    let callback = story.approve();
    story.ok(json!({ "do": "exchange", "callback": callback }));
    // More scope is asked for in the same way.
    assert_eq!(story.ok(json!({ "do": "step_up", "session": "work", "scope": "write" }))["pushed"], false);
    assert!(story.server.log.iter().all(|request| !request.url.ends_with("/par")));
    story.end();
}
