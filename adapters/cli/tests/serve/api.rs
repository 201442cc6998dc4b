//! The echo API: who gets in, and what the others are told.

use super::{SECRET, Server, key, proof};

#[test]
fn the_door_is_shut_without_a_proof_of_the_right_key() {
    let (server, own, other) = (Server::without_nonces(), key(), key());
    let token = server.own_token(&own);
    let api = server.url("/api");
    let dpop = format!("DPoP {token}");
    let call = |fields: &[(&str, &str)]| {
        let answer = server.get("/api", fields);
        assert_eq!(
            answer.field("Cache-Control").filter(|_| answer.status != 200),
            Some("no-store").filter(|_| answer.status != 200)
        );
        (answer.status, answer.field("WWW-Authenticate").unwrap_or_default().to_owned())
    };
    let good = proof(&own, "GET", &api, None, Some(&token));
    assert_eq!(call(&[("Authorization", &dpop), ("DPoP", &good)]).0, 200);
    // R9449-7.2-4: no details for whom sent nothing; R9728: where to learn more.
    let (status, challenge) = call(&[]);
    assert_eq!(status, 401);
    assert!(challenge.contains("DPoP") && challenge.contains("algs=") && !challenge.contains("error="), "{challenge}");
    assert!(challenge.contains("/.well-known/oauth-protected-resource/api"), "{challenge}");
    let refused = |fields: &[(&str, &str)], error: &str| {
        let (status, challenge) = call(fields);
        assert_eq!(status, 401, "{error}");
        assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
    };
    refused(&[("Authorization", &dpop), ("DPoP", &good)], "invalid_dpop_proof");
    refused(&[("Authorization", &dpop)], "invalid_dpop_proof");
    let bearer = format!("Bearer {token}");
    refused(&[("Authorization", &bearer)], "invalid_token");
    let by_thief = proof(&other, "GET", &api, None, Some(&token));
    refused(&[("Authorization", &dpop), ("DPoP", &by_thief)], "invalid_token");
    let without_ath = proof(&own, "GET", &api, None, None);
    refused(&[("Authorization", &dpop), ("DPoP", &without_ath)], "invalid_dpop_proof");
    let of_another = proof(&own, "GET", &api, None, Some("another"));
    refused(&[("Authorization", &dpop), ("DPoP", &of_another)], "invalid_dpop_proof");
    let elsewhere = proof(&own, "GET", &server.url("/api/admin"), None, Some(&token));
    refused(&[("Authorization", &dpop), ("DPoP", &elsewhere)], "invalid_dpop_proof");
    // Two credentials are none.
    assert_eq!(call(&[("Authorization", &dpop), ("Authorization", &bearer)]).0, 400);
    // An unbound token under the scheme of bound ones.
    let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
    let unbound = server.post("/token", &form, &[]).text("access_token");
    let proof = proof(&own, "GET", &api, None, Some(&unbound));
    refused(&[("Authorization", &format!("DPoP {unbound}")), ("DPoP", &proof)], "invalid_token");
    // Nor is it good for anything else at an API that takes bound tokens alone.
    assert_eq!(call(&[("Authorization", &format!("Bearer {unbound}"))]).0, 401);
}

#[test]
fn more_is_asked_for_where_more_is_needed() {
    let (server, key) = (Server::start(), key());
    let read = server.login(&key, "read").text("access_token");
    let refused = server.call(&key, "GET", "/api/admin", &read, b"");
    assert_eq!(refused.status, 403);
    let challenge = refused.field("WWW-Authenticate").unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"admin\""), "{challenge}");
    let both = server.login(&key, "read admin").text("access_token");
    assert_eq!(server.call(&key, "GET", "/api/admin", &both, b"").status, 200);
}

#[test]
fn every_method_and_body_is_told_back() {
    let (server, key) = (Server::start(), key());
    let token = server.login(&key, "read").text("access_token");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        let told = server.call(&key, method, "/api/x", &token, b"hello");
        assert_eq!((told.status, told.text("method").as_str()), (200, method));
        assert_eq!(told.text("body_sha256"), "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ");
    }
    assert_eq!(server.call(&key, "HEAD", "/api", &token, b"").status, 200);
}

#[test]
fn all_access_tokens_can_be_revoked_at_once() {
    let (server, key) = (Server::start(), key());
    let token = server.own_token(&key);
    assert_eq!(server.call(&key, "GET", "/api", &token, b"").status, 200);
    server.running.as_ref().unwrap().revoke_access_tokens();
    let refused = server.call(&key, "GET", "/api", &token, b"");
    assert_eq!(refused.status, 401);
    assert!(refused.field("WWW-Authenticate").unwrap().contains("invalid_token"));
}

#[test]
fn bearer_tokens_are_good_at_the_level_standard_and_for_no_bound_token() {
    // R9449-7.2-1.
    let level = keybound::SecurityLevel::Standard;
    let (server, key) = (Server::with(keybound_cli::serve::Options { level, ..Default::default() }), key());
    let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
    let unbound = server.post("/token", &form, &[]).text("access_token");
    let bearer = |token: &str| server.get("/api", &[("Authorization", &format!("Bearer {token}"))]).status;
    assert_eq!(bearer(&unbound), 200);
    let bound = server.own_token(&key);
    assert_eq!(bearer(&bound), 401);
    assert_eq!(server.call(&key, "GET", "/api", &bound, b"").status, 200);
}
