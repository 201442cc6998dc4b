//! What authorization servers really answer: lifetimes in other forms, errors inside a success, failures that pass.

use keybound::http::message::Response;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Failure, RESOURCE, Server, answer, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

const BEGIN: i64 = 1_700_000_000;

fn log_in() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

fn story(name: &'static str, about: &'static str, server: Server) -> Story {
    let mut story = Story::new(name, about, public("enhanced"), server);
    story.discover();
    story
}

fn on_device(name: &'static str, about: &'static str) -> Story {
    let mut story = story(name, about, Server::default());
    story.ok(json!({ "do": "device", "session": "tv" }));
    story
}

fn prepare(story: &mut Story, answers: impl IntoIterator<Item = Response>) {
    story.server.prepared.extend(answers.into_iter().map(|response| ("/token", response)));
}

/// A failure of the kind that passes, with a gateway's page.
fn failing(status: u16) -> Response {
    Response { status, fields: Vec::new(), body: b"<html>try later</html>".to_vec() }
}

fn asked(story: &Story) -> usize {
    story.server.log.iter().filter(|request| request.url.ends_with("/token")).count()
}

#[test]
fn a_token_answer_in_other_forms_is_read() {
    let forms =
        json!({ "expires_in": "300", "token_type": "dpop", "scope": ["read", "write"], "authorization_details": null });
    let server = Server { token_answer: changes(forms), ..Server::default() };
    let mut story =
        story("token-forms", "expires_in as a string or 300.0, a scope as a list, token_type in lower case", server);
    let session = story.log_in(log_in());
    assert_eq!((&session["expires_at"], &session["scope"]), (&json!(BEGIN + 300), &json!("read write")));
    for (lifetime, expires) in [
        (json!(300.0), json!(BEGIN + 300)),
        (json!(-1), Value::Null),
        (json!("soon"), Value::Null),
        (json!(0), Value::Null),
    ] {
        story.server.token_answer.insert("expires_in".into(), lifetime);
        assert_eq!(story.ok(json!({ "do": "refresh", "session": "work" }))["expires_at"], expires);
    }
    // A lifetime that is not known ends nothing.
    assert_eq!(story.ok(json!({ "do": "call", "session": "work", "url": RESOURCE }))["status"], 200);
    story.end();
}

#[test]
fn a_scope_in_a_list_counts_where_an_intent_permits_none() {
    let details = json!([{ "type": "payment" }]);
    let forms = json!({ "scope": ["admin"], "refresh_token": null, "authorization_details": details });
    let mut story = story("", "", Server { token_answer: changes(forms), ..Server::default() });
    story.ok(json!({ "do": "authorize", "session": "pay", "intent": details }));
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "intent_scope");
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let mut story =
        story("token-error-in-200", "200 with an error: no session, and the error is the server's", Server::default());
    story.ok(log_in());
    let callback = story.approve();
    let said =
        json!({ "error": "bad_verification_code", "error_description": "The code passed is incorrect or expired." });
    prepare(&mut story, [answer(200, &said)]);
    let error = story.perform(json!({ "do": "exchange", "callback": callback })).expect_err("an error");
    assert!(error.to_string().contains("bad_verification_code (The code passed"), "{error}");
    // An object instead of a name.
    story.ok(log_in());
    let callback = story.approve();
    prepare(&mut story, [answer(200, &json!({ "error": { "code": 190, "message": "no" } }))]);
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "denied");
    assert_eq!(story.player.host.keys(), 0);
    story.end();
}

#[test]
fn a_refused_refresh_inside_a_success_ends_the_session() {
    let mut story = story(
        "refresh-error-in-200",
        "invalid_grant with 200: the session has ended, and a login helps",
        Server::default(),
    );
    story.log_in(log_in());
    prepare(&mut story, [answer(200, &json!({ "error": "invalid_grant" }))]);
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "login_required");
    assert_eq!(story.err(json!({ "do": "call", "session": "work", "url": RESOURCE })), "login_required");
    story.end();
}

#[test]
fn a_server_that_fails_ends_no_session() {
    let mut story =
        story("refresh-busy", "429 and 5xx at a refresh, whatever they say: the session goes on", Server::default());
    story.log_in(log_in());
    let repeated = json!({ "error": "invalid_grant" });
    prepare(
        &mut story,
        [
            failing(503),
            answer(500, &repeated),
            answer(429, &repeated),
            answer(503, &json!({ "error": "invalid_client" })),
        ],
    );
    for reason in ["answer_status", "denied", "denied", "denied"] {
        assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), reason);
    }
    story.ok(json!({ "do": "refresh", "session": "work" }));
    story.end();
}

#[test]
fn a_device_login_goes_on_after_answers_that_decide_nothing() {
    let mut story =
        on_device("device-busy", "pending inside 200, 429 and 503 with Retry-After, lost answers: asked again");
    let pending = answer(200, &json!({ "error": "authorization_pending" }));
    let date = "Tue, 14 Nov 2023 22:20:00 GMT";
    prepare(
        &mut story,
        [
            pending.clone(),
            with(failing(429), "Retry-After", "30"),
            failing(503),
            with(answer(503, &json!({ "error": "temporarily_unavailable" })), "Retry-After", date),
            pending,
        ],
    );
    story.ok(json!({ "do": "poll_device" }));
    // 5; 5 after the pending; 30 as asked; 60, doubled; until 400 s after the beginning, as asked; 5 after the pending.
    assert_eq!(story.player.host.now.secs() - BEGIN, 400 + 5);
    story.end();
}

#[test]
fn a_device_login_asks_no_longer_than_its_code_lives() {
    for lost in [false, true] {
        let mut story = on_device("", "");
        if lost {
            story.server.failures.extend((0..99).map(|_| ("/token", Failure::Lost)));
            story.server.pending = 99;
        } else {
            let later = with(failing(503), "Retry-After", "99999999999");
            story.server.prepared.extend((0..99).map(|_| ("/token", later.clone())));
        }
        assert_eq!(story.err(json!({ "do": "poll_device" })), if lost { "host" } else { "answer_status" });
        assert_eq!(story.player.host.now.secs() - BEGIN, 900, "the code's life");
        assert!(story.server.prepared.len().max(story.server.failures.len()) > 85, "few questions were asked");
        assert_eq!(story.player.host.keys(), 0);
    }
}

#[test]
fn a_code_whose_answer_is_lost_is_not_sent_again() {
    let mut story = story(
        "login-lost",
        "the answer to the code is lost: the code may be used up, and a new login helps",
        Server::default(),
    );
    story.ok(log_in());
    let callback = story.approve();
    story.server.failures.push_back(("/token", Failure::Lost));
    let exchange = json!({ "do": "exchange", "callback": callback });
    assert_eq!((story.err(exchange.clone()), asked(&story)), ("host", 1));
    assert_eq!((story.err(exchange), asked(&story)), ("state_unknown", 1));
    assert_eq!(story.player.host.keys(), 0);
    story.end();
}
