//! Secrets that are freed are overwritten first: the allocator of this test looks at every block that is given back.
//!
//! One test alone in its binary, because the allocator looks at what all threads free.
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use keybound::http::form::Form;
use keybound::http::message::{Body, Request, Response};
use keybound::json::Value;
use keybound::oauth::step::{Saved, Slot, Stored};
use keybound::oauth::{Client, Credentials, FlowError, Secret, SessionRequest, Step};
use keybound::server::Consumption;
use keybound::server::resource::{IncomingRequest, Introspection, ResourcePolicy, ResourceServer};
use keybound::{Policy, RUSTCRYPTO, SecurityLevel, TargetUri, UnixTime, Verifier};
use keybound_conformance::NOW;

/// What every secret here begins with: letters alone, so that every encoding but base64 leaves it as it is.
const MARK: &str = "SECRETqWERTYzUIOPaSDFGh";
/// The middle of the mark in base64, for each of the three places at which it can begin.
const IN_BASE64: [&str; 3] = ["U0VDUkVUcVdFUlRZelVJT1Bh", "NFQ1JFVHFXRVJUWXpVSU9QYV", "TRUNSRVRxV0VSVFl6VUlPUGFT"];

/// Blocks that were freed with the mark in them.
static LEFT: AtomicUsize = AtomicUsize::new(0);

struct Looking;

