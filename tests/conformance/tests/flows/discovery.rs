//! Where metadata is looked for, what is a miss and what an error, and what of it counts.

use keybound::http::message::Response;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{Failure, ISSUER, RESOURCE, Server, answer};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

const AT_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
const AT_ROOT: &str = "api.example.com/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn discover() -> Value {
    json!({ "do": "discover", "target": RESOURCE, "challenges": [] })
}

fn log_in() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

/// An answer with any body, as servers give that know nothing of metadata.
fn said(status: u16, body: &str) -> Response {
    Response { status, fields: Vec::new(), body: body.as_bytes().to_vec() }
}

fn asked(story: &Story) -> Vec<&str> {
    story.server.log.iter().map(|request| &*request.url).collect()
}

#[test]
fn null_empty_and_unused_members_do_not_end_discovery() {
    let metadata = changes(json!({
        "revocation_endpoint": "http://as.example.com/revoke", "introspection_endpoint": 7, "jwks_uri": "",
        "userinfo_endpoint": "not a url", "registration_endpoint": "",
    }));
    let mut server = Server { metadata, ..Server::default() };
    let mut found = server.respond(
        &keybound::http::message::Request::new("GET", &format!("{ISSUER}{OAUTH}")),
        keybound::UnixTime::from_secs(0),
    );
    let mut document: Value = serde_json::from_slice(&found.body).expect("JSON");
    for member in
        ["device_authorization_endpoint", "scopes_supported", "service_documentation", "grant_types_supported"]
    {
        document[member] = Value::Null;
    }
    document["response_types_supported"] = json!(["code", null, 3]);
    found.body = [b"\xef\xbb\xbf", document.to_string().as_bytes()].concat();
    server.prepared.push_back((OAUTH, found));
    server.resource = changes(
        json!({ "authorization_servers": [null, 7, "http://old.example.com", ISSUER], "scopes_supported": ["read", 1] }),
    );
    let mut story = Story::new(
        "discovery-loose",
        "null, empty, unused and mistyped members, and a byte order mark: what is needed is there",
        public("enhanced"),
        server,
    );
    story.discover();
    story.log_in(log_in());
    // Needed now, and judged now.
    assert_eq!(story.err(json!({ "do": "revoke", "session": "work" })), "metadata_url");
    assert_eq!(story.err(json!({ "do": "device", "session": "tv" })), "no_endpoint");
    story.end();
}

#[test]
fn a_place_without_metadata_leads_to_the_next() {
    for (name, miss) in [
        ("discovery-catch-all", said(200, "<!doctype html><title>Not found</title>")),
        ("", said(200, "")),
        ("", said(200, "[]")),
        ("", said(204, "")),
        ("", said(302, "")),
        ("", said(400, "{}")),
        ("discovery-guarded", said(401, "{\"error\":\"unauthorized\"}")),
        ("", said(403, "")),
        ("", said(404, "{}")),
        ("", said(405, "")),
        ("", said(410, "")),
    ] {
        let mut server = Server::default();
        let document = json!({ "resource": RESOURCE, "authorization_servers": [ISSUER] });
        server.prepared.extend([(AT_PATH, miss.clone()), (AT_ROOT, answer(200, &document))]);
        let document = json!({
            "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"), "code_challenge_methods_supported": ["S256"],
        });
        server.prepared.extend([(OAUTH, miss), (OPENID, answer(200, &document))]);
        let about = "a server that answers everything with a page, or guards everything: the next place is asked";
        let mut story = Story::new(name, about, public("enhanced"), server);
        assert_eq!(story.ok(discover())["resource"], RESOURCE);
        assert_eq!(asked(&story).len(), 4);
        if !name.is_empty() {
            story.end();
        }
    }
}

#[test]
fn a_place_that_cannot_answer_now_ends_the_search() {
    for (at, status) in [(AT_PATH, 429), (AT_PATH, 503), (AT_PATH, 408), (AT_ROOT, 500), (OAUTH, 502), (OAUTH, 429)] {
        let mut server = Server::default();
        if at == AT_ROOT {
            server.prepared.push_back((AT_PATH, said(404, "")));
        }
        server.prepared.push_back((at, said(status, "")));
        let mut story =
            Story::new("discovery-busy", "a place that fails moves the search nowhere", public("enhanced"), server);
        assert_eq!(story.err(discover()), "metadata_unavailable", "{at} {status}");
        assert!(asked(&story).last().expect("a request").ends_with(at), "no other place was asked");
        if (at, status) == (AT_PATH, 503) {
            story.ok(discover());
            story.end();
        }
    }
    // Neither does a network that fails.
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.server.failures.extend([(AT_PATH, Failure::NotSent); 3]);
    assert_eq!((story.err(discover()), asked(&story).len()), ("host", 0));
}

