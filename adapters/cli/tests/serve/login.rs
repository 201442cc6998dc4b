//! Logins: code with PKCE, pushed requests, the announced key, what is answered and what is revoked.

use super::{REDIRECT, SECRET, Server, VERIFIER, challenge, jkt, key, proof};
use keybound::http::form::Form;

#[test]
fn a_whole_login_with_a_pushed_request_and_an_announced_key() {
    // R9449-5-3, R9449-5-4, R9449-6.1-1, R9449-10.1-5, R9126-2.1.
    let (server, key) = (Server::start(), key());
    let (thumbprint, challenge) = (jkt(&key), challenge());
    let pushed = [
        ("response_type", "code"),
        ("client_id", "keybound-demo"),
        ("redirect_uri", REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "s"),
        ("scope", "read"),
        ("resource", &server.resource),
        ("dpop_jkt", &thumbprint),
    ];
    let answer = server.post("/par", &pushed, &[]);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!((answer.field("Cache-Control"), answer.json()["expires_in"].as_u64()), (Some("no-store"), Some(60)));
    let handle = answer.text("request_uri");
    assert!(handle.starts_with("urn:ietf:params:oauth:request_uri:"));

    let mut query = Form::new();
    query.push("client_id", "keybound-demo");
    query.push("request_uri", &handle);
    let path = format!("/authorize?{}", query.encode());
    let back = server.get(&path, &[]);
    assert_eq!((back.status, back.returned("state").as_deref()), (302, Some("s")));
    assert_eq!(back.returned("iss"), Some(server.issuer.clone()), "RFC 9207");
    assert!(back.field("Location").unwrap().starts_with("http://127.0.0.1:5000/callback?"));
    // RFC 9126 section 4: once.
    assert_eq!(server.get(&path, &[]).status, 400);

    let code = back.returned("code").unwrap();
    let answer = server.prove(&key, "/token", &server.redeem(&code));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    let body = answer.json();
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("DPoP"), Some(300)));
    assert_eq!(body["scope"], "read");

    let told = server.call(&key, "GET", "/api/things?x=1", &answer.text("access_token"), b"");
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(
        (told.text("path"), told.text("query"), told.text("bound_to")),
        ("/api/things".into(), "x=1".into(), thumbprint)
    );
}

#[test]
fn a_nonce_challenge_leaves_the_code_for_the_retry() {
    // OURS-8, R9449-8-2, R9449-8-5, R9449-8-11.
    let (server, key) = (Server::start(), key());
    let code = server.code(&[]);
    let form = server.redeem(&code);
    let url = server.url("/token");
    let first = server.post("/token", &form, &[proof(&key, "POST", &url, None, None)]);
    assert_eq!(first.verdict(), (400, Some("use_dpop_nonce")));
    assert_eq!(first.field("Cache-Control"), Some("no-store"));
    assert_eq!(first.field("Content-Type"), Some("application/json"));
    assert!(first.field("Access-Control-Expose-Headers").unwrap().contains("DPoP-Nonce"));
    assert!(first.field("WWW-Authenticate").is_none());
    let nonce = first.field("DPoP-Nonce").unwrap();
    // R9449-8-4, R9449-8-8: a nonce that is none of ours brings a new one.
    let made_up = server.post("/token", &form, &[proof(&key, "POST", &url, Some("made-up"), None)]);
    assert_eq!(made_up.verdict(), (400, Some("use_dpop_nonce")));
    assert!(made_up.field("DPoP-Nonce").is_some());
    let second = server.post("/token", &form, &[proof(&key, "POST", &url, Some(nonce), None)]);
    assert_eq!(second.status, 200, "{second:?}");
}

