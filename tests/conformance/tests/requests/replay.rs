//! What replay stores answer, and what they forget.

use keybound_conformance::request::Story;
use keybound_conformance::request::story::reason;
use keybound_conformance::request::world::{BEGIN, claims};
use serde_json::json;

use crate::resource;

#[test]
fn answers_of_stores() {
    let about = "what each answer of the host's replay store comes to";
    let mut story = Story::new("replay", about, &resource(), &json!({}));
    story.admitted("first", &story.request("one", &claims()));
    for (insertion, expected) in [
        ("seen", "replayed"),
        ("before_floor", "before_store_floor"),
        ("unavailable", "store_unavailable"),
        ("full", "store_full"),
        ("share_full", "store_share_full"),
    ] {
        let request = story.request("one", &claims());
        story.admit(insertion, &request);
        let seen = story.insert(insertion, insertion);
        assert_eq!(reason(&seen), expected);
    }
    // The store took its time: the proof has become too old meanwhile.
    let request = story.request("late", &claims());
    story.admit("late", &request);
    story.wait(400);
    let seen = story.insert("late", "fresh");
    assert_eq!(reason(&seen), "iat_too_old");
    story.end();
}

#[test]
fn a_store_of_this_process() {
    let about = "a store in the memory of the server is asked without a step";
    let mut story = Story::with_memory("replay-memory", about, &resource(), &json!({}));
    let request = story.request("one", &claims());
    assert_eq!(story.admit("first", &request)["result"]["kind"], "admitted");
    assert_eq!(story.refused("again", &request), "replayed");
    assert_eq!(story.admit("another", &story.request("two", &claims()))["result"]["kind"], "admitted");
    story.wait(1);
    assert_eq!(story.refused("once more", &request), "replayed");
    story.end();
}

#[test]
fn a_store_that_has_just_begun() {
    let about = "a store that began a moment ago vouches for nothing before";
    let mut story = Story::with_memory("replay-floor", about, &resource(), &json!({}));
    story.now = BEGIN - 1_000;
    let from = |story: &Story| keybound_conformance::request::world::with(&claims(), &json!({ "iat": story.now }));
    assert_eq!(story.refused("too early", &story.request("one", &from(&story))), "before_store_floor");
    story.wait(100);
    assert_eq!(story.admit("later", &story.request("two", &from(&story)))["result"]["kind"], "admitted");
    story.end();
}

#[test]
fn no_store() {
    let about = "a server that remembers nothing admits the same proof twice";
    let options = keybound_conformance::request::world::with(&resource(), &json!({ "danger_no_replay_store": true }));
    let mut story = Story::new("replay-none", about, &options, &json!({}));
    let request = story.request("one", &claims());
    for name in ["first", "again"] {
        assert_eq!(story.admit(name, &request)["result"]["kind"], "admitted");
    }
    story.end();
}
