//! Pages of other origins: the layer answers preflights, and its answers say who may read them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stand outside of test functions")]

mod story;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, VARY};
use axum::routing::any;
use keybound::server::cors::Cors;
use keybound_tower::Protection;
use story::{Client, Clock, ISSUER, Issuer, Received, send};
use tokio::net::TcpListener;

const APP: &str = "https://app.example.com";

struct World {
    client: Client,
    issuer: Issuer,
    called: Arc<AtomicUsize>,
}

async fn world(cors: Option<Cors>) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resource = format!("http://{address}");
    let (clock, issuer, called) = (Clock::new(), Issuer::new("k1"), Arc::new(AtomicUsize::new(0)));
    let mut builder = Protection::of(&resource).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    builder = builder.clock(clock.reader());
    if let Some(cors) = cors {
        builder = builder.cors(cors);
    }
    let protection = builder.build().unwrap();
    clock.advance(1000);
    let count = Arc::clone(&called);
    let handler = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(([(ACCESS_CONTROL_EXPOSE_HEADERS, "X-Own"), (VARY, "Accept")], "handled"))
    };
    story::serve(listener, Router::new().route("/items", any(handler)).layer(protection.layer())).await;
    World { client: Client::new(&clock, &resource, address), issuer, called }
}

fn listed(answer: &Received, name: &str) -> String {
    let lines = answer.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    lines.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_preflight_is_answered_and_reaches_no_handler() {
    let world = world(Some(Cors::of(&[APP]).unwrap())).await;
    let asked = [("Origin", APP), ("Access-Control-Request-Method", "PUT")];
    let answer = send(world.client.address, "OPTIONS", "/items", &asked).await;
    assert_eq!((answer.status, listed(&answer, "access-control-allow-origin").as_str()), (204, APP));
    assert_eq!(answer.field("access-control-allow-headers"), Some("Authorization, DPoP, Content-Type"));
    assert_eq!(answer.field("access-control-expose-headers"), None);
    let evil = [("Origin", "https://evil.example"), asked[1]];
    let answer = send(world.client.address, "OPTIONS", "/items", &evil).await;
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (403, None));
    for fields in [&asked[..1], &asked[1..], &[asked[0], asked[0], asked[1]]] {
        assert_eq!(send(world.client.address, "OPTIONS", "/items", fields).await.status, 401);
    }
    assert_eq!(send(world.client.address, "GET", "/items", &asked).await.status, 401);
    assert_eq!(world.called.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_says_who_may_read_it_and_keeps_what_the_handler_exposes() {
    let world = world(Some(Cors::of(&[APP]).unwrap().with_exposed_headers(&["Link"]).unwrap())).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let refused = send(world.client.address, "GET", "/items", &[("Origin", APP)]).await;
    assert_eq!((refused.status, listed(&refused, "access-control-allow-origin").as_str()), (401, APP));
    let nonce = world.client.call_with("GET", "/items", &token, None).await.field("dpop-nonce").map(str::to_owned);
    let proof = world.client.proof("GET", "/items", &token, nonce.as_deref());
    let authorization = format!("DPoP {token}");
    let fields = [("Origin", APP), ("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    let admitted = send(world.client.address, "GET", "/items", &fields).await;
    assert_eq!((admitted.status, listed(&admitted, "access-control-allow-origin").as_str()), (200, APP));
    assert_eq!(listed(&admitted, "vary"), "Accept, Origin");
    let exposed = listed(&admitted, "access-control-expose-headers");
    assert!(["X-Own", "WWW-Authenticate", "DPoP-Nonce", "Link"].iter().all(|name| exposed.contains(name)), "{exposed}");
}

#[tokio::test]
async fn it_is_off_unless_it_is_asked_for() {
    let world = world(None).await;
    let asked = [("Origin", APP), ("Access-Control-Request-Method", "PUT")];
    let answer = send(world.client.address, "OPTIONS", "/items", &asked).await;
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (401, None));
}
