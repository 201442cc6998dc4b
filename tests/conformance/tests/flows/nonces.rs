//! Nonces: learned from every response, tried once more, never mixed.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{ISSUER, RESOURCE, Server, answer, date, with};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

fn call(path: &str) -> Value {
    json!({ "do": "call", "session": "work", "url": format!("{RESOURCE}{path}") })
}

fn authorize() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

fn count(story: &Story, end: &str) -> usize {
    story.server.log.iter().filter(|request| request.url.ends_with(end)).count()
}

#[test]
fn a_server_that_demands_nonces() {
    // R9449-8-6, R9449-8-9: one retry with the nonce and a new jti, which the server checks. N24.
    let server = Server { nonces: true, ..Server::default() };
    let mut config = public("enhanced");
    config["push_with_proof"] = json!(true);
    let mut story =
        Story::new("nonce-server", "nonces at PAR and the token endpoint: one retry, then none", config, server);
    story.discover();
    story.log_in(authorize());
    assert_eq!(
        (count(&story, "/par"), count(&story, "/token")),
        (2, 1),
        "PAR is tried again, its nonce serves for the code"
    );
    story.end();
}

#[test]
fn an_api_that_demands_nonces() {
    // R9449-9-2, R9449-9-3.
    let server = Server { api_nonces: true, nonces: true, ..Server::default() };
    let mut story = Story::new("nonce-api", "nonces of server and API are kept apart", public("enhanced"), server);
    story.discover();
    story.log_in(authorize());
    assert_eq!(story.ok(call("/a"))["status"], 200);
    assert_eq!(count(&story, "/a"), 2);
    assert_eq!(story.ok(call("/b"))["status"], 200);
    assert_eq!(count(&story, "/b"), 1, "the nonce is known now");
    story.end();
}

#[test]
fn the_nonce_of_every_answer_is_kept() {
    // R9449-8.2-4: of success, and of the answer to a retry. N24.
    let server = Server { api_nonces: true, nonces: true, rotating_nonces: true, ..Server::default() };
    let mut story = Story::new(
        "nonce-rotating",
        "each answer brings a new nonce, which the next request uses",
        public("enhanced"),
        server,
    );
    story.discover();
    story.log_in(authorize());
    for path in ["/a", "/b", "/c"] {
        assert_eq!(story.ok(call(path))["status"], 200);
    }
    assert_eq!(["/a", "/b", "/c"].map(|path| count(&story, path)), [2, 1, 1], "one challenge, then none");
    story.end();
}

#[test]
fn a_server_that_never_takes_its_own_nonce() {
    let challenge = |nonce: &str| with(answer(400, &json!({ "error": "use_dpop_nonce" })), "DPoP-Nonce", nonce);
    let mut server = Server::default();
    server.prepared.extend(["one", "two", "three"].map(|nonce| ("/token", challenge(nonce))));
    let mut story = Story::new(
        "nonce-loop",
        "a third demand ends the flow; the last attempt had its turn",
        public("enhanced"),
        server,
    );
    story.discover();
    story.ok(authorize());
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "nonce_loop");
    assert_eq!(count(&story, "/token"), 3);
    story.end();
}

#[test]
fn a_server_that_demands_the_same_nonce_again() {
    let challenge = |nonce: &str| with(answer(400, &json!({ "error": "use_dpop_nonce" })), "DPoP-Nonce", nonce);
    let mut server = Server::default();
    server.prepared.extend([("/token", challenge("one")), ("/token", challenge("one"))]);
    let mut story = Story::new("", "", public("enhanced"), server);
    story.discover();
    story.ok(authorize());
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "nonce_loop");
    assert_eq!(count(&story, "/token"), 2, "the same nonce would get the same answer");
}

#[test]
fn a_second_challenge_makes_requests_take_turns() {
    let mut server = Server::default();
    let challenge = |nonce: &str| {
        let response = keybound::http::message::Response { status: 401, fields: Vec::new(), body: Vec::new() };
        with(with(response, "WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""), "DPoP-Nonce", nonce)
    };
    server.prepared.extend([("/a", challenge("one")), ("/a", challenge("two"))]);
    let mut story = Story::new(
        "nonce-turns",
        "a nonce that another request's answer made useless: the third attempt waits for its turn, and so do later requests, for a minute",
        public("enhanced"),
        server,
    );
    story.discover();
    story.log_in(authorize());
    for (path, attempts) in [("/a", 3), ("/b", 1)] {
        assert_eq!(story.ok(call(path))["status"], 200);
        assert_eq!(count(&story, path), attempts);
    }
    story.ok(json!({ "do": "wait", "seconds": 60 }));
    assert_eq!(story.ok(call("/c"))["status"], 200);
    story.end();
}

#[test]
fn a_demand_without_a_nonce() {
    for (fields, reason) in [
        (vec![], "nonce_withheld"),
        (vec!["a", "b"], "answer_nonce_malformed"),
        (vec!["a b"], "answer_nonce_malformed"),
    ] {
        // R9449-8-5, R9449-8.1-1.
        let response = answer(400, &json!({ "error": "use_dpop_nonce" }));
        let response = fields.iter().fold(response, |response, nonce| with(response, "DPoP-Nonce", nonce));
        let mut server = Server::default();
        server.prepared.push_back(("/token", response));
        let mut story = Story::new("", "", public("enhanced"), server);
        story.discover();
        story.ok(authorize());
        let callback = story.approve();
        assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), reason);
    }
}