#[test]
fn what_a_challenge_says_of_the_metadata_is_final() {
    let challenge = format!("DPoP resource_metadata=\"https://api.example.com{AT_PATH}\"");
    let operation = json!({ "do": "discover", "target": RESOURCE, "challenges": [challenge], "issuer": ISSUER });
    let mut server = Server::default();
    server.prepared.push_back((AT_PATH, said(404, "")));
    let mut story = Story::new(
        "discovery-final",
        "resource_metadata leads nowhere: no other place is asked",
        public("enhanced"),
        server,
    );
    assert_eq!(story.err(operation), "metadata_not_found");
    assert_eq!(asked(&story).len(), 1);
    story.end();
}

#[test]
fn an_issuer_with_a_slash_at_its_end_has_its_own_place() {
    // RFC 8414 section 3.1: the slash goes; RFC 9728 section 3.1 keeps it.
    let mut server = Server::default();
    let issuer = format!("{ISSUER}/realms/a/");
    server.resource = changes(json!({ "authorization_servers": [issuer] }));
    let document = json!({ "issuer": issuer, "token_endpoint": format!("{ISSUER}/token") });
    server.prepared.push_back(("/oauth-authorization-server/realms/a", answer(200, &document)));
    let mut story = Story::new("discovery-slash", "an issuer whose path ends with a slash", public("enhanced"), server);
    assert_eq!(story.ok(discover())["issuer"], *issuer);
    story.end();
}

#[test]
fn the_slash_of_an_empty_path_is_the_publishers_choice() {
    let published = format!("{ISSUER}/");
    let metadata = changes(json!({ "issuer": published }));
    let mut config = public("enhanced");
    config["accept_issuers"] = json!([ISSUER]);
    let server = Server { metadata, redirect: changes(json!({ "iss": published })), ..Server::default() };
    let about = "the server publishes its issuer with a slash, everyone else writes none: the published form counts from then on";
    let mut story = Story::new("discovery-issuer-slash", about, config, server);
    assert_eq!(story.ok(discover())["issuer"], *published);
    assert_eq!(story.log_in(log_in())["issuer"], *published);
    assert_eq!(story.ok(json!({ "do": "open", "session": "work" }))["issuer"], *published);
    // What was asked for first is not what the response must say.
    story.server.redirect = changes(json!({ "iss": ISSUER }));
    story.ok(log_in());
    let callback = story.approve();
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "iss_mismatch");
    story.end();
}

#[test]
fn an_issuer_that_is_given_fills_the_gap_and_overrides_nothing() {
    let other = "https://other.example.com";
    let given = |issuer: &str| json!({ "do": "discover", "target": RESOURCE, "challenges": [], "issuer": issuer });
    let server = Server { publishes_resource: false, ..Server::default() };
    let mut story =
        Story::new("discovery-given", "no RFC 9728 metadata: the issuer that was given", public("enhanced"), server);
    assert_eq!(story.ok(given(ISSUER))["issuer"], ISSUER);
    let session = story.log_in(log_in());
    assert_eq!(session["resource"], "https://api.example.com");
    story.end();

    let mut story = Story::new(
        "discovery-published",
        "what is published goes before the issuer that was given",
        public("enhanced"),
        Server::default(),
    );
    assert_eq!(story.ok(given(other))["issuer"], ISSUER);
    story.end();

    // Metadata that names no server has a gap as well; among several, the one that was given is taken.
    for (servers, expected) in [(json!([]), ISSUER), (json!([other, ISSUER]), ISSUER), (Value::Null, ISSUER)] {
        let server = Server { resource: changes(json!({ "authorization_servers": servers })), ..Server::default() };
        let mut story = Story::new("", "", public("enhanced"), server);
        assert_eq!(story.ok(given(ISSUER))["issuer"], expected);
    }
}

#[test]
fn a_discovery_that_fails_says_where_and_why() {
    let text = |server: Server, operation: Value| {
        let mut story = Story::new("", "", public("enhanced"), server);
        story.perform(operation).expect_err("a failure").to_string()
    };
    let resource = |changed: Value| Server { resource: changes(changed), ..Server::default() };
    for (server, parts) in [
        (
            Server { metadata: changes(json!({ "issuer": "https://evil.example.com" })), ..Server::default() },
            ["/oauth-authorization-server", "found https://evil.example.com", "expected https://as.example.com"],
        ),
        (
            resource(json!({ "resource": "https://api.example.com/other" })),
            [AT_PATH, "found https://api.example.com/other", "expected https://api.example.com/mcp"],
        ),
        (
            resource(json!({ "authorization_servers": ["http://as.example.com"] })),
            [AT_PATH, "authorization_servers", "found http://as.example.com"],
        ),
        (
            Server { publishes_resource: false, ..Server::default() },
            [
                AT_PATH,
                "https://api.example.com/.well-known/oauth-protected-resource,",
                "https://api.example.com/.well-known/openid-configuration",
            ],
        ),
    ] {
        let said = text(server, discover());
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}
