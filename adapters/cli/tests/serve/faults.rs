//! What the servers do when they are told to misbehave.

use super::{SECRET, Server, key, proof};
use keybound::UnixTime;

const GRANT: [(&str, &str); 3] =
    [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];

#[test]
fn each_answer_brings_a_new_nonce_and_only_that_is_taken() {
    let (server, key) = (Server::start(), key());
    server.set_faults(&["new-nonce-each-call"]);
    let url = server.url("/token");
    let ask = |nonce: &str| server.post("/token", &GRANT, &[proof(&key, "POST", &url, Some(nonce), None)]);
    let first = ask("none").field("DPoP-Nonce").unwrap().to_owned();
    let answer = ask(&first);
    assert_eq!(answer.status, 200, "{answer:?}");
    let second = answer.field("DPoP-Nonce").expect("the next one").to_owned();
    assert_eq!(ask(&first).verdict(), (400, Some("use_dpop_nonce")));
    let third = ask(&second);
    assert_eq!(third.status, 200, "{third:?}");
    let token = third.text("access_token");
    let call = |nonce: &str| {
        let (authorization, proof) =
            (format!("DPoP {token}"), proof(&key, "GET", &server.url("/api"), Some(nonce), Some(&token)));
        server.get("/api", &[("Authorization", &authorization), ("DPoP", &proof)])
    };
    let first = call("none").field("DPoP-Nonce").unwrap().to_owned();
    let answer = call(&first);
    assert_eq!(answer.status, 200);
    assert_eq!(call(&first).status, 401);
    assert_eq!(call(answer.field("DPoP-Nonce").expect("the next one")).status, 200);
}

#[test]
fn the_clock_is_wrong() {
    let (server, key) = (Server::without_nonces(), key());
    server.set_faults(&["clock-skew=3600"]);
    let answer = server.prove(&key, "/token", &GRANT);
    assert_eq!(answer.verdict(), (400, Some("invalid_dpop_proof")));
    let date = httpdate::parse_http_date(answer.field("Date").unwrap()).unwrap();
    let ahead = date.duration_since(std::time::SystemTime::now()).unwrap();
    assert!((3_500..3_700).contains(&ahead.as_secs()), "clients learn the offset of the clock");
    let now = UnixTime::now().saturating_add(3_600);
    let in_time = keybound::ProofBuilder::new("POST", &server.url("/token"))
        .sign(&keybound::RUSTCRYPTO, &key, now)
        .unwrap()
        .into_string();
    assert_eq!(server.post("/token", &GRANT, &[in_time]).status, 200);
}

#[test]
fn scripts_cannot_read_the_nonce() {
    let (server, key) = (Server::start(), key());
    let ask = || server.post("/token", &GRANT, &[proof(&key, "POST", &server.url("/token"), None, None)]);
    assert!(ask().field("Access-Control-Expose-Headers").is_some());
    server.set_faults(&["drop-cors"]);
    assert!(ask().field("Access-Control-Expose-Headers").is_none());
    assert!(ask().field("DPoP-Nonce").is_some());
}

#[test]
fn a_failing_store_refuses_everybody_and_uses_nothing_up() {
    // OURS-2.
    let (server, key) = (Server::start(), key());
    let code = server.code(&[]);
    let token = server.own_token(&key);
    server.set_faults(&["store-failing"]);
    let refused = server.prove(&key, "/token", &server.redeem(&code));
    assert_eq!(refused.status, 503);
    assert!(refused.field("Retry-After").is_some());
    assert_eq!(server.call(&key, "GET", "/api", &token, b"").status, 503);
    server.set_faults(&[]);
    assert_eq!(server.prove(&key, "/token", &server.redeem(&code)).status, 200);
    assert_eq!(server.call(&key, "GET", "/api", &token, b"").status, 200);
}

#[test]
fn tokens_are_said_to_be_of_another_type() {
    let (server, key) = (Server::start(), key());
    server.set_faults(&["bearer-token-type"]);
    let answer = server.login(&key, "read");
    assert_eq!(answer.text("token_type"), "Bearer");
    let claims =
        keybound::base64url::decode(answer.text("access_token").split('.').nth(1).unwrap().as_bytes()).unwrap();
    assert!(String::from_utf8(claims).unwrap().contains("\"jkt\""), "and are bound nevertheless");
}

#[test]
fn the_issuer_is_another() {
    // R9207-2.4 needs a server that does it wrong.
    let server = Server::start();
    server.set_faults(&["wrong-iss"]);
    for more in [&[][..], &[("response_type", "token")]] {
        let iss = server.authorize(more).returned("iss");
        assert!(iss.is_some() && iss != Some(server.issuer.clone()));
    }
}

#[test]
fn answers_take_their_time() {
    let server = Server::start();
    server.set_faults(&["slow=300"]);
    let begun = std::time::Instant::now();
    assert_eq!(server.get("/jwks", &[]).status, 200);
    assert!(begun.elapsed().as_millis() >= 300);
}
