//! Security levels: what each demands, the way up, and that there is no way down.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{ISSUER, RESOURCE, Server, answer};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

fn details() -> Value {
    json!([{ "type": "payment", "actions": ["send"], "amount": "10.00", "currency": "EUR" }])
}

pub(super) fn maximum() -> Value {
    let mut config = public("maximum");
    config["protection"] = json!("hsm");
    config
}

pub(super) fn strict() -> Server {
    Server { nonces: true, api_nonces: true, refresh_tokens: false, ..Server::default() }
}

pub(super) fn call() -> Value {
    json!({ "do": "call", "session": "work", "url": RESOURCE })
}

#[test]
fn standard_is_plain_oauth() {
    let mut story =
        Story::new("standard", "plain OAuth 2.1: no proof, no dpop_jkt, Bearer", public("standard"), Server::default());
    story.discover();
    let session = story.log_in(json!({ "do": "authorize", "session": "work" }));
    assert_eq!(session["key"], Value::Null);
    assert_eq!(story.ok(call())["status"], 200);
    story.ok(json!({ "do": "wait", "seconds": 400 }));
    assert_eq!(story.ok(call())["status"], 200);
    for request in &story.server.log {
        let text = format!("{:?} {:?}", request.url, request.fields).to_lowercase();
        assert!(!text.contains("dpop"), "{text}");
        if let keybound::http::message::Body::Bytes(bytes) = &request.body {
            assert!(!String::from_utf8_lossy(bytes).to_lowercase().contains("dpop"));
        }
    }
    assert_eq!(story.player.host.keys(), 0);
    story.end();
}

#[test]
fn enhanced_takes_no_unbound_token() {
    // R9449-5-9.
    let server = Server { token_type: "Bearer", ..Server::default() };
    let mut story = Story::new(
        "downgrade-bearer",
        "token_type Bearer where a bound token was asked for",
        public("enhanced"),
        server,
    );
    story.discover();
    story.ok(json!({ "do": "authorize", "session": "work" }));
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "token_not_bound");
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    story.end();
}

#[test]
fn lenient_clients_downgrade_openly() {
    // R9449-5-9.
    let server = Server { token_type: "bearer", ..Server::default() };
    let mut config = public("enhanced");
    config["danger_accept_bearer"] = json!(true);
    let mut story =
        Story::new("downgrade-open", "danger_accept_bearer: the session says that it is Standard", config, server);
    story.discover();
    let session = story.log_in(json!({ "do": "authorize", "session": "work" }));
    assert_eq!((&session["level"], &session["key"]), (&json!("standard"), &Value::Null));
    assert_eq!(story.player.host.keys(), 0);
    assert_eq!(story.ok(call())["status"], 200);
    story.end();
}

#[test]
fn a_bound_session_stays_bound_when_refreshed() {
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.server.token_type = "Bearer";
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "token_not_bound");
    let mut config = public("enhanced");
    config["danger_accept_bearer"] = json!(true);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.server.token_type = "Bearer";
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "token_not_bound", "even a lenient client's");
}

#[test]
fn maximum_carries_out_one_intent() {
    let mut story = Story::new(
        "maximum",
        "an intent at Maximum: PAR, iss, nonces, a key in hardware, no refresh token",
        maximum(),
        strict(),
    );
    story.discover();
    let session = story.log_in(json!({ "do": "authorize", "session": "work", "intent": details() }));
    assert_eq!((&session["level"], &session["scope"]), (&json!("maximum"), &Value::Null));
    assert_eq!(story.player.host.keys(), 1);
    // The intent ends with the answer to its request: so does its key.
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    assert_eq!(story.err(call()), "login_required");
    story.end();
}

#[test]
fn maximum_ends_with_its_token() {
    let about = "an intent at Maximum that was not carried out: session and key end with the token";
    let mut story = Story::new("maximum-ended", about, maximum(), strict());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work", "intent": details() }));
    story.ok(json!({ "do": "wait", "seconds": 400 }));
    assert_eq!(story.err(call()), "login_required");
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    story.end();
}

#[test]
fn maximum_takes_nothing_less() {
    let intent = json!({ "do": "authorize", "session": "work", "intent": details() });
    let begin = |config: Value, server: Server| {
        let mut story = Story::new("", "", config, server);
        story.discover();
        story
    };
    let mut story = begin(maximum(), strict());
    assert_eq!(story.err(json!({ "do": "authorize", "session": "work" })), "no_intent");
    let metadata = changes(json!({ "pushed_authorization_request_endpoint": null }));
    assert_eq!(begin(maximum(), Server { metadata, ..strict() }).err(intent.clone()), "no_pushed_requests");
    let metadata = changes(json!({ "authorization_response_iss_parameter_supported": false }));
    assert_eq!(begin(maximum(), Server { metadata, ..strict() }).err(intent.clone()), "no_iss_parameter");
    let metadata = changes(json!({ "dpop_signing_alg_values_supported": ["ES384", "RS256"] }));
    assert_eq!(begin(maximum(), Server { metadata, ..strict() }).err(intent.clone()), "no_common_algorithm");
    let mut story = begin(public("maximum"), strict());
    assert_eq!(story.err(intent.clone()), "key_protection");
    assert_eq!(story.player.host.keys(), 0, "the key that will not do is deleted");

    let exchange = |story: &mut Story| {
        story.ok(intent.clone());
        let callback = story.approve();
        story.err(json!({ "do": "exchange", "callback": callback }))
    };
    let mut story = begin(maximum(), Server { nonces: false, ..strict() });
    assert_eq!(exchange(&mut story), "no_server_nonce");
    let mut story = begin(maximum(), Server { refresh_tokens: true, ..strict() });
    assert_eq!(exchange(&mut story), "intent_refresh_token");
    let mut wider = details();
    wider[0]["amount"] = json!("1000.00");
    let token_answer = changes(json!({ "authorization_details": wider }));
    assert_eq!(exchange(&mut begin(maximum(), Server { token_answer, ..strict() })), "intent_exceeded");
    let token_answer = changes(json!({ "authorization_details": null }));
    assert_eq!(exchange(&mut begin(maximum(), Server { token_answer, ..strict() })), "answer_incomplete");
    let mut story = begin(maximum(), Server { api_nonces: false, ..strict() });
    story.log_in(intent.clone());
    assert_eq!(story.err(call()), "no_server_nonce", "nothing is sent to an API without nonces");
    assert!(story.server.log.iter().all(|request| request.url != RESOURCE || request.method == "HEAD"));
}

