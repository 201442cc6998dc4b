//! Registrations for a redirect on this machine, whose port changes with every start.

use keybound::http::message::{Body, Request};
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::repeating;
use keybound_conformance::flow::operations::client;
use keybound_conformance::flow::seen::Names;
use keybound_conformance::flow::server::{RESOURCE, Server, answer};
use serde_json::{Value, json};

const SLOT: &str = "registration/https://as.example.com";

/// A client that registers itself and is called back here.
fn registering(redirect_uri: &str) -> Value {
    json!({ "level": "enhanced", "redirect_uri": redirect_uri, "register": { "client_name": "Story" } })
}

fn begun(name: &'static str, about: &'static str, redirect_uri: &str) -> Story {
    let mut story = Story::new(name, about, registering(redirect_uri), Server::default());
    story.discover();
    story
}

/// The same program started again, called back at another place.
fn restarted(story: &mut Story, redirect_uri: &str) {
    story.player.client =
        client(&registering(redirect_uri), &repeating(), &mut story.player.host, &mut Names::default());
}

fn log_in(session: &str) -> Value {
    json!({ "do": "authorize", "session": session })
}

/// The redirect URIs of each registration.
fn registered(story: &Story) -> Vec<Value> {
    let asked = |request: &&Request| request.url.ends_with("/register");
    let body = |request: &Request| match &request.body {
        Body::Bytes(bytes) => serde_json::from_slice::<Value>(bytes).expect("JSON")["redirect_uris"].clone(),
        _ => panic!("a registration has a body"),
    };
    story.server.log.iter().filter(asked).map(body).collect()
}

/// The identifier that the next registration gives.
fn gives(story: &mut Story, id: &str) {
    story.server.prepared.push_back(("/register", answer(201, &json!({ "client_id": id }))));
}

fn refuses(story: &mut Story, error: &str) {
    story.server.prepared.push_back(("/register", answer(400, &json!({ "error": error }))));
}

#[test]
fn a_loopback_redirect_is_registered_without_its_port() {
    let about = "a redirect on 127.0.0.1 is registered without its port, and good for any";
    let mut story = begun("registration-loopback", about, "http://127.0.0.1:4711/callback");
    let session = story.log_in(log_in("work"));
    assert_eq!(registered(&story), [json!(["http://127.0.0.1/callback"])]);
    story.end();

    let mut story = begun("", "", "http://127.0.0.1:4711/callback");
    story.log_in(log_in("work"));
    restarted(&mut story, "http://127.0.0.1:4712/callback");
    story.log_in(log_in("other"));
    assert_eq!(registered(&story).len(), 1, "another port needs no other registration");
    assert_eq!(story.ok(json!({ "do": "open", "session": "work" }))["issuer"], session["issuer"]);
}

#[test]
fn what_is_not_a_loopback_address_keeps_its_port() {
    for (redirect_uri, expected) in [
        ("http://[::1]:4711/callback", "http://[::1]/callback"),
        ("http://localhost:4711/callback", "http://localhost:4711/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback"),
        ("https://127.0.0.1:8443/callback", "https://127.0.0.1:8443/callback"),
        ("https://app.example.com:8443/callback", "https://app.example.com:8443/callback"),
        ("com.example.app:/callback", "com.example.app:/callback"),
    ] {
        let mut story = begun("", "", redirect_uri);
        story.ok(log_in("work"));
        assert_eq!(registered(&story), [json!([expected])]);
    }
}

#[test]
fn a_server_that_wants_the_port_is_told_it() {
    let about = "a server that refuses the redirect without a port is told the port";
    let mut story = begun("registration-port", about, "http://127.0.0.1:4711/callback");
    refuses(&mut story, "invalid_redirect_uri");
    story.log_in(log_in("work"));
    story.log_in(log_in("work"));
    let exact = |port: u16| json!([format!("http://127.0.0.1:{port}/callback")]);
    assert_eq!(registered(&story), [json!(["http://127.0.0.1/callback"]), exact(4711)]);
    story.end();

    let mut story = begun("", "", "http://127.0.0.1:4711/callback");
    refuses(&mut story, "invalid_client_metadata");
    gives(&mut story, "first");
    story.log_in(log_in("work"));
    // Another port: the registration is renewed before it is used, and the server asked in the way that it takes.
    restarted(&mut story, "http://127.0.0.1:4712/callback");
    gives(&mut story, "second");
    story.log_in(log_in("other"));
    assert_eq!(registered(&story)[1..], [exact(4711), exact(4712)]);
    // The session of the first registration goes on with it.
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    let Some(Request { body: Body::Bytes(form), .. }) = story.server.log.last() else { panic!("a form") };
    assert!(String::from_utf8_lossy(form).contains("client_id=first"));
    assert_eq!(story.ok(json!({ "do": "call", "session": "work", "url": RESOURCE }))["status"], 200);
}

