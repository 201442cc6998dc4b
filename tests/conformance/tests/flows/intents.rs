//! Intents: what is asked for them, what is granted, how long they last, and what is left of them.

use keybound::oauth::step::KeyFault;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Server, answer};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::levels::{self, call, maximum};
use super::login::changes;

fn details() -> Value {
    json!([{ "type": "payment", "actions": ["send"], "locations": ["https://bank.example"], "amount": "10.00" }])
}

fn intent() -> Value {
    json!({ "do": "authorize", "session": "work", "intent": details() })
}

/// A resource with many scopes, and a server as Maximum wants it.
fn strict() -> Server {
    let resource = changes(json!({ "scopes_supported": ["read", "write", "admin"] }));
    Server { resource, ..levels::strict() }
}

pub(super) fn story(config: Value, server: Server) -> Story {
    let mut story = Story::new("", "", config, server);
    story.discover();
    story
}

/// The parameters of the last pushed request.
fn pushed(story: &Story) -> String {
    let request = story.server.log.iter().rfind(|request| request.url.ends_with("/par")).expect("a pushed request");
    let keybound::http::message::Body::Bytes(bytes) = &request.body else { panic!("a form") };
    String::from_utf8_lossy(bytes).into_owned()
}

/// What an exchange ends with if the token answer has these members.
fn granted(members: Value) -> Result<Value, &'static str> {
    let token_answer = changes(members);
    let mut story = story(maximum(), Server { token_answer, ..strict() });
    story.ok(intent());
    let callback = story.approve();
    let outcome = story.perform(json!({ "do": "exchange", "callback": callback }));
    if outcome.is_err() {
        assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    }
    outcome.map_err(|error| error.reason())
}

#[test]
fn an_intent_asks_for_no_scope_that_was_discovered() {
    let mut story = story(maximum(), strict());
    let session = story.log_in(intent());
    assert_eq!(session["scope"], Value::Null);
    assert!(!pushed(&story).contains("scope="), "{}", pushed(&story));
    let mut explicit = intent();
    explicit["scope"] = json!("read");
    story.ok(explicit);
    assert!(pushed(&story).contains("scope=read&"), "{}", pushed(&story));
}

#[test]
fn an_intent_with_a_scope_that_was_not_asked_for_is_refused() {
    assert_eq!(granted(json!({ "scope": "read write admin" })), Err("intent_scope"));
    assert!(granted(json!({ "scope": "" })).is_ok());
}

#[test]
fn details_that_grant_nothing_everything_or_twice_are_refused() {
    let change = |name: &str, value: Value| {
        let mut details = details();
        details[0][name] = value;
        json!({ "authorization_details": details })
    };
    let twice = json!([details()[0], details()[0]]);
    for members in [
        json!({ "authorization_details": [] }),
        json!({ "authorization_details": twice }),
        change("locations", json!([])),
        change("actions", json!([])),
        change("actions", json!(["send", "send"])),
    ] {
        assert_eq!(granted(members.clone()), Err("intent_exceeded"), "{members}");
    }
}

#[test]
fn the_lifetime_of_an_intent_is_a_second_to_an_hour() {
    for seconds in [0, 3_601, u64::MAX] {
        let mut story = story(maximum(), strict());
        let mut asked = intent();
        asked["intent_lifetime"] = json!(seconds);
        let before = story.server.log.len();
        assert_eq!(story.err(asked), "intent_lifetime", "{seconds}");
        assert_eq!((story.server.log.len(), story.player.host.keys()), (before, 0), "at once");
    }
    let lone =
        json!({ "do": "authorize", "session": "work", "authorization_details": details(), "intent_lifetime": 60 });
    assert_eq!(story(public("enhanced"), strict()).err(lone), "intent_lifetime", "a lifetime of no intent");
    for seconds in [1, 3_600] {
        let mut story = story(maximum(), strict());
        let mut asked = intent();
        asked["intent_lifetime"] = json!(seconds);
        story.log_in(asked);
    }
}

#[test]
fn an_intent_is_never_unbound() {
    let mut config = public("enhanced");
    config["danger_accept_bearer"] = json!(true);
    let server = Server { token_type: "Bearer", ..strict() };
    let mut story = story(config, server);
    assert_eq!(story.err(intent()), "intent_accepts_bearer");
    assert_eq!(story.player.host.keys(), 0);
}

#[test]
fn a_client_at_maximum_takes_no_bearer_option() {
    use keybound::oauth::Client;
    use keybound::{Misuse, RUSTCRYPTO, SecurityLevel};
    let built = Client::builder(SecurityLevel::Maximum, &RUSTCRYPTO).danger_accept_bearer().build();
    assert_eq!(built.map(drop), Err(Misuse::BearerAtMaximum));
}

