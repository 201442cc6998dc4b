//! Requests to the resource: where a token may go, what is tried again, and what is not.

use keybound::http::message::Response;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{RESOURCE, Server, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

fn call(url: &str) -> Value {
    json!({ "do": "call", "session": "work", "url": url })
}

fn logged_in(name: &'static str, about: &'static str, level: &str, server: Server) -> Story {
    let mut story = Story::new(name, about, public(level), server);
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story
}

fn redirect(status: u16, to: &str) -> Response {
    with(Response { status, fields: Vec::new(), body: Vec::new() }, "location", to)
}

#[test]
fn tokens_stay_within_their_resource() {
    // Design section 9.
    for level in ["standard", "enhanced"] {
        let mut story = logged_in("", "", level, Server::default());
        let before = story.server.log.len();
        for url in [
            "https://api.example.com/",
            "https://api.example.com/mcp2",
            "https://api.example.com/mcp/../admin",
            "https://api.example.com:8443/mcp",
            "https://evil.example.com/mcp",
            "https://api.example.com.evil.test/mcp",
            "https://api.example.com@evil.test/mcp",
            "http://api.example.com/mcp",
        ] {
            let expected = match url {
                _ if url.contains('@') => "target_unusable",
                _ if url.starts_with("https:") => "outside_resource",
                _ => "insecure_url",
            };
            assert_eq!(story.err(call(url)), expected, "{url}");
        }
        assert_eq!(story.server.log.len(), before, "nothing was sent");
    }
}

#[test]
fn origins_can_be_added() {
    let mut config = public("enhanced");
    config["also_origins"] = json!(["https://api.example.com/"]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    assert_eq!(story.ok(call("https://api.example.com/elsewhere"))["status"], 200);
}

#[test]
fn redirects_within_the_origin_are_proved_anew() {
    let mut server = Server::default();
    server.prepared.push_back(("/mcp/old", redirect(307, "/mcp/new?x=1")));
    let mut story = logged_in(
        "call-redirect",
        "a redirect within the resource: a new proof for the new target",
        "enhanced",
        server,
    );
    let answer = story.ok(call("https://api.example.com/mcp/old"));
    assert_eq!((&answer["status"], &answer["url"]), (&json!(200), &json!("https://api.example.com/mcp/new?x=1")));
    story.end();
}

#[test]
fn redirects_elsewhere_are_not_followed() {
    // OAUTH21-7, N29: neither token nor proof goes along.
    for level in ["standard", "enhanced"] {
        for status in [301, 302, 303, 307, 308] {
            for to in [
                "https://evil.example.com/mcp",
                "//evil.example.com/mcp",
                "https://api.example.com/admin",
                "http://api.example.com/mcp",
            ] {
                let mut story = logged_in("", "", level, Server::default());
                story.server.prepared.push_back(("api.example.com/mcp", redirect(status, to)));
                let before = story.server.log.len();
                let answer = story.ok(call(RESOURCE));
                assert_eq!((&answer["status"], &answer["url"]), (&json!(status), &json!(RESOURCE)), "{to}");
                assert_eq!(story.server.log.len(), before + 1);
            }
        }
    }
    let mut server = Server::default();
    server.prepared.push_back(("api.example.com/mcp", redirect(307, "https://evil.example.com/mcp")));
    let mut story = logged_in("call-redirect-away", "a redirect to another origin is the answer", "enhanced", server);
    story.ok(call(RESOURCE));
    story.end();
}

#[test]
fn redirects_to_an_origin_that_may_have_the_token_are_not_followed_either() {
    let mut config = public("enhanced");
    config["also_origins"] = json!(["https://other.example.com"]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story.server.prepared.push_back(("api.example.com/mcp", redirect(307, "https://other.example.com/mcp")));
    let answer = story.ok(call(RESOURCE));
    assert_eq!((&answer["status"], &answer["url"]), (&json!(307), &json!(RESOURCE)));
}

#[test]
fn redirects_end() {
    let mut server = Server::default();
    server.prepared.extend((0..9).map(|_| ("api.example.com/mcp", redirect(302, RESOURCE))));
    let mut story = logged_in("", "", "enhanced", server);
    assert_eq!(story.err(call(RESOURCE)), "too_many_redirects");
}

#[test]
fn methods_and_bodies_through_redirects() {
    for (status, method, expected) in
        [(303, "POST", "GET"), (302, "POST", "GET"), (307, "POST", "POST"), (302, "PUT", "PUT"), (303, "HEAD", "HEAD")]
    {
        let mut server = Server::default();
        server.prepared.push_back(("api.example.com/mcp", redirect(status, "/mcp/next")));
        let mut story = logged_in("", "", "enhanced", server);
        story.ok(json!({ "do": "call", "session": "work", "url": RESOURCE, "method": method, "body": "repeatable" }));
        let last = story.server.log.last().expect("a request");
        assert_eq!(last.method, expected, "{status}");
        let has_body = last.body != keybound::http::message::Body::Empty;
        assert_eq!(
            has_body,
            expected == method && status != 303 || status == 303 && method == "HEAD",
            "{status} {method}"
        );
    }
}

#[test]
fn an_invalid_token_is_refreshed_once() {
    let mut story =
        logged_in("call-refreshed", "401 invalid_token: one refresh, one more attempt", "enhanced", Server::default());
    story.server.revoke_all();
    let answer = story.ok(call(RESOURCE));
    assert_eq!(answer["status"], 200);
    let last = story.server.log.last().expect("a request");
    let session = story.player.session(&json!({ "session": "work" }));
    let token = session.danger_access_token().expect("a token");
    // N30: the token that goes with the second attempt is the session's new one.
    assert_eq!(last.field("authorization"), Some(&*format!("DPoP {}", token.expose())));
    story.end();
}

#[test]
fn a_session_that_the_server_ended() {
    let mut story = logged_in(
        "call-ended",
        "refused token, refused refresh token: a new login is needed",
        "enhanced",
        Server::default(),
    );
    story.server.forget_all();
    assert_eq!(story.ok(call(RESOURCE))["demand"], "login");
    assert_eq!(story.err(call(RESOURCE)), "login_required");
    story.end();
}

#[test]
fn an_expired_token_is_renewed_before_it_is_used() {
    let mut story = logged_in("call-expired", "an expired token is not sent", "enhanced", Server::default());
    story.ok(json!({ "do": "wait", "seconds": 296 }));
    assert_eq!(story.ok(call(RESOURCE))["status"], 200);
    assert_eq!(story.server.log.iter().filter(|request| request.url == RESOURCE).count(), 1);
    story.end();
}

#[test]
fn more_scope_is_asked_for_a_few_times() {
    let server = Server { needed_scope: Some("write"), ..Server::default() };
    let mut story = logged_in("step-up", "insufficient_scope: a login with the union of scopes", "enhanced", server);
    assert_eq!(story.ok(call(RESOURCE))["demand"], json!({ "step_up": "write" }));
    let session = story.log_in(json!({ "do": "step_up", "session": "work", "scope": "write" }));
    assert_eq!(session["scope"], "read write");
    assert_eq!(story.ok(call(RESOURCE))["status"], 200);
    // The same scope again would change nothing.
    assert_eq!(story.err(json!({ "do": "step_up", "session": "work", "scope": "write" })), "step_up_exhausted");
    story.end();

    let mut story = logged_in("", "", "enhanced", Server::default());
    for scope in ["a", "b", "c"] {
        story.log_in(json!({ "do": "step_up", "session": "work", "scope": scope }));
    }
    assert_eq!(story.err(json!({ "do": "step_up", "session": "work", "scope": "d" })), "step_up_exhausted");
}

#[test]
fn a_websocket_handshake_carries_a_proof() {
    let mut story = logged_in("call-websocket", "wss: the proof names the https URL", "enhanced", Server::default());
    let answer = story.ok(call("wss://api.example.com/mcp/live"));
    assert_eq!(answer["status"], 101);
    let sent = story.server.log.last().expect("a request");
    assert_eq!((&*sent.url, sent.field("dpop").is_some()), ("wss://api.example.com/mcp/live", true));
    story.end();
}

#[test]
fn other_refusals_are_answers() {
    for status in [400, 404, 418, 429, 500, 503] {
        let mut server = Server::default();
        server.prepared.push_back(("api.example.com/mcp", Response { status, fields: Vec::new(), body: Vec::new() }));
        let mut story = logged_in("", "", "enhanced", server);
        let answer = story.ok(call(RESOURCE));
        assert_eq!((&answer["status"], &answer["demand"]), (&json!(status), &Value::Null));
    }
}
