//! Keycloak, which others wrote: as authorization server of our client, and as issuer of the tokens that our resource server takes.

use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use keybound::json::Value as Json;
use keybound::oauth::{ClientBuilder, Credentials, Discovered, Secret, Session, SessionRequest};
use keybound::server::resource::IssuerProfile;
use keybound::{Misuse, UnixTime};
use keybound_interop::ours::{self, builder, call, client, client_with, discovered, refresh_twice};
use keybound_interop::{Keycloak, SECRET, SERVICE, approve};
use keybound_reqwest::Memory;
use keybound_reqwest::blocking::Client;
use keybound_tower::{Principal, Protection};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Keycloak takes any port for the redirect URI that it knows, `http://127.0.0.1/callback`.
const REDIRECT_URI: &str = "http://127.0.0.1:7879/callback";

/// The server, and an API of ours that its tokens are for.
struct World {
    keycloak: Keycloak,
    resource: String,
    /// Runs the API.
    _runtime: Runtime,
}

impl World {
    fn start() -> Option<Self> {
        let runtime = Runtime::new().expect("threads");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let resource = format!("http://{}/api", listener.local_addr().expect("an address"));
        let keycloak = Keycloak::start(&resource)?;
        let protection = protection(&resource, &keycloak.issuer).expect("a protection");
        let api = Router::new().route("/api", get(answer)).layer(protection.layer()).merge(protection.metadata_route());
        runtime.spawn(async move { axum::serve(listener, api).await });
        Some(Self { keycloak, resource, _runtime: runtime })
    }
}

fn protection(resource: &str, issuer: &str) -> Result<Protection, Misuse> {
    let builder = Protection::of(resource)?.issuer(issuer)?.issuer_profile(issuer, IssuerProfile::keycloak())?;
    builder.danger_first_start().build()
}

/// Whom the API takes a request to be from.
async fn answer(principal: Principal) -> String {
    json!({ "client": principal.client_id(), "email": principal.has_scope("email") }).to_string()
}

/// Both start once for all tests.
fn world() -> Option<&'static World> {
    static STARTED: OnceLock<Option<World>> = OnceLock::new();
    STARTED.get_or_init(World::start).as_ref()
}

fn keycloak() -> Option<&'static Keycloak> {
    world().map(|world| &world.keycloak)
}

/// A public client that the server knows, and which has to push its requests.
fn app(keycloak: &Keycloak) -> ClientBuilder {
    at(keycloak).redirect_uri(REDIRECT_URI).credentials(&keycloak.issuer, Credentials::public("app"))
}

/// A client that is its own user.
fn service(keycloak: &Keycloak) -> ClientBuilder {
    at(keycloak).credentials(&keycloak.issuer, Credentials::secret(SERVICE, Secret::new(SECRET)))
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

/// What the server says of a token that names the asking client in `aud`, too.
fn is_active(keycloak: &Keycloak, token: &Secret) -> bool {
    let client = client(service(keycloak));
    let step = client.oauth().introspect(&discovered(&client, &keycloak.issuer), token.clone(), UnixTime::now());
    client.run(step).expect("an answer").boolean("active") == Some(true)
}

#[test]
fn a_login_by_pushed_request_userinfo_refresh_and_end() {
    let Some(keycloak) = keycloak() else { return };
    let client = client(app(keycloak));
    let session = log_in(&client, keycloak, REDIRECT_URI);
    assert!(session.is_bound());
    let userinfo = userinfo(&discovered(&client, &keycloak.issuer));
    for method in [Method::GET, Method::POST] {
        let answer = call(&client, &session, method, &userinfo);
        assert_eq!(answer["email"], "alice@example.com");
        let subject = session.subject().expect("an account, by its ID token");
        assert_eq!((subject.issuer, json!(subject.sub)), (keycloak.issuer.clone(), answer["sub"].clone()));
    }

    refresh_twice(&client, &session);
    assert_eq!(call(&client, &session, Method::GET, &userinfo)["email"], "alice@example.com");

    let token = session.danger_access_token().expect("a token");
    assert!(is_active(keycloak, &token));
    client.end(&session).expect("an end");
    assert!(!is_active(keycloak, &token), "the server has ended it, too");
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
    let client = client(service(keycloak));
    let request = SessionRequest::new("service", &discovered(&client, &keycloak.issuer)).scope("openid");
    let session = client.client_credentials(request).expect("a session");
    assert!(session.is_bound());
    let answer = call(&client, &session, Method::GET, &userinfo(&discovered(&client, &keycloak.issuer)));
    assert_eq!(answer["preferred_username"], "service-account-service");
}

#[test]
fn our_resource_takes_its_tokens() {
    let Some(world) = world() else { return };
    let (keycloak, resource) = (&world.keycloak, &*world.resource);
    let user = client(app(keycloak));
    let discovered = user.discover(resource).expect("the API's metadata");
    let session = ours::log_in(&user, SessionRequest::new("api", &discovered).scope("openid email"), REDIRECT_URI);
    assert_eq!(call(&user, &session, Method::GET, resource), json!({ "client": "app", "email": true }));
    refresh_twice(&user, &session);
    assert_eq!(call(&user, &session, Method::GET, resource)["client"], "app");

    let service = client(service(keycloak));
    let session = service.client_credentials(SessionRequest::new("service", &discovered)).expect("a session");
    assert_eq!(call(&service, &session, Method::GET, resource)["client"], SERVICE);
}

/// Keycloak puts a resource into `aud` only where the client is configured so.
#[test]
fn our_resource_refuses_tokens_that_are_not_for_it() {
    let Some(world) = world() else { return };
    let registered =
        at(&world.keycloak).redirect_uri(REDIRECT_URI).register(Json::object().with("client_name", "interop"));
    let client = client(registered);
    let discovered = client.discover(&world.resource).expect("the API's metadata");
    let session = ours::log_in(&client, SessionRequest::new("api", &discovered).scope("email"), REDIRECT_URI);
    assert_eq!(client.get(&session, &world.resource).expect("an answer").status(), 401);
}
