//! What some servers need to be told, or not to be told.

use keybound_conformance::flow::Story;
use keybound_conformance::flow::server::{RESOURCE, Server, answer};
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
    assert_eq!(story.err(elsewhere), "outside_resource");
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
    let nothing = || answer(404, &json!({}));
    for place in ["oauth-authorization-server", "openid-configuration"] {
        story.server.prepared.push_back((place, nothing()));
    }
    story.ok(json!({ "do": "discover", "target": RESOURCE, "challenges": [] }));
    let sent = story.ok(json!({ "do": "authorize", "session": "work" }));
    let issued = json!({ "access_token": "at", "token_type": "DPoP", "scope": "read" });
    story.server.prepared.push_back(("/token", answer(200, &issued)));
    let callback =
        format!("https://app.example.com/callback?code=c&state={}", sent["query"]["state"].as_str().expect("one"));
    story.ok(json!({ "do": "exchange", "callback": callback }));
    story.ok(json!({ "do": "step_up", "session": "work", "scope": "write" }));
}

/// What Entra ID publishes for many tenants, with a gap in the issuer.
fn entra(tenant: &str) -> Value {
    let at = |path: &str| format!("https://login.microsoftonline.com/{tenant}/{path}");
    json!({ "issuer": at("v2.0"), "authorization_endpoint": at("oauth2/v2.0/authorize"), "token_endpoint": at("oauth2/v2.0/token") })
}

const TENANT: &str = "0f9cbb0e-5a1d-4c0a-9c7f-3d6a2b1e8f40";

#[test]
fn a_resource_that_names_entra_for_many_tenants() {
    for alias in ["common", "organizations"] {
        let many = format!("https://login.microsoftonline.com/{alias}/v2.0");
        let resource = changes(json!({ "authorization_servers": [many] }));
        let mut config = public("enhanced");
        config["entra_tenant"] = json!(TENANT);
        let own = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
        // Both as the caller writes them: for many, and the tenant's own.
        config["accept_issuers"] = json!([many]);
        config["credentials"] = json!([{ "issuer": own, "client_id": "app" }]);
        let about = "Entra ID is named for many tenants: the one of the client is asked, and has the issuer";
        let mut story = Story::new("entra-tenant", about, config, Server { resource, ..Server::default() });
        let nothing = || answer(404, &json!({}));
        let found = answer(200, &entra(TENANT));
        story
            .server
            .prepared
            .push_back((".well-known/oauth-authorization-server/0f9cbb0e-5a1d-4c0a-9c7f-3d6a2b1e8f40/v2.0", nothing()));
        story
            .server
            .prepared
            .push_back((".well-known/openid-configuration/0f9cbb0e-5a1d-4c0a-9c7f-3d6a2b1e8f40/v2.0", nothing()));
        story.server.prepared.push_back(("/v2.0/.well-known/openid-configuration", found));
        assert_eq!(story.ok(json!({ "do": "discover", "target": RESOURCE, "challenges": [] }))["issuer"], json!(own));
        let begin = json!({
            "do": "authorize", "session": "work", "scope": "api://items/read", "without_resource": true, "danger_assume_pkce": true,
        });
        assert_eq!(story.ok(begin)["query"]["client_id"], "app");
        if alias == "common" {
            story.end();
        }
    }
}

#[test]
fn metadata_with_a_gap_in_its_issuer_is_no_ones() {
    // Without a tenant there is none to fill the gap with; and a gap at another host is not filled at all.
    let at = |host: &str, tenant: &str| format!("https://{host}/{tenant}/v2.0");
    for (tenant, named, published) in [
        (None, at("login.microsoftonline.com", "common"), at("login.microsoftonline.com", "{tenantid}")),
        (Some(TENANT), at("login.example.com", "common"), at("login.example.com", "{tenantid}")),
        (Some(TENANT), at("login.microsoftonline.com", "organizations"), at("login.microsoftonline.com", "{tenantid}")),
    ] {
        let mut config = public("enhanced");
        if let Some(tenant) = tenant {
            config["entra_tenant"] = json!(tenant);
        }
        let mut story = Story::new("", "", config, Server::default());
        let metadata = answer(200, &json!({ "issuer": published }));
        story.server.prepared.push_back(("/v2.0", metadata));
        assert_eq!(story.err(json!({ "do": "discover_issuer", "issuer": named })), "issuer_template");
    }
}
