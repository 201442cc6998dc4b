//! What is loaded is held against the configuration as what is made: edited files of sessions, logins and registrations.

use keybound::key::{KeyProtection, Signer as _};
use keybound::oauth::step::{CreatedKey, KeyOwner};
use keybound::oauth::{Client, HeldToken, Secret};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, SecurityLevel};
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::repeating;
use keybound_conformance::flow::operations::client;
use keybound_conformance::flow::seen::Names;
use keybound_conformance::flow::server::{RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::intents::story;
use super::levels::{maximum, strict};

const WORK: &str = "session/work";

fn intent() -> Value {
    json!({ "do": "authorize", "session": "work", "intent": [{ "type": "payment", "amount": "10.00" }] })
}

fn plain() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

fn edit(story: &mut Story, slot: &str, change: &dyn Fn(&mut Value)) {
    let text = story.player.host.stored(slot).expect("something stored");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut value);
    story.player.host.overwrite(slot, &value.to_string());
}

/// Another key, of this algorithm.
fn jwk(algorithm: Algorithm) -> Value {
    let key = keybound::key::soft::SoftKey::generate(algorithm, &RUSTCRYPTO).expect("a key");
    serde_json::from_str(&key.public_key().to_json()).expect("JSON")
}

/// A change to a stored value.
type Edit = Box<dyn Fn(&mut Value)>;

/// The edits that no session or login at Maximum survives.
fn edits() -> Vec<(&'static str, Edit)> {
    fn set(path: &'static [&'static str], value: Value) -> Box<dyn Fn(&mut Value)> {
        Box::new(move |stored| *path.iter().fold(stored, |at, name| &mut at[*name]) = value.clone())
    }
    vec![
        ("a lower level", set(&["level"], json!("enhanced"))),
        ("the lowest level", set(&["level"], json!("standard"))),
        ("an unknown level", set(&["level"], json!("ultra"))),
        ("a level that is no text", set(&["level"], json!(3))),
        ("a key in software", set(&["key", "protection"], json!("software"))),
        ("a key in a browser", set(&["key", "protection"], json!("browser_non_extractable"))),
        ("a key of another algorithm", set(&["key", "alg"], json!("EdDSA"))),
        (
            "a key that FAPI does not take",
            Box::new(|stored| {
                stored["key"]["jwk"] = jwk(Algorithm::Es384);
                stored["key"]["alg"] = json!("ES384");
            }),
        ),
        ("no key", Box::new(|stored| drop(stored.as_object_mut().expect("an object").remove("key")))),
        ("another issuer", set(&["server", "issuer"], json!("https://other.example.com"))),
        ("another client", set(&["client_id"], json!("other"))),
    ]
}

#[test]
fn an_edited_session_is_not_opened() {
    let mut all = edits();
    all.push(("no intent", Box::new(|stored| drop(stored.as_object_mut().expect("an object").remove("intent")))));
    all.push(("an intent for ever", Box::new(|stored| stored["intent"]["expires"] = json!(9_000_000_000_u64))));
    all.push((
        "an intent with other details",
        Box::new(|s| s["intent"]["authorization_details"] = json!([{ "type": "all" }])),
    ));
    all.push(("an intent without details", Box::new(|stored| stored["intent"]["authorization_details"] = json!([]))));
    all.push((
        "a token with other details",
        Box::new(|s| s["token"]["authorization_details"] = json!([{ "type": "all" }])),
    ));
    all.push(("a refresh token", Box::new(|stored| stored["refresh_token"] = json!("rt"))));
    for (name, change) in all {
        let mut config = maximum();
        config["accept_issuers"] = json!(["https://as.example.com"]);
        let mut story = story(config, strict());
        story.log_in(intent());
        edit(&mut story, WORK, &change);
        let reason = story.err(json!({ "do": "open", "session": "work" }));
        assert_ne!(reason, "login_required", "{name}");
        // The same when another handle of the session takes over what is stored.
    }
}