#[test]
fn a_long_opaque_nonce() {
    // R9449-8-7: no parsing, no limit below 4 KiB.
    let nonce = "~".repeat(4_096);
    let mut server = Server::default();
    server
        .prepared
        .push_back(("/token", with(answer(400, &json!({ "error": "use_dpop_nonce" })), "DPoP-Nonce", &nonce)));
    let mut story = Story::new("", "", public("enhanced"), server);
    story.discover();
    story.log_in(authorize());
    let sent = story.server.log.iter().rfind(|request| request.url.ends_with("/token")).expect("a retry");
    assert!(sent.field("dpop").expect("a proof").len() > 5_000);
}

#[test]
fn a_body_that_can_be_sent_once_is_sent_once() {
    // OURS-7.
    let server = Server { api_nonces: true, ..Server::default() };
    let mut story =
        Story::new("call-one-shot", "a one-shot body: the nonce is asked for first", public("enhanced"), server);
    story.discover();
    story.log_in(authorize());
    let upload = json!({ "do": "call", "session": "work", "method": "POST", "url": format!("{RESOURCE}/u"), "body": "one_shot" });
    assert_eq!(story.ok(upload.clone())["status"], 200);
    let methods: Vec<_> = story.server.log.iter().filter(|r| r.url.ends_with("/u")).map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "POST"], "asked, then sent with the nonce");
    // A moment later nothing has to be asked.
    assert_eq!(story.ok(upload.clone())["status"], 200);
    assert_eq!(story.server.log.iter().filter(|r| r.url.ends_with("/u")).count(), 3);
    story.end();
}

#[test]
fn what_an_authorization_server_at_the_same_origin_answered_says_nothing_about_the_resource() {
    let mut config = public("enhanced");
    config["also_origins"] = json!([ISSUER]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    story.log_in(authorize());
    let upload =
        json!({ "do": "call", "session": "work", "method": "POST", "url": format!("{ISSUER}/u"), "body": "one_shot" });
    story.ok(upload);
    let methods: Vec<_> = story.server.log.iter().filter(|r| r.url.ends_with("/u")).map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "POST"]);
}

#[test]
fn a_one_shot_body_refused_after_all_is_the_callers_to_send_again() {
    let mut server = Server::default();
    let challenge = Stale::challenge();
    server.prepared.push_back(("/nothing", challenge.clone()));
    let mut story = Story::new("", "", public("enhanced"), server);
    story.discover();
    story.log_in(authorize());
    story.ok(call("/a"));
    story.server.prepared.push_back(("/u", challenge));
    let upload = json!({ "do": "call", "session": "work", "method": "POST", "url": format!("{RESOURCE}/u"), "body": "one_shot" });
    assert_eq!(story.ok(upload)["demand"], "resend");
    assert_eq!(count(&story, "/u"), 1, "the body went out once");
}

struct Stale;

impl Stale {
    fn challenge() -> keybound::http::message::Response {
        let response = keybound::http::message::Response { status: 401, fields: Vec::new(), body: Vec::new() };
        with(with(response, "WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""), "DPoP-Nonce", "fresh")
    }
}

#[test]
fn the_servers_clock_is_learned_from_a_refusal() {
    let server = Server { skew: 3_600, ..Server::default() };
    let mut story = Story::new(
        "clock-offset",
        "a clock that is an hour behind: one retry by the server's Date",
        public("enhanced"),
        server,
    );
    story.discover();
    story.log_in(authorize());
    assert_eq!(count(&story, "/token"), 2);
    assert_eq!(story.ok(call("/a"))["status"], 200);
    assert_eq!((count(&story, "/a"), story.ok(call("/a"))["status"].clone()), (2, json!(200)));
    assert_eq!(count(&story, "/a"), 3, "the offset is known now");
    story.end();
}

#[test]
fn a_clock_that_is_a_day_off_is_corrected_in_either_direction() {
    // With what passes between the server's look at its clock and ours.
    for skew in [-86_402, -86_400, 86_400, 86_402] {
        let mut config = public("enhanced");
        config["push_with_proof"] = json!(true);
        let server = Server { skew, nonces: true, api_nonces: true, ..Server::default() };
        let mut story = Story::new("", "", config, server);
        story.discover();
        story.log_in(authorize());
        assert_eq!(story.ok(call("/a"))["status"], 200, "{skew}");
        assert_eq!(story.ok(call("/a"))["status"], 200, "{skew}");
    }
}

#[test]
fn an_assertion_goes_by_the_servers_clock() {
    // It lasts for minutes: made by a clock that is a day slow, it has expired when it arrives.
    let begin = keybound::UnixTime::from_secs(1_700_000_000);
    let mut server = Server { skew: 86_400, ..Server::default() };
    let refusal = with(answer(401, &json!({ "error": "invalid_client" })), "date", &date(begin.saturating_add(86_400)));
    server.prepared.push_back(("/token", refusal));
    let config = json!({
        "level": "enhanced",
        "credentials": [{ "issuer": ISSUER, "client_id": "service", "method": "private_key_jwt" }],
    });
    let mut story = Story::new("clock-assertion", "a client assertion by the server's Date", config, server);
    story.discover();
    story.ok(json!({ "do": "client_credentials", "session": "work" }));
    assert_eq!(count(&story, "/token"), 2);
    story.end();
}

#[test]
fn a_date_from_a_cache_or_from_another_age_is_not_believed() {
    for (name, value) in [("age", "10"), ("date", "Tue, 14 Nov 2017 23:13:20 GMT")] {
        let refusal = with(answer(400, &json!({ "error": "invalid_dpop_proof" })), name, value);
        let refusal = if name == "age" { with(refusal, "date", "Tue, 14 Nov 2023 23:13:20 GMT") } else { refusal };
        let mut server = Server::default();
        server.prepared.push_back(("/token", refusal));
        let mut story = Story::new("", "", public("enhanced"), server);
        story.discover();
        story.ok(authorize());
        let callback = story.approve();
        assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "denied");
        assert_eq!(count(&story, "/token"), 1);
    }
}
