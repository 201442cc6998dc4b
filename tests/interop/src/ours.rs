//! Our client, as the tests use it.

use keybound::oauth::{self, ClientBuilder, Discovered, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel, UnixTime};
use keybound_reqwest::Memory;
use keybound_reqwest::blocking::Client;
use reqwest::Method;
use serde_json::Value;

use crate::browser::visit;

/// A builder for clients of servers on this machine.
pub fn builder() -> ClientBuilder {
    oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).allow_loopback()
}

/// A client that keeps its sessions in `memory`.
///
/// # Panics
/// If it cannot be built.
pub fn client_with(builder: ClientBuilder, memory: &Memory) -> Client {
    Client::new(builder.build().expect("a client"), memory.clone()).expect("an HTTP client")
}

/// A client that starts with nothing.
///
/// # Panics
/// If it cannot be built.
pub fn client(builder: ClientBuilder) -> Client {
    client_with(builder, &Memory::new())
}

/// The metadata of an issuer, for requests to its own origin.
///
/// # Panics
/// If there is none.
pub fn discovered(client: &Client, issuer: &str) -> Discovered {
    client.run(client.oauth().discover_issuer(issuer, UnixTime::now())).expect("the server's metadata")
}

/// A session, by a login whose request is pushed.
///
/// # Panics
/// If it fails.
pub fn log_in(client: &Client, request: SessionRequest, redirect_uri: &str) -> Session {
    let authorization = client.authorize(request).expect("a pushed request");
    assert!(authorization.url.contains("request_uri="), "the request was pushed");
    client.exchange(&visit(&authorization.url, redirect_uri)).expect("a session")
}

/// Refreshes twice, since the refresh token was rotated: the access token is another one each time.
///
/// # Panics
/// If it is not, or a refresh fails.
pub fn refresh_twice(client: &Client, session: &Session) {
    for _ in 0..2 {
        let before = session.danger_access_token();
        client.run(client.oauth().refresh(session, UnixTime::now())).expect("a refresh");
        assert_ne!(session.danger_access_token(), before);
    }
}

/// What an API answers, as JSON.
///
/// # Panics
/// If it refuses.
pub fn call(client: &Client, session: &Session, method: Method, url: &str) -> Value {
    call_with(client, session, method, url, None)
}

/// What an API answers to a request with this body.
///
/// # Panics
/// If it refuses.
pub fn call_with(client: &Client, session: &Session, method: Method, url: &str, body: Option<&'static str>) -> Value {
    let request = client.request(method, url);
    let request = body.into_iter().fold(request, |request, body| request.body(body));
    let response = client.call(session, request).expect("an answer");
    assert_eq!(response.status(), 200, "{url}");
    serde_json::from_str(&response.text().expect("text")).expect("JSON")
}
