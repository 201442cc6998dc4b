//! Keycloak, which others wrote: as authorization server of our client, and as issuer of the tokens that our resource server takes.

use std::sync::OnceLock;

use keybound::json::Value as Json;
use keybound::oauth::{ClientBuilder, Credentials, Discovered, Secret, Session, SessionRequest};
use keybound_interop::ours::{self, builder, call, client, client_with, discovered, refresh_twice};
use keybound_interop::{Keycloak, SECRET, SERVICE, approve};
use keybound_reqwest::Memory;
use keybound_reqwest::blocking::Client;
use reqwest::Method;

/// Keycloak takes any port for the redirect URI that it knows, `http://127.0.0.1/callback`.
const REDIRECT_URI: &str = "http://127.0.0.1:7879/callback";

/// The server, which starts once for all tests.
fn keycloak() -> Option<&'static Keycloak> {
    static STARTED: OnceLock<Option<Keycloak>> = OnceLock::new();
    STARTED.get_or_init(|| Keycloak::start("https://api.example.com")).as_ref()
}

/// A public client that the server knows, and which has to push its requests.
fn app(keycloak: &Keycloak) -> ClientBuilder {
    at(keycloak).redirect_uri(REDIRECT_URI).credentials(&keycloak.issuer, Credentials::public("app"))
}

/// A client that also calls the server's own API.
fn at(keycloak: &Keycloak) -> ClientBuilder {
    builder().also_origin(&keycloak.issuer)
}

fn userinfo(discovered: &Discovered) -> String {
    discovered.server().document().text("userinfo_endpoint").expect("an endpoint").to_owned()
}

/// A session for the userinfo endpoint, by a login.
fn log_in(client: &Client, keycloak: &Keycloak, redirect_uri: &str) -> Session {
    let request = SessionRequest::new("me", &discovered(client, &keycloak.issuer)).scope("openid email");
    ours::log_in(client, request, redirect_uri)
}

#[test]
fn a_login_by_pushed_request_userinfo_refresh_and_end() {
    let Some(keycloak) = keycloak() else { return };
    let client = client(app(keycloak));
    let session = log_in(&client, keycloak, REDIRECT_URI);
    assert!(session.is_bound());
    let userinfo = userinfo(&discovered(&client, &keycloak.issuer));
    for method in [Method::GET, Method::POST] {
        assert_eq!(call(&client, &session, method, &userinfo)["email"], "alice@example.com");
    }

    refresh_twice(&client, &session);
    assert_eq!(call(&client, &session, Method::GET, &userinfo)["email"], "alice@example.com");

    client.end(&session).expect("an end");
    let error = client.open("me").expect_err("no session");
    assert!(error.needs_login(), "{error}");
}

#[test]
fn a_login_on_another_device() {
    let Some(keycloak) = keycloak() else { return };
    let client = client(app(keycloak));
    let discovered = discovered(&client, &keycloak.issuer);
    let request = SessionRequest::new("device", &discovered).scope("openid email");
    let session = client.device(request, |shown| {
        approve(shown.verification_uri_complete().expect("a URL with the code"));
    });
    let session = session.expect("a session");
    assert!(session.is_bound());
    assert_eq!(call(&client, &session, Method::GET, &userinfo(&discovered))["email"], "alice@example.com");
}

#[test]
fn a_client_that_registers_itself_logs_in_twice() {
    let Some(keycloak) = keycloak() else { return };
    let memory = Memory::new();
    let registering = |redirect_uri| {
        let metadata = Json::object().with("client_name", "interop");
        client_with(at(keycloak).redirect_uri(redirect_uri).register(metadata), &memory)
    };
    // A program on the user's machine gets another port each time.
    for redirect_uri in [REDIRECT_URI, "http://127.0.0.1:7880/callback"] {
        let client = registering(redirect_uri);
        let session = log_in(&client, keycloak, redirect_uri);
        let userinfo = userinfo(&discovered(&client, &keycloak.issuer));
        assert_eq!(call(&client, &session, Method::GET, &userinfo)["email"], "alice@example.com");
    }
}

#[test]
fn client_credentials() {
    let Some(keycloak) = keycloak() else { return };
    let client = client(at(keycloak).credentials(&keycloak.issuer, Credentials::secret(SERVICE, Secret::new(SECRET))));
    let request = SessionRequest::new("service", &discovered(&client, &keycloak.issuer)).scope("openid");
    let session = client.client_credentials(request).expect("a session");
    assert!(session.is_bound());
    let answer = call(&client, &session, Method::GET, &userinfo(&discovered(&client, &keycloak.issuer)));
    assert_eq!(answer["preferred_username"], "service-account-service");
}
