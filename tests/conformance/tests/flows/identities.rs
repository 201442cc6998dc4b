//! ID tokens (OpenID Connect Core 1.0): checked at a login and at each refresh where they were asked for.

use keybound::Crypto;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::repeating;
use keybound_conformance::flow::identity::{at_hash, claims, key_set, signed};
use keybound_conformance::flow::operations::client;
use keybound_conformance::flow::seen::Names;
use keybound_conformance::flow::server::{Failure, ISSUER, Server, answer, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

const NONCE: &str = "n-0S6_WzA2Mj";

/// A server whose keys can be fetched once for each of `fetches`, and whose token responses have this ID token.
fn story(name: &'static str, about: &'static str, fetches: usize, id_token: &Value) -> Story {
    let mut server = Server { metadata: changes(json!({ "jwks_uri": format!("{ISSUER}/jwks") })), ..Server::default() };
    server.prepared.extend((0..fetches).map(|_| ("/jwks", answer(200, &key_set()))));
    server.token_answer = changes(json!({ "id_token": id_token }));
    let mut story = Story::new(name, about, public("enhanced"), server);
    story.discover();
    story
}

/// The claims of a login with the usual nonce.
fn of_login(more: Value) -> Value {
    let mut all = json!({ "nonce": NONCE });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!(signed(&claims(&all)))
}

fn authorize() -> Value {
    json!({ "do": "authorize", "session": "work", "scope": "openid read", "parameters": { "nonce": NONCE } })
}

fn refresh() -> Value {
    json!({ "do": "refresh", "session": "work" })
}

fn subject(story: &mut Story) -> Value {
    story.ok(json!({ "do": "look", "session": "work" }))["subject"]["sub"].clone()
}

fn fetched_keys(story: &Story) -> usize {
    story.server.log.iter().filter(|request| request.url.ends_with("/jwks")).count()
}

/// The reason for which a login is refused, which leaves nothing behind.
fn refused(story: &mut Story) -> &'static str {
    story.ok(authorize());
    let callback = story.approve();
    let reason = story.err(json!({ "do": "exchange", "callback": callback }));
    assert_eq!((story.player.host.keys(), story.player.host.stored("session/work")), (0, None));
    reason
}

#[test]
fn a_session_says_whose_it_is_by_its_id_token() {
    let about = "the ID token of a login and those of its refreshes are checked; the first one's signature with the issuer's keys";
    let mut story = story("id-token", about, 1, &of_login(json!({ "at_hash": at_hash("at-3") })));
    story.log_in(authorize());
    assert_eq!((subject(&mut story), fetched_keys(&story)), (json!("alice"), 1));
    story.ok(json!({ "do": "open", "session": "work" }));
    let renewed = claims(&json!({ "iat": 1_700_000_400, "exp": 1_700_000_700, "at_hash": at_hash("at-4") }));
    story.server.token_answer = changes(json!({ "id_token": signed(&renewed) }));
    story.ok(json!({ "do": "wait", "seconds": 400 }));
    story.ok(refresh());
    assert_eq!((subject(&mut story), fetched_keys(&story)), (json!("alice"), 1));
    // A refresh need not bring one (section 12.2).
    story.server.token_answer = changes(json!({}));
    story.ok(refresh());
    assert_eq!(subject(&mut story), "alice");
    story.end();
}

#[test]
fn a_login_on_another_device_says_so_too() {
    let about = "the ID token of a login on another device, which has no nonce";
    let mut story = story("id-token-device", about, 1, &json!(signed(&claims(&json!({ "aud": ["app"] })))));
    story.ok(json!({ "do": "device", "session": "work", "scope": "openid" }));
    story.ok(json!({ "do": "poll_device" }));
    assert_eq!((subject(&mut story), fetched_keys(&story)), (json!("alice"), 1));
    story.end();
}

#[test]
fn a_refresh_that_brings_another_accounts_is_refused() {
    let about = "the ID token of a refresh is another account's: nothing is stored";
    let mut story = story("id-token-refresh", about, 1, &of_login(json!({})));
    story.log_in(authorize());
    let stored = story.player.host.stored("session/work");
    story.server.token_answer = changes(json!({ "id_token": signed(&claims(&json!({ "sub": "mallory" }))) }));
    assert_eq!(story.err(refresh()), "subject_mismatch");
    assert_eq!(story.player.host.stored("session/work"), stored);
    story.end();
}

