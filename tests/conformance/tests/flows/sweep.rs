//! What stores delete by themselves: logins that were abandoned, intents that ended, keys that nothing names.

use keybound::oauth::{Sweep, Swept};
use keybound::{RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::Host;
use keybound_conformance::flow::server::Server;
use keybound_conformance::flow::story::public;
use serde_json::json;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const YEAR: u64 = 31_536_000;

/// A story whose host made a key two years ago and has nothing stored that names it.
fn begin() -> (Story, Thumbprint) {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["register"] = json!({ "client_name": "Story" });
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    let host = &mut story.player.host;
    host.create_key(keybound::AlgorithmSet::ALL).unwrap();
    let left = host.created[0];
    host.now = host.now.saturating_add(2 * YEAR);
    (story, left)
}

fn log_in() -> serde_json::Value {
    json!({ "do": "authorize", "session": "work" })
}

/// What a store with all that the host has would delete. Its keys are as old as the story but for the newest one.
fn sweep(host: &Host, newest: UnixTime) -> Swept {
    let mut sweep = Sweep::new(&RUSTCRYPTO, host.now);
    for (slot, stored) in host.slots() {
        sweep.stored(slot.as_str(), stored.version, Some(&stored.value), None);
    }
    for (at, key) in host.created.iter().enumerate() {
        let created_at = if at + 1 == host.created.len() { newest } else { newest.saturating_sub(2 * YEAR) };
        sweep.key(*key, created_at);
    }
    sweep.finish()
}

#[test]
fn a_forgotten_login_takes_its_key_with_it() {
    let (mut story, left) = begin();
    story.ok(log_in());
    let begun = story.player.host.now;
    let key = story.player.host.created[1];
    story.player.host.now = begun.saturating_add(10 * MINUTE - 1);
    let found = sweep(&story.player.host, begun);
    assert_eq!((found.slots.len(), found.keys), (0, vec![left]), "its user may still come back");
    story.player.host.now = begun.saturating_add(10 * MINUTE);
    let found = sweep(&story.player.host, begun);
    let (slot, version) = &found.slots[0];
    assert!(slot.starts_with("login/") && *version > 0 && found.slots.len() == 1, "{found:?}");
    assert!(found.keys.contains(&key) && found.keys.contains(&left) && found.keys.len() == 2, "{found:?}");
}

#[test]
fn the_key_of_a_session_is_never_swept() {
    let (mut story, left) = begin();
    story.log_in(log_in());
    let begun = story.player.host.now;
    story.player.host.now = begun.saturating_add(YEAR);
    assert_eq!(sweep(&story.player.host, begun), Swept { slots: vec![], keys: vec![left] });
}

#[test]
fn a_key_whose_login_is_not_stored_yet_has_two_hours() {
    let (mut story, left) = begin();
    let host = &mut story.player.host;
    host.create_key(keybound::AlgorithmSet::ALL).unwrap();
    let (begun, key) = (host.now, host.created[1]);
    for (later, keys) in [(0, 1), (2 * HOUR - 1, 1), (2 * HOUR, 2)] {
        host.now = begun.saturating_add(later);
        let found = sweep(host, begun).keys;
        assert!(found.contains(&left) && found.contains(&key) == (keys == 2), "{later} s: {found:?}");
    }
    host.now = begun.saturating_sub(HOUR);
    assert_eq!(sweep(host, begun).keys, [left], "a clock that was set back");
}

#[test]
fn a_value_that_cannot_be_read_may_name_any_key() {
    let (mut story, left) = begin();
    story.log_in(log_in());
    let begun = story.player.host.now;
    let stored = story.player.host.stored("session/work").unwrap();
    let key = story.player.host.created[1];
    let broken = [
        String::new(),
        "{".into(),
        stored.replace(r#""v":1"#, r#""v":3"#),
        stored.replace(r#""level":"enhanced""#, r#""level":"supreme""#),
        stored.replace(r#""level":"enhanced""#, r#""level":"standard""#),
        stored.replace(r#""key":"#, r#""kee":"#),
        stored.replace(r#""crv":"P-256""#, r#""crv":"P-257""#),
    ];
    for text in broken {
        assert_ne!(text, stored);
        story.player.host.overwrite("session/work", &text);
        let found = sweep(&story.player.host, begun.saturating_sub(YEAR));
        assert_eq!(found, Swept::default(), "{text}");
    }
    story.player.host.overwrite("session/work", &stored);
    assert_eq!(sweep(&story.player.host, begun.saturating_sub(YEAR)).keys, [left], "the session names {key}");
    for (slot, value) in [("session/other", None), ("device/1", Some(&b"{\"v\":1}"[..]))] {
        let mut unknown = Sweep::new(&RUSTCRYPTO, begun);
        unknown.key(left, begun.saturating_sub(YEAR));
        unknown.stored(slot, 1, value, None);
        assert_eq!(unknown.finish(), Swept::default(), "{slot}");
    }
}

#[test]
fn a_login_that_cannot_be_read_goes_when_it_is_old() {
    let now = UnixTime::from_secs(1_700_000_000);
    let (at, key) = (|age| Some(now.saturating_sub(age)), Thumbprint::from_bytes([7; 32]));
    for (slot, stored_at, goes) in [
        ("login/a", at(HOUR), true),
        ("login/a", at(HOUR - 1), false),
        ("login/a", None, false),
        ("session/a", at(YEAR), false),
    ] {
        let mut sweep = Sweep::new(&RUSTCRYPTO, now);
        sweep.stored(slot, 5, Some(b"of another format"), stored_at);
        sweep.key(key, now.saturating_sub(YEAR));
        let found = sweep.finish();
        let slots = if goes { vec![(slot.to_owned(), 5)] } else { vec![] };
        assert_eq!(found, Swept { slots, keys: vec![] }, "{slot} {stored_at:?}: its key waits for the next time");
    }
}

#[test]
fn an_intent_that_ended_takes_its_key_with_it() {
    let mut story = Story::new("", "", public("enhanced"), Server { refresh_tokens: false, ..Server::default() });
    story.discover();
    let intent = json!([{ "type": "payment" }]);
    story.log_in(json!({ "do": "authorize", "session": "work", "intent": intent }));
    let (begun, key) = (story.player.host.now, story.player.host.created[0]);
    story.player.host.now = begun.saturating_add(299);
    assert_eq!(sweep(&story.player.host, begun), Swept::default());
    story.player.host.now = begun.saturating_add(300);
    let found = sweep(&story.player.host, begun);
    assert_eq!((found.slots[0].0.as_str(), found.keys), ("session/work", vec![key]));
}