#[test]
fn an_intent_at_enhanced() {
    let server = Server { refresh_tokens: false, ..Server::default() };
    let mut story = Story::new("intent", "an intent at Enhanced, granted in part", public("enhanced"), server);
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work", "intent": details() }));
    let session = story.player.session(&json!({ "session": "work" }));
    assert_eq!(session.authorization_details().map(|d| d.to_json()), Some(details().to_string()));
    assert_eq!(story.ok(call())["status"], 200);
    story.end();
    let mut story = Story::new("", "", public("standard"), Server::default());
    story.discover();
    assert_eq!(story.err(json!({ "do": "authorize", "session": "work", "intent": details() })), "intent_unbound");
}

#[test]
fn a_live_session_goes_up_and_never_down() {
    let mut config = public("standard");
    config["protection"] = json!("secure_enclave");
    let mut story =
        Story::new("level-raised", "Standard, Enhanced, Maximum, and no way back", config, Server::default());
    story.discover();
    let level = |level: &str| json!({ "do": "authorize", "session": "work", "again": true, "level": level });
    assert_eq!(story.log_in(json!({ "do": "authorize", "session": "work" }))["level"], "standard");
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!(story.log_in(level("enhanced"))["level"], "enhanced");
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!(story.err(level("standard")), "level_lowered");
    (story.server.nonces, story.server.api_nonces, story.server.refresh_tokens) = (true, true, false);
    let mut highest = level("maximum");
    highest["intent"] = details();
    assert_eq!(story.log_in(highest)["level"], "maximum");
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!(story.err(level("enhanced")), "level_lowered");
    assert_eq!(story.err(level("standard")), "level_lowered");
    story.end();
}

#[test]
fn a_client_does_not_go_below_its_level() {
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    assert_eq!(story.err(json!({ "do": "authorize", "session": "work", "level": "standard" })), "level_lowered");
}

#[test]
fn algorithms_are_those_of_both_sides() {
    // R9449-5.1-1.
    let metadata = changes(json!({ "dpop_signing_alg_values_supported": ["RS256", "Ed25519"] }));
    let mut story = Story::new(
        "algorithm-common",
        "the key is for an algorithm the server names",
        public("enhanced"),
        Server { metadata, ..Server::default() },
    );
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.end();
    let metadata = changes(json!({ "dpop_signing_alg_values_supported": ["HS256", "none"] }));
    let mut story = Story::new("", "", public("enhanced"), Server { metadata, ..Server::default() });
    story.discover();
    assert_eq!(story.err(json!({ "do": "authorize", "session": "work" })), "no_common_algorithm");
    // Nothing said means unknown: any will do.
    let metadata = changes(json!({ "dpop_signing_alg_values_supported": null }));
    let mut story = Story::new("", "", public("enhanced"), Server { metadata, ..Server::default() });
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
}

#[test]
fn one_key_is_not_both() {
    let config = json!({
        "level": "enhanced",
        "credentials": [{ "issuer": ISSUER, "client_id": "service", "method": "private_key_jwt" }],
    });
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    // The randomness begins anew, so the host makes the client's own key once more.
    keybound_conformance::flow::host::repeating();
    assert_eq!(story.err(json!({ "do": "client_credentials", "session": "work" })), "same_key");
}

#[test]
fn answers_that_are_none() {
    let body = |value: Value| answer(200, &value);
    for (response, reason) in [
        (body(json!({ "token_type": "DPoP" })), "answer_incomplete"),
        (body(json!({ "access_token": "", "token_type": "DPoP" })), "answer_incomplete"),
        (body(json!({ "access_token": "a b", "token_type": "DPoP" })), "answer_incomplete"),
        (body(json!({ "access_token": "a" })), "answer_incomplete"),
        (body(json!({ "access_token": "a", "token_type": "mac" })), "token_not_bound"),
        (body(json!([])), "answer_not_json"),
        (answer(500, &json!({})), "answer_status"),
        (answer(302, &json!({})), "answer_redirect"),
        (answer(400, &json!({ "error": "invalid_client" })), "denied"),
    ] {
        let mut story = Story::new("", "", public("enhanced"), Server::default());
        story.discover();
        story.ok(json!({ "do": "authorize", "session": "work" }));
        let callback = story.approve();
        story.server.prepared.push_back(("/token", response));
        assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), reason);
        assert_eq!(story.player.host.keys(), 0);
    }
}
