//! The tests that a user of this crate writes, for a small axum application.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request as AxumRequest;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{Request, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use keybound::http::message::Request as Asked;
use keybound::json::Value;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::server::JwkSet;
use keybound::{Algorithm, RUSTCRYPTO, UnixTime};
use keybound_testing::{TestClient, TestClock, TestIssuer, TestToken, danger_admit};
use keybound_tower::{Builder, Principal, Protection, Refused, RequireScopes, Transport as _};
use tower::ServiceExt as _;

const RESOURCE: &str = "https://api.example.com";
const DPOP: HeaderName = HeaderName::from_static("dpop");

async fn who(principal: Principal) -> String {
    let scopes: Vec<&str> = principal.scopes().collect();
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    format!("{} {} {}", text(principal.subject()), text(principal.client_id()), scopes.join(","))
}

fn routes() -> Router {
    let admin = get(who).layer(RequireScopes::new(["admin"]));
    let nested = Router::new().route("/deep", get(who));
    Router::new().route("/items", get(who).post(who)).route("/admin", admin).nest("/nested", nested)
}

fn app(issuer: &TestIssuer, change: impl FnOnce(Builder) -> Builder) -> Router {
    let builder = issuer.trusted_by(Protection::of(RESOURCE).unwrap()).unwrap();
    routes().layer(change(builder).build().unwrap().layer())
}

fn issuer() -> TestIssuer {
    TestIssuer::for_resource(RESOURCE).unwrap()
}

fn request(target: &str) -> Request<String> {
    Request::get(target).body(String::new()).unwrap()
}

async fn status(client: &TestClient, app: &Router, target: &str) -> u16 {
    client.call(app.clone(), request(target)).await.unwrap().status().as_u16()
}

