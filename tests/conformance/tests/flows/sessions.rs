//! What is stored, by whom it can be opened, and what happens when storing fails.

use keybound::Misuse;
use keybound::http::message::{Body, Request};
use keybound::oauth::FlowError;
use keybound::oauth::step::KeyFault;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::{Host, repeating};
use keybound_conformance::flow::operations::client;
use keybound_conformance::flow::seen::Names;
use keybound_conformance::flow::server::{ISSUER, RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

fn logged_in(level: &str, server: Server) -> Story {
    let mut story = Story::new("", "", public(level), server);
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story
}

fn call() -> Value {
    json!({ "do": "call", "session": "work", "url": RESOURCE })
}

/// The same host with a client of another configuration.
fn configured(story: &mut Story, config: &Value) {
    story.player.client = client(config, &repeating(), &mut story.player.host, &mut Names::default());
}

#[test]
fn a_stored_session_goes_on() {
    let mut story = Story::new(
        "session-opened",
        "opened again: tokens, nonces and key are where they were",
        public("enhanced"),
        Server { nonces: true, api_nonces: true, ..Server::default() },
    );
    story.discover();
    let before = story.log_in(json!({ "do": "authorize", "session": "work" }));
    let after = story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(before, after);
    assert_eq!(story.ok(call())["status"], 200);
    story.end();
}

#[test]
fn a_registered_client_is_known_again_without_being_told() {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["register"] = json!({ "client_name": "Story" });
    let mut story = Story::new("", "", config.clone(), Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    // The part of the program that calls says nothing about registration: it only opens the session.
    configured(&mut story, &json!({ "level": "enhanced" }));
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(story.ok(call())["status"], 200);
    story.server.revoke_all();
    assert_eq!(story.ok(call())["status"], 200, "it refreshes as well");
}

#[test]
fn nonces_are_stored_with_the_session() {
    let mut story = logged_in("enhanced", Server { nonces: true, ..Server::default() });
    // Another process knows nothing but what is stored.
    configured(&mut story, &public("enhanced"));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    let asked = story.server.log.iter().filter(|request| request.url.ends_with("/token")).count();
    assert_eq!(asked, 3, "two for the login, and one for the refresh: its nonce was stored");
}

#[test]
fn a_resources_nonce_is_there_for_the_next_once_it_is_kept() {
    let mut story = logged_in("enhanced", Server { api_nonces: true, ..Server::default() });
    assert_eq!(story.ok(call())["status"], 200);
    story.ok(json!({ "do": "keep", "session": "work" }));
    configured(&mut story, &public("enhanced"));
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(story.ok(call())["status"], 200);
    let asked = story.server.log.iter().filter(|request| request.url == RESOURCE).count();
    assert_eq!(asked, 3, "two for the first call, one for the second");
}

#[test]
fn keeping_never_overwrites_what_another_process_stored() {
    let mut story = logged_in("enhanced", Server { api_nonces: true, ..Server::default() });
    let (ours, own_client) = (story.player.session(&call()), story.player.client.clone());
    configured(&mut story, &public("enhanced"));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    let stored = story.player.host.stored("session/work");
    let step = own_client.keep(&ours, story.player.host.now).expect("a flow");
    let keybound::oauth::Step::Save(save) = step else { panic!("{}", step.name()) };
    let saved = story.player.host.save(save.slot(), save.expected(), save.version(), save.value());
    assert!(matches!(save.resume(saved, story.player.host.now), Ok(keybound::oauth::Step::Done(()))));
    assert_eq!(story.player.host.stored("session/work"), stored);
}

#[test]
fn a_session_is_used_with_its_own_client_alone() {
    let mut story = logged_in("enhanced", Server::default());
    let (session, own_client) = (story.player.session(&call()), story.player.client.clone());
    let tokens = session.danger_access_token();
    // The other store has a session of the same name, server and account.
    let others = Host::new(repeating(), story.player.host.now);
    let own_host = std::mem::replace(&mut story.player.host, others);
    let own_server = std::mem::take(&mut story.server);
    configured(&mut story, &public("enhanced"));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let (stored, asked) = (story.player.host.stored("session/work"), story.server.log.len());

    let (other, now) = (story.player.client.clone(), story.player.host.now);
    let request =
        Request { method: "GET".into(), url: RESOURCE.into(), fields: Vec::new(), body: Body::Bytes(Vec::new()) };
    for (what, outcome) in [
        ("call", other.call(&session, request, now).err()),
        ("refresh", other.refresh(&session, now).err()),
        ("rekey", other.rekey(&session, now).err()),
        ("step up", other.step_up(&session, "write", now).err()),
        ("keep", other.keep(&session, now).err()),
        ("revoke", other.revoke(&session, now).err()),
        ("end", other.end(&session, now).err()),
    ] {
        assert!(matches!(outcome, Some(FlowError::Misuse(Misuse::ForeignSession))), "{what}: {outcome:?}");
    }
    assert_eq!((story.player.host.stored("session/work"), story.server.log.len()), (stored, asked));
    assert_eq!(session.danger_access_token(), tokens, "nothing is taken from it");

    (story.player.host, story.player.client, story.server) = (own_host, own_client, own_server);
    story.player.sessions.insert("work".into(), session);
    story.ok(json!({ "do": "end", "session": "work" }));
    let revoked = story.server.log.iter().filter(|request| request.url.ends_with("/revoke")).count();
    assert_eq!((revoked, story.player.host.stored("session/work")), (2, None), "its own client ends it");
}

#[test]
fn a_session_of_a_server_on_this_machine_says_which_permission_it_needs() {
    let mut story = logged_in("enhanced", Server::default());
    let stored = story.player.host.stored("session/work").expect("a session");
    story.player.host.overwrite("session/work", &stored.replace(ISSUER, "http://127.0.0.1:8080"));
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "stored_loopback");
}

#[test]
fn sessions_of_others_are_not_opened() {
    let open = json!({ "do": "open", "session": "work" });
    let change = |change: &dyn Fn(&mut Value)| {
        let mut config = public("enhanced");
        change(&mut config);
        config
    };
    for (reason, config) in [
        ("stored_client", change(&|c| c["credentials"] = json!([{ "issuer": ISSUER, "client_id": "other" }]))),
        ("stored_issuer", change(&|c| c["accept_issuers"] = json!(["https://other.example.com"]))),
        ("stored_level", change(&|c| c["level"] = json!("maximum"))),
    ] {
        let mut story = logged_in("enhanced", Server::default());
        configured(&mut story, &config);
        assert_eq!(story.err(open.clone()), reason);
    }
    let mut story = logged_in("standard", Server::default());
    configured(&mut story, &public("enhanced"));
    assert_eq!(story.err(open), "stored_level");
}

#[test]
fn damaged_sessions_are_not_opened() {
    for (from, to, reason) in [
        ("{\"v\":1", "{\"v\":3", "stored_version"),
        ("{\"v\":1", "{\"v\":\"1\"", "stored_malformed"),
        ("{\"v\":1", "", "stored_malformed"),
        ("\"level\":\"enhanced\"", "\"level\":\"standard\"", "stored_level"),
        ("\"level\":\"enhanced\"", "\"level\":\"high\"", "stored_malformed"),
        ("\"alg\":\"ES256\"", "\"alg\":\"Ed25519\"", "stored_malformed"),
    ] {
        let mut story = logged_in("enhanced", Server::default());
        let text = story.player.host.stored("session/work").expect("a session");
        assert!(text.contains(from), "{from} in {text}");
        story.player.host.overwrite("session/work", &text.replace(from, to));
        assert_eq!(story.err(json!({ "do": "open", "session": "work" })), reason, "{to}");
    }
}

#[test]
fn a_stored_endpoint_without_encryption_gets_no_refresh_token() {
    let mut story = logged_in("enhanced", Server::default());
    let text = story.player.host.stored("session/work").expect("a session");
    let edited = text.replace("https://as.example.com/token", "http://as.example.com/token");
    assert_ne!(edited, text);
    story.player.host.overwrite("session/work", &edited);
    story.ok(json!({ "do": "open", "session": "work" }));
    let before = story.server.log.len();
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "metadata_url");
    assert_eq!(story.server.log.len(), before, "nothing was sent");
}

