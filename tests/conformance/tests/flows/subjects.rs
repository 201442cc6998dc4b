//! Whose tokens they are: the subject of token responses, compared at the login and at each refresh, and other members.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::repeating;
use keybound_conformance::flow::operations::client;
use keybound_conformance::flow::seen::Names;
use keybound_conformance::flow::server::{ISSUER, RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

const ALICE: &str = "did:plc:alice";
const MALLORY: &str = "did:plc:mallory";

/// A server whose token responses have these members.
fn naming(members: Value) -> Server {
    Server { token_answer: changes(members), ..Server::default() }
}

fn story(name: &'static str, about: &'static str, members: Value) -> Story {
    let mut story = Story::new(name, about, public("enhanced"), naming(members));
    story.discover();
    story
}

fn expecting(sub: &str) -> Value {
    json!({ "do": "authorize", "session": "work", "expect_subject": sub })
}

fn look(story: &mut Story) -> Value {
    story.ok(json!({ "do": "look", "session": "work", "members": ["id_token", "team"] }))
}

fn refresh() -> Value {
    json!({ "do": "refresh", "session": "work" })
}

/// A login up to the token response, which fails; the reason.
fn refused(story: &mut Story, operation: Value) -> &'static str {
    story.ok(operation);
    let callback = story.approve();
    story.err(json!({ "do": "exchange", "callback": callback }))
}

#[test]
fn a_session_says_whose_it_is_and_keeps_other_members() {
    let members = json!({ "sub": ALICE, "id_token": "a.b.c", "team": { "id": "T1" } });
    let mut story = story("subject", "sub, id_token and other members of a token response are kept", members);
    story.log_in(expecting(ALICE));
    let subject = json!({ "issuer": ISSUER, "sub": ALICE });
    let expected = json!({ "subject": subject, "members": { "id_token": "a.b.c", "team": "{\"id\":\"T1\"}" } });
    assert_eq!(look(&mut story), expected);
    // They are stored, and a renewal leaves those that it does not name.
    story.server.token_answer = changes(json!({ "sub": ALICE, "id_token": "d.e.f" }));
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(refresh());
    let expected = json!({ "subject": subject, "members": { "id_token": "d.e.f", "team": "{\"id\":\"T1\"}" } });
    assert_eq!(look(&mut story), expected);
    story.end();
}

#[test]
fn tokens_of_another_account_are_not_stored() {
    let mut story = story("subject-login", "another sub than expected: nothing is stored", json!({ "sub": MALLORY }));
    assert_eq!(refused(&mut story, expecting(ALICE)), "subject_mismatch");
    assert_eq!(story.player.host.keys(), 0, "the key of the login is deleted");
    assert_eq!(story.err(json!({ "do": "open", "session": "work" })), "no_session");
    story.end();
}

#[test]
fn an_expected_account_has_to_be_named() {
    // Neither a missing one nor one that is no text is the account that was expected; nor is the payload of an ID token.
    let id_token = format!("e30.{}.c", keybound::base64url::encode(json!({ "sub": ALICE }).to_string().as_bytes()));
    for members in [json!({}), json!({ "sub": 5 }), json!({ "sub": "" }), json!({ "id_token": id_token })] {
        let mut story = story("", "", members.clone());
        assert_eq!(refused(&mut story, expecting(ALICE)), "answer_incomplete", "{members}");
        assert_eq!(story.player.host.keys(), 0);
        // Where nothing is expected, the login succeeds and has no subject.
        story.log_in(json!({ "do": "authorize", "session": "work" }));
        assert_eq!(look(&mut story)["subject"], Value::Null);
    }
}

#[test]
fn a_refresh_for_another_account_is_refused() {
    // The first sub becomes the expectation where there was none.
    let mut story = story("subject-refresh", "another sub at a refresh: nothing is stored", json!({ "sub": ALICE }));
    let before = story.log_in(json!({ "do": "authorize", "session": "work" }));
    let stored = story.player.host.stored("session/work");
    story.server.token_answer = changes(json!({ "sub": MALLORY }));
    assert_eq!(story.err(refresh()), "subject_mismatch");
    assert_eq!(story.player.host.stored("session/work"), stored, "nothing is stored");
    let after = story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(before, after);
    story.end();
}

#[test]
fn a_refresh_that_names_no_account_goes_on_unless_one_was_expected() {
    for (operation, outcome) in
        [(json!({ "do": "authorize", "session": "work" }), Ok(())), (expecting(ALICE), Err("answer_incomplete"))]
    {
        let mut story = story("", "", json!({ "sub": ALICE }));
        story.log_in(operation);
        story.server.token_answer = changes(json!({}));
        let renewed = story.perform(refresh()).map(drop).map_err(|error| error.reason());
        assert_eq!(renewed, outcome);
        assert_eq!(look(&mut story)["subject"]["sub"], ALICE);
    }
}

