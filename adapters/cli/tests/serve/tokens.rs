//! Grants other than the code, and what becomes of tokens.

use super::{SECRET, Server, jkt, jwt, key};
use keybound::key::{Signer as _, soft::SoftKey};
use keybound_cli::serve::Options;

fn refresh(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", "keybound-demo"), ("refresh_token", token)]
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[test]
fn refresh_tokens_of_public_clients_are_bound_and_rotated() {
    // R9449-5-5, R9449-5-6, R9700-2.2.2.
    let (server, own, other) = (Server::start(), key(), key());
    let first = server.login(&own, "read write").text("refresh_token");
    assert_eq!(server.prove(&other, "/token", &refresh(&first)).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.post("/token", &refresh(&first), &[]).verdict(), (400, Some("invalid_dpop_proof")));
    let answer = server.prove(&own, "/token", &refresh(&first));
    assert_eq!((answer.status, answer.text("token_type").as_str()), (200, "DPoP"));
    let second = answer.text("refresh_token");
    assert_ne!(first, second);
    // The old one came back: the session ends.
    assert_eq!(server.prove(&own, "/token", &refresh(&first)).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.prove(&own, "/token", &refresh(&second)).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.call(&own, "GET", "/api", &answer.text("access_token"), b"").status, 401);
}

#[test]
fn refresh_tokens_of_confidential_clients_are_not_bound() {
    // R9449-5-10.
    let (server, first, second) = (Server::start(), key(), key());
    let code = server.code(&[("client_id", "service")]);
    let mut form = server.redeem(&code);
    form.retain(|(name, _)| *name != "client_id");
    form.extend([("client_id", "service"), ("client_secret", SECRET)]);
    let token = server.prove(&first, "/token", &form).text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "service"),
        ("client_secret", SECRET),
        ("refresh_token", token.as_str()),
    ];
    let answer = server.prove(&second, "/token", &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = server.call(&second, "GET", "/api", &answer.text("access_token"), b"");
    assert_eq!(told.text("bound_to"), jkt(&second));
}

#[test]
fn a_refresh_narrows_the_access_token_and_not_the_next_refresh_token() {
    // RFC 6749 section 6.
    let (server, key) = (Server::start(), key());
    let first = server.login(&key, "read write").text("refresh_token");
    let with = |token: &str, scope: &str| {
        let mut form = refresh(token).to_vec();
        form.push(("scope", scope));
        server.prove(&key, "/token", &form)
    };
    assert_eq!(with(&first, "read admin").verdict(), (400, Some("invalid_scope")));
    let narrow = with(&first, "read");
    assert_eq!(narrow.text("scope"), "read");
    assert_eq!(with(&narrow.text("refresh_token"), "read write").text("scope"), "read write");
}

#[test]
fn clients_get_tokens_in_their_own_name() {
    let (server, key) = (Server::start(), key());
    let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
    let answer = server.prove(&key, "/token", &form);
    assert_eq!((answer.status, answer.text("token_type").as_str()), (200, "DPoP"));
    assert!(answer.json().get("refresh_token").is_none());
    // Without a proof it is an ordinary token.
    let answer = server.post("/token", &form, &[]);
    assert_eq!((answer.status, answer.text("token_type").as_str()), (200, "Bearer"));
    let form = [("grant_type", "client_credentials"), ("client_id", "keybound-demo")];
    assert_eq!(server.prove(&key, "/token", &form).verdict(), (400, Some("unauthorized_client")));
}

