//! The network fails: what is sent again, with what, and what is not.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Failure, ISSUER, RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

const AT_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn discover() -> Value {
    json!({ "do": "discover", "target": RESOURCE })
}

fn log_in() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

fn call(method: &str) -> Value {
    json!({ "do": "call", "session": "work", "method": method, "url": format!("{RESOURCE}/a") })
}

fn upload(body: &str) -> Value {
    json!({ "do": "call", "session": "work", "method": "POST", "url": format!("{RESOURCE}/a"), "body": body })
}

fn registering() -> Value {
    json!({ "level": "enhanced", "redirect_uri": "https://app.example.com/callback", "register": { "client_name": "Story" } })
}

fn with_key(server: Server, name: &'static str, about: &'static str) -> Story {
    let config = json!({
        "level": "enhanced", "redirect_uri": "https://app.example.com/callback",
        "credentials": [{ "issuer": ISSUER, "client_id": "app", "method": "private_key_jwt" }],
    });
    Story::new(name, about, config, server)
}

/// How often the server was asked at a URL that ends so.
fn asked(story: &Story, end: &str) -> usize {
    story.server.log.iter().filter(|request| request.url.ends_with(end)).count()
}

#[test]
fn metadata_that_is_lost_once_is_found() {
    let about =
        "the target's own answer and a metadata document are lost once, another one twice: each is asked for again";
    let mut story = Story::new("network-lost-metadata", about, public("enhanced"), Server::default());
    story.server.failures.extend([
        ("/mcp", Failure::Lost),
        (AT_PATH, Failure::Lost),
        (OAUTH, Failure::NotSent),
        (OAUTH, Failure::Lost),
    ]);
    assert_eq!(story.ok(discover())["issuer"], ISSUER);
    assert_eq!((asked(&story, AT_PATH), asked(&story, OAUTH)), (2, 2));
    story.end();
}

#[test]
fn metadata_that_is_lost_thrice_is_given_up() {
    let about =
        "a metadata document is lost three times: the flow ends with the host's error, and no other place is asked";
    let mut story = Story::new("network-lost-for-good", about, public("enhanced"), Server::default());
    story.server.failures.extend([(AT_PATH, Failure::Lost); 4]);
    assert_eq!((story.err(discover()), asked(&story, AT_PATH), story.server.log.len()), ("host", 3, 4));
    story.end();
}

#[test]
fn a_lost_answer_to_a_post_is_not_repeated() {
    let about =
        "answers to registration, pushed request, code, call, refresh and revocation are lost: none is sent again";
    let mut story = Story::new("network-lost-post", about, registering(), Server::default());
    story.ok(discover());
    for at in ["/register", "/par"] {
        story.server.failures.push_back((at, Failure::Lost));
        assert_eq!((story.err(log_in()), asked(&story, at)), ("host", 1), "{at}");
    }
    story.ok(log_in());
    let callback = story.approve();
    story.server.failures.push_back(("/token", Failure::Lost));
    let exchange = json!({ "do": "exchange", "callback": callback });
    assert_eq!((story.err(exchange.clone()), asked(&story, "/token")), ("host", 1));
    // The code is used up, and so is the login.
    assert_eq!((story.err(exchange), asked(&story, "/token")), ("state_unknown", 1));
    story.log_in(log_in());
    // A server may do something for a GET as well.
    for (number, operation) in [upload("repeatable"), upload("one_shot"), call("GET")].into_iter().enumerate() {
        story.ok(call("GET"));
        let before = asked(&story, "/a");
        story.server.failures.push_back(("/a", Failure::Lost));
        assert_eq!((story.err(operation), asked(&story, "/a")), ("host", before + 1), "{number}");
    }
    let before = asked(&story, "/token");
    for (what, at) in [("refresh", "/token"), ("revoke", "/revoke")] {
        story.server.failures.extend([(at, Failure::Lost); 2]);
        assert_eq!(story.err(json!({ "do": what, "session": "work" })), "host");
        story.server.failures.clear();
    }
    assert_eq!((asked(&story, "/token"), asked(&story, "/revoke")), (before + 1, 2), "two tokens, each once");
    story.end();
}

#[test]
fn what_was_not_sent_is_sent_again_with_a_fresh_proof() {
    let about =
        "registration, pushed request, code, call and refresh were not sent: each is sent again, with a new proof";
    // The server refuses a proof that it has seen.
    let mut story = Story::new("network-not-sent", about, registering(), Server::default());
    story.ok(discover());
    story.server.failures.extend(["/register", "/par", "/token", "/a"].map(|at| (at, Failure::NotSent)));
    story.log_in(log_in());
    assert_eq!(story.ok(upload("repeatable"))["status"], 200);
    story.server.failures.extend([("/token", Failure::NotSent); 2]);
    story.ok(json!({ "do": "refresh", "session": "work" }));
    assert_eq!((asked(&story, "/a"), asked(&story, "/token"), story.server.failures.len()), (1, 2, 0));
    story.end();
}

#[test]
fn what_cannot_be_sent_is_given_up() {
    let about = "a call is not sent three times, and a body that can be given once not at all: the host's error";
    let mut story = Story::new("network-not-sent-for-good", about, public("enhanced"), Server::default());
    story.ok(discover());
    story.log_in(log_in());
    story.server.failures.extend([("/a", Failure::NotSent); 4]);
    assert_eq!((story.err(call("GET")), story.server.failures.len()), ("host", 1));
    story.server.failures.clear();
    story.ok(call("GET"));
    // What was read of such a body is gone, whether or not it left.
    story.server.failures.extend([("/a", Failure::NotSent); 2]);
    assert_eq!((story.err(upload("one_shot")), story.server.failures.len()), ("host", 1));
    story.end();
}

#[test]
fn a_question_about_a_token_is_asked_again_with_a_fresh_assertion() {
    let about = "the answers to an introspection are lost twice: it is asked again, with a new assertion each time";
    let mut story = with_key(Server::default(), "network-lost-introspection", about);
    story.ok(discover());
    story.log_in(log_in());
    story.server.failures.extend([("/introspect", Failure::Lost); 2]);
    assert_eq!(story.ok(json!({ "do": "introspect", "session": "work" }))["active"], true);
    assert_eq!(asked(&story, "/introspect"), 3);
    story.end();
}

#[test]
fn discovery_begins_with_the_target_itself() {
    let about =
        "the target is asked first, without a token, and what its challenge says leads on; its body is not read";
    let server = Server { needed_scope: Some("mcp:read"), ..Server::default() };
    let mut story = Story::new("discovery-asks", about, public("enhanced"), server);
    assert_eq!(story.ok(discover())["resource"], RESOURCE);
    let first = story.server.log.first().expect("a request");
    assert_eq!((&*first.method, &*first.url, first.field("authorization")), ("GET", RESOURCE, None));
    story.end();
    // Nothing goes to a target that may not be talked to.
    for (target, reason) in [
        ("http://api.example.com/mcp", "insecure_url"),
        ("http://127.0.0.1/mcp", "insecure_url"),
        ("api.example.com", "target_unusable"),
        ("https://user@api.example.com", "target_unusable"),
    ] {
        let mut story = Story::new("", "", public("enhanced"), Server::default());
        assert_eq!(story.err(json!({ "do": "discover", "target": target })), reason, "{target}");
        assert_eq!(story.server.log.len(), 0, "{target}");
    }
}
