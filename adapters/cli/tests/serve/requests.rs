//! Requests as nobody should send them, and what the servers publish.

use super::wire::{raw, send};
use super::{SECRET, Server};

#[test]
fn requests_that_are_no_token_requests() {
    let server = Server::start();
    let post = |kind: &str, body: &[u8]| send(&server.issuer, "POST", "/token", &[("Content-Type", kind)], body);
    const FORM: &str = "application/x-www-form-urlencoded";
    let who =
        format!("client_id=service&client_secret={}", crate::wire::encode(&[("", SECRET)]).trim_start_matches('='));
    let with = |text: &str| format!("{who}{text}").into_bytes();
    assert_eq!(post(FORM, &with("&grant_type=client_credentials")).status, 200);
    assert_eq!(
        post("Application/X-WWW-Form-Urlencoded; charset=UTF-8", &with("&grant_type=client_credentials")).status,
        200
    );
    for (kind, body, verdict) in [
        (FORM, with(""), (400, Some("invalid_request"))),
        (FORM, with("&grant_type="), (400, Some("invalid_request"))),
        (FORM, with("&grant_type=password&username=x&password=y"), (400, Some("unsupported_grant_type"))),
        (FORM, with("&grant_type=implicit"), (400, Some("unsupported_grant_type"))),
        (FORM, with("&grant_type=client_credentials&grant_type=client_credentials"), (400, Some("invalid_request"))),
        (FORM, with("&grant_type=client_credentials&scope=read&scope=write"), (400, Some("invalid_request"))),
        (FORM, with("&grant_type=client_credentials&scope=unheard-of"), (400, Some("invalid_scope"))),
        (
            FORM,
            with("&grant_type=client_credentials&resource=https%3A%2F%2Fother.example"),
            (400, Some("invalid_target")),
        ),
        (FORM, with("&grant_type=%zz"), (400, Some("invalid_request"))),
        (FORM, with("&grant_type=%ff"), (400, Some("invalid_request"))),
        (FORM, b"grant_type=client_credentials".to_vec(), (401, Some("invalid_client"))),
        (FORM, b"".to_vec(), (401, Some("invalid_client"))),
        (FORM, vec![b'&'; 70_000], (400, Some("invalid_request"))),
        (FORM, vec![0; 300_000], (413, Some("invalid_request"))),
        ("application/json", br#"{"grant_type":"client_credentials"}"#.to_vec(), (400, Some("invalid_request"))),
        ("", with("&grant_type=client_credentials"), (400, Some("invalid_request"))),
        ("text/plain", with("&grant_type=client_credentials"), (400, Some("invalid_request"))),
    ] {
        let answer = post(kind, &body);
        assert_eq!(answer.verdict(), verdict, "{kind} {:.80}", String::from_utf8_lossy(&body));
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    }
}

#[test]
fn a_flood_of_pushed_requests_leaves_the_replay_store_alone() {
    let server = Server::without_nonces();
    let challenge = super::challenge();
    let pushed = [
        ("client_id", "keybound-demo"),
        ("response_type", "code"),
        ("redirect_uri", super::REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let device = [("client_id", "keybound-demo"), ("scope", "read")];
    for (path, form, status) in [("/par", &pushed[..], 201), ("/device_authorization", &device[..], 200)] {
        for stranger in [super::key(), super::key(), super::key()] {
            // What takes no place is not known again: a place would show as `invalid_dpop_proof`.
            let proof = super::proof(&stranger, "POST", &server.url(path), None, None);
            for _ in 0..2 {
                let answer = server.post(path, form, std::slice::from_ref(&proof));
                assert_eq!(answer.status, status, "{path}: {answer:?}");
            }
        }
    }
    let key = super::key();
    assert_eq!(server.login(&key, "read").status, 200);
}

#[test]
fn credentials_in_the_url_are_not_read() {
    let server = Server::start();
    let query = crate::wire::encode(&[
        ("grant_type", "client_credentials"),
        ("client_id", "service"),
        ("client_secret", SECRET),
    ]);
    let answer = server.post(&format!("/token?{query}"), &[("grant_type", "client_credentials")], &[]);
    assert_eq!(answer.verdict(), (401, Some("invalid_client")));
}

#[test]
fn wrong_methods_and_places() {
    let server = Server::start();
    for (method, path, allow) in [
        ("GET", "/token", "POST"),
        ("PUT", "/token", "POST"),
        ("DELETE", "/token", "POST"),
        ("GET", "/par", "POST"),
        ("GET", "/introspect", "POST"),
        ("GET", "/revoke", "POST"),
        ("GET", "/register", "POST"),
        ("POST", "/authorize", "GET"),
        ("POST", "/jwks", "GET"),
        ("PUT", "/device", "GET"),
    ] {
        let answer = send(&server.issuer, method, path, &[], b"");
        assert_eq!((answer.status, answer.field("Allow")), (405, Some(allow)), "{method} {path}");
    }
    for path in ["/", "/tokens", "/token/", "//token", "/.well-known/nothing", "/apiary"] {
        assert_eq!(server.get(path, &[]).status, 404, "{path}");
    }
    assert_eq!(raw(&server.issuer, b"GET /token HTTP/9.9\r\n\r\n").status, 400);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(100_000));
    assert!([404, 414, 431].contains(&raw(&server.issuer, long.as_bytes()).status));
    // It still works.
    assert_eq!(server.get("/jwks", &[]).status, 200);
}

#[test]
fn what_is_published_is_what_is_offered() {
    // R9449-5.1-2, R8414-3.3, R9728-2.
    let server = Server::start();
    let document = server.get("/.well-known/oauth-authorization-server", &[]);
    assert_eq!((document.status, document.field("Content-Type")), (200, Some("application/json")));
    assert_eq!(document.body, server.get("/.well-known/openid-configuration", &[]).body);
    let metadata = document.json();
    assert_eq!(metadata["issuer"], server.issuer.as_str());
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    // R8414-2: wherever private_key_jwt is listed, its algorithms are.
    for endpoint in ["token", "introspection", "revocation"] {
        let algorithms = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(algorithms[0], "ES256", "{endpoint}");
    }
    let listed: Vec<_> = metadata["dpop_signing_alg_values_supported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let permitted: Vec<_> = keybound::Policy::default().algorithms().iter().map(keybound::Algorithm::name).collect();
    assert_eq!(listed, permitted);
    for (name, url) in metadata.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint")) {
        let path = url.as_str().unwrap().strip_prefix(&server.issuer).expect("an endpoint of this server");
        assert_ne!(server.get(path, &[]).status, 404, "{name}");
    }
    let api = server.get("/.well-known/oauth-protected-resource/api", &[]).json();
    assert_eq!(api["resource"], server.resource.as_str());
    assert_eq!(api["authorization_servers"], serde_json::json!([server.issuer]));
    let key = &server.get("/jwks", &[]).json()["keys"][0];
    assert!(key["kid"].is_string() && key["alg"] == "ES256" && key["use"] == "sig" && key.get("d").is_none(), "{key}");
}

#[test]
fn scripts_of_other_origins_may_ask() {
    // R9449-8-11.
    let server = Server::start();
    for path in ["/token", "/par", "/api", "/api/things"] {
        let asked = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")];
        let answer = send(&server.issuer, "OPTIONS", path, &asked, b"");
        assert_eq!((answer.status, answer.field("Access-Control-Allow-Origin")), (204, Some("*")), "{path}");
        let allowed = answer.field("Access-Control-Allow-Headers").unwrap();
        assert!(allowed.contains("DPoP") && allowed.contains("Authorization"), "{allowed}");
    }
    // Whatever the status, scripts can read what to do.
    server.set_faults(&["metadata-failing"]);
    let answers = [
        server.post("/token", &[], &[]),
        server.get("/api", &[]),
        server.get("/jwks", &[]),
        server.get("/nowhere", &[]),
        server.get("/.well-known/oauth-authorization-server", &[]),
        send(&server.issuer, "OPTIONS", "/token", &[], b""),
    ];
    for answer in answers {
        let told = |name| answer.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"), "{answer:?}");
        assert_eq!((told("access-control-allow-origin"), told("access-control-expose-headers")), (1, 1), "{answer:?}");
        assert!(answer.field("Access-Control-Expose-Headers").unwrap().contains("DPoP-Nonce"), "{answer:?}");
    }
}

#[test]
fn scripts_of_other_origins_may_not_act_for_the_user() {
    // RFC 9700 section 2.6: no CORS where the user's browser goes.
    let server = Server::start();
    for path in ["/authorize", "/decide", "/device"] {
        let asked = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")];
        for method in ["OPTIONS", "GET", "POST", "HEAD"] {
            let answer = send(&server.issuer, method, path, &asked, b"");
            let named =
                answer.fields.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-allow"));
            assert!(!named && answer.status != 204, "{method} {path}: {answer:?}");
        }
    }
    let page = server.get("/device", &[]);
    // With `no-referrer` the page's own form would come with `Origin: null`.
    assert_eq!((page.status, page.field("Referrer-Policy")), (200, Some("same-origin")));
}

#[test]
fn a_host_that_is_not_the_listeners_is_refused() {
    let server = Server::start();
    let (_, port) = server.issuer.rsplit_once(':').unwrap();
    let ask = |target: &str, host: &str| {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(&server.issuer, text.as_bytes()).status
    };
    for path in ["/jwks", "/authorize", "/device", "/api"] {
        for host in [format!("rebound.example:{port}"), "127.0.0.1:1".into(), "rebound.example".into(), String::new()] {
            assert!([400, 421].contains(&ask(path, &host)), "{path} {host}");
        }
    }
    assert_eq!(ask(&format!("http://rebound.example:{port}/jwks"), &format!("127.0.0.1:{port}")), 421);
    assert_eq!(ask("/jwks", &format!("localhost:{port}")), 200);
    assert_eq!(ask("/jwks", &format!("127.0.0.1:{port}")), 200);
    assert_eq!(raw(&server.issuer, b"GET /jwks HTTP/1.0\r\n\r\n").status, 421);
}
