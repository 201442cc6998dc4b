//! The server as a program, asked over loopback by clients and by those who are none.

#[path = "../../../adapters/tower/tests/story/mod.rs"]
mod story;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use keybound::json::Value;
use keybound::key::Signer;
use keybound::{ProofBuilder, RUSTCRYPTO, base64url};
use keybound_conformance::raw::{self, Claims};
use story::{Client, Clock, ISSUER, Issuer, Received, send, send_body};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

struct Server {
    process: Child,
    address: SocketAddr,
    /// The resource identifier; the endpoint has the same URL.
    resource: String,
    issuer: Issuer,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(nonces: &str) -> Self {
        let issuer = Issuer::new("k1");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server"));
        command.env("MCP_ISSUER", ISSUER).env("MCP_ISSUER_JWKS", issuer.jwks()).env("MCP_NONCES", nonces);
        command.env_remove("MCP_RESOURCE").env_remove("MCP_LISTEN");
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let resource = line.trim().rsplit(' ').next().unwrap().to_owned();
        let address = resource.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
        let client = Client::new(&Clock::real(), &resource, address);
        Self { process, address, resource, issuer, client }
    }

    fn token(&self) -> String {
        self.issuer.token(&self.client.bound_claims())
    }

    fn sign(&self, builder: ProofBuilder<'_>) -> String {
        builder.sign(&RUSTCRYPTO, &self.client.key, self.client.clock.now()).unwrap().into_string()
    }

    fn proof(&self, token: &str) -> String {
        self.sign(ProofBuilder::new("POST", &self.resource).access_token(token))
    }

    async fn post(&self, fields: &[(&str, &str)], body: &str) -> Received {
        send_body(self.address, "POST", "/mcp", fields, body).await
    }

    async fn ping(&self, token: &str, proof: &str) -> Received {
        self.post(&[("Authorization", &format!("DPoP {token}")), ("DPoP", proof)], PING).await
    }

    async fn say(&self, body: &str) -> Received {
        let token = self.token();
        self.post(&[("Authorization", &format!("DPoP {token}")), ("DPoP", &self.proof(&token))], body).await
    }
}

fn assert_refused(answer: &Received, error: &str, what: &str) {
    assert_eq!(answer.status, 401, "{what}");
    let challenge = answer.challenge();
    assert!(challenge.starts_with("DPoP ") && challenge.contains("algs=\"ES256 "), "{what}: {challenge}");
    assert!(challenge.contains(&format!("error=\"{error}\"")), "{what}: {challenge}");
    assert!(challenge.contains("resource_metadata=\""), "{what}: {challenge}");
    assert!(answer.body.is_empty(), "{what}");
}