fn look(block: *const u8, size: usize) {
    // SAFETY: the block is still allocated, and its bytes are only compared. Some may be uninitialised, which no comparison here
    // depends on in a way that could be observed but by the count.
    let bytes = unsafe { std::slice::from_raw_parts(block, size) };
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    if size >= MARK.len() && (holds(MARK) || IN_BASE64.iter().any(|text| holds(text))) {
        LEFT.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: all is handed on to the system's allocator. A block that grows is moved by hand, so that what stays behind is looked at.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        look(block, layout.size());
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

/// How many blocks `work` freed with a secret in them.
fn left_by(work: impl FnOnce()) -> usize {
    let before = LEFT.load(Ordering::SeqCst);
    work();
    LEFT.load(Ordering::SeqCst) - before
}

const API: &str = "https://api.example.com/a";
const ISSUER: &str = "https://as.example.com";

/// A host that keeps what it stores for ever, so that nothing it does itself is counted.
struct Host {
    stored: Vec<(Slot, u64, &'static [u8])>,
    requests: usize,
}

impl Host {
    fn run<T>(&mut self, step: Result<Step<T>, FlowError>) -> Result<T, FlowError> {
        let mut step = step?;
        loop {
            step = match step {
                Step::Done(result) => return Ok(result),
                Step::Fetch(step) => {
                    self.requests += 1;
                    let answer = answer(step.request());
                    step.resume(Ok(answer), NOW)?
                }
                Step::Load(step) => {
                    let found = self.stored.iter().rev().find(|(slot, ..)| slot == step.slot());
                    let found = found.map(|(_, version, value)| Stored { version: *version, value: value.to_vec() });
                    step.resume(Ok(found), NOW)?
                }
                Step::Save(step) => {
                    self.stored.retain(|(slot, ..)| slot != step.slot());
                    if let Some(value) = step.value() {
                        self.stored.push((step.slot().clone(), step.version(), value.to_vec().leak()));
                    }
                    step.resume(Ok(Saved::Stored), NOW)?
                }
                Step::Lock(step) => step.resume(Ok(()), NOW)?,
                Step::Unlock(step) => step.resume(Ok(()), NOW)?,
                Step::Wait(step) => step.resume((), NOW)?,
                other => panic!("plain OAuth has no keys, and a client no store: {other:?}"),
            };
        }
    }
}

fn answer(request: &Request) -> Response {
    let body = if request.url.contains("oauth-protected-resource") {
        format!(r#"{{"resource":"https://api.example.com/","authorization_servers":["{ISSUER}"]}}"#)
    } else if request.url.contains("oauth-authorization-server") {
        format!(
            r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/authorize","token_endpoint":"{ISSUER}/token",
            "code_challenge_methods_supported":["S256"]}}"#
        )
    } else if request.url.ends_with("/token") {
        // With an escape, so that the token has to be put together by its reader.
        [
            r#"{"access_token":""#,
            MARK,
            r#"-at\u002d","token_type":"Bearer","expires_in":300,"refresh_token":""#,
            MARK,
            r#"-rt","id_token":""#,
            MARK,
            r#"-id","team":{"id":""#,
            MARK,
            r#""}}"#,
        ]
        .concat()
    } else {
        String::new()
    };
    Response { status: 200, fields: Vec::new(), body: body.into_bytes() }
}

fn flow(credentials: Credentials) {
    let client =
        Client::builder(SecurityLevel::Standard, &RUSTCRYPTO).credentials(ISSUER, credentials).build().unwrap();
    let mut host = Host { stored: Vec::new(), requests: 0 };
    let found = host.run(client.discover_with(API, Some(&[]), None, NOW)).unwrap();
    let session = host.run(client.client_credentials(SessionRequest::new("work", &found), NOW)).unwrap();
    host.run(client.call(&session, Request::new("GET", API), NOW)).unwrap();
    assert!(host.requests >= 4, "{}", host.requests);
    drop(session);
    let later = NOW.saturating_add(1);
    let session = host.run(client.open("work", later)).unwrap();
    host.run(client.call(&session, Request::new("GET", API), later)).unwrap();
}

fn secret() -> Secret {
    Secret::new(MARK)
}

fn request_to_a_resource() {
    let policy = ResourcePolicy::new("https://api.example.com/").unwrap();
    let policy = policy.with_introspection(Introspection::by_host());
    let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
    let server = ResourceServer::new(policy, verifier, Consumption::by_host()).unwrap();
    let target = TargetUri::parse(API).unwrap();
    let field = Secret::new(["DPoP ", MARK].concat());
    let proof = Secret::new([MARK, ".", MARK, ".", MARK].concat());
    let fields = [("Authorization", field.expose().as_bytes()), ("DPoP", proof.expose().as_bytes())];
    drop(server.admit(&IncomingRequest::new("GET", &target, &fields), UnixTime::from_secs(0)).unwrap());
}

#[test]
fn freed_secrets_are_overwritten() {
    // The allocator looks, and finds what is not overwritten.
    assert_eq!(left_by(|| drop([MARK, "x"].concat())), 1);
    assert_eq!(left_by(|| drop(keybound::base64url::encode([MARK, MARK].concat().leak().as_bytes()))), 1);

    let cases: [(&str, fn()); 8] = [
        ("the fields of a request", || {
            let request = Request::new("POST", API).with_field("Authorization", MARK).with_body(Body::Empty);
            drop(request.clone());
        }),
        ("an answer", || {
            drop(Response { status: 200, fields: vec![("Set-Cookie".into(), MARK.into())], body: MARK.into() })
        }),
        ("a form that is sent", || {
            let mut form = Form::new();
            for name in ["client_secret", "refresh_token", "code"] {
                form.push(name, MARK);
            }
            drop(Body::Bytes(form.encode().into_bytes()));
            drop(form.clone());
        }),
        ("a form that is read, and one that cannot be", || {
            let bytes = ["client_secret=%41", MARK, "&client_secret=", MARK, "%4"].concat().leak().as_bytes();
            assert!(Form::parse(bytes).is_err() && Form::parse(&bytes[..bytes.len() - 2]).is_ok());
        }),
        ("JSON that is read and written", || {
            let bytes = [r#"{"access_token":"\n"#, MARK, r#"","a":[""#, MARK, r#""]}"#].concat().leak().as_bytes();
            let value = Value::parse(bytes).unwrap();
            drop(Body::Bytes(value.to_json().into_bytes()));
            drop(value.clone());
        }),
        ("a request that is received", request_to_a_resource),
        ("a session with a secret in a field", || flow(Credentials::secret_basic("client", secret()))),
        ("a session with a secret in a body", || flow(Credentials::secret_post("client", secret()))),
    ];
    let left: Vec<_> = cases.iter().map(|(name, work)| (*name, left_by(work))).filter(|(_, left)| *left > 0).collect();
    assert!(left.is_empty(), "freed with a secret in them: {left:?}");
}