#[test]
fn no_private_key_is_stored_and_nothing_is_shown() {
    let story = logged_in("enhanced", Server::default());
    let text = story.player.host.stored("session/work").expect("a session");
    assert!(text.contains("\"refresh_token\":\"rt-"), "{text}");
    assert!(!text.contains("\"d\":"), "no private key in {text}");
    let session = story.player.session(&json!({ "session": "work" }));
    let shown = format!("{session:?} {:?}", story.player.client);
    assert!(!shown.contains("at-") && !shown.contains("rt-"), "{shown}");
}

#[test]
fn lost_changed_and_unreadable_keys_are_three_errors() {
    for (fault, reason) in [
        ((|| KeyFault::Missing) as fn() -> KeyFault, "key_missing"),
        (|| KeyFault::Changed, "key_changed"),
        (|| KeyFault::Unreadable("locked".into()), "key_unreadable"),
    ] {
        let mut story = logged_in("enhanced", Server::default());
        story.player.host.fault = Some(fault);
        assert_eq!(story.err(call()), reason);
        story.player.host.fault = None;
        assert_eq!(story.ok(call())["status"], 200, "the session is as it was");
    }
}

#[test]
fn a_refresh_token_that_could_not_be_stored_is_not_lost() {
    let mut story = logged_in("enhanced", Server::default());
    story.player.host.broken_store = true;
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "host");
    let known = story.player.host.stored("session/work").expect("a session");
    assert_eq!(story.err(call()), "host", "it is not used before it is stored");
    story.player.host.broken_store = false;
    assert_eq!(story.ok(call())["status"], 200);
    assert_ne!(story.player.host.stored("session/work").expect("a session"), known);
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
}

#[test]
fn what_another_process_refreshed_is_taken_over() {
    // R9700-2.2.2.
    let mut story = logged_in("enhanced", Server::default());
    let ours = story.player.session(&json!({ "session": "work" }));
    // Another handle of the same stored session, as another process has it.
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    let theirs = story.player.session(&json!({ "session": "work" })).danger_access_token();
    story.player.sessions.insert("work".into(), ours.clone());
    let before = story.server.log.iter().filter(|request| request.url.ends_with("/token")).count();
    story.ok(json!({ "do": "refresh", "session": "work" }));
    assert_eq!(ours.danger_access_token(), theirs);
    let after = story.server.log.iter().filter(|request| request.url.ends_with("/token")).count();
    assert_eq!(before, after, "the refresh token is redeemed once");
}

#[test]
fn a_session_that_another_process_ended() {
    let mut story = logged_in("enhanced", Server::default());
    let ours = story.player.session(&json!({ "session": "work" }));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "end", "session": "work" }));
    story.player.sessions.insert("work".into(), ours);
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "login_required");
}