#[test]
fn more_scope_is_for_the_same_account() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.server.token_answer = changes(json!({ "sub": MALLORY }));
    let step_up = json!({ "do": "step_up", "session": "work", "scope": "write" });
    assert_eq!(refused(&mut story, step_up), "subject_mismatch");
    story.ok(json!({ "do": "open", "session": "work" }));
    assert_eq!(look(&mut story)["subject"]["sub"], ALICE);
}

#[test]
fn more_scope_does_not_make_a_session_forget_its_account() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.server.token_answer = changes(json!({}));
    story.log_in(json!({ "do": "step_up", "session": "work", "scope": "write" }));
    assert_eq!(look(&mut story)["subject"]["sub"], ALICE);
    story.server.token_answer = changes(json!({ "sub": MALLORY }));
    assert_eq!(story.err(refresh()), "subject_mismatch");
}

#[test]
fn more_scope_does_not_store_a_provisional_session() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work", "provisional": true }));
    story.log_in(json!({ "do": "step_up", "session": "work", "scope": "write" }));
    assert_eq!(story.player.host.stored("session/work"), None);
    story.ok(json!({ "do": "keep", "session": "work" }));
    assert!(story.player.host.stored("session/work").is_some());
}

#[test]
fn a_provisional_session_that_is_refused_has_the_answer() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work", "provisional": true }));
    story.server.revoke_all();
    let answer = story.ok(json!({ "do": "call", "session": "work", "url": RESOURCE }));
    assert_eq!((&answer["status"], &answer["demand"]), (&json!(401), &json!("login")));
}

#[test]
fn a_provisional_session_that_was_given_up_takes_no_other_ones_place() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let before = story.player.host.stored("session/work");
    story.log_in(json!({ "do": "authorize", "session": "work", "provisional": true }));
    story.ok(json!({ "do": "end", "session": "work" }));
    assert_eq!(story.err(json!({ "do": "keep", "session": "work" })), "login_required");
    assert_eq!((story.player.host.stored("session/work"), story.player.host.keys()), (before, 1));
}

#[test]
fn a_login_with_another_account_does_not_move_open_sessions() {
    let mut story = story("", "", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let ours = story.player.session(&json!({ "session": "work" }));
    story.server.token_answer = changes(json!({ "sub": MALLORY }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.player.sessions.insert("work".into(), ours);
    assert_eq!(story.err(refresh()), "login_required");
}

#[test]
fn a_provisional_session_is_stored_when_it_is_kept() {
    // In the AT Protocol, what the sub is compared with has to be resolved first.
    let mut story =
        story("provisional", "a session that is stored once its subject is verified", json!({ "sub": ALICE }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    let before = story.player.host.stored("session/work");
    let begin = json!({ "do": "authorize", "session": "work", "provisional": true });
    let session = story.log_in(begin.clone());
    assert_eq!(look(&mut story)["subject"], json!({ "issuer": ISSUER, "sub": ALICE }));
    assert_eq!(story.player.host.stored("session/work"), before, "the session of this name is still the earlier one");
    assert_eq!(story.err(refresh()), "provisional_session", "what would be stored by a refresh is not kept yet");
    let call = json!({ "do": "call", "session": "work", "url": RESOURCE });
    assert_eq!(story.ok(call.clone())["status"], 200);
    story.ok(json!({ "do": "keep", "session": "work" }));
    assert_eq!(story.player.host.keys(), 1, "the key of the session that was replaced is deleted");
    assert_eq!(story.ok(json!({ "do": "open", "session": "work" })), session);
    story.ok(refresh());
    // One that is not what it claims to be is ended: nothing of it was ever stored.
    let before = story.player.host.stored("session/work");
    story.log_in(begin);
    story.ok(json!({ "do": "end", "session": "work" }));
    assert_eq!((story.player.host.stored("session/work"), story.player.host.keys()), (before, 1));
    assert_eq!(story.err(call), "login_required");
    story.end();
}

#[test]
fn what_an_earlier_version_cannot_judge_it_does_not_open() {
    let version = |story: &Story, slot: &str| {
        let stored = story.player.host.stored(slot).expect("a value");
        serde_json::from_str::<Value>(&stored).expect("JSON")["v"].clone()
    };
    let mut story = story("", "", json!({ "sub": ALICE, "id_token": "a.b.c" }));
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    assert_eq!(version(&story, "session/work"), 1, "members alone are left out by an earlier version");
    story.log_in(expecting(ALICE));
    assert_eq!(version(&story, "session/work"), 2, "it would not compare the subject");
    story.player.client = client(&public("enhanced"), &repeating(), &mut story.player.host, &mut Names::default());
    story.ok(json!({ "do": "open", "session": "work" }));
}

#[test]
fn a_subject_that_cannot_be_is_not_expected() {
    for sub in [String::new(), "x".repeat(2_049)] {
        assert_eq!(story("", "", json!({})).err(expecting(&sub)), "subject_length");
    }
}
