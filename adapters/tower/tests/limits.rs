//! Limits and the breaker behind an axum server, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use keybound::guard::BreakerSettings;
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, Insertion, ReplayEntry, StoreEpoch};
use keybound::server::forwarded::{Family, Hop, TrustedProxies};
use keybound::{Misuse, TargetUri, UnixTime};
use keybound_tower::{Builder, Protection};
use story::{Client, Clock, ISSUER, Issuer, send};
use tokio::net::TcpListener;

struct World {
    client: Client,
    token: String,
    clock: Clock,
}

async fn world(change: impl FnOnce(Builder) -> Builder) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resource = format!("http://{address}");
    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let builder = Protection::of(&resource).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let protection = change(builder.clock(clock.reader()).without_nonces()).build().unwrap();
    clock.advance(1000);
    let app = Router::new().route("/items", get(|| async { "items" })).layer(protection.layer());
    story::serve(listener, app).await;
    let client = Client::new(&clock, &resource, address);
    World { token: issuer.token(&client.bound_claims()), client, clock }
}

impl World {
    /// The status of a new request, and what its answer says of another try.
    async fn asks(&self) -> (u16, Option<String>) {
        let received = self.client.call_with("GET", "/items", &self.token, None).await;
        (received.status, received.field("retry-after").map(Into::into))
    }

    async fn sends(&self, fields: &[(&str, &str)]) -> u16 {
        send(self.client.address, "GET", "/items", fields).await.status
    }
}

fn limited() -> (u16, Option<String>) {
    (429, Some("1".into()))
}

#[tokio::test]
async fn an_address_that_sends_too_much_is_answered_with_429() {
    let world = world(|builder| builder.limit_addresses(1, 3).unwrap()).await;
    assert_eq!([world.sends(&[]).await, world.sends(&[]).await], [401, 401]);
    assert_eq!(world.asks().await, (200, None));
    assert_eq!(world.asks().await, limited());
    assert_eq!(world.sends(&[("X-Forwarded-For", "192.0.2.1")]).await, 429, "nobody vouches for this field");
    world.clock.advance(1);
    assert_eq!(world.asks().await, (200, None));
    assert_eq!(world.asks().await, limited());
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_one_it_names() {
    let proxies = TrustedProxies::new(Family::XForwarded, Hop::Only).address([127, 0, 0, 1]);
    let targets = |proxies| TargetUri::fixed("http://127.0.0.1").unwrap().behind(proxies);
    let hidden = Protection::of("http://127.0.0.1").unwrap().targets(targets(proxies.clone()));
    let hidden = hidden.issuer_with_keys(ISSUER, Issuer::new("k1").keys()).unwrap();
    assert_eq!(hidden.limit_addresses(1, 1).unwrap().build().map(drop), Err(Misuse::LimitBehindProxies));
    let proxies = proxies.client_addresses();
    let world = world(|builder| builder.targets(targets(proxies)).limit_addresses(1, 1).unwrap()).await;
    let mut statuses = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "6.6.6.6, 192.0.2.2"] {
        let fields = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "127.0.0.1"), ("X-Forwarded-For", address)];
        statuses.push(world.sends(&fields).await);
    }
    assert_eq!(statuses, [401, 429, 401, 429]);
}

#[tokio::test]
async fn a_key_is_limited_and_copies_of_its_requests_are_not_charged_to_it() {
    let world = world(|builder| builder.limit_keys(1, 2).unwrap()).await;
    let (authorization, proof) =
        (format!("DPoP {}", world.token), world.client.proof("GET", "/items", &world.token, None));
    let seen = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    assert_eq!(world.sends(&seen).await, 200);
    for _ in 0..10 {
        assert_eq!(world.sends(&seen).await, 401);
    }
    assert_eq!(world.asks().await, (200, None));
    assert_eq!(world.asks().await, limited());
}

#[tokio::test]
async fn a_client_is_limited_whatever_its_keys() {
    let world = world(|builder| builder.limit_clients(1, 1).unwrap()).await;
    assert_eq!(world.asks().await, (200, None));
    assert_eq!(world.asks().await, limited());
}

/// Answers as it is told, and counts questions.
#[derive(Clone, Default)]
struct Sick {
    is_well: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of order")
    }
}

impl AsyncReplayStore for Sick {
    type Error = Fault;

    fn insert<'a>(&'a self, entries: &'a [ReplayEntry], _: UnixTime) -> BoxFuture<'a, Result<Vec<Inserted>, Fault>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let fresh = Inserted::new(Insertion::Fresh, self.epoch());
        let is_well = self.is_well.load(Ordering::SeqCst) > 0;
        Box::pin(async move { if is_well { Ok(entries.iter().map(|_| fresh).collect()) } else { Err(Fault) } })
    }

    fn epoch(&self) -> StoreEpoch {
        StoreEpoch::from_u64(1)
    }
}

#[tokio::test]
async fn a_store_that_fails_is_asked_no_more_until_one_request_tries() {
    let store = Sick::default();
    let settings = BreakerSettings::new(3, 10_000).unwrap();
    let world = world(|builder| builder.replay_store(store.clone()).breaker(settings)).await;
    let asked = || store.asked.load(Ordering::SeqCst);
    // The third fault opens it, and from then on clients hear when it lets one through.
    for seconds in ["5", "5", "10", "10", "10"] {
        assert_eq!(world.asks().await, (503, Some(seconds.into())));
    }
    world.clock.advance(6);
    assert_eq!((world.asks().await, asked()), ((503, Some("4".into())), 3));
    world.clock.advance(4);
    assert_eq!((world.asks().await.0, world.asks().await.0, asked()), (503, 503, 4));
    store.is_well.store(1, Ordering::SeqCst);
    world.clock.advance(10);
    assert_eq!((world.asks().await.0, world.asks().await.0, asked()), (200, 200, 6));
}

/// Without a clock for tests, limits go by one that cannot be set: nothing here waits for it.
#[tokio::test]
async fn limits_work_by_the_real_clock() {
    let protection = Protection::of("https://api.example.com").unwrap();
    let protection = protection.issuer_with_keys(ISSUER, Issuer::new("k1").keys()).unwrap();
    let protection = protection.limit_addresses(1, 2).unwrap().build().unwrap();
    let (mut parts, ()) = http::Request::get("/items").body(()).unwrap().into_parts();
    let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
    parts.extensions.insert(keybound_tower::PeerAddress(address.ip()));
    let mut reasons = Vec::new();
    for _ in 0..3 {
        reasons.push(protection.admit(&parts).await.unwrap_err().reason());
    }
    assert_eq!(reasons, ["credentials_missing", "credentials_missing", "rate_limited"]);
}
