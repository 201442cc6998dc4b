//! Grants without a browser, and what ends a session.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Failure, ISSUER, RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

fn confidential(level: &str, method: &str) -> Value {
    json!({
        "level": level,
        "credentials": [{ "issuer": ISSUER, "client_id": "service", "secret": "s3cr:t", "method": method }],
    })
}

fn call() -> Value {
    json!({ "do": "call", "session": "work", "url": format!("{RESOURCE}/a") })
}

#[test]
fn client_credentials_by_every_way_to_authenticate() {
    for (name, method) in [
        ("credentials-basic", "client_secret_basic"),
        ("credentials-post", "client_secret_post"),
        ("credentials-chosen", "secret"),
        ("credentials-key", "private_key_jwt"),
    ] {
        // A fresh assertion on the retry: the server refuses to see one twice.
        let server = Server { nonces: true, ..Server::default() };
        let mut story =
            Story::new(name, "client credentials with a nonce retry", confidential("enhanced", method), server);
        story.discover();
        story.ok(json!({ "do": "client_credentials", "session": "work" }));
        assert_eq!(story.ok(call())["status"], 200);
        story.end();
    }
}

#[test]
fn a_secret_the_server_has_no_way_for() {
    let metadata = changes(json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] }));
    let server = Server { metadata, ..Server::default() };
    let mut story = Story::new("", "", confidential("enhanced", "secret"), server);
    story.discover();
    assert_eq!(story.err(json!({ "do": "client_credentials", "session": "work" })), "no_authentication_method");
    assert_eq!(story.player.host.keys(), 0, "the key made for it is deleted");
}

#[test]
fn client_credentials_renew_themselves() {
    let mut story = Story::new(
        "credentials-renewed",
        "an expired token is asked for again",
        confidential("enhanced", "secret"),
        Server::default(),
    );
    story.discover();
    let first = story.ok(json!({ "do": "client_credentials", "session": "work", "scope": "read" }));
    story.ok(json!({ "do": "wait", "seconds": 400 }));
    assert_eq!(story.ok(call())["status"], 200);
    let session = story.player.session(&json!({ "session": "work" }));
    assert_ne!(
        session.danger_access_token().map(|token| token.expose().to_owned()).as_deref(),
        first["access_token"].as_str()
    );
    story.end();
}

#[test]
fn a_renewal_by_client_credentials_keeps_what_was_asked() {
    let mut story = Story::new(
        "credentials-details",
        "details, audience and other parameters of the first request are sent again, by another process too",
        confidential("enhanced", "client_secret_basic"),
        Server::default(),
    );
    story.discover();
    let details = json!([{ "type": "report", "actions": ["read"] }]);
    story.ok(json!({
        "do": "client_credentials", "session": "work", "scope": "read", "authorization_details": details,
        "parameters": { "audience": "https://reports.example.com", "tenant": "7" },
    }));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "wait", "seconds": 400 }));
    assert_eq!(story.ok(call())["status"], 200);
    story.server.revoke_all();
    assert_eq!(story.ok(call())["status"], 200);
    let asked = story.server.log.iter().filter(|request| request.url.ends_with("/token")).map(|request| &request.body);
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|body| *body == asked[0]), "the same each time");
    story.end();
}

#[test]
fn client_credentials_widen_themselves() {
    let server = Server { needed_scope: Some("admin"), ..Server::default() };
    let mut story = Story::new(
        "credentials-widened",
        "insufficient_scope without a user: asked for once",
        confidential("enhanced", "secret"),
        server,
    );
    story.discover();
    story.ok(json!({ "do": "client_credentials", "session": "work", "scope": "read" }));
    assert_eq!(story.ok(call())["status"], 200);
    let session = story.player.session(&json!({ "session": "work" }));
    assert_eq!(session.scope().as_deref(), Some("read admin"));
    story.end();
}

#[test]
fn a_scope_that_is_not_granted_changes_nothing() {
    let server = Server { needed_scope: Some("admin"), ..Server::default() };
    let mut story = Story::new(
        "credentials-not-widened",
        "more scope is denied: the 403 stands, renewals go on",
        confidential("enhanced", "secret"),
        server,
    );
    story.discover();
    story.ok(json!({ "do": "client_credentials", "session": "work", "scope": "read" }));
    for _ in 0..5 {
        let denied = keybound_conformance::flow::server::answer(400, &json!({ "error": "invalid_scope" }));
        story.server.prepared.push_back(("/token", denied));
        assert_eq!(story.ok(call())["demand"], json!({ "step_up": "admin" }));
    }
    // Three attempts were made, and two of the refusals are still there.
    assert_eq!(story.server.prepared.len(), 2);
    story.server.prepared.clear();
    story.ok(json!({ "do": "refresh", "session": "work" }));
    let session = story.player.session(&json!({ "session": "work" }));
    assert_eq!(session.scope().as_deref(), Some("read"));
    story.end();
}