#[test]
fn a_registration_that_is_refused_either_way_is_an_error() {
    let mut story = begun("", "", "http://127.0.0.1:4711/callback");
    refuses(&mut story, "invalid_client_metadata");
    refuses(&mut story, "invalid_client_metadata");
    assert_eq!(story.err(log_in("work")), "denied");
    assert_eq!(registered(&story).len(), 2);
    // Nothing but a refusal is answered by another try.
    let mut story = begun("", "", "http://127.0.0.1:4711/callback");
    story.server.prepared.push_back(("/register", answer(403, &json!({ "error": "access_denied" }))));
    assert_eq!(story.err(log_in("work")), "denied");
    assert_eq!(registered(&story).len(), 1);
}

#[test]
fn a_server_that_refuses_the_port_later_is_told_it_then() {
    for refusal in [
        json!({ "error": "invalid_redirect_uri" }),
        json!({ "error": "invalid_request", "error_description": "Invalid parameter: redirect_uri" }),
    ] {
        let mut story = begun("", "", "http://127.0.0.1:4711/callback");
        story.server.prepared.push_back(("/par", answer(400, &refusal)));
        story.log_in(log_in("work"));
        assert_eq!(registered(&story)[1..], [json!(["http://127.0.0.1:4711/callback"])]);
        // It is told once: a second refusal stands.
        story.server.prepared.push_back(("/par", answer(400, &refusal)));
        assert_eq!(story.err(log_in("work")), "denied");
        assert_eq!(registered(&story).len(), 2);
    }
}

#[test]
fn a_session_whose_server_lost_its_clients_has_ended_for_every_process() {
    let mut story = begun("", "", "https://app.example.com/callback");
    gives(&mut story, "first");
    story.log_in(log_in("work"));
    story.server.prepared.push_back(("/token", answer(401, &json!({ "error": "invalid_client" }))));
    assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "login_required");
    let stored: Value = serde_json::from_str(&story.player.host.stored("session/work").expect("one")).expect("JSON");
    assert!(stored.get("token").is_none() && stored.get("refresh_token").is_none(), "{stored}");
    restarted(&mut story, "https://app.example.com/callback");
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "login_required");
}

#[test]
fn a_registration_for_another_place_is_renewed() {
    for other in ["https://app.example.com/other", "https://www.example.com/callback", "http://127.0.0.1:4711/callback"]
    {
        let mut story = begun("", "", "https://app.example.com/callback");
        gives(&mut story, "first");
        story.log_in(log_in("work"));
        restarted(&mut story, other);
        gives(&mut story, "second");
        let sent = story.ok(log_in("other"));
        assert_eq!(sent["query"]["client_id"], "second");
        assert_eq!(registered(&story).len(), 2, "{other}");
    }
}

#[test]
fn a_registration_of_an_earlier_version_is_renewed_where_a_port_counts() {
    for (redirect_uri, count) in [("http://127.0.0.1:4711/callback", 2), ("https://app.example.com/callback", 1)] {
        let mut story = begun("", "", redirect_uri);
        story.log_in(log_in("work"));
        let mut stored: Value = serde_json::from_str(&story.player.host.stored(SLOT).expect("one")).expect("JSON");
        stored.as_object_mut().expect("an object").remove("redirect_uris");
        story.player.host.overwrite(SLOT, &stored.to_string());
        story.log_in(log_in("work"));
        assert_eq!(registered(&story).len(), count, "{redirect_uri}");
    }
}

#[test]
fn redirects_that_the_caller_registers_are_the_callers() {
    let mut config = registering("http://127.0.0.1:4711/callback");
    config["register"]["redirect_uris"] = json!(["http://127.0.0.1:*"]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.log_in(log_in("work"));
    story.log_in(log_in("work"));
    assert_eq!(registered(&story), [json!(["http://127.0.0.1:*"])]);
}

#[test]
fn two_processes_register_at_once() {
    // The other one stored its registration while this one waited for the answer.
    for (theirs, count) in [("http://127.0.0.1:4711/callback", 0), ("http://127.0.0.1:4712/callback", 1)] {
        let mut first = begun("", "", theirs);
        refuses(&mut first, "invalid_redirect_uri");
        gives(&mut first, "theirs");
        first.ok(log_in("work"));
        let stored = first.player.host.stored(SLOT).expect("a registration");
        let mut story = begun("", "", "http://127.0.0.1:4711/callback");
        refuses(&mut story, "invalid_redirect_uri");
        gives(&mut story, "ours");
        story.player.host.meanwhile = Some((SLOT, stored));
        let sent = story.ok(log_in("work"));
        assert_eq!(sent["query"]["client_id"], if count == 0 { "theirs" } else { "ours" });
        let kept: Value = serde_json::from_str(&story.player.host.stored(SLOT).expect("one")).expect("JSON");
        assert_eq!(kept["earlier"].as_array().map_or(0, Vec::len), count, "theirs is not lost");
    }
}