#[test]
fn an_edited_login_is_not_completed() {
    let mut all = edits();
    let gone = |name: &'static str| -> Box<dyn Fn(&mut Value)> {
        Box::new(move |stored| drop(stored.as_object_mut().expect("an object").remove(name)))
    };
    all.push(("no intent", gone("intent_lifetime")));
    all.push(("no details", gone("authorization_details")));
    for seconds in [json!(0), json!(3_601), json!(-1), json!("300"), json!(null)] {
        all.push(("an intent for too long", Box::new(move |stored| stored["intent_lifetime"] = seconds.clone())));
    }
    all.push(("a login for ever", Box::new(|stored| stored["expires"] = json!(9_000_000_000_u64))));
    for (name, change) in all {
        let mut config = maximum();
        config["accept_issuers"] = json!(["https://as.example.com"]);
        let mut story = story(config, strict());
        story.ok(intent());
        let callback = story.approve();
        let state =
            callback.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state").to_owned();
        edit(&mut story, &format!("login/{state}"), &change);
        let asked = story.server.log.len();
        story.err(json!({ "do": "exchange", "callback": callback }));
        assert_eq!(story.server.log.len(), asked, "{name}: nothing is sent");
    }
}

#[test]
fn protections_count_at_enhanced() {
    let build = |places: &'static [KeyProtection]| {
        let builder = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).protections(places);
        let builder = builder.redirect_uri("https://app.example.com/callback");
        let credentials = keybound::oauth::Credentials::public("app");
        builder.credentials("https://as.example.com", credentials).build().expect("a client")
    };
    // A session of a key in software.
    let mut story = story(public("enhanced"), Server::default());
    story.log_in(plain());
    story.player.client = build(&[KeyProtection::Hsm, KeyProtection::SecureEnclave]);
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "key_protection");
    // A login of one.
    story.player.client = build(KeyProtection::ALL);
    story.ok(plain());
    let callback = story.approve();
    story.player.client = build(&[KeyProtection::Hsm]);
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "key_protection");
    // A key that is made: what the client permits *and* what Maximum does, not all that Maximum does.
    story.player.client = build(&[KeyProtection::Software, KeyProtection::Hsm]);
    story.player.host.protection = KeyProtection::Tee;
    let mut highest = intent();
    highest["level"] = json!("maximum");
    highest["session"] = json!("other");
    assert_eq!(story.err(highest), "key_protection");
}

#[test]
fn algorithms_count_for_what_is_stored() {
    let mut story = story(public("enhanced"), Server::default());
    story.log_in(plain());
    let builder =
        Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).algorithms(AlgorithmSet::of(&[Algorithm::Ed25519]));
    story.player.client = builder
        .credentials("https://as.example.com", keybound::oauth::Credentials::public("app"))
        .build()
        .expect("a client");
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "stored_algorithm");
}

#[test]
fn a_token_from_elsewhere_is_held_against_the_level() {
    let held = |algorithm: Algorithm, protection: KeyProtection| {
        let key = keybound::key::soft::SoftKey::generate(algorithm, &RUSTCRYPTO).expect("a key");
        let key = CreatedKey { public_key: key.public_key().clone(), algorithm, protection, owner: KeyOwner::Session };
        let (token, resource) = (Secret::new("t0ken"), RESOURCE.to_owned());
        HeldToken { session: "held".into(), token, resource, key, expires_at: None }
    };
    let client = |level| Client::builder(level, &RUSTCRYPTO).build().expect("a client");
    let adopt = |level, algorithm, protection| {
        client(level).adopt(held(algorithm, protection)).map(drop).map_err(|error| error.reason())
    };
    assert_eq!(adopt(SecurityLevel::Maximum, Algorithm::Es256, KeyProtection::Hsm), Err("no_intent"));
    assert_eq!(adopt(SecurityLevel::Maximum, Algorithm::Es256, KeyProtection::Software), Err("key_protection"));
    assert_eq!(adopt(SecurityLevel::Maximum, Algorithm::Es384, KeyProtection::Hsm), Err("key_algorithm"));
    assert_eq!(adopt(SecurityLevel::Enhanced, Algorithm::Es384, KeyProtection::Software), Ok(()));
    let picky =
        Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).protections(&[KeyProtection::Hsm]).build().unwrap();
    let refused =
        picky.adopt(held(Algorithm::Es256, KeyProtection::Software)).map(drop).map_err(|error| error.reason());
    assert_eq!(refused, Err("key_protection"));
}

