//! Our client with npm `oidc-provider` as authorization server, which demands PAR and nonces, and APIs that others wrote.

use keybound::json::Value as Json;
use keybound::oauth::{ClientBuilder, Credentials, Secret, Session, SessionRequest};
use keybound_interop::ours::{builder, call, call_with, client, discovered, log_in, refresh_twice};
use keybound_interop::{Peers, Running};
use keybound_reqwest::blocking::Client;
use reqwest::Method;
use serde_json::{Value, json};

const REDIRECT_URI: &str = "http://127.0.0.1:7878/callback";

/// An authorization server, and an API that demands a new nonce for each request.
struct World {
    server: Running,
    api: Running,
}

impl World {
    fn start(peers: &Peers) -> Self {
        let server = peers.start("peers/oidc-provider.mjs", &Value::Null);
        let api = peers.start("peers/judge.mjs", &json!({ "issuer": server.text("issuer"), "nonces": true }));
        Self { server, api }
    }

    fn issuer(&self) -> &str {
        self.server.text("issuer")
    }

    fn resource(&self) -> &str {
        self.api.text("resource")
    }

    /// A public client that the server knows.
    fn app(&self) -> ClientBuilder {
        builder().redirect_uri(REDIRECT_URI).credentials(self.issuer(), Credentials::public("app"))
    }

    /// A session for the API, by a login.
    fn log_in(&self, client: &Client) -> Session {
        let discovered = client.discover(self.resource()).expect("the API's metadata");
        log_in(client, SessionRequest::new("api", &discovered).scope("read write"), REDIRECT_URI)
    }
}

#[test]
fn a_login_by_pushed_request_calls_and_refresh() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let client = client(world.app());
    let session = world.log_in(&client);
    assert!(session.is_bound());
    assert_eq!(session.resource().as_deref(), Some(world.resource()));

    let thumbprint = session.thumbprint().expect("a key").to_string();
    for (method, path, body) in [
        (Method::GET, "", None),
        (Method::GET, "/items?page=2", None),
        (Method::POST, "/items", Some("hello")),
        (Method::DELETE, "/items/1", None),
    ] {
        let answer = call_with(&client, &session, method, &format!("{}{path}", world.resource()), body);
        assert_eq!(answer["claims"]["cnf"]["jkt"], thumbprint.as_str());
    }

    refresh_twice(&client, &session);
    assert_eq!(call(&client, &session, Method::GET, world.resource())["claims"]["cnf"]["jkt"], thumbprint.as_str());
}

#[test]
fn a_proof_with_the_pushed_request() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let client = client(world.app().push_with_proof());
    let session = world.log_in(&client);
    call(&client, &session, Method::GET, world.resource());
}

#[test]
fn a_client_that_registers_itself() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let client = client(builder().redirect_uri(REDIRECT_URI).register(Json::object().with("client_name", "interop")));
    let session = world.log_in(&client);
    call(&client, &session, Method::GET, world.resource());
}

#[test]
fn client_credentials() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let secret = Secret::new(world.server.text("client_secret"));
    let client = client(builder().credentials(world.issuer(), Credentials::secret("service", secret)));
    let discovered = client.discover(world.resource()).expect("the API's metadata");
    let request = SessionRequest::new("service", &discovered).scope("read");
    let session = client.client_credentials(request).expect("a session");
    let answer = call(&client, &session, Method::GET, world.resource());
    assert_eq!(answer["claims"]["client_id"], "service");
}

#[test]
fn userinfo() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let client = client(world.app().also_origin(world.issuer()));
    let discovered = discovered(&client, world.issuer());
    let userinfo = discovered.server().document().text("userinfo_endpoint").expect("an endpoint").to_owned();
    let session = log_in(&client, SessionRequest::new("me", &discovered).scope("openid email"), REDIRECT_URI);
    assert_eq!(session.subject().map(|subject| subject.sub).as_deref(), Some("alice"), "by its ID token");
    for method in [Method::GET, Method::POST] {
        let answer = call(&client, &session, method, &userinfo);
        assert_eq!((&answer["sub"], &answer["email"]), (&json!("alice"), &json!("alice@example.com")));
    }
}

#[test]
fn after_its_end_a_session_is_of_no_use() {
    let Some(peers) = Peers::here() else { return };
    let world = World::start(&peers);
    let client = client(world.app());
    let session = world.log_in(&client);
    client.end(&session).expect("an end");
    let error = client.open("api").expect_err("no session");
    assert!(error.needs_login(), "{error}");
}
