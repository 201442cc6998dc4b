//! Clients: how they show who they are, register, and describe themselves.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wire::encode;
use super::{REDIRECT, SECRET, Server, VERIFIER, challenge, jwt, key};
use keybound::UnixTime;
use keybound::key::{Signer as _, soft::SoftKey};

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion of the client `id` for `audience`.
pub(crate) fn assertion(key: &SoftKey, id: &str, audience: &str, jti: &str) -> String {
    let exp = UnixTime::now().saturating_add(60).secs();
    let claims = format!(r#"{{"iss":"{id}","sub":"{id}","aud":"{audience}","exp":{exp},"jti":"{jti}"}}"#);
    jwt(key, r#"{"alg":"ES256","typ":"client-authentication+jwt"}"#, &claims)
}

fn basic(id: &str, secret: &str) -> String {
    let pair = encode(&[(id, secret)]).replacen('=', ":", 1);
    let mut out = String::new();
    for chunk in pair.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let index = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap();
            out.push(if position <= chunk.len() { char::from(LETTERS[index]) } else { '=' });
        }
    }
    format!("Basic {out}")
}

#[test]
fn secrets_are_shown_in_the_field_or_the_body() {
    let (server, key) = (Server::start(), key());
    let by_field = |id: &str, secret: &str, more: &[(&'static str, &'static str)]| {
        let form: Vec<_> = GRANT.iter().chain(more).copied().collect();
        server.prove_with(&key, "/token", &form, &[("Authorization", &basic(id, secret))])
    };
    assert_eq!(by_field("service", SECRET, &[]).status, 200);
    assert_eq!(by_field("service", SECRET, &[("client_id", "service")]).status, 200);
    for (id, secret) in [("service", "wrong"), ("service", ""), ("nobody", SECRET), ("keybound-demo", "x"), ("", "")] {
        let answer = by_field(id, secret, &[]);
        assert_eq!(answer.verdict(), (401, Some("invalid_client")), "{id}");
        // RFC 6749 section 5.2: with the scheme that was used.
        assert!(answer.field("WWW-Authenticate").unwrap().starts_with("Basic "));
        assert_eq!(answer.field("Cache-Control"), Some("no-store"));
    }
    assert_eq!(by_field("service", SECRET, &[("client_id", "keybound-demo")]).verdict(), (401, Some("invalid_client")));
    assert_eq!(by_field("service", SECRET, &[("client_secret", "x")]).verdict(), (400, Some("invalid_request")));

    let by_body = |id: &'static str, secret: &'static str| {
        let form: Vec<_> = GRANT.iter().copied().chain([("client_id", id), ("client_secret", secret)]).collect();
        server.prove(&key, "/token", &form).verdict()
    };
    assert_eq!(by_body("service", SECRET), (200, None));
    for (id, secret) in [("service", "wrong"), ("service", ""), ("nobody", SECRET), ("keybound-demo", "x"), ("", "")] {
        assert_eq!(by_body(id, secret), (401, Some("invalid_client")), "{id}");
    }
}

#[test]
fn other_credentials_are_none() {
    let server = Server::start();
    for value in ["", "Basic", "Basic !!!", "Basic YWJj", "Bearer abc", "DPoP abc", "Basic YWJjOmRlZg== x"] {
        let answer = server.post_with("/token", &GRANT, &[], &[("Authorization", value)]);
        assert_eq!(answer.verdict(), (401, Some("invalid_client")), "{value}");
    }
    let twice = [("Authorization", basic("service", SECRET)), ("Authorization", basic("service", SECRET))];
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(server.post_with("/token", &GRANT, &[], &twice).verdict(), (400, Some("invalid_request")));
}