#[test]
fn a_device_login() {
    // R9449-5-1; the device request names the key.
    let server = Server { pending: 3, ..Server::default() };
    let mut story =
        Story::new("device", "RFC 8628 with dpop_jkt, authorization_pending and slow_down", public("enhanced"), server);
    story.discover();
    let shown = story.ok(json!({ "do": "device", "session": "tv" }));
    assert_eq!(shown["user_code"], "WDJB-MJHT");
    story.ok(json!({ "do": "poll_device" }));
    // 5 seconds each, and 10 after the server asked to slow down.
    assert_eq!(story.player.host.now.secs() - 1_700_000_000, 5 + 5 + 10 + 10);
    let asked = story.server.log.iter().find(|request| request.url.ends_with("/device")).expect("a device request");
    assert!(asked.field("dpop").is_none());
    story.end();

    let mut config = public("enhanced");
    config["push_with_proof"] = json!(true);
    let mut story = Story::new("device-proof", "the device request carries a proof", config, Server::default());
    story.discover();
    story.ok(json!({ "do": "device", "session": "tv" }));
    story.ok(json!({ "do": "poll_device" }));
    story.end();
}

#[test]
fn a_device_login_outlives_a_lost_answer() {
    let about = "the answers to two questions of a device login are lost: it is asked again, later each time";
    let server = Server { pending: 2, ..Server::default() };
    let mut story = Story::new("device-lost", about, public("enhanced"), server);
    story.discover();
    story.ok(json!({ "do": "device", "session": "tv" }));
    story.server.failures.extend([("/token", Failure::Lost), ("/token", Failure::Lost)]);
    story.ok(json!({ "do": "poll_device" }));
    assert_eq!(story.player.host.now.secs() - 1_700_000_000, 5 + 10 + 20, "later each time");
    story.end();
}

#[test]
fn exchanged_tokens_and_assertions() {
    let subject = json!({
        "do": "token_exchange", "session": "work", "subject_token": "outside",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "audience": "api",
    });
    let mut story = Story::new(
        "token-exchange",
        "RFC 8693, the new token bound to a new key",
        confidential("enhanced", "secret"),
        Server::default(),
    );
    story.discover();
    story.ok(subject.clone());
    assert_eq!(story.ok(call())["status"], 200);
    story.end();

    let mut story =
        Story::new("jwt-bearer", "RFC 7523 assertion", confidential("enhanced", "secret"), Server::default());
    story.discover();
    story.ok(json!({ "do": "jwt_bearer", "session": "work", "assertion": "a.b.c" }));
    assert_eq!(story.ok(call())["status"], 200);
    story.end();

    let grant = changes(json!({
        "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A", "refresh_token": null,
    }));
    let server = Server { token_answer: grant, ..Server::default() };
    let mut story = Story::new(
        "token-exchange-assertion",
        "an exchange for something that is no access token",
        confidential("enhanced", "secret"),
        server,
    );
    story.discover();
    let mut wanted = subject;
    wanted["do"] = json!("exchange_for");
    wanted["requested_token_type"] = json!("urn:ietf:params:oauth:token-type:id-jag");
    assert_eq!(story.ok(wanted.clone())["token_type"], "urn:ietf:params:oauth:token-type:id-jag");
    story.end();

    let grant = changes(
        json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer" }),
    );
    let server = Server { token_answer: grant, ..Server::default() };
    let mut story = Story::new("", "", confidential("enhanced", "secret"), server);
    story.discover();
    assert_eq!(story.err(wanted), "token_not_bound", "an access token that is not bound is thrown away");
}

#[test]
fn the_end_of_a_session() {
    let mut story = Story::new("end", "introspected, revoked, deleted", public("enhanced"), Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let said = story.ok(json!({ "do": "introspect", "session": "work" }));
    assert_eq!((&said["active"], &said["cnf"]["jkt"]), (&json!(true), &json!("{key-1}")));
    story.ok(json!({ "do": "end", "session": "work" }));
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    assert_eq!(story.err(call()), "login_required");
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "no_session");
    story.end();
}