#[test]
fn a_code_that_is_used_twice_revokes_what_came_of_it() {
    let (server, key) = (Server::start(), key());
    let code = server.code(&[]);
    let tokens = server.prove(&key, "/token", &server.redeem(&code));
    let access = tokens.text("access_token");
    assert_eq!(server.call(&key, "GET", "/api", &access, b"").status, 200);
    assert_eq!(server.prove(&key, "/token", &server.redeem(&code)).verdict(), (400, Some("invalid_grant")));
    let refused = server.call(&key, "GET", "/api", &access, b"");
    assert_eq!(refused.status, 401);
    assert!(refused.field("WWW-Authenticate").unwrap().contains("invalid_token"));
    let refresh = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", "keybound-demo"), ("refresh_token", &refresh)];
    assert_eq!(server.prove(&key, "/token", &form).verdict(), (400, Some("invalid_grant")));
}

#[test]
fn a_code_goes_to_its_client_verifier_and_redirect_uri_alone() {
    let (server, key) = (Server::start(), key());
    let code = server.code(&[]);
    let good = server.redeem(&code);
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.clone();
        form.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
        server.prove(&key, "/token", &form).verdict()
    };
    assert_eq!(with("code_verifier", ""), (400, Some("invalid_request")));
    assert_eq!(with("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX"), (400, Some("invalid_grant")));
    assert_eq!(with("code_verifier", "short"), (400, Some("invalid_grant")));
    assert_eq!(with("redirect_uri", "http://127.0.0.1:5001/callback"), (400, Some("invalid_grant")));
    assert_eq!(with("redirect_uri", ""), (400, Some("invalid_grant")));
    assert_eq!(with("code", "another"), (400, Some("invalid_grant")));
    assert_eq!(with("code", ""), (400, Some("invalid_request")));
    assert_eq!(with("resource", "https://other.example"), (400, Some("invalid_target")));
    let mut other = good.clone();
    other.retain(|(name, _)| *name != "client_id");
    other.extend([("client_id", "service"), ("client_secret", SECRET)]);
    assert_eq!(server.prove(&key, "/token", &other).verdict(), (400, Some("invalid_grant")));
    // None of that used it up.
    assert_eq!(server.prove(&key, "/token", &good).status, 200);
}

#[test]
fn the_announced_key_alone_redeems_the_code() {
    // R9449-10-2, R9449-10-3.
    let (server, own, other) = (Server::start(), key(), key());
    let thumbprint = jkt(&own);
    let code = server.code(&[("dpop_jkt", &thumbprint)]);
    let form = server.redeem(&code);
    assert_eq!(server.prove(&other, "/token", &form).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("invalid_dpop_proof")));
    assert_eq!(server.prove(&own, "/token", &form).status, 200);
}

