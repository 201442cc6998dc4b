//! What a request is for: raw targets, trusted proxies, mount points.

use keybound_conformance::request::Story;
use keybound_conformance::request::world::{BEGIN, CLIENT_KEY, ISSUER_KEY, claims, proof_claims, with};
use serde_json::{Value, json};

use crate::resource;

/// GET of this raw target, with a proof for this URL.
fn raw(target: &str, htu: &str, jti: &str) -> Value {
    let token = ISSUER_KEY.token(&claims());
    let proof = CLIENT_KEY.proof(&with(&proof_claims(jti, BEGIN), &json!({ "htu": htu })), &token);
    let fields = [["Authorization", &format!("DPoP {token}")], ["DPoP", &proof]];
    json!({ "method": "GET", "target": target, "fields": fields, "epoch": "1" })
}

#[test]
fn raw_targets() {
    let about = "the origin comes from the options, the rest as it was sent";
    let mut story = Story::new("targets", about, &resource(), &json!({}));
    story.admitted("a path", &raw("/a%2Fb?page=2", "https://api.example.com/a%2Fb", "1"));
    story.admitted("an absolute URI", &raw("https://api.example.com/a", "https://api.example.com/a", "2"));
    for (name, target) in [
        ("an asterisk", "*"),
        ("another origin", "https://other.example/a"),
        ("dot segments", "/a/../b"),
        ("encoded dot segments", "/a/%2e%2e/b"),
        ("a space", "/a b"),
        ("bytes", "/\u{ff}"),
    ] {
        assert_eq!(story.refused(name, &raw(target, "https://api.example.com/b", name)), "target_malformed", "{name}");
    }
    assert_eq!(story.refused("another path", &raw("/a", "https://api.example.com/b", "3")), "target_mismatch");
    let url = with(&raw("/", "https://api.example.com/", "4"), &json!({ "target": null, "url": "api" }));
    assert_eq!(story.refused("not a URL", &url), "target_malformed");
    story.end();
}

#[test]
fn proxies() {
    let about = "scheme and host from a trusted proxy, and from no one else";
    let proxies = json!({ "addresses": ["10.0.0.0/8"], "family": "x_forwarded", "hops": 0 });
    let options = with(
        &resource(),
        &json!({ "also_origins": ["https://alias.example.com"], "proxies": proxies, "path_prefix": "/v1" }),
    );
    let mut story = Story::new("targets-proxies", about, &options, &json!({}));
    let from = |peer: &str, host: &str, htu: &str, jti: &str| {
        let mut request = raw("/a", htu, jti);
        request["peer"] = json!(peer);
        let fields = request["fields"].as_array_mut().expect("fields");
        fields.extend([json!(["X-Forwarded-Proto", "https"]), json!(["X-Forwarded-Host", host])]);
        request
    };
    story.admitted("the proxy", &from("10.1.2.3", "alias.example.com", "https://alias.example.com/v1/a", "1"));
    for (name, peer, host) in
        [("a stranger", "192.0.2.1", "alias.example.com"), ("another host", "10.1.2.3", "other.example")]
    {
        assert_eq!(story.refused(name, &from(peer, host, "https://alias.example.com/v1/a", name)), "target_malformed");
    }
    let nobody = with(&from("", "alias.example.com", "https://alias.example.com/v1/a", "2"), &json!({ "peer": null }));
    assert_eq!(story.refused("an unknown peer", &nobody), "target_malformed");
    story.end();
}

#[test]
fn mount_points() {
    let about = "a request is routed by the path it was sent to";
    let options = with(&resource(), &json!({ "mount_path": "/app" }));
    let mut story = Story::new("targets-mounted", about, &options, &json!({}));
    let route = |target: &str, mount_path: &str, path: &str| json!({ "do": "route", "target": target, "mount_path": mount_path, "path": path });
    assert_eq!(story.perform(route("/app/items", "/app", "/items"))["path"], "/items");
    assert_eq!(story.perform(route("/app/items", "/app", "/other"))["refusal"]["reason"], "mount_path_mismatch");
    assert_eq!(story.perform(route("/app/items", "", "/app/items"))["refusal"]["reason"], "mount_path_mismatch");
    assert_eq!(story.perform(route("/app/../items", "/app", "/items"))["refusal"]["reason"], "target_malformed");
    story.end();
}
