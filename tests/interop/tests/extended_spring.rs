//! Our client with Spring Authorization Server, which others wrote, and an API that Spring protects.

use std::sync::OnceLock;

use keybound::oauth::{ClientBuilder, Credentials, Secret, Session, SessionRequest};
use keybound_interop::ours::{builder, call, client, log_in, refresh_twice};
use keybound_interop::{Peers, Running, SECRET, SERVICE, approve, visit};
use keybound_reqwest::blocking::Client;
use reqwest::Method;
use serde_json::Value;

/// Spring compares redirect URIs as a whole.
const REDIRECT_URI: &str = "http://127.0.0.1:7882/callback";

/// The server, which starts once for all tests.
fn server() -> Option<&'static Running> {
    static STARTED: OnceLock<Option<Running>> = OnceLock::new();
    STARTED.get_or_init(|| Some(Peers::here()?.start("peers/spring/Spring.java", &Value::Null))).as_ref()
}

fn at(server: &Running, credentials: Credentials) -> ClientBuilder {
    builder().redirect_uri(REDIRECT_URI).credentials(server.text("issuer"), credentials)
}

/// A confidential client that the server knows.
fn web(server: &Running) -> Client {
    client(at(server, Credentials::secret("web", Secret::new("a-secret-of-the-app"))))
}

fn request(client: &Client, server: &Running) -> SessionRequest {
    let discovered =
        client.discover_with(server.text("api"), Some(server.text("issuer"))).expect("the server's metadata");
    SessionRequest::new("api", &discovered).scope("read")
}

fn user(client: &Client, session: &Session, server: &Running) -> Value {
    call(client, session, Method::GET, server.text("api"))["user"].clone()
}

#[test]
fn a_login_by_pushed_request_calls_and_refresh() {
    let Some(server) = server() else { return };
    let client = web(server);
    let session = log_in(&client, request(&client, server), REDIRECT_URI);
    assert!(session.is_bound());
    assert_eq!(user(&client, &session, server), "alice");
    refresh_twice(&client, &session);
    assert_eq!(user(&client, &session, server), "alice");
    client.end(&session).expect("an end");
}

/// Spring takes pushed requests of clients with a secret alone, and does not say so.
#[test]
fn a_public_client_whose_requests_are_not_taken() {
    let Some(server) = server() else { return };
    let client = client(at(server, Credentials::public("app")));
    let authorization = client.authorize(request(&client, server)).expect("a request");
    let session = client.exchange(&visit(&authorization.url, REDIRECT_URI)).expect("a session");
    assert!(session.is_bound());
    assert_eq!(user(&client, &session, server), "alice");
}

#[test]
fn a_login_on_another_device() {
    let Some(server) = server() else { return };
    let client = web(server);
    let session = client.device(request(&client, server), |shown| {
        approve(shown.verification_uri_complete().expect("a URL with the code"));
    });
    assert_eq!(user(&client, &session.expect("a session"), server), "alice");
}

#[test]
fn client_credentials() {
    let Some(server) = server() else { return };
    let client = client(at(server, Credentials::secret(SERVICE, Secret::new(SECRET))));
    let session = client.client_credentials(request(&client, server)).expect("a session");
    assert_eq!(user(&client, &session, server), SERVICE);
}
