//! Whose a key is, and sessions that get another one.

use keybound::oauth::step::KeyFault;
use keybound::oauth::{Session, Sweep};
use keybound::{RUSTCRYPTO, Thumbprint};
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Failure, ISSUER, RESOURCE, Server, answer};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

/// A confidential client that logs users in.
fn confidential() -> Value {
    json!({
        "level": "enhanced",
        "redirect_uri": "https://app.example.com/callback",
        "credentials": [{ "issuer": ISSUER, "client_id": "app", "secret": "s3cret", "method": "client_secret_basic" }],
    })
}

/// The same client with a host that answers with the key of a ring.
fn with_ring(mut config: Value) -> Value {
    config["ring"] = json!(true);
    config
}

fn story(name: &'static str, about: &'static str, config: Value) -> Story {
    Story::new(name, about, config, Server::default())
}

fn logged_in(config: Value) -> Story {
    let mut story = story("", "", config);
    log_in(&mut story, json!({}));
    story
}

fn log_in(story: &mut Story, with: Value) {
    story.discover();
    let mut request = json!({ "do": "authorize", "session": "work" });
    request.as_object_mut().expect("an object").extend(with.as_object().cloned().expect("an object"));
    story.log_in(request);
}

fn call() -> Value {
    json!({ "do": "call", "session": "work", "url": format!("{RESOURCE}/a") })
}

fn rekey() -> Value {
    json!({ "do": "rekey", "session": "work" })
}

fn session(story: &Story) -> Session {
    story.player.session(&json!({ "session": "work" }))
}

fn key(story: &Story) -> Thumbprint {
    session(story).thumbprint().expect("a key")
}

fn exists(story: &Story, key: Thumbprint) -> bool {
    story.player.host.key(key).is_ok()
}

#[test]
fn a_shared_key_outlives_logins_and_sessions() {
    let config = with_ring(public("enhanced"));
    let mut story = story("key-shared", "no flow asks for the deletion of a key that sessions share", config);
    story.discover();
    // A login that the user refuses.
    story.server.redirect = json!({ "error": "access_denied", "code": null }).as_object().cloned().expect("an object");
    story.ok(json!({ "do": "authorize", "session": "work" }));
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "denied");
    story.server.redirect.clear();
    // Two sessions, one of them logged in twice under one name.
    for name in ["work", "work", "home"] {
        story.log_in(json!({ "do": "authorize", "session": name }));
    }
    story.ok(json!({ "do": "end", "session": "work" }));
    let home = json!({ "do": "call", "session": "home", "url": format!("{RESOURCE}/a") });
    assert_eq!(story.ok(home)["status"], 200);
    assert_eq!((story.player.host.created.len(), story.player.host.keys()), (1, 1));
    story.end();
}

#[test]
fn an_expired_login_does_not_take_a_shared_key_along() {
    for (config, swept) in [(with_ring(public("enhanced")), 0), (public("enhanced"), 1)] {
        let mut story = story("", "", config);
        story.discover();
        story.ok(json!({ "do": "authorize", "session": "work" }));
        let host = &story.player.host;
        let mut sweep = Sweep::new(&RUSTCRYPTO, host.now.saturating_add(3_600));
        for (slot, stored) in host.slots() {
            sweep.stored(slot.as_str(), stored.version, Some(&stored.value), None);
        }
        let ended = sweep.finish();
        assert_eq!((ended.slots.len(), ended.keys.len()), (1, swept));
    }
}

#[test]
fn an_owner_of_a_later_version_is_not_taken_for_the_session() {
    let mut story = logged_in(with_ring(public("enhanced")));
    let text = story.player.host.stored("session/work").expect("a session");
    let edited = text.replace("\"owner\":\"host\"", "\"owner\":\"fleet\"");
    assert_ne!(edited, text);
    story.player.host.overwrite("session/work", &edited);
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "stored_malformed");
    // One from before there were owners has a key of its own.
    story.player.host.overwrite("session/work", &text.replace("\"owner\":\"host\",", ""));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "end", "session": "work" }));
    assert_eq!(story.player.host.keys(), 0);
}

#[test]
fn client_credentials_get_a_new_key() {
    let config = json!({
        "level": "enhanced",
        "ring": true,
        "credentials": [{ "issuer": ISSUER, "client_id": "service", "secret": "s3cr:t", "method": "secret" }],
    });
    let about =
        "a key ring that rotates reaches a session of client credentials, and asks for nothing while it has not";
    let mut story = story("rekey-credentials", about, config);
    story.discover();
    story.ok(json!({ "do": "client_credentials", "session": "work" }));
    let old = key(&story);
    let before = story.server.log.len();
    story.ok(rekey());
    assert_eq!((key(&story), story.server.log.len()), (old, before), "the ring has not rotated");
    story.ok(json!({ "do": "rotate" }));
    story.ok(rekey());
    assert_ne!(key(&story), old);
    assert_eq!(story.ok(call())["status"], 200);
    // It is stored, and the ring's earlier key is the ring's to delete.
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_ne!(key(&story), old);
    assert!(exists(&story, old));
    story.end();
}