#[test]
fn tokens_are_issued_for_an_api_of_the_user() {
    let mine = "http://127.0.0.1:8000";
    let (server, key) = (Server::with(Options { also_resources: vec![mine.into()], ..Options::default() }), key());
    let own = server.running.as_ref().unwrap().resource.clone();
    let ask = |resources: &[&str]| {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
        form.extend(resources.iter().map(|resource| ("resource", *resource)));
        server.prove(&key, "/token", &form)
    };
    let audience = |token: &str| {
        let claims = keybound::base64url::decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["aud"].clone()
    };
    assert_eq!(audience(&ask(&[mine]).text("access_token")), mine);
    assert_eq!(audience(&ask(&[]).text("access_token")), own.as_str());
    assert_eq!(ask(&["http://127.0.0.1:8001"]).verdict(), (400, Some("invalid_target")));
    assert_eq!(ask(&[mine, &own]).verdict(), (400, Some("invalid_target")));
}

#[test]
fn an_api_of_the_user_has_its_own_scopes() {
    let mine = "http://127.0.0.1:8000";
    let mut options = Options { also_resources: vec![mine.into()], ..Options::default() };
    options.add_scope("reports").unwrap();
    assert!(
        options.add_scope("openid").is_err() && options.add_scope("a\"b").is_err() && options.add_scope("").is_err()
    );
    let (server, key) = (Server::with(options), key());
    let ask = |scope: &str, resource: &str| {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
        form.extend([("scope", scope), ("resource", resource)]);
        server.prove(&key, "/token", &form)
    };
    assert_eq!(ask("items:read items:write", mine).text("scope"), "items:read items:write");
    assert_eq!(ask("openid items:read", mine).text("scope"), "items:read", "no ID tokens are issued");
    assert_eq!(ask("openid", mine).verdict(), (400, Some("invalid_scope")));
    // The API here has those that are known.
    let own = server.resource.clone();
    assert_eq!(ask("items:read reports", &own).text("scope"), "reports");
    let refused = ask("items:read", &own);
    assert_eq!(refused.verdict(), (400, Some("invalid_scope")));
    let told = refused.text("error_description");
    assert!(told.contains("'items:read'") && told.contains("read, write, admin, offline_access, reports"), "{told}");
}

#[test]
fn a_resource_that_no_tokens_are_for_is_named() {
    let (server, key) =
        (Server::with(Options { also_resources: vec!["http://127.0.0.1:8000".into()], ..Options::default() }), key());
    let told = |resource: &str| {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
        form.push(("resource", resource));
        let refused = server.prove(&key, "/token", &form);
        assert_eq!(refused.verdict(), (400, Some("invalid_target")));
        refused.text("error_description")
    };
    let other = told("http://127.0.0.1:8001");
    assert!(other.contains("'http://127.0.0.1:8001'") && other.contains("http://127.0.0.1:8000"), "{other}");
    assert!(other.contains(&server.resource), "{other}");
    assert!(told("http://127.0.0.1:8000/").contains("the slash at the end counts"));
}

#[test]
fn devices_get_their_tokens_with_the_key_that_asked() {
    let (server, own, other) = (Server::start(), key(), key());
    let begun = server.prove(&own, "/device_authorization", &[("client_id", "keybound-demo"), ("scope", "read")]);
    assert_eq!((begun.status, begun.field("Cache-Control")), (200, Some("no-store")), "{begun:?}");
    assert!(begun.json()["expires_in"].as_u64() > Some(0));
    assert!(begun.text("verification_uri_complete").contains(&begun.text("user_code")));
    let code = begun.text("device_code");
    let form = [("grant_type", DEVICE), ("client_id", "keybound-demo"), ("device_code", code.as_str())];
    assert_eq!(server.prove(&other, "/token", &form).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("invalid_dpop_proof")));
    let answer = server.prove(&own, "/token", &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.prove(&own, "/token", &form).verdict(), (400, Some("invalid_grant")), "once");
    let form = [("grant_type", DEVICE), ("client_id", "keybound-demo"), ("device_code", "made-up")];
    assert_eq!(server.prove(&own, "/token", &form).verdict(), (400, Some("invalid_grant")));
    let form = [("grant_type", DEVICE), ("client_id", "keybound-demo")];
    assert_eq!(server.prove(&own, "/token", &form).verdict(), (400, Some("invalid_request")));
}