#[test]
fn pushed_requests_take_the_key_from_parameter_or_proof() {
    // R9449-10.1-3 to 10.1-6.
    let (server, own, other) = (Server::start(), key(), key());
    let (own_jkt, challenge) = (jkt(&own), challenge());
    let push = |key: Option<&keybound::key::soft::SoftKey>, jkt: Option<&str>| {
        let mut form = vec![
            ("response_type", "code"),
            ("client_id", "keybound-demo"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        form.extend(jkt.map(|jkt| ("dpop_jkt", jkt)));
        match key {
            Some(key) => server.prove(key, "/par", &form),
            None => server.post("/par", &form, &[]),
        }
    };
    assert_eq!(push(None, None).status, 201);
    assert_eq!(push(None, Some(&own_jkt)).status, 201);
    assert_eq!(push(Some(&own), Some(&own_jkt)).status, 201);
    assert_eq!(push(Some(&other), Some(&own_jkt)).verdict(), (400, Some("invalid_request")));
    assert_eq!(push(None, Some("short")).verdict(), (400, Some("invalid_request")));
    let handle = push(Some(&own), None).text("request_uri");
    let back = server.get(
        &format!("/authorize?{}", crate::wire::encode(&[("client_id", "keybound-demo"), ("request_uri", &handle)])),
        &[],
    );
    let code = back.returned("code").unwrap();
    assert_eq!(server.prove(&other, "/token", &server.redeem(&code)).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.prove(&own, "/token", &server.redeem(&code)).status, 200);
    // A proof for another endpoint is none for this one.
    let wrong = proof(&own, "POST", &server.url("/token"), None, None);
    assert_eq!(
        server.post("/par", &[("client_id", "keybound-demo")], &[wrong]).verdict(),
        (400, Some("invalid_dpop_proof"))
    );
    // R9126-2.1: a request_uri cannot be pushed.
    let form = [("client_id", "keybound-demo"), ("request_uri", "urn:x")];
    assert_eq!(server.post("/par", &form, &[]).verdict(), (400, Some("invalid_request")));
    assert_eq!(server.get("/par", &[]).status, 405);
}

#[test]
fn what_the_client_did_wrong_goes_back_to_it_with_state_and_issuer() {
    let server = Server::start();
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("scope", "unheard-of", "invalid_scope"),
        ("scope", "openid", "invalid_scope"),
        ("resource", "https://other.example/", "invalid_target"),
        ("dpop_jkt", "short", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "a.b.c", "request_not_supported"),
        ("authorization_details", "no json", "invalid_authorization_details"),
        ("authorization_details", "[]", "invalid_request"),
    ] {
        let back = server.authorize(&[(name, value)]);
        assert_eq!((back.status, back.returned("error").as_deref()), (302, Some(error)), "{name}={value}");
        assert_eq!(back.returned("state").as_deref(), Some("some state"));
        assert_eq!(back.returned("iss").as_deref(), Some(server.issuer.as_str()));
        assert!(back.returned("code").is_none());
    }
    // Only what may stand in a description (RFC 6749 section 4.1.2.1).
    let back = server.authorize(&[("scope", &"\"\\é\n".repeat(1_000))]);
    let described = back.returned("error_description").expect("a description");
    assert!(described.len() == 300 && described.ends_with("????"), "{described}");
    let thumbprint = jkt(&key());
    let details = r#"[{"type":"payment"}]"#;
    let back = server.authorize(&[("dpop_jkt", &thumbprint), ("authorization_details", details)]);
    assert_eq!(back.returned("error").as_deref(), Some("invalid_authorization_details"));
}

#[test]
fn nobody_is_sent_where_the_client_did_not_register() {
    // R9700-2.1.
    let server = Server::start();
    for (name, value) in [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:5000/callback/x"),
        ("redirect_uri", "http://127.0.0.1:5000/callback?x"),
        ("redirect_uri", "http://127.0.0.1:5000@evil.example/callback"),
        ("request_uri", "urn:ietf:params:oauth:request_uri:made-up"),
        ("request_uri", "https://evil.example/request"),
    ] {
        let answer = server.authorize(&[(name, value)]);
        assert_eq!((answer.status, answer.field("Location")), (400, None), "{name}={value}");
    }
    let twice = server.get("/authorize?client_id=keybound-demo&client_id=keybound-demo", &[]);
    assert_eq!((twice.status, twice.field("Location")), (400, None));
}

#[test]
fn the_user_can_be_asked() {
    let server = Server::with(keybound_cli::serve::Options { consent: true, ..Default::default() });
    let decide = |decision: &str| {
        let page = server.authorize(&[("scope", "read <b>"), ("scope", "read")]);
        assert_eq!(page.status, 200);
        assert!(page.field("Content-Type").unwrap().starts_with("text/html"));
        assert!(page.field("Content-Security-Policy").unwrap().contains("frame-ancestors 'none'"));
        let (_, rest) = page.body.split_once("name=ticket value=").expect("a ticket");
        let ticket = rest.split('>').next().unwrap().trim_matches('"').to_owned();
        let form = [("ticket", ticket.as_str()), ("decision", decision)];
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
            let answer = server.post_with("/decide", &form, &[], &[("Origin", origin)]);
            assert_eq!((answer.status, answer.field("Access-Control-Allow-Origin")), (403, None), "{origin}");
        }
        assert_eq!(server.post("/decide", &form, &[]).status, 403, "from no page");
        let back = server.post_here("/decide", &form);
        assert_eq!(server.post_here("/decide", &form).status, 400, "a decision counts once");
        back
    };
    let silent = server.authorize(&[("prompt", "none")]);
    assert_eq!(silent.returned("error").as_deref(), Some("interaction_required"));
    assert!(decide("approve").returned("code").is_some());
    assert_eq!(decide("deny").returned("error").as_deref(), Some("access_denied"));
    assert_eq!(server.post_here("/decide", &[("ticket", "made-up"), ("decision", "approve")]).status, 400);
}