#[test]
fn a_confidential_client_gets_a_new_key_by_its_refresh_token() {
    // R9449-5-10.
    let mut story = story(
        "rekey-confidential",
        "a refresh with a proof of a new key; the old key is deleted after the session is stored",
        confidential(),
    );
    log_in(&mut story, json!({}));
    let old = key(&story);
    story.ok(rekey());
    assert_eq!((exists(&story, old), exists(&story, key(&story))), (false, true));
    assert_eq!(story.ok(call())["status"], 200);
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    assert_eq!(story.player.host.keys(), 1);
    story.end();
}

#[test]
fn a_public_client_keeps_its_key_until_a_new_login() {
    // R9449-5-7.
    let mut story =
        story("rekey-public", "the refresh token of a public client works with its key alone", public("enhanced"));
    log_in(&mut story, json!({}));
    let before = story.server.log.len();
    assert_eq!(story.err(rekey()), "key_not_replaceable");
    assert_eq!((story.server.log.len(), story.player.host.created.len()), (before, 1));
    assert_eq!(story.ok(call())["status"], 200);
    story.end();
}

#[test]
fn sessions_whose_key_cannot_be_replaced_say_why() {
    let intent = json!({ "intent": [{ "type": "payment" }], "intent_lifetime": 60 });
    for (config, with, why) in [
        (confidential(), json!({ "provisional": true }), "provisional"),
        (public("standard"), json!({}), "not bound to a key"),
        (public("enhanced"), json!({}), "log in again"),
        (confidential(), intent, "its intent"),
    ] {
        let mut story = story("", "", config);
        if with.get("intent").is_some() {
            story.server.refresh_tokens = false;
        }
        log_in(&mut story, with);
        let error = story.perform(rekey()).expect_err("a session that keeps its key");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_refused_key_leaves_the_session_as_it_was() {
    for (status, error) in [(400, "invalid_grant"), (400, "invalid_dpop_proof"), (401, "invalid_client"), (503, "")] {
        let mut story = logged_in(confidential());
        let old = key(&story);
        story.server.prepared.push_back(("/token", answer(status, &json!({ "error": error }))));
        story.perform(rekey()).expect_err("a refusal");
        assert_eq!((key(&story), story.player.host.keys()), (old, 1), "{error}: the new key is deleted");
        assert_eq!(story.ok(call())["status"], 200, "{error}");
        story.ok(rekey());
        assert_ne!(key(&story), old);
    }
}

#[test]
fn an_answer_with_an_unbound_token_is_refused() {
    let mut story = logged_in(confidential());
    let old = key(&story);
    story.server.token_type = "Bearer";
    assert_eq!(story.err(rekey()), "token_not_bound");
    assert_eq!((key(&story), story.player.host.keys()), (old, 1));
    assert_eq!(story.ok(call())["status"], 200);
}

#[test]
fn a_lost_answer_costs_the_new_key_and_no_more() {
    let mut story = logged_in(confidential());
    let old = key(&story);
    story.server.failures.push_back(("/token", Failure::Lost));
    assert_eq!(story.err(rekey()), "host");
    assert_eq!((key(&story), story.player.host.keys()), (old, 1));
    assert_eq!(story.ok(call())["status"], 200, "the access token is good until it ends");
}

#[test]
fn a_key_is_deleted_only_after_its_successor_is_stored() {
    let mut story = logged_in(confidential());
    let old = key(&story);
    story.player.host.broken_store = true;
    assert_eq!(story.err(rekey()), "host");
    assert!(exists(&story, old) && exists(&story, key(&story)), "a crash now leaves a session with its key");
    story.player.host.broken_store = false;
    assert_eq!(story.ok(call())["status"], 200);
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_ne!(key(&story), old);
    assert_eq!(story.ok(call())["status"], 200);
}

#[test]
fn another_process_goes_on_with_the_key_that_replaced_its_own() {
    let mut story = logged_in(confidential());
    let stale = session(&story);
    // Another handle of the same stored session, as another process has it.
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(rekey());
    let new = key(&story);
    story.player.sessions.insert("work".into(), stale);
    assert_ne!(key(&story), new);
    let before = story.server.log.len();
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!((key(&story), story.server.log.len()), (new, before + 1), "by the stored session, without a refresh");
}

#[test]
fn two_processes_that_replace_one_key_have_one_new_key() {
    let mut story = logged_in(confidential());
    let stale = session(&story);
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(rekey());
    let (new, before) = (key(&story), story.server.log.len());
    story.player.sessions.insert("work".into(), stale);
    story.ok(rekey());
    assert_eq!((key(&story), story.player.host.keys(), story.server.log.len()), (new, 1, before));
}

#[test]
fn a_key_that_is_gone_for_good_is_an_error_after_one_look() {
    let mut story = logged_in(confidential());
    story.player.host.fault = Some(|| KeyFault::Missing);
    assert_eq!(story.err(call()), "key_missing");
    // What was stored meanwhile does not help.
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(story.err(call()), "key_missing");
}

#[test]
fn a_session_that_was_ended_is_not_given_a_key() {
    let mut story = logged_in(confidential());
    let stale = session(&story);
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "end", "session": "work" }));
    story.player.sessions.insert("work".into(), stale);
    assert_eq!(story.err(rekey()), "login_required");
    assert_eq!(story.player.host.keys(), 0);
}

#[test]
fn a_call_of_a_session_that_went_with_its_key_names_the_key() {
    let mut story = logged_in(confidential());
    let stale = session(&story);
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "end", "session": "work" }));
    story.player.sessions.insert("work".into(), stale);
    assert_eq!(story.err(call()), "key_missing");
}