#[test]
fn the_user_decides_about_a_device() {
    let server = Server::with(Options { device_approval: None, ..Options::default() });
    let key = key();
    let begin = || server.post("/device_authorization", &[("client_id", "keybound-demo")], &[]);
    let ask = |code: &str| {
        server.prove(&key, "/token", &[("grant_type", DEVICE), ("client_id", "keybound-demo"), ("device_code", code)])
    };
    let decide =
        |code: &str, decision: &str| server.post_here("/device", &[("user_code", code), ("decision", decision)]).status;
    let begun = begin();
    let code = begun.text("device_code");
    assert_eq!(ask(&code).verdict(), (400, Some("authorization_pending")));
    assert_eq!(ask(&code).verdict(), (400, Some("slow_down")));
    assert_eq!(decide("made-up", "approve"), 400);
    let page = server.get("/device?user_code=%3Cscript%3E", &[]);
    assert!(page.status == 200 && !page.body.contains("<script>"));
    let form = [("user_code", begun.text("user_code")), ("decision", "approve".into())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let foreign = server.post_with("/device", &form, &[], &[("Origin", "https://evil.example")]);
    assert_eq!((foreign.status, server.post("/device", &form, &[]).status), (403, 403));
    assert_eq!(decide(&begun.text("user_code").to_lowercase(), "approve"), 200);
    assert_eq!(ask(&code).status, 200);
    let begun = begin();
    assert_eq!(decide(&begun.text("user_code"), "deny"), 200);
    assert_eq!(ask(&begun.text("device_code")).verdict(), (400, Some("access_denied")));
}

#[test]
fn bound_tokens_are_exchanged_by_their_own_key() {
    let (server, own, other) = (Server::start(), key(), key());
    let subject = server.login(&own, "read write").text("access_token");
    let form = |more: &[(&'static str, &'static str)]| {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("client_id", "service"),
            ("client_secret", SECRET),
            ("subject_token", subject.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        for (name, value) in more {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        form.retain(|(_, value)| !value.is_empty());
        form
    };
    let answer = server.prove(&own, "/token", &form(&[("scope", "read")]));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.text("issued_token_type").as_str(), answer.text("token_type").as_str()), (ACCESS_TOKEN, "DPoP"));
    assert_eq!(answer.text("scope"), "read");
    let told = server.call(&own, "GET", "/api", &answer.text("access_token"), b"");
    assert_eq!((told.text("subject").as_str(), told.text("client_id").as_str()), ("alice", "service"));

    assert_eq!(server.prove(&other, "/token", &form(&[])).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.post("/token", &form(&[]), &[]).verdict(), (400, Some("invalid_dpop_proof")));
    for (name, value, error) in [
        ("subject_token", "", "invalid_request"),
        ("subject_token_type", "", "invalid_request"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2", "invalid_request"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("actor_token_type", ACCESS_TOKEN, "invalid_request"),
        ("actor_token", "a.b.c", "invalid_request"),
        ("subject_token", "a.b.c", "invalid_grant"),
        ("audience", "https://other.example", "invalid_target"),
        ("resource", "https://other.example", "invalid_target"),
        ("scope", "read admin", "invalid_scope"),
    ] {
        assert_eq!(
            server.prove(&own, "/token", &form(&[(name, value)])).verdict(),
            (400, Some(error)),
            "{name}={value}"
        );
    }
}

#[test]
fn who_acts_is_told_in_the_exchanged_token() {
    // RFC 8693 section 4.1.
    let (server, key) = (Server::start(), key());
    let subject = server.login(&key, "read").text("access_token");
    let actor = server.own_token(&key);
    let form = [
        ("grant_type", EXCHANGE),
        ("client_id", "service"),
        ("client_secret", SECRET),
        ("subject_token", &subject),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", &actor),
        ("actor_token_type", ACCESS_TOKEN),
    ];
    let token = server.prove(&key, "/token", &form).text("access_token");
    let claims = keybound::base64url::decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((claims["sub"].as_str(), claims["act"]["sub"].as_str()), (Some("alice"), Some("service")));
}

#[test]
fn intents_are_for_one_key_one_request_and_once() {
    let (server, own) = (Server::start(), key());
    let thumbprint = jkt(&own);
    let digest = keybound::RUSTCRYPTO.digest;
    let detail = keybound::intent::request_detail("POST", &server.url("/api/intent"), Some(b"ten euros"), digest);
    let details = keybound::json::Value::from(vec![detail]).to_json();
    let asked = [("dpop_jkt", thumbprint.as_str()), ("authorization_details", &details), ("scope", "read write admin")];
    let code = server.code(&asked);
    let tokens = server.prove(&own, "/token", &server.redeem(&code));
    assert_eq!(tokens.json()["authorization_details"].to_string(), details);
    assert!(tokens.json().get("refresh_token").is_none(), "an intent is not renewed");
    let token = tokens.text("access_token");
    assert!(tokens.json().get("scope").is_none(), "an intent has no scope beside it: {:?}", tokens.json());
    for path in ["/api", "/api/write", "/api/admin", "/api", "/api/intents"] {
        assert_eq!(server.call(&own, "GET", path, &token, b"").status, 403, "{path}");
    }
    let pay = |body: &[u8]| server.call(&own, "POST", "/api/intent", &token, body).status;
    assert_eq!(pay(b"a thousand euros"), 403);
    assert_eq!(pay(b"ten euros"), 200);
    assert_eq!(pay(b"ten euros"), 403, "once");
    let form = [
        ("grant_type", EXCHANGE),
        ("client_id", "keybound-demo"),
        ("subject_token", token.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    assert_eq!(server.prove(&own, "/token", &form).verdict(), (400, Some("invalid_grant")), "nor by another token");
}

#[test]
fn introspection_tells_the_key_to_confidential_clients() {
    // R9449-6.2-1, R9449-6.2-2, R9449-6.2-3, RFC 7662.
    let (server, key) = (Server::start(), key());
    let tokens = server.login(&key, "read");
    let ask = |token: &str, more: &[(&str, &str)]| {
        let mut form = vec![("token", token), ("client_id", "service"), ("client_secret", SECRET)];
        form.extend(more);
        server.post("/introspect", &form, &[])
    };
    let access = tokens.text("access_token");
    let told = ask(&access, &[("token_type_hint", "refresh_token")]);
    assert_eq!((told.status, told.field("Cache-Control")), (200, Some("no-store")));
    let told = told.json();
    assert_eq!((told["active"].as_bool(), told["token_type"].as_str()), (Some(true), Some("DPoP")));
    assert_eq!(told["cnf"]["jkt"].as_str(), Some(jkt(&key).as_str()));
    assert_eq!(
        (told["client_id"].as_str(), told["iss"].as_str()),
        (Some("keybound-demo"), Some(server.issuer.as_str()))
    );
    for unknown in ["made-up", "a.b.c", &format!("{access}x"), &tokens.text("refresh_token")] {
        assert_eq!(ask(unknown, &[]).body, r#"{"active":false}"#, "{unknown}");
    }
    let public = server.post("/introspect", &[("token", &access), ("client_id", "keybound-demo")], &[]);
    assert_eq!(public.verdict(), (401, Some("invalid_client")));
    assert_eq!(server.post("/introspect", &[("token", &access)], &[]).verdict(), (401, Some("invalid_client")));
    let form = [("client_id", "service"), ("client_secret", SECRET)];
    assert_eq!(server.post("/introspect", &form, &[]).verdict(), (400, Some("invalid_request")));
}

#[test]
fn revoked_tokens_are_worth_nothing() {
    // RFC 7009.
    let (server, key) = (Server::start(), key());
    let tokens = server.login(&key, "read");
    let (access, token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let revoke = |token: &str| server.post("/revoke", &[("token", token), ("client_id", "keybound-demo")], &[]).status;
    let foreign = [("token", access.as_str()), ("client_id", "service"), ("client_secret", SECRET)];
    assert_eq!(server.post("/revoke", &foreign, &[]).verdict(), (400, Some("invalid_request")));
    assert_eq!(server.call(&key, "GET", "/api", &access, b"").status, 200);
    assert_eq!(revoke("made-up"), 200);
    assert_eq!(revoke(&token), 200);
    assert_eq!(revoke(&token), 200);
    assert_eq!(server.call(&key, "GET", "/api", &access, b"").status, 401);
    assert_eq!(server.prove(&key, "/token", &refresh(&token)).verdict(), (400, Some("invalid_grant")));
    assert_eq!(
        server.post("/revoke", &[("client_id", "keybound-demo")], &[]).verdict(),
        (400, Some("invalid_request"))
    );
}

/// A client with this key, that may use these grants.
fn registered(server: &Server, key: &SoftKey, grants: &str) -> String {
    let jwks = format!(r#"{{"keys":[{}]}}"#, key.public_key().to_json());
    let metadata =
        format!(r#"{{"token_endpoint_auth_method":"private_key_jwt","grant_types":[{grants}],"jwks":{jwks}}}"#);
    let answer = server.register(&metadata);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.text("client_id")
}

#[test]
fn assertions_of_clients_are_grants_once() {
    // RFC 7523 section 2.1.
    const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let (server, client_key, own, other) = (Server::start(), key(), key(), key());
    let id = registered(&server, &client_key, r#""urn:ietf:params:oauth:grant-type:jwt-bearer""#);
    let exp = keybound::UnixTime::now().saturating_add(60).secs();
    let assertion = |jti: &str, subject: &str, more: &str| {
        let claims =
            format!(r#"{{"iss":"{id}","sub":"{subject}","aud":"{}","exp":{exp},"jti":"{jti}"{more}}}"#, server.issuer);
        jwt(&client_key, r#"{"alg":"ES256","typ":"JWT"}"#, &claims)
    };
    let ask = |key: &SoftKey, assertion: &str, jti: &str| {
        // A fresh one for each try (RFC 7523 section 3).
        let client = self::super::clients::assertion(&client_key, &id, &server.issuer, jti);
        let form = [
            ("grant_type", JWT_BEARER),
            ("assertion", assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &client),
        ];
        server.prove(key, "/token", &form)
    };
    let good = assertion("a1", "bob", "");
    let answer = ask(&own, &good, "c1");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.call(&own, "GET", "/api", &answer.text("access_token"), b"").text("subject"), "bob");
    assert_eq!(ask(&own, &good, "c2").verdict(), (400, Some("invalid_grant")));
    let bound = assertion("a2", "bob", &format!(r#","cnf":{{"jkt":"{}"}}"#, jkt(&own)));
    assert_eq!(ask(&other, &bound, "c3").verdict(), (400, Some("invalid_grant")));
    assert_eq!(ask(&own, &bound, "c4").status, 200);
    let more = assertion("a4", "bob", &format!(r#","cnf":{{"jkt":"{}","any":null}}"#, jkt(&own)));
    assert_eq!(ask(&other, &more, "c7").verdict(), (400, Some("invalid_grant")));
    assert_eq!(ask(&own, &more, "c8").status, 200);
    let unknown = assertion("a3", "bob", r#","cnf":{"kid":"x"}"#);
    assert_eq!(ask(&own, &unknown, "c5").verdict(), (400, Some("invalid_grant")));
    let access = answer.text("access_token");
    assert_eq!(ask(&own, &access, "c6").verdict(), (400, Some("invalid_grant")));
}
