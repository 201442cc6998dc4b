//! What the caller may not ask for.

use keybound::http::message::Request;
use keybound::json::Value;
use keybound::oauth::{Client, FlowError};
use keybound::{Misuse, RUSTCRYPTO, SecurityLevel, UnixTime};
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::json;

#[test]
fn clients_are_checked_when_they_are_built() {
    let builder = || Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO);
    assert_eq!(builder().redirect_uri("/callback").build().err(), Some(Misuse::RedirectUri));
    assert_eq!(builder().accept_issuer("http://as.example.com").build().err(), Some(Misuse::InsecureUrl));
    assert_eq!(builder().also_origin("http://localhost").build().err(), Some(Misuse::InsecureUrl));
    assert!(builder().also_origin("http://localhost").allow_loopback().build().is_ok());
    assert!(matches!(builder().metadata_document("client.json").build(), Err(Misuse::Target(_))));
    assert_eq!(builder().algorithms(keybound::AlgorithmSet::EMPTY).build().err(), Some(Misuse::NoAlgorithms));
}

#[test]
fn targets_are_encrypted() {
    let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().expect("a client");
    let now = UnixTime::from_secs(0);
    for target in ["http://api.example.com", "http://127.0.0.1:8080/mcp", "ws://api.example.com"] {
        let outcome = client.discover(target, now);
        assert!(matches!(outcome, Err(FlowError::Misuse(Misuse::InsecureUrl))), "{target}");
    }
}

#[test]
fn what_the_session_sets_is_not_the_callers() {
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let session = story.player.session(&json!({ "session": "work" }));
    for field in ["authorization", "DPoP", "dpop"] {
        let request = Request::new("GET", RESOURCE).with_field(field, "x");
        let outcome = story.player.client.call(&session, request, story.player.host.now);
        assert!(matches!(outcome, Err(FlowError::Misuse(Misuse::ReservedField))), "{field}");
    }
}

#[test]
fn requests_are_checked_before_anything_is_sent() {
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    let before = story.server.log.len();
    let resource = "https://api.example.com/#part";
    for (request, reason) in [
        (json!({ "do": "authorize", "session": "" }), "session_name"),
        (json!({ "do": "authorize", "session": "x".repeat(257) }), "session_name"),
        (json!({ "do": "authorize", "session": "work", "resource": resource }), "target_unusable"),
        (json!({ "do": "authorize", "session": "work", "authorization_details": {} }), "not_json"),
        (json!({ "do": "authorize", "session": "work", "authorization_details": [] }), "not_json"),
        (json!({ "do": "authorize", "session": "work", "authorization_details": [{ "no": "type" }] }), "not_json"),
    ] {
        assert_eq!(story.err(request), reason);
    }
    assert_eq!(story.server.log.len(), before);
}

#[test]
fn parameters_of_the_caller_replace_none_of_the_flow() {
    let metadata = super::login::changes(json!({ "pushed_authorization_request_endpoint": null }));
    let mut story = Story::new("", "", public("enhanced"), Server { metadata, ..Server::default() });
    story.discover();
    let parameters = json!({ "prompt": "login", "state": "mine", "code_challenge": "mine", "redirect_uri": "https://evil.example.com" });
    let sent = story.ok(json!({ "do": "authorize", "session": "work", "parameters": parameters }));
    assert_eq!(sent["query"]["prompt"], "login");
    assert_eq!(sent["query"]["state"], "{state-1}");
    assert_eq!(sent["query"]["redirect_uri"], "https://app.example.com/callback");
}

#[test]
fn details_are_an_array_of_typed_objects() {
    assert!(keybound::oauth::details::within(&Value::Array(Vec::new()), &Value::Array(Vec::new())));
}