#[test]
fn an_unknown_stored_level_is_not_lowered() {
    for level in [json!("ultra"), json!("Maximum"), json!(null), json!(4)] {
        let mut story = story(public("enhanced"), Server::default());
        story.log_in(plain());
        edit(&mut story, WORK, &|stored| stored["level"] = level.clone());
        assert_eq!(story.err(plain()), "level_lowered", "{level}");
    }
}

#[test]
fn an_issuer_that_is_not_accepted_gets_no_login() {
    let mut config = public("enhanced");
    config["accept_issuers"] = json!(["https://other.example.com"]);
    let mut story = Story::new("", "", config, Server::default());
    story.ok(json!({ "do": "discover_issuer", "issuer": "https://as.example.com" }));
    assert_eq!(story.err(plain()), "issuer_not_accepted");
}

#[test]
fn a_session_is_not_lowered_after_its_intent() {
    let mut config = public("enhanced");
    config["protection"] = json!("hsm");
    let mut story = story(config, strict());
    let mut highest = intent();
    highest["level"] = json!("maximum");
    story.log_in(highest);
    assert_eq!(story.ok(json!({ "do": "call", "session": "work", "url": RESOURCE }))["status"], 200);
    let again = json!({ "do": "authorize", "session": "work", "again": true, "level": "enhanced" });
    assert_eq!(story.err(again), "level_lowered");
}

/// Registrations made under one store by clients of different levels.
#[test]
fn a_registration_is_not_used_at_another_level() {
    let registering = |level: &str| {
        let mut config = public(level);
        config["credentials"] = json!([]);
        config["register"] = json!({ "client_name": "Story" });
        config
    };
    for (first, second) in [("standard", "enhanced"), ("enhanced", "standard")] {
        let mut story = story(registering(first), Server::default());
        story.log_in(json!({ "do": "authorize", "session": "one" }));
        let config = registering(second);
        story.player.client = client(&config, &repeating(), &mut story.player.host, &mut Names::default());
        story.log_in(json!({ "do": "authorize", "session": "two" }));
        let asked: Vec<bool> = story
            .server
            .log
            .iter()
            .filter(|request| request.url.ends_with("/register"))
            .map(|request| match &request.body {
                keybound::http::message::Body::Bytes(bytes) => {
                    String::from_utf8_lossy(bytes).contains("\"dpop_bound_access_tokens\":true")
                }
                _ => panic!("a document"),
            })
            .collect();
        assert_eq!(asked, [first == "enhanced", second == "enhanced"], "{first}, {second}");
        // Each is known again.
        story.log_in(json!({ "do": "authorize", "session": "three" }));
        let config = registering(first);
        story.player.client = client(&config, &repeating(), &mut story.player.host, &mut Names::default());
        story.ok(json!({ "do": "open", "session": "one" }));
        let registered = story.server.log.iter().filter(|request| request.url.ends_with("/register")).count();
        assert_eq!(registered, 2);
    }
}

#[test]
fn an_edited_registration_is_not_used_at_another_level() {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["register"] = json!({ "client_name": "Story" });
    for change in [json!(false), json!(null), json!("true")] {
        let mut story = story(config.clone(), Server::default());
        story.log_in(plain());
        edit(&mut story, "registration/https://as.example.com", &|stored| {
            stored["dpop_bound_access_tokens"] = change.clone()
        });
        story.log_in(json!({ "do": "authorize", "session": "other" }));
        let registered = story.server.log.iter().filter(|request| request.url.ends_with("/register")).count();
        assert_eq!(registered, 2, "{change}");
    }
}