#[test]
fn assertions_are_used_once_and_survive_a_nonce_challenge() {
    // OURS-8.
    let (server, client_key, key) = (Server::start(), key(), key());
    let jwks = format!(r#"{{"keys":[{}]}}"#, client_key.public_key().to_json());
    let metadata = format!(
        r#"{{"token_endpoint_auth_method":"private_key_jwt","grant_types":["client_credentials"],"jwks":{jwks}}}"#
    );
    let id = server.register(&metadata).text("client_id");
    let ask = |assertion: &str| {
        let form = [GRANT[0], ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
        server.prove(&key, "/token", &form).verdict()
    };
    let good = assertion(&client_key, &id, &server.issuer, "1");
    // The helper sends it twice: without a nonce and with the one it is told.
    assert_eq!(ask(&good), (200, None));
    assert_eq!(ask(&good), (401, Some("invalid_client")));
    assert_eq!(ask(&assertion(&client_key, &id, &server.url("/token"), "2")), (200, None));
    let refused = [
        assertion(&key, &id, &server.issuer, "3"),
        assertion(&client_key, "nobody", &server.issuer, "4"),
        assertion(&client_key, &id, "https://other.example", "5"),
        jwt(&client_key, r#"{"alg":"none"}"#, &format!(r#"{{"iss":"{id}","sub":"{id}"}}"#)),
        "a.b.c".to_owned(),
        "abc".to_owned(),
        jwt(
            &client_key,
            r#"{"alg":"ES256","typ":"dpop+jwt"}"#,
            &format!(r#"{{"iss":"{id}","sub":"{id}","aud":"{}","exp":9999999999,"jti":"6"}}"#, server.issuer),
        ),
    ];
    for assertion in &refused {
        assert_eq!(ask(assertion), (401, Some("invalid_client")), "{assertion}");
    }
    let form = [GRANT[0], ("client_assertion_type", "urn:x"), ("client_assertion", good.as_str())];
    assert_eq!(server.prove(&key, "/token", &form).verdict(), (400, Some("invalid_request")));
    assert_eq!(server.prove(&key, "/token", &[GRANT[0], ("client_id", &id)]).verdict(), (401, Some("invalid_client")));
}

#[test]
fn a_registered_client_gets_what_it_registered_for() {
    // RFC 7591, R9449-5.2-1, R9449-5.2-2.
    let (server, key) = (Server::start(), key());
    let answer = server.register(&format!(
        r#"{{"redirect_uris":["{REDIRECT}"],"client_name":"x","token_endpoint_auth_method":"none",
            "dpop_bound_access_tokens":true,"client_secret":"mine","made_up":1}}"#
    ));
    assert_eq!((answer.status, answer.field("Cache-Control")), (201, Some("no-store")), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["grant_types"], serde_json::json!(["authorization_code"]));
    assert_eq!(body["response_types"], serde_json::json!(["code"]));
    assert!(body.get("client_secret").is_none() && body.get("made_up").is_none(), "{body}");
    let id = answer.text("client_id");
    let code = server.code(&[("client_id", &id)]);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", id.as_str()),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("invalid_dpop_proof")));
    let tokens = server.prove(&key, "/token", &form);
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert!(tokens.json().get("refresh_token").is_none(), "it did not register for refresh_token");
    let device = [("client_id", id.as_str())];
    assert_eq!(server.post("/device_authorization", &device, &[]).verdict(), (400, Some("unauthorized_client")));
    let form = [("grant_type", "refresh_token"), ("client_id", &id), ("refresh_token", "x")];
    assert_eq!(server.post("/token", &form, &[]).verdict(), (400, Some("unauthorized_client")));

    let answer = server.register(r#"{"grant_types":["client_credentials"],"response_types":[]}"#);
    assert_eq!(answer.text("token_endpoint_auth_method"), "client_secret_basic");
    let authorization = basic(&answer.text("client_id"), &answer.text("client_secret"));
    assert_eq!(server.prove_with(&key, "/token", &GRANT, &[("Authorization", &authorization)]).status, 200);
    let form = [GRANT[0], ("client_id", &answer.text("client_id")), ("client_secret", &answer.text("client_secret"))];
    assert_eq!(server.prove(&key, "/token", &form).verdict(), (401, Some("invalid_client")));
}

#[test]
fn metadata_that_cannot_be_kept_are_refused() {
    let server = Server::start();
    let private = key().to_jwk().unwrap();
    let private = format!(
        r#"{{"token_endpoint_auth_method":"private_key_jwt","redirect_uris":["https://a.example/"],"jwks":{{"keys":[{}]}}}}"#,
        private.expose()
    );
    for (metadata, error) in [
        ("", "invalid_client_metadata"),
        ("[]", "invalid_client_metadata"),
        ("{", "invalid_client_metadata"),
        (r#"{"redirect_uris":["https://a.example/"],"redirect_uris":[]}"#, "invalid_client_metadata"),
        ("{}", "invalid_redirect_uri"),
        (r#"{"redirect_uris":"https://a.example/"}"#, "invalid_redirect_uri"),
        (r#"{"redirect_uris":[1]}"#, "invalid_redirect_uri"),
        (r#"{"redirect_uris":["javascript:alert(1)"]}"#, "invalid_redirect_uri"),
        (r#"{"redirect_uris":["https://a.example/#x"]}"#, "invalid_redirect_uri"),
        (r#"{"redirect_uris":["http://a.example/"]}"#, "invalid_redirect_uri"),
        (
            r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"tls_client_auth"}"#,
            "invalid_client_metadata",
        ),
        (r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":1}"#, "invalid_client_metadata"),
        (
            r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}"#,
            "invalid_client_metadata",
        ),
        (r#"{"redirect_uris":["https://a.example/"],"grant_types":["password"]}"#, "invalid_client_metadata"),
        (r#"{"redirect_uris":["https://a.example/"],"grant_types":"authorization_code"}"#, "invalid_client_metadata"),
        (r#"{"redirect_uris":["https://a.example/"],"response_types":["token"]}"#, "invalid_client_metadata"),
        (r#"{"grant_types":["client_credentials"],"response_types":["code"]}"#, "invalid_client_metadata"),
        (r#"{"grant_types":["client_credentials"],"token_endpoint_auth_method":"none"}"#, "invalid_client_metadata"),
        (r#"{"redirect_uris":["https://a.example/"],"dpop_bound_access_tokens":"yes"}"#, "invalid_client_metadata"),
        (&private, "invalid_client_metadata"),
    ] {
        assert_eq!(server.register(metadata).verdict(), (400, Some(error)), "{metadata}");
    }
    let form = server.post("/register", &[("redirect_uris", "https://a.example/")], &[]);
    assert_eq!(form.verdict(), (400, Some("invalid_client_metadata")));
}

/// Serves this document at one URL, again and again, and gives the URL.
fn publish(document: impl Fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/client.json", listener.local_addr().unwrap());
    let document = document(&url);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 2_048]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{document}", document.len());
        }
    });
    url
}

#[test]
fn a_client_is_what_the_document_at_its_url_says() {
    let (server, key) = (Server::start(), key());
    let url = publish(|url| {
        format!(
            r#"{{"client_id":"{url}","redirect_uris":["{REDIRECT}"],"grant_types":["authorization_code","refresh_token"]}}"#
        )
    });
    let code = server.code(&[("client_id", &url)]);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", url.as_str()),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let answer = server.prove(&key, "/token", &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json().get("refresh_token").is_some());

    let stranger = publish(|_| format!(r#"{{"client_id":"https://a.example/x","redirect_uris":["{REDIRECT}"]}}"#));
    let long =
        publish(|url| format!(r#"{{"client_id":"{url}","redirect_uris":["{REDIRECT}"],"x":"{}"}}"#, "x".repeat(9_000)));
    for id in [stranger.as_str(), &long, "http://127.0.0.1:9/client.json", "http://a.example/client.json"] {
        let query = encode(&[
            ("client_id", id),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
        ]);
        assert_eq!(server.get(&format!("/authorize?{query}"), &[]).status, 400, "{id}");
    }
}

/// Answers every request with this and counts them.
fn counting(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, count) =
        (format!("http://{}/client.json", listener.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 2_048]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, count)
}

fn asks_for(server: &Server, id: &str) -> u16 {
    server.authorize(&[("client_id", id)]).status
}

#[test]
fn documents_of_clients_are_not_fetched_at_strangers_will() {
    let server = Server::start();
    let (elsewhere, followed) = counting(String::new());
    let head = "Connection: close\r\nContent-Length: 0\r\n\r\n";
    let (moved, asked) = counting(format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\n{head}"));
    for _ in 0..5 {
        assert_eq!(asks_for(&server, &moved), 400);
    }
    let counts = (asked.load(Ordering::SeqCst), followed.load(Ordering::SeqCst));
    assert_eq!(counts, (1, 0), "failures are remembered and redirects are not followed");
}
