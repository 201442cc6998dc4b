//! Plays one session of plain OAuth 2.1 and writes every byte it would send.
//!
//! `tests/conformance/tests/plain.rs` builds it with and without DPoP, compares what the two write, and looks for symbols of
//! DPoP in the one without.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use keybound::crypto::{Crypto, Digest, Mac, RandomUnavailable, SecureRandom};
use keybound::http::message::{Body, Request, Response};
use keybound::json::Value;
use keybound::oauth::step::{Saved, Slot, Stored};
use keybound::oauth::{Client, FlowError, SessionRequest, Step};
use keybound::{SecurityLevel, UnixTime};
use sha2::Digest as _;

const API: &str = "https://api.example.com/mcp";
const ISSUER: &str = "https://as.example.com";

/// SHA-256, the only hash that plain OAuth needs.
struct Sha256;

impl Digest for Sha256 {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = sha2::Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    }

    fn sha384(&self, _: &[&[u8]]) -> [u8; 48] {
        [0; 48]
    }

    fn sha512(&self, _: &[&[u8]]) -> [u8; 64] {
        [0; 64]
    }
}

/// None: nothing is authenticated with a MAC.
struct NoMac;

impl Mac for NoMac {
    fn hmac_sha256(&self, _: &[u8], _: &[&[u8]]) -> [u8; 32] {
        [0; 32]
    }
}

/// The same bytes in every run.
struct Counting(AtomicU64);

impl SecureRandom for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for chunk in out.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&count[..chunk.len()]);
        }
        Ok(())
    }
}

static RANDOM: Counting = Counting(AtomicU64::new(1));
static CRYPTO: Crypto = Crypto { digest: &Sha256, mac: &NoMac, random: &RANDOM, verifiers: &[], signers: &[] };

/// Storage in memory, a clock that is set by hand, and a server whose answers do not depend on what it is sent.
struct Host {
    now: UnixTime,
    slots: HashMap<Slot, Stored>,
    tokens: u32,
}

impl Host {
    fn run<T>(&mut self, step: Result<Step<T>, FlowError>) -> Result<T, FlowError> {
        let mut step = step?;
        loop {
            let now = self.now;
            step = match step {
                Step::Done(result) => return Ok(result),
                Step::Fetch(step) => {
                    let answer = self.answer(step.request());
                    step.resume(Ok(answer), now)?
                }
                Step::Load(step) => {
                    let stored = self.slots.get(step.slot()).cloned();
                    step.resume(Ok(stored), now)?
                }
                Step::Save(step) => {
                    match step.value() {
                        Some(value) => {
                            let stored = Stored { version: step.version(), value: value.to_vec() };
                            self.slots.insert(step.slot().clone(), stored);
                        }
                        None => drop(self.slots.remove(step.slot())),
                    }
                    step.resume(Ok(Saved::Stored), now)?
                }
                Step::Lock(step) => step.resume(Ok(()), now)?,
                Step::Unlock(step) => step.resume(Ok(()), now)?,
                Step::Wait(step) => step.resume((), now)?,
                other => panic!("plain OAuth has no keys: {other:?}"),
            };
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        write(request);
        let end = request.url.rsplit('/').next().unwrap_or_default();
        let (status, body) = match end {
            "mcp" if request.url.contains("/.well-known/") => (
                200,
                format!(r#"{{"resource":"{API}","authorization_servers":["{ISSUER}"],"scopes_supported":["read"]}}"#),
            ),
            "oauth-authorization-server" => (
                200,
                format!(
                    r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/authorize","token_endpoint":"{ISSUER}/token",
                    "registration_endpoint":"{ISSUER}/register","pushed_authorization_request_endpoint":"{ISSUER}/par",
                    "revocation_endpoint":"{ISSUER}/revoke","code_challenge_methods_supported":["S256"],
                    "dpop_signing_alg_values_supported":["ES256"]}}"#
                ),
            ),
            "register" => (201, r#"{"client_id":"plain"}"#.to_owned()),
            "par" => (201, r#"{"request_uri":"urn:example:1","expires_in":60}"#.to_owned()),
            "token" => {
                self.tokens += 1;
                let number = self.tokens;
                let body = format!(
                    r#"{{"access_token":"at-{number}","token_type":"Bearer","expires_in":300,"refresh_token":"rt-{number}"}}"#
                );
                (200, body)
            }
            _ => (200, String::new()),
        };
        Response { status, fields: vec![("DPoP-Nonce".into(), b"ignored".to_vec())], body: body.into_bytes() }
    }
}

/// Every byte that goes out.
fn write(request: &Request) {
    println!("{} {}", request.method, request.url);
    for (name, value) in &request.fields {
        println!("{name}: {value}");
    }
    match &request.body {
        Body::Bytes(bytes) => println!("\n{}", String::from_utf8_lossy(bytes)),
        body => println!("\n{body:?}"),
    }
    println!("----");
}

fn main() -> Result<(), FlowError> {
    let mut host = Host { now: UnixTime::from_secs(1_700_000_000), slots: HashMap::new(), tokens: 0 };
    let client = Client::builder(SecurityLevel::Standard, &CRYPTO)
        .redirect_uri("https://app.example.com/callback")
        .register(Value::object().with("client_name", "Plain"))
        .build()?;
    let found = host.run(client.discover_with(API, Some(&[]), None, host.now))?;
    let sent = host.run(client.authorize(SessionRequest::new("work", &found), host.now))?;
    println!("{}\n----", sent.url);
    let callback = format!("https://app.example.com/callback?code=c&state={}", sent.state);
    let session = host.run(client.exchange(&callback, host.now))?;
    for seconds in [0, 0, 400] {
        host.now = host.now.saturating_add(seconds);
        host.run(client.call(&session, Request::new("GET", API), host.now))?;
    }
    host.run(client.end(&session, host.now)).map(drop)
}
