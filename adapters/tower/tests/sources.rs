//! Where keys and introspection answers come from: fetched once, kept for a while, shared by those who wait.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use http::Request;
use http::request::Parts;
use keybound::Misuse;
use keybound::http::message::{Request as Sent, Response};
use keybound::json::Value;
use keybound::oauth::{Credentials, Secret};
use keybound::replay::BoxFuture;
use keybound::server::JwkSet;
use keybound::server::resource::{Introspection, IssuerProfile, Schemes};
use keybound_tower::{Builder, FetchKeys, HostError, Introspect, Protection, Transport};
use story::{Client, Clock, ISSUER, Issuer};
use tokio::net::TcpListener;

const RESOURCE: &str = "https://api.example.com";

/// What both sources do: count, wait a little, and answer with what they hold.
#[derive(Clone)]
struct Source<T>(Arc<(Mutex<Option<T>>, AtomicUsize)>);

impl<T: Clone> Source<T> {
    fn new(answer: Option<T>) -> Self {
        Self(Arc::new((Mutex::new(answer), AtomicUsize::new(0))))
    }

    fn set(&self, answer: Option<T>) {
        *self.0.0.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> Result<T, HostError> {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.0.0.lock().unwrap().clone().ok_or_else(|| "down".into())
    }
}

impl FetchKeys for Source<String> {
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, HostError>> {
        Box::pin(async { Ok(self.answer().await?.into_bytes()) })
    }
}

impl Introspect for Source<String> {
    fn introspect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(async { Ok(self.answer().await?.into_bytes()) })
    }
}

fn head(client: &Client, token: &str) -> Parts {
    let request = Request::get("/items")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", client.proof("GET", "/items", token, None));
    request.body(()).unwrap().into_parts().0
}

async fn ask(protection: &Protection, parts: Parts) -> &'static str {
    match protection.admit(&parts).await {
        Ok(_) => "admitted",
        Err(refusal) => refusal.reason(),
    }
}

fn client(clock: &Clock) -> Client {
    Client::new(clock, RESOURCE, ([127, 0, 0, 1], 1).into())
}

fn protection(clock: &Clock, source: &Source<String>) -> Protection {
    let builder = Protection::of(RESOURCE).unwrap().issuer_with_source(ISSUER, source.clone()).unwrap();
    let protection = builder.without_nonces().clock(clock.reader()).build().unwrap();
    clock.advance(1000);
    protection
}

