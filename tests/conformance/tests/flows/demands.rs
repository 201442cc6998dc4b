//! What a resource demands in its refusals, and what of it is done once, never, or by the user.

use keybound::Rejection;
use keybound::http::message::Response;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{RESOURCE, Server, answer, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

fn call(path: &str) -> Value {
    json!({ "do": "call", "session": "work", "url": format!("{RESOURCE}{path}") })
}

fn post(path: &str) -> Value {
    json!({ "do": "call", "session": "work", "method": "POST", "url": format!("{RESOURCE}{path}"), "body": "repeatable" })
}

fn logged_in(name: &'static str, about: &'static str) -> Story {
    let mut story = Story::new(name, about, public("enhanced"), Server::default());
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work" }));
    story
}

fn refusal(status: u16, challenges: &[&str]) -> Response {
    let bare = Response { status, fields: Vec::new(), body: Vec::new() };
    challenges.iter().fold(bare, |response, challenge| with(response, "WWW-Authenticate", challenge))
}

fn count(story: &Story, end: &str) -> usize {
    story.server.log.iter().filter(|request| request.url.ends_with(end)).count()
}

#[test]
fn a_nonce_demanded_with_400_or_by_the_bearer_scheme_is_sent() {
    let mut story = logged_in("nonce-api-demands", "a demand for a nonce: 400 or 401, in a challenge of either scheme");
    let demands = [
        (400, "DPoP error=\"use_dpop_nonce\""),
        (401, "Bearer error=\"use_dpop_nonce\""),
        (400, "Bearer realm=\"api\", error=\"use_dpop_nonce\""),
        (401, "Bearer error=\"invalid_token\", DPoP error=\"use_dpop_nonce\""),
    ];
    for (number, (status, challenge)) in demands.into_iter().enumerate() {
        let demand = with(refusal(status, &[challenge]), "DPoP-Nonce", &format!("n-{number}"));
        story.server.prepared.push_back(("mcp/a", demand));
        let before = count(&story, "mcp/a");
        assert_eq!(story.ok(post("/a"))["status"], 200, "{challenge}");
        assert_eq!(count(&story, "mcp/a"), before + 2, "{challenge}");
    }
    assert_eq!(count(&story, "/token"), 1, "nothing was refreshed");
    story.end();
}

#[test]
fn a_demand_for_the_nonce_that_was_sent_is_not_answered_by_the_same_request() {
    let mut story =
        logged_in("nonce-api-same", "a resource that demands the nonce it was sent: no second POST with it");
    let demand = with(refusal(401, &["DPoP error=\"use_dpop_nonce\""]), "DPoP-Nonce", "n-1");
    story.server.prepared.extend([("mcp/a", demand.clone()), ("mcp/b", demand)]);
    assert_eq!(story.ok(call("/a"))["status"], 200);
    assert_eq!(story.err(post("/b")), "nonce_loop");
    assert_eq!(count(&story, "mcp/b"), 1);
    story.end();
}

#[test]
fn what_a_body_or_another_scheme_says_of_nonces_is_no_demand() {
    let mut story =
        logged_in("nonce-api-body", "use_dpop_nonce in a body, another scheme or another status: no second POST");
    let body = |status| answer(status, &json!({ "error": "use_dpop_nonce" }));
    let answers = [
        body(400),
        body(401),
        with(body(400), "WWW-Authenticate", "Basic error=\"use_dpop_nonce\""),
        with(body(403), "WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""),
        with(body(200), "WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""),
    ];
    for (number, response) in answers.into_iter().enumerate() {
        let status = response.status;
        story.server.prepared.push_back(("mcp/a", with(response, "DPoP-Nonce", &format!("n-{number}"))));
        assert_eq!(story.ok(post("/a"))["status"], status);
        assert_eq!(count(&story, "mcp/a"), number + 1);
    }
    story.end();
}

#[test]
fn a_401_that_gives_no_reason_uses_the_refresh_token_once() {
    let mut story = logged_in(
        "call-unexplained",
        "401 without error: one refresh until a request succeeds, then the user is asked",
    );
    for challenge in ["DPoP algs=\"ES256\"", "Bearer realm=\"api\"", "Bearer, DPoP algs=\"ES256\""] {
        let tokens = count(&story, "/token");
        story.server.prepared.push_back(("mcp/a", refusal(401, &[challenge])));
        assert_eq!(story.ok(post("/a"))["status"], 200, "{challenge}");
        assert_eq!(count(&story, "/token"), tokens + 1, "{challenge}");
    }
    let (tokens, calls) = (count(&story, "/token"), count(&story, "mcp/b"));
    story.server.prepared.extend((0..3).map(|_| ("mcp/b", refusal(401, &["Bearer realm=\"api\""]))));
    assert_eq!(story.ok(call("/b"))["demand"], "login");
    assert_eq!((count(&story, "/token"), count(&story, "mcp/b")), (tokens + 1, calls + 2));
    assert_eq!(story.ok(call("/b"))["demand"], "login");
    assert_eq!(
        (count(&story, "/token"), count(&story, "mcp/b")),
        (tokens + 1, calls + 3),
        "nothing succeeded meanwhile"
    );
    // A success ends the doubt.
    assert_eq!(story.ok(call("/b"))["status"], 200);
    story.server.prepared.push_back(("mcp/b", refusal(401, &["Bearer"])));
    assert_eq!(story.ok(call("/b"))["status"], 200);
    assert_eq!(count(&story, "/token"), tokens + 2);
    story.end();
}

#[test]
fn a_401_about_something_else_refreshes_nothing() {
    for challenges in [&["Basic realm=\"proxy\""][..], &["DPoP error=\"invalid_request\""], &[]] {
        let mut story = logged_in("", "");
        story.server.prepared.push_back(("mcp/a", refusal(401, challenges)));
        assert_eq!(story.ok(call("/a"))["demand"], "login", "{challenges:?}");
        assert_eq!((count(&story, "/token"), count(&story, "mcp/a")), (1, 1), "{challenges:?}");
    }
}

#[test]
fn a_proof_for_another_target_asks_for_no_login() {
    let mut story = logged_in("", "");
    let refused = |said: Rejection| {
        let challenge = format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{said}\"");
        ("mcp/a", refusal(401, &[challenge.as_str()]))
    };
    for said in [Rejection::TargetMismatch, Rejection::MethodMismatch] {
        story.server.prepared.push_back(refused(said));
        let answer = story.ok(call("/a"));
        assert_eq!((&answer["status"], &answer["demand"]), (&json!(401), &json!(null)), "{said}");
    }
    story.server.prepared.push_back(refused(Rejection::SignatureInvalid));
    assert_eq!(story.ok(call("/a"))["demand"], "login");
}

#[test]
fn a_malformed_challenge_spoils_its_own_field_line_alone() {
    let mut story =
        logged_in("call-malformed-challenge", "a malformed challenge beside a good one is ignored, and that is said");
    let demand = refusal(401, &["Bearer realm=\"api", "DPoP error=\"use_dpop_nonce\""]);
    story.server.prepared.push_back(("mcp/a", with(demand, "DPoP-Nonce", "n-1")));
    let answer = story.ok(call("/a"));
    assert_eq!((&answer["status"], answer.get("ignored_challenge")), (&json!(200), None));
    story.server.prepared.push_back(("mcp/a", refusal(401, &["DPoP error=invalid_token error_description=x"])));
    let answer = story.ok(call("/a"));
    assert_eq!((&answer["demand"], &answer["ignored_challenge"]), (&json!("login"), &json!(true)));
    story.end();
}
