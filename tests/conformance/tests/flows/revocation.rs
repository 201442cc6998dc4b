//! The end of a session's tokens: asked for with a proof, and believed only where the server says so.

use keybound::http::message::{Request, Response};
use keybound::oauth::step::KeyFault;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Server, answer, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

fn logged_in(name: &'static str, about: &'static str, level: &str, server: Server) -> Story {
    let mut story = Story::new(name, about, public(level), server);
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story
}

fn revoke() -> Value {
    json!({ "do": "revoke", "session": "work" })
}

fn end() -> Value {
    json!({ "do": "end", "session": "work" })
}

fn said(status: u16, body: &str) -> Response {
    Response { status, fields: Vec::new(), body: body.as_bytes().to_vec() }
}

fn sent(story: &Story) -> Vec<&Request> {
    story.server.log.iter().filter(|request| request.url.ends_with("/revoke")).collect()
}

#[test]
fn a_bound_session_is_revoked_with_a_proof() {
    let about = "revocation of a bound session: a proof, a nonce that is demanded, and no ath";
    let mut story = logged_in("revoke-proof", about, "enhanced", Server::default());
    // From now on the server demands nonces.
    story.server.nonces = true;
    story.ok(revoke());
    let sent = sent(&story);
    assert_eq!(sent.len(), 3, "one more with the nonce, which serves for the second token as well");
    for request in sent {
        let proof = request.field("dpop").expect("a proof");
        let claims =
            keybound::base64url::decode(proof.split('.').nth(1).expect("claims").as_bytes()).expect("base64url");
        assert!(!String::from_utf8(claims).expect("text").contains("\"ath\""), "no token is used here");
    }
    story.end();
}

#[test]
fn an_unbound_session_is_revoked_without_one() {
    let mut story = logged_in("", "", "standard", Server::default());
    story.ok(revoke());
    assert!(sent(&story).iter().all(|request| request.field("dpop").is_none()) && sent(&story).len() == 2);
}

#[test]
fn a_session_whose_key_is_lost_is_revoked_all_the_same() {
    let mut story = logged_in("", "", "enhanced", Server::default());
    for fault in [(|| KeyFault::Missing) as fn() -> KeyFault, || KeyFault::Unreadable("locked".into())] {
        story.player.host.fault = Some(fault);
        story.ok(revoke());
        assert!(sent(&story).iter().all(|request| request.field("dpop").is_none()));
        story.player.host.fault = None;
        story.log_in(json!({ "do": "authorize", "session": "work" }));
    }
    assert_eq!(sent(&story).len(), 4);
}

#[test]
fn an_answer_that_revoked_nothing_is_no_success() {
    for (name, response, reason) in [
        ("revoke-redirected", with(said(302, ""), "location", "/login"), "answer_redirect"),
        ("revoke-page", said(200, "\n<!doctype html><title>Log in</title>"), "answer_not_json"),
        ("revoke-error-in-200", answer(200, &json!({ "error": "unsupported_token_type" })), "denied"),
        ("revoke-busy", with(said(503, ""), "retry-after", "120"), "answer_status"),
        ("", said(202, ""), "answer_status"),
        ("", said(404, "not found"), "answer_status"),
        ("", answer(400, &json!({ "error": "invalid_request" })), "denied"),
        ("", answer(401, &json!({ "error": "invalid_token" })), "denied"),
        ("", answer(400, &json!({ "error": "unsupported_token_type" })), "denied"),
    ] {
        let about = "the refresh token may still be good: said, although everything else succeeded";
        let mut story = logged_in(name, about, "enhanced", Server::default());
        story.server.prepared.push_back(("/revoke", response));
        assert_eq!(story.err(revoke()), reason);
        assert_eq!(sent(&story).len(), 2, "the access token is tried as well");
        // It can be tried again.
        story.ok(revoke());
        if !name.is_empty() {
            story.end();
        }
    }
}

#[test]
fn what_servers_say_of_a_revoked_token_is_a_success() {
    for response in [
        said(200, ""),
        said(204, ""),
        said(200, "OK"),
        said(200, "{}"),
        answer(400, &json!({ "error": "invalid_token" })),
        answer(200, &json!({ "error": "invalid_token" })),
    ] {
        let mut story = logged_in("", "", "enhanced", Server::default());
        story.server.prepared.push_back(("/revoke", response));
        // An access token that cannot be revoked ends with its refresh token.
        story.server.prepared.push_back(("/revoke", answer(400, &json!({ "error": "unsupported_token_type" }))));
        story.ok(revoke());
        assert_eq!(sent(&story).len(), 2);
    }
    let server = Server { refresh_tokens: false, ..Server::default() };
    let mut story = logged_in("", "", "enhanced", server);
    story.server.prepared.push_back(("/revoke", answer(400, &json!({ "error": "unsupported_token_type" }))));
    assert_eq!(story.err(revoke()), "denied", "nothing was revoked");
}

#[test]
fn a_session_ends_here_whatever_the_server_says() {
    let metadata = changes(json!({ "revocation_endpoint": null }));
    let about = "a server without revocation: the session is deleted, and that nothing was revoked is said";
    let mut story = logged_in("end-unrevoked", about, "enhanced", Server { metadata, ..Server::default() });
    assert_eq!(story.ok(end())["revoked"], false);
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    story.end();

    let mut story = logged_in("", "", "enhanced", Server::default());
    story.server.prepared.push_back(("/revoke", said(503, "")));
    assert_eq!(story.err(end()), "answer_status");
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
}
