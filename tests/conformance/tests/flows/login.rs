//! Logins by the browser: discovery, registration, pushed requests, the response that comes back.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{ISSUER, RESOURCE, Server, answer};
use keybound_conformance::flow::story::public;
use serde_json::{Map, Value, json};

/// Changes to metadata.
pub(super) fn changes(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn log_in() -> Value {
    json!({ "do": "authorize", "session": "work" })
}

#[test]
fn a_login_with_a_pushed_request() {
    // R9449-5-1, R9449-10-1, R9449-10.1-1, R9126-2.1, R9126-4, R7636-4.1, R7636-4.2, R8707-2.
    let mut story = Story::new(
        "login-pushed",
        "PAR with dpop_jkt in the body, PKCE, resource as published",
        public("enhanced"),
        Server::default(),
    );
    story.discover();
    let session = story.log_in(log_in());
    assert_eq!((&session["key"], &session["scope"]), (&json!("{key-1}"), &json!("read")));
    let call = story.ok(json!({ "do": "call", "session": "work", "url": format!("{RESOURCE}/items?x=1") }));
    assert_eq!(call["status"], 200);
    let pushed = story.server.log.iter().find(|request| request.url.ends_with("/par")).expect("a pushed request");
    assert!(pushed.field("dpop").is_none());
    story.end();
}

#[test]
fn a_login_with_a_pushed_proof() {
    // R9449-10.1-2.
    let mut config = public("enhanced");
    config["push_with_proof"] = json!(true);
    let mut story = Story::new("login-pushed-proof", "PAR with a proof instead of dpop_jkt", config, Server::default());
    story.discover();
    story.log_in(log_in());
    story.end();
}

#[test]
fn a_login_by_plain_redirect() {
    let metadata = changes(json!({ "pushed_authorization_request_endpoint": null }));
    let server = Server { metadata, ..Server::default() };
    let mut story = Story::new("login-redirect", "no PAR: dpop_jkt stands in the redirect", public("enhanced"), server);
    story.discover();
    let sent = story.ok(log_in());
    assert_eq!(sent["query"]["dpop_jkt"], "{key-1}");
    let callback = story.approve();
    story.ok(json!({ "do": "exchange", "callback": callback }));
    story.end();
}

#[test]
fn a_fresh_key_for_each_login() {
    // R9449-10-6.
    let mut story = Story::new(
        "login-again",
        "a second login has another key; the first one is deleted",
        public("enhanced"),
        Server::default(),
    );
    story.discover();
    let first = story.log_in(log_in());
    let second = story.log_in(log_in());
    assert_ne!(first["key"], second["key"]);
    assert_eq!(story.player.host.keys(), 1, "the key of the session that was replaced is gone");
    story.end();
}

#[test]
fn the_challenge_leads_to_the_metadata() {
    let mut story = Story::new(
        "discovery-challenge",
        "resource_metadata and scope from a challenge",
        public("enhanced"),
        Server::default(),
    );
    let challenge = "DPoP algs=\"ES256\", scope=\"read write\", \
                     resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource/mcp\"";
    story.ok(json!({ "do": "discover", "target": RESOURCE, "challenges": [challenge] }));
    let session = story.log_in(log_in());
    assert_eq!(session["scope"], "read write");
    story.end();
}

#[test]
fn the_resource_is_sent_as_published() {
    // R8707-2: byte for byte, although another spelling is the same URL.
    let resource = changes(json!({ "resource": "https://API.example.com:443/mcp" }));
    let server = Server { resource, ..Server::default() };
    let mut story =
        Story::new("discovery-spelling", "the resource in the spelling of its metadata", public("enhanced"), server);
    story.discover();
    let session = story.log_in(log_in());
    assert_eq!(session["resource"], "https://API.example.com:443/mcp");
    story.end();
}

#[test]
fn metadata_of_something_else_is_refused() {
    // R9728-3.3, R8414-3.3.
    let cases = [
        ("resource_mismatch", json!({ "resource": "https://api.example.com/other" }), json!({})),
        ("resource_mismatch", json!({ "resource": "https://api.example.net/mcp" }), json!({})),
        ("no_authorization_server", json!({ "authorization_servers": [] }), json!({})),
        ("metadata_url", json!({ "authorization_servers": ["http://as.example.com"] }), json!({})),
        ("issuer_mismatch", json!({}), json!({ "issuer": "https://as.example.com//" })),
        ("issuer_mismatch", json!({}), json!({ "issuer": null })),
        ("issuer_mismatch", json!({}), json!({ "issuer": "https://AS.example.com" })),
    ];
    for (reason, resource, metadata) in cases {
        let server = Server { resource: changes(resource), metadata: changes(metadata), ..Server::default() };
        let mut story = Story::new("", "", public("enhanced"), server);
        assert_eq!(story.err(json!({ "do": "discover", "target": RESOURCE, "challenges": [] })), reason);
    }
}

#[test]
fn only_accepted_issuers_are_asked() {
    let mut config = public("enhanced");
    config["accept_issuers"] = json!(["https://other.example.com"]);
    let mut story = Story::new(
        "discovery-issuer",
        "the resource names a server this client does not accept",
        config,
        Server::default(),
    );
    assert_eq!(story.err(json!({ "do": "discover", "target": RESOURCE, "challenges": [] })), "issuer_not_accepted");
    assert!(story.server.log.iter().all(|request| !request.url.starts_with(ISSUER)), "it is not even asked");
    story.end();
}

#[test]
fn openid_metadata_is_found_as_well() {
    let mut server = Server::default();
    let metadata = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"), "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
    });
    server.prepared.push_back(("/.well-known/oauth-authorization-server", answer(404, &json!({}))));
    server.prepared.push_back(("/.well-known/openid-configuration", answer(200, &metadata)));
    let mut story = Story::new(
        "discovery-openid",
        "OpenID Connect discovery where RFC 8414 has nothing",
        public("enhanced"),
        server,
    );
    story.discover();
    story.log_in(log_in());
    story.end();
}

