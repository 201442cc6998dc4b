//! An issuer, a client with a key, and a raw HTTP/1.1 client, for stories over loopback.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use keybound::crypto::SigningKey;
use keybound::json::Value;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::server::JwkSet;
use keybound::{Algorithm, ProofBuilder, RUSTCRYPTO, UnixTime, base64url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const ISSUER: &str = "https://as.example.com";

/// A clock that tests move.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_700_000_000)))
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::SeqCst))
    }

    /// A clock that shows the real time of its making.
    pub fn real() -> Self {
        Self(Arc::new(AtomicI64::new(UnixTime::now().secs())))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn reader(&self) -> impl Fn() -> UnixTime + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

/// An authorization server as far as its signatures go.
pub struct Issuer {
    key: Box<dyn SigningKey>,
    kid: &'static str,
}

impl Issuer {
    pub fn new(kid: &'static str) -> Self {
        let signer = RUSTCRYPTO.signer(Algorithm::Es256).unwrap();
        let key = signer.generate(RUSTCRYPTO.random).unwrap();
        Self { key: signer.load(&key).unwrap(), kid }
    }

    pub fn keys(&self) -> JwkSet {
        JwkSet::default().with_key(Some(self.kid), self.key.public_key().clone())
    }

    /// The set as an issuer publishes it.
    pub fn jwks(&self) -> String {
        let key = self.key.public_key().to_json();
        format!("{{\"keys\":[{},\"kid\":\"{}\"}}]}}", key.strip_suffix('}').unwrap(), self.kid)
    }

    pub fn token(&self, claims: &Value) -> String {
        let header = format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{}"}}"#, self.kid);
        let encode = |text: &str| base64url::encode(text.as_bytes());
        let input = format!("{}.{}", encode(&header), encode(&claims.to_json()));
        let signature = self.key.sign(input.as_bytes(), RUSTCRYPTO.random).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_bytes()))
    }
}

/// A client with its key.
pub struct Client {
    pub key: SoftKey,
    pub clock: Clock,
    pub resource: String,
    pub address: SocketAddr,
}

impl Client {
    pub fn new(clock: &Clock, resource: &str, address: SocketAddr) -> Self {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
        Self { key, clock: clock.clone(), resource: resource.into(), address }
    }

    pub fn claims(&self) -> Value {
        Value::object()
            .with("iss", ISSUER)
            .with("aud", self.resource.as_str())
            .with("sub", "alice")
            .with("scope", "items:read")
            .with("exp", self.clock.now().saturating_add(3600))
    }

    pub fn bound_claims(&self) -> Value {
        let jkt = self.key.public_key().thumbprint(RUSTCRYPTO.digest).to_string();
        self.claims().with("cnf", Value::object().with("jkt", jkt))
    }

    pub fn proof(&self, method: &str, path: &str, token: &str, nonce: Option<&str>) -> String {
        let url = format!("{}{path}", self.resource);
        let mut builder = ProofBuilder::new(method, &url).access_token(token);
        if let Some(nonce) = nonce {
            builder = builder.nonce(nonce);
        }
        builder.sign(&RUSTCRYPTO, &self.key, self.clock.now()).unwrap().into_string()
    }

    /// A request as a client that follows nonces makes it.
    pub async fn call(&self, method: &str, path: &str, token: &str) -> Received {
        let first = self.call_with(method, path, token, None).await;
        match first.field("dpop-nonce") {
            Some(nonce) if first.status == 401 => self.call_with(method, path, token, Some(nonce)).await,
            _ => first,
        }
    }

    pub async fn call_with(&self, method: &str, path: &str, token: &str, nonce: Option<&str>) -> Received {
        let proof = self.proof(method, path, token, nonce);
        let authorization = format!("DPoP {token}");
        send(self.address, method, path, &[("Authorization", &authorization), ("DPoP", &proof)]).await
    }
}

/// A response as received.
#[derive(Debug)]
pub struct Received {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn challenge(&self) -> &str {
        self.field("www-authenticate").unwrap_or_default()
    }
}

/// Serves `app` until the test ends.
pub async fn serve(listener: TcpListener, app: Router) {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

pub async fn open(address: SocketAddr, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if !body.is_empty() {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    stream
}

pub async fn send(address: SocketAddr, method: &str, target: &str, fields: &[(&str, &str)]) -> Received {
    send_body(address, method, target, fields, "").await
}

pub async fn send_body(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Received {
    let mut text = String::new();
    open(address, method, target, fields, body).await.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into()));
    Received { status, fields: fields.collect(), body: body.into() }
}