#[tokio::test]
async fn the_protocol_is_spoken() {
    let server = Server::start("off");
    let result = |answer: Received| {
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")));
        Value::parse_object(answer.body.as_bytes()).unwrap().member("result").unwrap().clone()
    };
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let initialized = result(server.say(initialize).await);
    assert_eq!(initialized.text("protocolVersion"), Some("2025-06-18"));
    assert!(initialized.member("capabilities").unwrap().member("tools").is_some());
    let unknown = result(server.say(&initialize.replace("2025-06-18", "1999-01-01")).await);
    assert_eq!(unknown.text("protocolVersion"), Some("2025-11-25"));
    assert_eq!(server.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await.status, 202);
    assert_eq!(result(server.say(PING).await).to_json(), "{}");
    let tools = result(server.say(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#).await);
    let names = tools.array("tools").unwrap().iter().filter_map(|tool| tool.text("name"));
    assert_eq!(names.collect::<Vec<_>>(), ["echo", "whoami"]);
    let call = |name: &str, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        )
    };
    let echo = result(server.say(&call("echo", r#"{"text":"hello"}"#)).await);
    assert_eq!(echo.array("content").unwrap()[0].text("text"), Some("hello"));
    let who = result(server.say(&call("whoami", "{}")).await);
    let who = who.array("content").unwrap()[0].text("text").unwrap().to_owned();
    let thumbprint = server.client.key.public_key().thumbprint(RUSTCRYPTO.digest).to_string();
    assert!(who.contains(r#""subject":"alice""#) && who.contains(&thumbprint), "{who}");
    for (body, status, code) in [
        (call("echo", "{}"), 200, -32602),
        (call("none", "{}"), 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"none"}"#.into(), 200, -32601),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.into(), 400, -32600),
        (r#"{"id":1,"method":"ping"}"#.into(), 400, -32600),
        ("{".into(), 400, -32700),
    ] {
        let answer = server.say(&body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.contains(&format!("\"code\":{code}")), "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn without_credentials_the_way_to_a_token_is_shown() {
    let server = Server::start("on");
    let answer = server.post(&[], PING).await;
    let url = format!("http://{}/.well-known/oauth-protected-resource/mcp", server.address);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.challenge(), format!(r#"DPoP algs="ES256 Ed25519 EdDSA PS256", resource_metadata="{url}""#));
    let metadata = send(server.address, "GET", "/.well-known/oauth-protected-resource/mcp", &[]).await;
    let document = Value::parse_object(metadata.body.as_bytes()).unwrap();
    assert_eq!(document.text("resource"), Some(server.resource.as_str()));
    assert_eq!(document.texts("authorization_servers").collect::<Vec<_>>(), [ISSUER]);
    assert_eq!(document.boolean("dpop_bound_access_tokens_required"), Some(true));
    assert_eq!(document.texts("dpop_signing_alg_values_supported").next(), Some("ES256"));
}

#[tokio::test]
async fn every_defect_of_a_proof_is_an_invalid_dpop_proof() {
    let server = Server::start("off");
    let (token, key) = (server.token(), &server.client.key);
    let now = server.client.clock.now();
    let good = || {
        let ath = base64url::encode(&RUSTCRYPTO.digest.sha256(&[token.as_bytes()]));
        Claims::good(&RUSTCRYPTO)
            .with("htm", "\"POST\"")
            .with("htu", &format!("\"{}\"", server.resource))
            .with("iat", &now.to_string())
            .with("ath", &format!("\"{ath}\""))
    };
    let with_claims = |claims: Claims| raw::sign(key, &RUSTCRYPTO, &raw::header(key), &claims.json());
    let with_header = |header: &str| raw::sign(key, &RUSTCRYPTO, header, &good().json());
    let header = raw::header(key);
    let private = header.replacen("\"kty\"", "\"d\":\"AAAA\",\"kty\"", 1);
    let at = |seconds: i64| (now.secs() + seconds).to_string();
    let valid = with_claims(good());
    let (signed, _) = valid.rsplit_once('.').unwrap();
    for (what, proof) in [
        ("empty", String::new()),
        ("text", "not-a-jwt".into()),
        ("two segments", "e30.e30".into()),
        ("two proofs in one field", format!("{valid}, {valid}")),
        ("typ JWT", with_header(&header.replace("dpop+jwt", "JWT"))),
        ("no typ", with_header(&header.replace("\"typ\":\"dpop+jwt\",", ""))),
        ("alg none", with_header(&header.replace("\"ES256\"", "\"none\""))),
        ("alg HS256", with_header(&header.replace("\"ES256\"", "\"HS256\""))),
        ("alg ES384", with_header(&header.replace("\"ES256\"", "\"ES384\""))),
        ("no jwk", with_header(r#"{"typ":"dpop+jwt","alg":"ES256"}"#)),
        ("a private key", with_header(&private)),
        ("a symmetric key", with_header(r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}"#)),
        ("crit", with_header(&header.replacen('{', "{\"crit\":[\"x\"],", 1))),
        ("no jti", with_claims(good().without("jti"))),
        ("no htm", with_claims(good().without("htm"))),
        ("no htu", with_claims(good().without("htu"))),
        ("no iat", with_claims(good().without("iat"))),
        ("no ath", with_claims(good().without("ath"))),
        ("another method", with_claims(good().with("htm", "\"GET\""))),
        ("a method in lower case", with_claims(good().with("htm", "\"post\""))),
        ("another path", with_claims(good().with("htu", &format!("\"{}/x\"", server.resource)))),
        ("another host", with_claims(good().with("htu", "\"https://evil.example/mcp\""))),
        ("another token", with_claims(good().with("ath", "\"AAAA\""))),
        ("too old", with_claims(good().with("iat", &at(-310)))),
        ("far ahead", with_claims(good().with("iat", &at(120)))),
        ("iat as text", with_claims(good().with("iat", &format!("\"{now}\"")))),
        ("a duplicate claim", with_claims(good().and("htm", "\"POST\""))),
        ("no signature", format!("{signed}.")),
        ("another signature", format!("{signed}.{}", base64url::encode(&[1; 64]))),
    ] {
        assert_refused(&server.ping(&token, &proof).await, "invalid_dpop_proof", what);
    }
    let bare = server.post(&[("Authorization", &format!("DPoP {token}"))], PING).await;
    assert_refused(&bare, "invalid_dpop_proof", "no proof");
    let authorization = format!("DPoP {token}");
    let (one, two) = (server.proof(&token), server.proof(&token));
    let both = server.post(&[("Authorization", &authorization), ("DPoP", &one), ("DPoP", &two)], PING).await;
    assert_refused(&both, "invalid_dpop_proof", "two proofs");
    assert_eq!(server.ping(&token, &valid).await.status, 200, "what was refused burnt nothing");
    assert_refused(&server.ping(&token, &valid).await, "invalid_dpop_proof", "a replay");
    assert_eq!(server.ping(&token, &server.proof(&token)).await.status, 200);
}

#[tokio::test]
async fn every_defect_of_a_token_is_an_invalid_token() {
    let server = Server::start("on");
    let bound = || server.client.bound_claims();
    let now = server.client.clock.now();
    let sign = |claims: Value| server.issuer.token(&claims);
    let stranger = Issuer::new("k1").token(&bound());
    let thief = Client::new(&server.client.clock, &server.resource, server.address);
    for (what, token) in [
        ("expired", sign(bound().with("exp", now.saturating_sub(60)))),
        ("another audience", sign(bound().with("aud", "https://other.example/mcp"))),
        ("the origin as audience", sign(bound().with("aud", server.resource.trim_end_matches("/mcp")))),
        ("another issuer", sign(bound().with("iss", "https://other.example"))),
        ("another signer", stranger),
        ("not bound", sign(server.client.claims())),
        ("bound to another key", sign(thief.bound_claims())),
        ("bound in an unknown way", sign(bound().with("cnf", Value::object().with("kid", "x")))),
        ("opaque", "opaque".into()),
    ] {
        let proof = server.sign(ProofBuilder::new("POST", &server.resource).access_token(&token));
        assert_refused(&server.ping(&token, &proof).await, "invalid_token", what);
    }
    let token = server.token();
    let proof = server.proof(&token);
    for fields in [
        &[("Authorization", format!("Bearer {token}"))][..],
        &[("Authorization", format!("Bearer {token}")), ("DPoP", proof.clone())],
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_refused(&server.post(&fields, PING).await, "invalid_token", "a bound token as Bearer");
    }
    let authorization = format!("DPoP {token}");
    let twice = [("Authorization", authorization.as_str()), ("Authorization", &authorization), ("DPoP", &proof)];
    assert_eq!(server.post(&twice, PING).await.status, 400);
}

#[tokio::test]
async fn a_nonce_is_asked_for_and_followed() {
    let server = Server::start("on");
    let token = server.token();
    let first = server.ping(&token, &server.proof(&token)).await;
    assert_refused(&first, "use_dpop_nonce", "no nonce");
    let nonce = first.field("dpop-nonce").unwrap();
    let with = |nonce: &str| server.sign(ProofBuilder::new("POST", &server.resource).access_token(&token).nonce(nonce));
    assert_eq!(server.ping(&token, &with(nonce)).await.status, 200);
    assert_eq!(server.ping(&token, &with(nonce)).await.status, 200, "a nonce serves many proofs");
    let wrong = server.ping(&token, &with("made-up")).await;
    assert_refused(&wrong, "use_dpop_nonce", "a wrong nonce");
    assert!(wrong.field("dpop-nonce").is_some());
}