#[test]
fn a_resource_without_metadata_is_asked_for_a_server_itself() {
    let mut server = Server { publishes_resource: false, ..Server::default() };
    let at = "https://api.example.com";
    let metadata = json!({
        "issuer": at, "authorization_endpoint": format!("{at}/authorize"), "token_endpoint": format!("{at}/token"),
    });
    server.prepared.push_back(("/.well-known/oauth-authorization-server", answer(200, &metadata)));
    let mut story =
        Story::new("discovery-origin", "no RFC 9728 metadata: the origin's own server", public("enhanced"), server);
    let found = story.ok(json!({ "do": "discover", "target": RESOURCE, "challenges": [] }));
    assert_eq!((&found["issuer"], &found["resource"]), (&json!(at), &Value::Null));
    // The server does not announce PKCE.
    assert_eq!(story.err(log_in()), "no_pkce");
    story.end();
}

#[test]
fn a_client_registers_once() {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["register"] = json!({ "client_name": "Story" });
    let mut story =
        Story::new("registration-dynamic", "dynamic registration, kept by issuer", config, Server::default());
    story.discover();
    story.log_in(log_in());
    story.log_in(log_in());
    let registered: Vec<_> = story.server.log.iter().filter(|request| request.url.ends_with("/register")).collect();
    assert_eq!(registered.len(), 1);
    story.end();
}

#[test]
fn a_client_that_the_server_lost_registers_again() {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["register"] = json!({ "client_name": "Story" });
    for (name, about, error) in [
        ("registration-lost", "invalid_client: registered anew, once", "invalid_client"),
        ("registration-lost-push", "Keycloak says invalid_request with 401 at this endpoint alone", "invalid_request"),
    ] {
        let mut story = Story::new(name, about, config.clone(), Server::default());
        story.discover();
        story.log_in(log_in());
        story.server.prepared.push_back(("/par", answer(401, &json!({ "error": error }))));
        story.log_in(log_in());
        assert_eq!(story.server.log.iter().filter(|request| request.url.ends_with("/register")).count(), 2);
        story.end();
    }

    // A client that was given is not replaced.
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    story.server.prepared.push_back(("/par", answer(401, &json!({ "error": "invalid_client" }))));
    assert_eq!(story.err(log_in()), "denied");
    assert_eq!(story.player.host.keys(), 0);
}

