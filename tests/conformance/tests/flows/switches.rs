//! What some servers need to be told, or not to be told.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{RESOURCE, Server};
use keybound_conformance::flow::story::public;
use serde_json::{Value, json};

use super::login::changes;

/// Whether any request to the authorization server had this parameter.
fn sent(story: &Story, parameter: &str) -> bool {
    let body = |request: &keybound::http::message::Request| match &request.body {
        keybound::http::message::Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let needle = format!("{parameter}=");
    story.server.log.iter().any(|request| body(request).contains(&needle) || request.url.contains(&needle))
}

#[test]
fn a_server_where_scopes_name_the_resource() {
    let metadata = changes(json!({ "code_challenge_methods_supported": null }));
    let about = "no resource parameter, the scope again at each refresh, PKCE although it is not announced";
    let mut story = Story::new("switches", about, public("enhanced"), Server { metadata, ..Server::default() });
    story.discover();
    let begin = json!({
        "do": "authorize", "session": "work", "scope": "api://items/read offline_access",
        "without_resource": true, "scope_on_refresh": true, "danger_assume_pkce": true,
    });
    let session = story.log_in(begin);
    assert_eq!(session["resource"], RESOURCE, "tokens are sent there and nowhere else all the same");
    // What was stored goes on in the same way.
    story.ok(json!({ "do": "open", "session": "work" }));
    story.ok(json!({ "do": "refresh", "session": "work" }));
    assert!(!sent(&story, "resource"));
    let step_up = story.ok(json!({ "do": "step_up", "session": "work", "scope": "api://items/write" }));
    assert_eq!(step_up["pushed"], true);
    assert!(!sent(&story, "resource"));
    let elsewhere = json!({ "do": "call", "session": "work", "url": "https://api.example.com/other" });
    assert_eq!(story.err(elsewhere), "misuse");
    story.end();
}

#[test]
fn other_grants_leave_the_resource_out_as_well() {
    let operations: [&[Value]; 2] = [
        &[json!({ "do": "client_credentials", "session": "work", "without_resource": true })],
        &[
            json!({ "do": "device", "session": "work", "without_resource": true }),
            json!({ "do": "poll_device", "session": "work" }),
        ],
    ];
    for operations in operations {
        let mut story = Story::new("", "", public("enhanced"), Server::default());
        story.discover();
        for operation in operations {
            story.ok(operation.clone());
        }
        story.ok(json!({ "do": "refresh", "session": "work" }));
        assert!(!sent(&story, "resource"));
    }
}

#[test]
fn pkce_is_assumed_for_the_session_that_says_so() {
    let metadata = changes(json!({ "code_challenge_methods_supported": null }));
    let mut story = Story::new("", "", public("enhanced"), Server { metadata, ..Server::default() });
    story.discover();
    story.log_in(json!({ "do": "authorize", "session": "work", "danger_assume_pkce": true }));
    assert_eq!(story.err(json!({ "do": "authorize", "session": "other" })), "no_pkce");
}

#[test]
fn more_scope_of_a_server_whose_endpoints_are_assumed() {
    // The session goes on with what was assumed at its login.
    let mut config = public("enhanced");
    config["credentials"] = json!([{ "issuer": "https://api.example.com", "client_id": "app" }]);
    config["danger_assume_endpoints"] = json!(true);
    let mut story = Story::new("", "", config, Server { publishes_resource: false, ..Server::default() });
    let nothing = || keybound_conformance::flow::server::answer(404, &json!({}));
    for place in ["oauth-authorization-server", "openid-configuration"] {
        story.server.prepared.push_back((place, nothing()));
    }
    story.ok(json!({ "do": "discover", "target": RESOURCE }));
    story.ok(json!({ "do": "authorize", "session": "work" }));
}