#[test]
fn the_verifier_is_that_of_the_test() {
    // RFC 7636 appendix B.
    assert_eq!((VERIFIER.len(), challenge().as_str()), (43, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
}

#[test]
fn the_level_maximum_takes_pushed_requests_and_bound_tokens_alone() {
    let level = keybound::SecurityLevel::Maximum;
    let server = Server::with(keybound_cli::serve::Options { level, ..Default::default() });
    let back = server.authorize(&[]);
    assert_eq!(back.returned("error").as_deref(), Some("invalid_request"));
    let metadata = server.get("/.well-known/oauth-authorization-server", &[]).json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("invalid_dpop_proof")));
    assert_eq!(server.call(&key(), "GET", "/api", "a.b.c", b"").status, 401);
    let own = key();
    let token = server.own_token(&own);
    assert_eq!(server.call(&own, "GET", "/api", &token, b"").status, 200);
    // Ed25519 and PS256 are in the set, RS256 and ES384 are not (FAPI2-5.4.1-1.2).
    for (algorithm, taken) in [(keybound::Algorithm::Ed25519, true), (keybound::Algorithm::Es384, false)] {
        let key = keybound::key::soft::SoftKey::generate(algorithm, &keybound::RUSTCRYPTO).unwrap();
        assert_eq!(server.prove(&key, "/token", &form).status == 200, taken, "{algorithm:?}");
    }
}

#[test]
fn a_code_is_good_for_a_minute() {
    // FAPI2-5.3.2.1-11.
    let (server, key) = (Server::without_nonces(), key());
    let redeem = |code: &str, later: u64| {
        server.set_faults(&[&format!("clock-skew={later}")]);
        let now = keybound::UnixTime::now().saturating_add(later);
        let url = server.url("/token");
        let proof = keybound::ProofBuilder::new("POST", &url).sign(&keybound::RUSTCRYPTO, &key, now).unwrap();
        let answer = server.post("/token", &server.redeem(code), &[proof.into_string()]);
        server.set_faults(&[]);
        answer
    };
    let (first, second) = (server.code(&[]), server.code(&[]));
    let tokens = redeem(&first, 50);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert_eq!(redeem(&second, 61).verdict(), (400, Some("invalid_grant")));
    // A second use is noticed for as long as the tokens of the first live.
    assert_eq!(redeem(&first, 200).verdict(), (400, Some("invalid_grant")));
    assert_eq!(server.call(&key, "GET", "/api", &tokens.text("access_token"), b"").status, 401);
}

#[test]
fn of_many_who_redeem_at_once_one_at_most_succeeds() {
    let (server, key) = (Server::without_nonces(), key());
    let redeemed = |form: &[(&str, &str)]| {
        let requests: Vec<String> = (0..16).map(|_| proof(&key, "POST", &server.url("/token"), None, None)).collect();
        std::thread::scope(|scope| {
            let send = |proof: &String| server.post("/token", form, std::slice::from_ref(proof)).status;
            let threads: Vec<_> = requests.iter().map(|proof| scope.spawn(move || send(proof))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|status| *status == 200).count()
        })
    };
    let code = server.code(&[]);
    assert_eq!(redeemed(&server.redeem(&code)), 1);
    let token = server.login(&key, "read").text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", "keybound-demo"), ("refresh_token", token.as_str())];
    assert_eq!(redeemed(&form), 1);
}