#[tokio::test]
async fn a_profile_counts_whether_it_is_given_before_or_after_its_issuer() {
    let clock = Clock::new();
    let (issuer, client) = (Issuer::new("k1"), client(&clock));
    let keycloak = IssuerProfile::keycloak();
    let named = |builder: Builder| builder.issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let profiled = |builder: Builder| builder.issuer_profile(ISSUER, keycloak).unwrap();
    let of = || Protection::of(RESOURCE).unwrap();
    let plain = client.bound_claims();
    let own = plain.clone().with("typ", "DPoP").with("azp", "app");
    for (builder, of_plain, of_keycloak) in [
        (named(of()), "admitted", "admitted"),
        (profiled(named(of())), "not_access_token", "admitted"),
        (named(profiled(of())), "not_access_token", "admitted"),
    ] {
        let protection = builder.without_nonces().clock(clock.reader()).build().unwrap();
        clock.advance(1000);
        let claims = |claims: &Value| claims.clone().with("exp", clock.now().saturating_add(60));
        assert_eq!(ask(&protection, head(&client, &issuer.token(&claims(&plain)))).await, of_plain);
        assert_eq!(ask(&protection, head(&client, &issuer.token(&claims(&own)))).await, of_keycloak);
    }
    // A profile alone names an issuer, whose keys its metadata says.
    assert!(profiled(of()).build().is_ok());
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_a_token_names_it() {
    let clock = Clock::new();
    let (old, new, client) = (Issuer::new("k1"), Issuer::new("k2"), client(&clock));
    let source = Source::new(Some(old.jwks()));
    let protection = protection(&clock, &source);
    let ask_with = |issuer: &Issuer| ask(&protection, head(&client, &issuer.token(&client.bound_claims())));
    for _ in 0..3 {
        assert_eq!(ask_with(&old).await, "admitted");
    }
    assert_eq!(source.asked(), 1);
    source.set(Some(new.jwks()));
    assert_eq!(ask_with(&new).await, "token_key_unknown", "asked again too soon");
    assert_eq!(source.asked(), 1);
    clock.advance(10);
    assert_eq!(ask_with(&new).await, "admitted");
    assert_eq!(ask_with(&old).await, "token_key_unknown");
    assert_eq!(source.asked(), 2);
    for _ in 0..20 {
        clock.advance(1);
        ask_with(&Issuer::new("made-up")).await;
    }
    assert_eq!(source.asked(), 4, "once in ten seconds, whatever is sent");
}

#[tokio::test]
async fn keys_are_fetched_by_one_request_at_a_time() {
    let clock = Clock::new();
    let (issuer, client) = (Issuer::new("k1"), client(&clock));
    let source = Source::new(Some(issuer.jwks()));
    let protection = protection(&clock, &source);
    let requests = (0..20).map(|_| ask(&protection, head(&client, &issuer.token(&client.bound_claims()))));
    let answers = futures_util::future::join_all(requests).await;
    assert_eq!((answers, source.asked()), (vec!["admitted"; 20], 1));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_not_asked_for_all_the_time_and_old_ones_serve_for_a_day() {
    let clock = Clock::new();
    let (issuer, client) = (Issuer::new("k1"), client(&clock));
    let source = Source::new(None);
    let protection = protection(&clock, &source);
    let token = || issuer.token(&client.bound_claims().with("exp", clock.now().saturating_add(60)));
    for _ in 0..3 {
        assert_eq!(ask(&protection, head(&client, &token())).await, "keys_unavailable");
    }
    assert_eq!(source.asked(), 1);
    clock.advance(10);
    source.set(Some(issuer.jwks()));
    assert_eq!(ask(&protection, head(&client, &token())).await, "admitted");
    source.set(None);
    clock.advance(80_000);
    assert_eq!(ask(&protection, head(&client, &token())).await, "admitted");
    clock.advance(10_000);
    assert_eq!(ask(&protection, head(&client, &token())).await, "keys_unavailable");
}

/// The client that asked first may be gone before the keys are there, and before the answer about its token is.
#[tokio::test]
async fn a_leader_that_hangs_up_does_not_stop_the_fetch() {
    let clock = Clock::new();
    let (issuer, client) = (Issuer::new("k1"), client(&clock));
    let source = Source::new(Some(issuer.jwks()));
    let protection = protection(&clock, &source);
    let token = issuer.token(&client.bound_claims());
    let parts = head(&client, &token);
    {
        let first = std::pin::pin!(protection.admit(&parts));
        assert!(futures_util::FutureExt::now_or_never(first).is_none());
    }
    assert_eq!(ask(&protection, head(&client, &token)).await, "admitted");
    assert_eq!(source.asked(), 1);

    let said = Source::new(Some(String::from(r#"{"active":false}"#)));
    let builder = Protection::of(RESOURCE).unwrap().introspection_by(said.clone());
    let protection = builder.without_nonces().clock(clock.reader()).build().unwrap();
    clock.advance(1000);
    let parts = head(&client, "opaque");
    assert!(futures_util::FutureExt::now_or_never(Box::pin(protection.admit(&parts))).is_none());
    assert_eq!(ask(&protection, head(&client, "opaque")).await, "token_inactive");
    assert_eq!(said.asked(), 1);
}

#[tokio::test]
async fn the_keys_of_an_issuer_are_found_through_its_metadata() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = Issuer::new("k1");
    let named = |issuer: &str, keys: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
    let place = |path: &'static str, document: String| (path, document);
    let mut app = Router::new()
        .route("/long", get(|| async { " ".repeat(JwkSet::MAX_LEN + 1) }))
        .route("/moved", get(|| async { axum::response::Redirect::to("/jwks") }));
    for (path, document) in [
        place("/jwks", issuer.jwks()),
        place("/.well-known/openid-configuration", named(&url, &format!("{url}/jwks"))),
        // The third place, which some servers have alone.
        place("/appended/.well-known/openid-configuration", named(&format!("{url}/appended"), &format!("{url}/jwks"))),
        place("/.well-known/oauth-authorization-server/other", named("http://other.example", &format!("{url}/jwks"))),
        place(
            "/.well-known/oauth-authorization-server/plain",
            named(&format!("{url}/plain"), "http://as.example.com/jwks"),
        ),
    ] {
        app = app.route(path, get(move || std::future::ready(document.clone())));
    }
    story::serve(listener, app).await;
    let clock = Clock::new();
    let client = client(&clock);
    let verdict = async |builder: Builder, issuer_url: String| {
        let protection = builder.without_nonces().clock(clock.reader()).build().unwrap();
        clock.advance(1000);
        let claims = client.bound_claims().with("iss", issuer_url).with("exp", clock.now().saturating_add(60));
        ask(&protection, head(&client, &issuer.token(&claims))).await
    };
    let of = || Protection::of(RESOURCE).unwrap();
    for (path, expected) in
        [("", "admitted"), ("/appended", "admitted"), ("/other", "keys_unavailable"), ("/plain", "keys_unavailable")]
    {
        let issuer_url = format!("{url}{path}");
        assert_eq!(verdict(of().issuer(&issuer_url).unwrap(), issuer_url).await, expected, "{path}");
    }
    for (path, expected) in [
        ("/jwks", "admitted"),
        ("/long", "keys_unavailable"),
        ("/moved", "keys_unavailable"),
        ("/missing", "keys_unavailable"),
    ] {
        let builder = of().issuer_with_keys_at(&url, &format!("{url}{path}")).unwrap();
        assert_eq!(verdict(builder, url.clone()).await, expected, "{path}");
    }
    let insecure = of().issuer_with_keys_at(&url, "http://as.example.com/jwks").map(drop);
    assert_eq!(insecure.unwrap_err(), Misuse::NotHttps("jwks_uri"));
}

/// A question to an authorization server is asked again when its answer is lost.
#[tokio::test]
async fn a_lost_answer_about_keys_is_asked_for_again() {
    let clock = Clock::new();
    let (issuer, client) = (Issuer::new("k1"), client(&clock));
    let sent = Unsteady(issuer.jwks(), AtomicUsize::new(0));
    let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys_at(ISSUER, "https://as.example.com/jwks").unwrap();
    let protection = builder.transport(sent).without_nonces().clock(clock.reader()).build().unwrap();
    clock.advance(1000);
    assert_eq!(ask(&protection, head(&client, &issuer.token(&client.bound_claims()))).await, "admitted");
}

/// A network that loses the first answer.
struct Unsteady(String, AtomicUsize);

impl Transport for Unsteady {
    fn send<'a>(&'a self, request: &'a Sent, _: usize) -> BoxFuture<'a, Result<Response, HostError>> {
        Box::pin(async move {
            assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "https://as.example.com/jwks"));
            match self.1.fetch_add(1, Ordering::SeqCst) {
                0 => Err("the connection broke".into()),
                _ => Ok(Response { status: 200, fields: Vec::new(), body: self.0.clone().into_bytes() }),
            }
        })
    }
}

#[tokio::test]
async fn introspection_is_shared_and_inactive_tokens_are_remembered_briefly() {
    let clock = Clock::new();
    let client = client(&clock);
    let bound = Value::object().with("active", true);
    let bound = bound.with("cnf", client.bound_claims().member("cnf").unwrap().clone()).to_json();
    let source = Source::new(Some(bound.clone()));
    let builder = Protection::of(RESOURCE).unwrap().tokens(|policy| policy.with_schemes(Schemes::Both));
    let protection = builder.introspection_by(source.clone()).without_nonces().clock(clock.reader()).build().unwrap();
    clock.advance(1000);
    let answers = futures_util::future::join_all((0..20).map(|_| ask(&protection, head(&client, "opaque")))).await;
    assert_eq!((answers, source.asked()), (vec!["admitted"; 20], 1));
    assert_eq!(ask(&protection, head(&client, "opaque")).await, "admitted");
    assert_eq!(source.asked(), 2, "an active token is asked about each time");
    source.set(Some(r#"{"active":false}"#.into()));
    for _ in 0..5 {
        assert_eq!(ask(&protection, head(&client, "opaque")).await, "token_inactive");
    }
    assert_eq!(source.asked(), 3);
    clock.advance(10);
    source.set(None);
    assert_eq!(ask(&protection, head(&client, "opaque")).await, "introspection_unavailable");
    source.set(Some(bound));
    assert_eq!(ask(&protection, head(&client, "opaque")).await, "admitted");
}

#[tokio::test]
async fn an_introspection_endpoint_is_asked_as_a_client_with_a_secret() {
    async fn introspect(headers: http::HeaderMap, body: String) -> (http::StatusCode, String) {
        // `my:api` and `a b`, each encoded as in a form.
        let basic = format!("Basic {}", "bXklM0FhcGk6YSti");
        if headers.get("authorization").is_none_or(|value| *value != *basic) {
            return (http::StatusCode::UNAUTHORIZED, String::new());
        }
        let known = body == "token=opaque-1&token_type_hint=access_token";
        (http::StatusCode::OK, format!("{{\"active\":{known}}}"))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    story::serve(listener, Router::new().route("/introspect", axum::routing::post(introspect))).await;
    let clock = Clock::new();
    let client = client(&clock);
    let verdict = async |secret: &str, token: &str| {
        let credentials = Credentials::secret_basic("my:api", Secret::new(secret));
        let introspection = Introspection::at(&url, credentials).unwrap();
        assert!(!format!("{introspection:?}").contains(secret));
        let builder = Protection::of(RESOURCE).unwrap().tokens(|policy| policy.with_schemes(Schemes::Both));
        let protection = builder.introspection(introspection).without_nonces().clock(clock.reader()).build().unwrap();
        clock.advance(1000);
        ask(&protection, head(&client, token)).await
    };
    // The token is active and bound to no key, so the server was asked and believed.
    assert_eq!(verdict("a b", "opaque-1").await, "token_unbound");
    assert_eq!(verdict("a b", "other").await, "token_inactive");
    assert_eq!(verdict("wrong", "opaque-1").await, "introspection_unavailable");
}