#[test]
fn a_refresh_that_brings_a_bad_one_is_refused() {
    for (more, reason) in [
        (json!({ "iss": "https://evil.example" }), "id_token_issuer_mismatch"),
        (json!({ "aud": "api" }), "id_token_audience_mismatch"),
        (json!({ "azp": "api" }), "id_token_azp_mismatch"),
        (json!({ "exp": 1_699_999_000 }), "id_token_expired"),
        (json!({ "at_hash": at_hash("another") }), "id_token_at_hash_mismatch"),
    ] {
        let mut story = story("", "", 1, &of_login(json!({})));
        story.log_in(authorize());
        let stored = story.player.host.stored("session/work");
        story.server.token_answer = changes(json!({ "id_token": signed(&claims(&more)) }));
        assert_eq!(story.err(refresh()), reason);
        assert_eq!(story.player.host.stored("session/work"), stored);
    }
}

#[test]
fn one_of_another_login_is_refused() {
    let about = "an ID token with another nonce than was sent: nothing is stored, and no key is fetched";
    let mut story = story("id-token-nonce", about, 0, &of_login(json!({ "nonce": "another" })));
    assert_eq!((refused(&mut story), fetched_keys(&story)), ("id_token_nonce_mismatch", 0));
    story.end();
}

#[test]
fn one_without_a_signature_is_refused() {
    let token = of_login(json!({}));
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    let none = format!("{}.{payload}.", keybound::base64url::encode(br#"{"alg":"none"}"#));
    let mut story = story("id-token-none", "an ID token without a signature", 0, &json!(none));
    assert_eq!((refused(&mut story), fetched_keys(&story)), ("id_token_algorithm", 0));
    story.end();
}

#[test]
fn one_that_is_signed_with_another_key_is_refused() {
    let mut token = of_login(json!({})).as_str().unwrap().to_owned();
    // The last but one character: all of its bits count.
    let end = token.len() - 2;
    let other = if token.as_bytes()[end] == b'A' { "B" } else { "A" };
    token.replace_range(end..=end, other);
    assert_eq!(refused(&mut story("", "", 1, &json!(token))), "id_token_signature_invalid");
    let mut unknown = story("", "", 0, &of_login(json!({})));
    unknown.server.prepared.push_back(("/jwks", answer(200, &json!({ "keys": [] }))));
    assert_eq!(refused(&mut unknown), "id_token_key_unknown");
}

#[test]
fn one_whose_keys_cannot_be_read_is_refused() {
    let good = of_login(json!({}));
    let mut missing = story("", "", 0, &good);
    assert_eq!((refused(&mut missing), fetched_keys(&missing)), ("id_token_keys_unavailable", 1));
    let mut nowhere = story("", "", 0, &good);
    nowhere.server.metadata.clear();
    nowhere.discover();
    assert_eq!(refused(&mut nowhere), "id_token_keys_unavailable");
    let mut garbled = story("", "", 0, &good);
    garbled.server.prepared.push_back(("/jwks", answer(200, &json!([]))));
    assert_eq!(refused(&mut garbled), "id_token_keys_unavailable");
    let mut lost = story("", "", 3, &good);
    lost.server.failures.extend((0..3).map(|_| ("/jwks", Failure::Lost)));
    assert_eq!((refused(&mut lost), fetched_keys(&lost)), ("id_token_keys_unavailable", 3));
    // One lost answer is asked for again.
    let mut again = story("", "", 2, &good);
    again.server.failures.push_back(("/jwks", Failure::Lost));
    again.log_in(authorize());
    assert_eq!(subject(&mut again), "alice");
}

#[test]
fn a_build_that_cannot_verify_checks_everything_else() {
    let crypto = Crypto { verifiers: &[], ..repeating() };
    for (more, outcome) in [
        (json!({}), None),
        (json!({ "nonce": null }), Some("id_token_nonce_mismatch")),
        (json!({ "aud": "api" }), Some("id_token_audience_mismatch")),
        (json!({ "exp": 1_699_999_000 }), Some("id_token_expired")),
    ] {
        let mut story = story("", "", 0, &of_login(more));
        story.player.client = client(&public("enhanced"), &crypto, &mut story.player.host, &mut Names::default());
        match outcome {
            None => {
                story.log_in(authorize());
                assert_eq!(subject(&mut story), "alice");
            }
            Some(reason) => assert_eq!(refused(&mut story), reason),
        }
        assert_eq!(fetched_keys(&story), 0);
    }
}

#[test]
fn a_login_that_asks_who_the_user_is_sends_a_nonce() {
    let mut story = story("", "", 0, &Value::Null);
    story.ok(json!({ "do": "authorize", "session": "work", "scope": "read" }));
    let sent = |story: &Story| {
        let pushed = story.server.log.iter().rfind(|request| request.url.ends_with("/par")).unwrap();
        let keybound::http::message::Body::Bytes(bytes) = &pushed.body else { panic!("a form") };
        let form = keybound::http::form::Form::parse(bytes).unwrap();
        form.get("nonce").unwrap().map(str::to_owned)
    };
    assert_eq!(sent(&story), None);
    let mut seen = Vec::new();
    for _ in 0..2 {
        story.ok(json!({ "do": "authorize", "session": "work", "scope": "read openid" }));
        let nonce = sent(&story).unwrap();
        assert!(nonce.len() == 43 && !seen.contains(&nonce));
        story.server.prepared.push_back(("/jwks", answer(200, &key_set())));
        story.server.token_answer = changes(json!({ "id_token": signed(&claims(&json!({ "nonce": nonce }))) }));
        let callback = story.approve();
        story.ok(json!({ "do": "exchange", "callback": callback }));
        assert_eq!(subject(&mut story), "alice");
        seen.push(nonce);
    }
}

#[test]
fn one_that_was_not_asked_for_is_not_looked_at() {
    let mut story = story("", "", 0, &json!("a.b.c"));
    story.log_in(json!({ "do": "authorize", "session": "work", "scope": "read" }));
    story.ok(refresh());
    assert_eq!((subject(&mut story), fetched_keys(&story)), (Value::Null, 0));
    // Nor one that comes with a token for which no user has logged in here.
    let exchange = json!({
        "do": "token_exchange", "session": "work", "scope": "openid", "subject_token": "t",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    story.ok(exchange);
    assert_eq!((subject(&mut story), fetched_keys(&story)), (Value::Null, 0));
}

#[test]
fn a_login_without_one_has_no_subject() {
    let mut story = story("", "", 0, &Value::Null);
    story.log_in(authorize());
    assert_eq!(subject(&mut story), Value::Null);
}

#[test]
fn an_account_can_be_expected_by_its_id_token() {
    let mut expecting = authorize();
    expecting["expect_subject"] = json!("alice");
    let mut good = story("", "", 1, &of_login(json!({})));
    good.log_in(expecting.clone());
    assert_eq!(subject(&mut good), "alice");
    let mut other = story("", "", 1, &of_login(json!({ "sub": "mallory" })));
    other.ok(expecting);
    let callback = other.approve();
    assert_eq!(other.err(json!({ "do": "exchange", "callback": callback })), "subject_mismatch");
    // A response that names one account beside the tokens and another in the ID token is of neither.
    let mut both = story("", "", 1, &of_login(json!({})));
    both.server.token_answer.insert("sub".into(), json!("mallory"));
    assert_eq!(refused(&mut both), "subject_mismatch");
}

#[test]
fn the_servers_clock_counts_where_it_is_said() {
    // The user's clock is an hour behind.
    let late = json!({ "iat": 1_700_003_600, "exp": 1_700_003_900 });
    let mut silent = story("", "", 0, &of_login(late.clone()));
    assert_eq!(refused(&mut silent), "id_token_not_yet_valid");
    let mut said = story("", "", 1, &Value::Null);
    let tokens = json!({ "access_token": "a", "token_type": "DPoP", "id_token": of_login(late) });
    let tokens = with(answer(200, &tokens), "date", "Tue, 14 Nov 2023 23:13:20 GMT");
    said.server.prepared.push_back(("/token", tokens));
    said.log_in(authorize());
    assert_eq!(subject(&mut said), "alice");
}