/// Each way in which an intent ends leaves the HSM as it was.
#[test]
fn a_key_goes_when_its_intent_ends() {
    type End = fn(&mut Story);
    let ends: [(&str, End); 9] = [
        ("carried out", |story| assert_eq!(story.ok(call())["status"], 200)),
        ("refused as invalid", |story| {
            story.server.needed_scope = Some("other");
            assert_eq!(story.ok(call())["status"], 403, "the resource's nonce is known now");
            story.server.revoke_all();
            assert_eq!(story.ok(call())["demand"], "login");
        }),
        ("refused as invalid before it is sent", |story| {
            story.server.revoke_all();
            assert_eq!(story.err(call()), "login_required");
        }),
        ("its token is over", |story| {
            story.ok(json!({ "do": "wait", "seconds": 400 }));
            assert_eq!(story.err(call()), "login_required");
        }),
        ("opened too late", |story| {
            story.ok(json!({ "do": "wait", "seconds": 400 }));
            assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "login_required");
        }),
        ("refreshed too late", |story| {
            story.ok(json!({ "do": "wait", "seconds": 400 }));
            assert_eq!(story.err(json!({ "do": "refresh", "session": "work" })), "login_required");
        }),
        ("revoked", |story| drop(story.ok(json!({ "do": "revoke", "session": "work" })))),
        ("ended", |story| drop(story.ok(json!({ "do": "end", "session": "work" })))),
        ("asked for anew", |story| {
            story.log_in(intent());
            story.ok(call());
        }),
    ];
    for (name, end) in ends {
        let mut story = story(maximum(), strict());
        story.log_in(intent());
        assert_eq!(story.player.host.keys(), 1, "{name}");
        end(&mut story);
        assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None), "{name}");
        assert_eq!(story.err(call()), "login_required", "{name}");
        // Whatever is done with what is left of it asks for no key.
        story.ok(json!({ "do": "end", "session": "work" }));
        assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "no_session");
    }
}

#[test]
fn a_key_stays_while_its_intent_can_still_be_carried_out() {
    let mut story = story(maximum(), strict());
    story.log_in(intent());
    for status in [403, 409, 500, 503] {
        // The first request learns the resource's nonce.
        story.server.prepared.push_back(("/mcp", answer(status, &json!({}))));
        if status == 403 {
            let head = answer(200, &json!({}));
            story
                .server
                .prepared
                .push_front(("/mcp", keybound_conformance::flow::server::with(head, "dpop-nonce", "n")));
        }
        assert_eq!(story.ok(call())["status"], status);
        assert_eq!(story.player.host.keys(), 1, "{status}");
    }
    story.ok(json!({ "do": "open", "session": "work" }));
}

#[test]
fn the_answer_counts_although_the_key_cannot_be_deleted() {
    let mut story = story(maximum(), strict());
    story.log_in(intent());
    story.player.host.broken_store = true;
    assert_eq!(story.ok(call())["status"], 200);
    assert_eq!(story.err(call()), "host", "it is deleted by the next attempt");
    story.player.host.broken_store = false;
    assert_eq!(story.err(call()), "login_required");
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
}

#[test]
fn a_login_that_fails_leaves_no_key() {
    let logins = |change: &dyn Fn(&mut Story, &mut Value)| {
        let mut story = story(maximum(), strict());
        story.ok(intent());
        let mut callback = json!(story.approve());
        change(&mut story, &mut callback);
        let reason = story.err(json!({ "do": "exchange", "callback": callback }));
        assert_eq!(story.player.host.keys(), 0, "{reason}");
        reason
    };
    assert_eq!(logins(&|story, _| drop(story.ok(json!({ "do": "wait", "seconds": 601 })))), "login_expired");
    let state = |url: &Value| {
        let state = url.as_str().expect("a URL").split("state=").nth(1).expect("a state").split('&').next();
        state.expect("a value").to_owned()
    };
    let damaged = logins(&|story, url| {
        let name = format!("login/{}", state(url));
        let text =
            story.player.host.stored(&name).expect("a login").replace("\"level\":\"maximum\"", "\"level\":\"high\"");
        story.player.host.overwrite(&name, &text);
    });
    assert_eq!(damaged, "stored_malformed");
    let denied = logins(&|_, url| {
        let at = url.as_str().expect("a URL").split('?').next().expect("a place");
        *url = json!(format!("{at}?error=access_denied&state={}&iss=https%3A%2F%2Fas.example.com", state(url)));
    });
    assert_eq!(denied, "denied");
}

#[test]
fn a_refresh_gives_no_more_details_than_there_were() {
    let asked = json!({ "do": "authorize", "session": "work", "authorization_details": details() });
    let refresh = json!({ "do": "refresh", "session": "work" });
    let mut wider = details();
    wider[0]["amount"] = json!("1000.00");
    for more in [wider, json!([]), json!([details()[0], details()[0]])] {
        let mut story = story(public("enhanced"), Server::default());
        story.log_in(asked.clone());
        story.server.token_answer = changes(json!({ "authorization_details": more }));
        assert_eq!(story.err(refresh.clone()), "intent_exceeded", "{more}");
    }
    let mut story = story(public("enhanced"), Server::default());
    story.log_in(asked);
    story.server.token_answer = changes(json!({ "authorization_details": details() }));
    story.ok(refresh.clone());
    story.server.token_answer = changes(json!({ "authorization_details": null }));
    story.ok(refresh);
    let session = story.player.session(&json!({ "session": "work" }));
    assert!(session.authorization_details().is_some(), "a server that leaves them out means the ones there were");
}

#[test]
fn a_session_whose_old_key_cannot_be_deleted_is_a_session() {
    // The store is there, the key store is not: see `KeyFault`.
    let mut story = story(public("enhanced"), Server::default());
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.player.host.fault = Some(|| KeyFault::Missing);
    story.player.host.fault = None;
    story.log_in(json!({ "do": "authorize", "session": "work", "again": true }));
    assert_eq!(story.player.host.keys(), 1);
    assert_eq!(story.ok(call())["status"], 200);
}