#[test]
fn a_metadata_document_is_the_identifier() {
    let mut config = public("enhanced");
    config["credentials"] = json!([]);
    config["metadata_document"] = json!("https://app.example.com/client.json");
    config["register"] = json!({ "client_name": "Story" });
    let metadata = changes(json!({ "client_id_metadata_document_supported": true }));
    let mut story = Story::new(
        "registration-document",
        "a client ID metadata document goes before registration",
        config,
        Server { metadata, ..Server::default() },
    );
    story.discover();
    let sent = story.ok(log_in());
    assert_eq!(sent["query"]["client_id"], "https://app.example.com/client.json");
    story.end();
}

#[test]
fn credentials_stay_with_their_issuer() {
    // Design section 9: a challenge never sends credentials to another issuer.
    let mut config = public("enhanced");
    config["credentials"] =
        json!([{ "issuer": "https://other.example.com", "client_id": "a", "secret": "s", "method": "secret" }]);
    let mut story = Story::new("", "", config, Server::default());
    story.discover();
    assert_eq!(story.err(log_in()), "no_registration");
    assert!(story.server.log.iter().all(|request| request.field("authorization").is_none()));
}

#[test]
fn responses_of_another_server_are_refused() {
    // R9207-2.4: missing, wrong, and on errors as well.
    let cases = [
        ("iss_missing", json!({ "iss": null })),
        ("iss_mismatch", json!({ "iss": "https://as.example.com/" })),
        ("iss_mismatch", json!({ "iss": "https://evil.example.com", "code": null, "error": "access_denied" })),
        ("iss_missing", json!({ "iss": null, "code": null, "error": "access_denied" })),
        ("denied", json!({ "code": null, "error": "access_denied" })),
        ("code_missing", json!({ "code": null })),
        ("state_unknown", json!({ "state": "another" })),
        ("state_missing", json!({ "state": null })),
    ];
    for (reason, redirect) in cases {
        let mut story =
            Story::new("", "", public("enhanced"), Server { redirect: changes(redirect), ..Server::default() });
        story.discover();
        story.ok(log_in());
        let callback = story.approve();
        assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), reason);
        let asked = story.server.log.iter().any(|request| request.url.ends_with("/token"));
        assert!(!asked, "no code is redeemed after {reason}");
    }
}

#[test]
fn a_response_is_good_once_and_for_ten_minutes() {
    let mut story = Story::new("login-once", "a login can be completed once", public("enhanced"), Server::default());
    story.discover();
    story.ok(log_in());
    let callback = story.approve();
    let exchange = json!({ "do": "exchange", "callback": callback });
    story.ok(exchange.clone());
    assert_eq!(story.err(exchange), "state_unknown");
    story.end();

    let mut story =
        Story::new("login-late", "a login that took longer than ten minutes", public("enhanced"), Server::default());
    story.discover();
    story.ok(log_in());
    let callback = story.approve();
    story.ok(json!({ "do": "wait", "seconds": 601 }));
    assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), "login_expired");
    assert_eq!(story.player.host.keys(), 0, "the key made for the login is deleted");
    story.end();
}

#[test]
fn malformed_responses_are_refused() {
    let mut story = Story::new("", "", public("enhanced"), Server::default());
    story.discover();
    story.ok(log_in());
    for (callback, reason) in [
        ("https://app.example.com/callback", "redirect_malformed"),
        ("https://app.example.com/other?state=a&code=b", "redirect_malformed"),
        ("https://evil.example.com/callback?state=a&code=b", "redirect_malformed"),
        ("https://app.example.com/callback?state=a&state=b&code=c", "redirect_repeated"),
        ("https://app.example.com/callback?state=a&code=b&code=c", "redirect_repeated"),
        ("https://app.example.com/callback?state=a&code=b&iss=c&iss=d", "redirect_repeated"),
        ("https://app.example.com/callback?code=b", "state_missing"),
        ("https://app.example.com/callback?state=a&code=%zz", "redirect_malformed"),
    ] {
        assert_eq!(story.err(json!({ "do": "exchange", "callback": callback })), reason, "{callback}");
    }
}