async fn text(response: Response<axum::body::Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1024).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_with_its_token_is_admitted_on_every_route() {
    let issuer = issuer();
    let app = app(&issuer, |builder| builder);
    let alice = issuer.client(TestToken::of("alice").client_id("app").scopes(["items:read", "items:write"])).unwrap();
    for target in ["/items", "/items?page=2", "/nested/deep", "https://api.example.com/items"] {
        let response = alice.call(app.clone(), request(target)).await.unwrap();
        assert_eq!(response.status(), 200, "{target}");
        assert_eq!(text(response).await, "alice app items:read,items:write", "{target}");
    }
    let post = Request::post("/items").body("{}".to_owned()).unwrap();
    assert_eq!(alice.call(app, post).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_without_a_proof_is_refused() {
    let issuer = issuer();
    let app = app(&issuer, |builder| builder);
    let alice = issuer.client(TestToken::of("alice")).unwrap();
    assert_eq!(app.clone().oneshot(request("/items")).await.unwrap().status(), 401, "no token either");
    // A nonce is known from here on, so that the proof is all that is missing below.
    assert_eq!(status(&alice, &app, "/items").await, 200);
    let mut signed = request("/items");
    alice.sign(&mut signed).unwrap();
    let mut bare = signed.clone();
    bare.headers_mut().remove(DPOP);
    assert_eq!(app.clone().oneshot(bare).await.unwrap().status(), 401);
    let mut bearer = signed.clone();
    bearer.headers_mut().remove(DPOP);
    bearer.headers_mut().insert(AUTHORIZATION, format!("Bearer {}", alice.token()).parse().unwrap());
    assert_eq!(app.clone().oneshot(bearer).await.unwrap().status(), 401);
    assert_eq!(app.clone().oneshot(signed.clone()).await.unwrap().status(), 200);
    assert_eq!(app.oneshot(signed).await.unwrap().status(), 401, "the same proof again");
}

#[tokio::test]
async fn anothers_key_token_or_issuer_is_refused() {
    let issuer = issuer();
    let app = app(&issuer, |builder| builder);
    let alice = issuer.client(TestToken::of("alice")).unwrap();
    let thief = alice.thief().unwrap();
    assert_eq!((thief.token(), thief.thumbprint() == alice.thumbprint()), (alice.token(), false));
    assert_eq!(status(&thief, &app, "/items").await, 401);
    let bob = issuer.client(TestToken::of("bob").bound_to(alice.thumbprint())).unwrap();
    assert_eq!(status(&bob, &app, "/items").await, 401, "its token is for the key of alice");
    let elsewhere = issuer.client(TestToken::of("alice").audience("https://other.example.com")).unwrap();
    assert_eq!(status(&elsewhere, &app, "/items").await, 401);
    let forger = TestIssuer::for_resource(RESOURCE).unwrap().with_clock(issuer.clock().clone());
    assert_eq!(status(&forger.client(TestToken::of("alice")).unwrap(), &app, "/items").await, 401);
    let claimed = issuer.client(TestToken::of("alice").claim("iss", "https://other.example.com")).unwrap();
    assert_eq!(status(&claimed, &app, "/items").await, 401);
    assert_eq!(status(&alice, &app, "/items").await, 200);
}

#[tokio::test]
async fn an_expired_token_is_refused_once_the_clock_is_moved() {
    let issuer = issuer();
    let app = app(&issuer, |builder| builder);
    let alice = issuer.client(TestToken::of("alice").lifetime(600)).unwrap();
    assert_eq!(status(&alice, &app, "/items").await, 200);
    issuer.clock().advance(590);
    assert_eq!(status(&alice, &app, "/items").await, 200);
    issuer.clock().advance(600);
    assert_eq!(status(&alice, &app, "/items").await, 401);
    issuer.clock().set(UnixTime::from_secs(issuer.clock().now().secs() - 1190));
    assert_eq!(status(&alice, &app, "/items").await, 200, "back at the beginning");
}

#[tokio::test]
async fn a_missing_scope_is_refused_with_the_scope_that_is_needed() {
    let issuer = issuer();
    let app = app(&issuer, |builder| builder);
    let alice = issuer.client(TestToken::of("alice").scopes(["items:read"])).unwrap();
    let refused = alice.call(app.clone(), request("/admin")).await.unwrap();
    assert_eq!(refused.status(), 403);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#"scope="admin""#), "{challenge}");
    let root = issuer.client(TestToken::of("root").scopes(["admin"])).unwrap();
    assert_eq!(status(&root, &app, "/admin").await, 200);
}

/// The application with a count of the requests it gets.
fn counted(app: Router) -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let layer = from_fn(move |request: AxumRequest, next: Next| {
        counter.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    });
    (app.layer(layer), count)
}

#[tokio::test]
async fn the_nonce_of_the_challenge_is_used_at_once_and_from_then_on() {
    let issuer = issuer();
    let (app, count) = counted(app(&issuer, |builder| builder));
    let alice = issuer.client(TestToken::of("alice")).unwrap();
    assert_eq!(status(&alice, &app, "/items").await, 200);
    assert_eq!(count.load(Ordering::SeqCst), 2, "the challenge and the retry");
    assert_eq!(status(&alice, &app, "/items").await, 200);
    assert_eq!(count.load(Ordering::SeqCst), 3, "the nonce is remembered");
    let (app, count) = counted(self::app(&issuer, Builder::without_nonces));
    let bob = issuer.client(TestToken::of("bob")).unwrap();
    assert_eq!(status(&bob, &app, "/items").await, 200, "no start-up window either");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_nonces_for_ever_is_asked_twice() {
    let challenge = || async {
        let fields = [("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "n")];
        (StatusCode::UNAUTHORIZED, fields)
    };
    let (app, count) = counted(Router::new().route("/items", get(challenge)));
    let alice = issuer().client(TestToken::of("alice")).unwrap();
    assert_eq!(status(&alice, &app, "/items").await, 401);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_asks_for_no_nonce_is_the_answer() {
    for (status, challenge) in [
        (StatusCode::FORBIDDEN, r#"DPoP error="use_dpop_nonce""#),
        (StatusCode::UNAUTHORIZED, r#"Bearer error="use_dpop_nonce""#),
        (StatusCode::UNAUTHORIZED, r#"DPoP error="invalid_token""#),
    ] {
        let answer = move || async move { (status, [("www-authenticate", challenge), ("dpop-nonce", "n")]) };
        let (app, count) = counted(Router::new().route("/items", get(answer)));
        let alice = issuer().client(TestToken::of("alice")).unwrap();
        assert_eq!(alice.call(app, request("/items")).await.unwrap().status(), status);
        assert_eq!(count.load(Ordering::SeqCst), 1, "{challenge}");
    }
}

#[test]
fn a_request_that_is_signed_again_has_one_token_and_one_proof() {
    let mut signed = request("/items");
    for client in ["alice", "bob"].map(|name| issuer().client(TestToken::of(name)).unwrap()) {
        client.sign(&mut signed).unwrap();
        let tokens: Vec<_> = signed.headers().get_all(AUTHORIZATION).iter().collect();
        assert_eq!(tokens, [format!("DPoP {}", client.token()).as_str()]);
        assert_eq!(signed.headers().get_all(DPOP).iter().count(), 1);
    }
}

#[tokio::test]
async fn an_issuer_that_the_application_names_keeps_its_name() {
    const NAME: &str = "https://as.example.com";
    let issuer = issuer().named(NAME).with_clock(TestClock::at(UnixTime::from_secs(1_800_000_000)));
    // As in production: the keys are fetched over HTTPS.
    let builder = Protection::of(RESOURCE).unwrap().issuer(NAME).unwrap();
    let protection = issuer.trusted_by(builder).unwrap().build().unwrap();
    let servers = protection.metadata().texts("authorization_servers").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(servers, [NAME], "it is not one more issuer");
    let principal = issuer.principal(TestToken::of("alice")).unwrap();
    assert_eq!((principal.issuer(), principal.expires_at()), (Some(NAME), Some(UnixTime::from_secs(1_800_000_300))));
    let app = routes().layer(protection.layer());
    let alice = issuer.client(TestToken::of("alice")).unwrap();
    assert_eq!(status(&alice, &app, "/items").await, 200);
    assert_eq!(JwkSet::parse(issuer.jwks().as_bytes()).unwrap().len(), 1);
    assert!(issuer.keys().has_key_for(Some("test-key"), Algorithm::Es256));
}

#[tokio::test]
async fn an_application_fetches_metadata_and_keys_without_a_socket() {
    for name in ["https://as.example.com", "https://as.example.com/", "https://as.example.com/realms/main"] {
        let issuer = issuer().named(name);
        let protected = |transport| {
            let builder = Protection::of(RESOURCE).unwrap().issuer(name).unwrap().transport(transport);
            routes().layer(builder.clock(issuer.clock().reader()).build().unwrap().layer())
        };
        let alice = issuer.client(TestToken::of("alice")).unwrap();
        let app = protected(issuer.transport().unwrap());
        assert_eq!(status(&alice, &app, "/items").await, 200, "{name}");
        // Another issuer of that name has other keys, and one elsewhere is not found.
        let app = protected(self::issuer().named(name).transport().unwrap());
        assert_eq!(status(&alice, &app, "/items").await, 401, "{name}");
        let app = protected(self::issuer().named("https://elsewhere.example").transport().unwrap());
        assert_eq!(status(&alice, &app, "/items").await, 503, "{name}");
    }
    let issuer = issuer();
    let metadata = Value::parse_object(issuer.metadata().as_bytes()).unwrap();
    assert_eq!((metadata.text("issuer"), metadata.text("jwks_uri")), (Some(issuer.name()), Some(&*issuer.jwks_uri())));
    assert!(self::issuer().named("as.example.com").transport().is_err());
}

#[tokio::test]
async fn the_network_of_a_test_has_the_issuers_documents_and_no_others() {
    let issuer = issuer().named("https://as.example.com/realms/main");
    let network = issuer.transport().unwrap();
    let ask = async |method: &str, url: &str| network.send(&Asked::new(method, url), 4096).await.unwrap();
    for place in [
        "https://as.example.com/.well-known/oauth-authorization-server/realms/main",
        "https://as.example.com/.well-known/openid-configuration/realms/main",
        "https://as.example.com/realms/main/.well-known/openid-configuration",
    ] {
        assert_eq!(ask("GET", place).await.body, issuer.metadata().into_bytes(), "{place}");
    }
    let keys = issuer.jwks_uri();
    assert_eq!(ask("GET", &keys).await.body, issuer.jwks().into_bytes());
    for (method, url) in [
        ("POST", keys.as_str()),
        ("GET", "https://as.example.com/jwks"),
        ("GET", "https://elsewhere.example/realms/main/jwks"),
    ] {
        assert_eq!(ask(method, url).await.status, 404, "{method} {url}");
    }
    assert!(network.send(&Asked::new("GET", &keys), 16).await.is_err(), "longer than the application takes");
}

#[tokio::test]
async fn a_principal_made_by_hand_has_what_the_token_says() {
    async fn delete(principal: Principal) -> Result<(), Refused> {
        principal.require_scopes(&["items:write"])
    }
    let issuer = issuer();
    let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let token = TestToken::of("alice").client_id("app").scopes(["items:read"]).claim("tenant", "t1");
    let reader = issuer.principal(token.clone()).unwrap();
    assert_eq!(who(reader.clone()).await, "alice app items:read");
    assert_eq!(reader.claims().text("tenant"), Some("t1"));
    assert_eq!(reader.expires_at(), Some(issuer.clock().now().saturating_add(300)));
    assert!(reader.thumbprint().is_some());
    assert_eq!(delete(reader).await.unwrap_err().refusal().status(), 403);
    assert!(delete(issuer.principal(token.clone().scopes(["items:write"])).unwrap()).await.is_ok());
    let details = Value::Array(vec![Value::object().with("type", "payment")]);
    let payer = issuer.principal(token.clone().claim("authorization_details", details.clone())).unwrap();
    assert_eq!(payer.authorization_details(), Some(&details));
    // What could never be admitted is not made up.
    let refused = [
        token.clone().lifetime(0).claim("exp", 1_u64),
        token.clone().audience("https://other.example.com"),
        token.bound_to(key.public_key().thumbprint(RUSTCRYPTO.digest)),
    ];
    for token in refused {
        assert!(issuer.principal(token).is_err());
    }
}

#[tokio::test]
async fn danger_admit_lets_everyone_in_as_one_principal() {
    let issuer = issuer();
    let alice = issuer.principal(TestToken::of("alice").scopes(["items:read"])).unwrap();
    let app = routes().layer(danger_admit(alice));
    let admitted = app.clone().oneshot(request("/items")).await.unwrap();
    assert_eq!((admitted.status().as_u16(), text(admitted).await.as_str()), (200, "alice test-client items:read"));
    assert_eq!(app.oneshot(request("/admin")).await.unwrap().status(), 403, "scopes still count");
    let bare = routes().oneshot(request("/items")).await.unwrap();
    assert_eq!(bare.status(), 500, "without the layer");
}

#[test]
fn what_is_shown_holds_no_token_and_no_private_key() {
    let issuer = issuer();
    let alice = issuer.client(TestToken::of("alice")).unwrap();
    assert!(!format!("{alice:?}").contains(alice.token()));
    assert!(!issuer.jwks().contains(r#""d""#));
    assert!(TestIssuer::for_resource("/items").is_err());
    assert!(alice.sign(&mut request("ftp://api.example.com/items")).is_err());
}
