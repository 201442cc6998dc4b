//! An axum server behind the layer, over loopback, asked by a client that writes its requests itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CACHE_CONTROL;
use axum::routing::{get, post};
use keybound::nonce::Nonce;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::memory::MemoryStore;
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, ReplayEntry, ReplayStore, StoreEpoch};
use keybound::server::forwarded::{Family, Hop, TrustedProxies};
use keybound::server::resource::Schemes;
use keybound::{RUSTCRYPTO, Refusal, TargetUri, UnixTime};
use keybound_tower::{Builder, Principal, Protection, Refused, RequireScopes};
use story::{Client, Clock, ISSUER, Issuer, send};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

struct World {
    client: Client,
    issuer: Issuer,
    clock: Clock,
}

/// A server that began a while ago, so that its store vouches for now.
async fn world(change: impl FnOnce(Builder) -> Builder, app: impl FnOnce(&Protection) -> Router) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let resource = format!("http://{address}");
    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let builder = Protection::of(&resource).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let protection = change(builder.clock(clock.reader())).build().unwrap();
    clock.advance(1000);
    story::serve(listener, app(&protection)).await;
    World { client: Client::new(&clock, &resource, address), issuer, clock }
}

fn items(protection: &Protection) -> Router {
    async fn who(principal: Principal) -> String {
        principal.subject().unwrap_or_default().to_owned()
    }
    async fn delete(principal: Principal) -> Result<(), Refused> {
        principal.require_scopes(&["items:write"])
    }
    let inner = Router::new().route("/deep", get(who));
    Router::new()
        .route("/items", get(who).post(who).delete(delete))
        .route("/cached", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "cached") }))
        .route("/scoped", post(|| async {}).layer(RequireScopes::new(["items:read", "items:write"])))
        .nest("/nested", inner)
        .layer(protection.layer())
        .merge(protection.metadata_route())
}

#[tokio::test]
async fn a_client_that_follows_nonces_gets_in() {
    let world = world(|builder| builder, items).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let first = world.client.call_with("GET", "/items?page=2", &token, None).await;
    assert_eq!(first.status, 401);
    assert!(first.challenge().contains(r#"error="use_dpop_nonce""#), "{first:?}");
    assert_eq!(first.field("cache-control"), Some("no-store"));
    let nonce = first.field("dpop-nonce").unwrap();
    let second = world.client.call_with("GET", "/items?page=2", &token, Some(nonce)).await;
    assert_eq!((second.status, second.body.as_str()), (200, "alice"));
    assert_eq!(second.field("access-control-expose-headers"), Some("WWW-Authenticate, DPoP-Nonce, Date"));
    assert_eq!(second.field("dpop-nonce"), None);
    world.clock.advance(30);
    let third = world.client.call_with("GET", "/items", &token, Some(nonce)).await;
    assert_eq!((third.status, third.field("cache-control")), (200, Some("no-store")));
    assert_ne!(third.field("dpop-nonce").unwrap(), nonce, "the next one comes before this one ends");
    let cached = world.client.call_with("GET", "/cached", &token, Some(nonce)).await;
    assert_eq!((cached.status, cached.field("cache-control")), (200, Some("max-age=60")));
}

#[tokio::test]
async fn a_proof_is_good_for_one_request() {
    let world = world(Builder::without_nonces, items).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let (authorization, proof) = (format!("DPoP {token}"), world.client.proof("GET", "/items", &token, None));
    let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    let ask = |method| send(world.client.address, method, "/items", &fields);
    assert_eq!(ask("POST").await.status, 401, "another method");
    assert_eq!(ask("GET").await.status, 200, "what failed burnt nothing");
    let replay = ask("GET").await;
    assert_eq!(replay.status, 401);
    assert!(replay.challenge().contains(r#"error="invalid_dpop_proof""#) && replay.challenge().contains("algs="));
    let thief = Client::new(&world.clock, &world.client.resource, world.client.address);
    assert_eq!(thief.call_with("GET", "/items", &token, None).await.status, 401);
}

#[tokio::test]
async fn danger_no_replay_store_accepts_a_proof_again() {
    let world = world(|builder| builder.without_nonces().danger_no_replay_store(), items).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let (authorization, proof) = (format!("DPoP {token}"), world.client.proof("GET", "/items", &token, None));
    let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    for _ in 0..2 {
        assert_eq!(send(world.client.address, "GET", "/items", &fields).await.status, 200);
    }
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    for schemes in [Schemes::DpopOnly, Schemes::Both] {
        let world = world(|builder| builder.tokens(|policy| policy.with_schemes(schemes)), items).await;
        let ask = |token: String| async move {
            send(world.client.address, "GET", "/items", &[("Authorization", &format!("Bearer {token}"))]).await
        };
        let (bound, unbound) =
            (world.issuer.token(&world.client.bound_claims()), world.issuer.token(&world.client.claims()));
        assert_eq!(ask(bound).await.status, 401);
        assert_eq!(ask(unbound).await.status, if schemes == Schemes::Both { 200 } else { 401 });
    }
}

#[tokio::test]
async fn without_credentials_the_answer_says_where_to_get_some() {
    let world = world(|builder| builder, items).await;
    let answer = send(world.client.address, "GET", "/items", &[]).await;
    assert_eq!(answer.status, 401);
    let (challenge, resource) = (answer.challenge(), &world.client.resource);
    let url = format!("{resource}/.well-known/oauth-protected-resource");
    assert_eq!(challenge, format!(r#"DPoP algs="ES256 Ed25519 EdDSA PS256", resource_metadata="{url}""#));
    let metadata = send(world.client.address, "GET", "/.well-known/oauth-protected-resource", &[]).await;
    assert_eq!((metadata.status, metadata.field("content-type")), (200, Some("application/json")));
    assert!(metadata.body.starts_with(&format!(r#"{{"resource":"{resource}","authorization_servers":["{ISSUER}"]"#)));
}

#[tokio::test]
async fn scopes_are_asked_of_the_principal_or_by_a_layer() {
    let world = world(|builder| builder, items).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let refused = world.client.call("DELETE", "/items", &token).await;
    assert_eq!(refused.status, 403);
    assert!(refused.challenge().contains(r#"error="insufficient_scope""#), "{refused:?}");
    assert!(refused.challenge().contains(r#"scope="items:write""#), "{refused:?}");
    let refused = world.client.call("POST", "/scoped", &token).await;
    assert!(refused.status == 403 && refused.challenge().contains(r#"scope="items:read items:write""#), "{refused:?}");
    let token = world.issuer.token(&world.client.bound_claims().with("scope", "items:write items:read"));
    assert_eq!(world.client.call("DELETE", "/items", &token).await.status, 200);
    assert_eq!(world.client.call("POST", "/scoped", &token).await.status, 200);
}

#[tokio::test]
async fn a_nested_router_is_known_by_its_whole_path() {
    let outside = world(|builder| builder, items).await;
    let token = outside.issuer.token(&outside.client.bound_claims());
    assert_eq!(outside.client.call("GET", "/nested/deep", &token).await.body, "alice");
    let inside = world(
        |builder| builder,
        |protection| {
            let deep = get(|principal: Principal| async move { principal.subject().unwrap_or_default().to_owned() });
            Router::new().nest("/nested", Router::new().route("/deep", deep).layer(protection.layer()))
        },
    );
    let inside = inside.await;
    let token = inside.issuer.token(&inside.client.bound_claims());
    assert_eq!(inside.client.call("GET", "/nested/deep", &token).await.body, "alice");
    // What is left behind the prefix is another router's path: a proof for it opens nothing here.
    let nonce =
        inside.client.call_with("GET", "/nested/deep", &token, None).await.field("dpop-nonce").unwrap().to_owned();
    let (authorization, proof) = (format!("DPoP {token}"), inside.client.proof("GET", "/deep", &token, Some(&nonce)));
    let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    assert_eq!(send(inside.client.address, "GET", "/nested/deep", &fields).await.status, 401);
}

/// axum routes such paths as they stand, and a proof is for the path without them.
#[tokio::test]
async fn a_proof_for_one_path_opens_no_handler_behind_dot_segments() {
    async fn wild(principal: Principal) -> String {
        principal.subject().unwrap_or_default().to_owned()
    }
    let app = |protection: &Protection| {
        let nested = Router::new().route("/{*rest}", get(wild));
        Router::new().route("/admin/{*rest}", get(wild)).nest("/nested", nested).layer(protection.layer())
    };
    let world = world(Builder::without_nonces, app).await;
    let token = world.issuer.token(&world.client.bound_claims());
    let authorization = format!("DPoP {token}");
    for target in ["/admin/../items", "/admin/%2e%2E/items", "/nested/../items", "/nested/.%2e/items"] {
        let proof = world.client.proof("GET", "/items", &token, None);
        let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
        assert_eq!(send(world.client.address, "GET", target, &fields).await.status, 400, "{target}");
    }
}

/// The layer holds back no part of a body that is still being written.
#[tokio::test]
async fn streams_pass_through_as_they_come() {
    let (events, queue) = mpsc::channel::<&'static str>(1);
    let queue = std::sync::Arc::new(std::sync::Mutex::new(Some(queue)));
    let world = world(
        |builder| builder.without_nonces(),
        |protection| {
            let stream = move || {
                let queue = queue.lock().unwrap().take();
                async move {
                    Body::from_stream(futures_util::stream::unfold(queue, |queue| async {
                        let mut queue = queue?;
                        let event = queue.recv().await?;
                        Some((Ok::<_, std::io::Error>(Bytes::from(event)), Some(queue)))
                    }))
                }
            };
            Router::new().route("/events", get(stream)).layer(protection.layer())
        },
    );
    let world = world.await;
    let token = world.issuer.token(&world.client.bound_claims());
    let (authorization, proof) = (format!("DPoP {token}"), world.client.proof("GET", "/events", &token, None));
    let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
    let mut stream = story::open(world.client.address, "GET", "/events", &fields, "").await;
    let mut seen = String::new();
    for event in ["data: one\n\n", "data: two\n\n"] {
        events.send(event).await.unwrap();
        // The next event is not sent before this one has arrived.
        while !seen.contains(event) {
            let mut chunk = [0; 1024];
            let length = stream.read(&mut chunk).await.unwrap();
            assert_ne!(length, 0, "the stream ended: {seen}");
            seen.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_origin_is_the_one_it_names() {
    let proxied = |builder: Builder| {
        let proxies = TrustedProxies::new(Family::XForwarded, Hop::Only).address([127, 0, 0, 1]);
        builder.targets(TargetUri::fixed("https://api.example.com").unwrap().behind(proxies)).without_nonces()
    };
    let mut world = world(proxied, items).await;
    let token = world.issuer.token(&world.client.bound_claims());
    world.client.resource = "https://api.example.com".into();
    let (authorization, proof) = (format!("DPoP {token}"), world.client.proof("GET", "/items", &token, None));
    let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str()), ("X-Forwarded-Proto", "https")];
    let ask = |host: Option<&'static str>| {
        let fields: Vec<_> = fields.into_iter().chain(host.map(|host| ("X-Forwarded-Host", host))).collect();
        async move { send(world.client.address, "GET", "/items", &fields).await.status }
    };
    assert_eq!(ask(None).await, 400);
    assert_eq!(ask(Some("evil.example")).await, 400);
    assert_eq!(ask(Some("api.example.com")).await, 200);
}

/// A server started a moment before costs a client that follows nonces one more request, and one that has none an answer of 503.
#[tokio::test]
async fn a_server_that_has_just_started_cannot_vouch_for_what_was_before() {
    for (nonces, ignore, expected) in [(true, false, 200), (false, false, 503), (false, true, 200)] {
        let change = |builder: Builder| {
            let builder = if nonces { builder } else { builder.without_nonces() };
            if ignore { builder.danger_first_start() } else { builder }
        };
        let world = world(change, items).await;
        world.clock.advance(-1000);
        let token = world.issuer.token(&world.client.bound_claims());
        let answer = world.client.call("GET", "/items", &token).await;
        assert_eq!(answer.status, expected);
        assert_eq!(answer.field("retry-after").is_some(), expected == 503);
        assert_eq!(answer.field("access-control-expose-headers"), Some("WWW-Authenticate, DPoP-Nonce, Date"));
    }
}

#[test]
fn what_could_never_admit_a_request_is_not_built() {
    let builder = || Protection::of("https://api.example.com").unwrap().clock(|| UnixTime::from_secs(0));
    let keys = || Issuer::new("k1").keys();
    let complete = || builder().crypto(&RUSTCRYPTO).issuer_with_keys(ISSUER, keys()).unwrap();
    assert!(complete().build().is_ok());
    assert!(complete().proofs(keybound::Policy::fapi2()).without_nonces().build().is_err());
    assert!(Protection::of("http://api.example.com").is_err());
    // No token could be verified: every request would be answered 401 or 503 for ever.
    let error = builder().crypto(&RUSTCRYPTO).build().unwrap_err();
    assert_eq!(error, keybound::Misuse::NoIssuer);
    // The keys of an issuer that is named by the policy alone are found like those of others.
    assert!(complete().tokens(|policy| policy.with_issuer("https://other.example").unwrap()).build().is_ok());
}

/// `aws-lc` is a default that is added, never one that another crate's features exchange.
#[test]
fn the_provider_is_chosen_or_aws_lc() {
    let builder =
        || Protection::of("https://api.example.com").unwrap().issuer_with_keys(ISSUER, Issuer::new("k1").keys());
    assert!(builder().unwrap().crypto(&RUSTCRYPTO).build().is_ok());
    let without_room = builder().unwrap().crypto(&RUSTCRYPTO).replay_capacity(0).build();
    assert_eq!(without_room.unwrap_err().reason(), "policy_bound");
    let unchosen = builder().unwrap().build();
    if cfg!(feature = "aws-lc") {
        assert!(unchosen.is_ok());
    } else {
        assert_eq!(unchosen.unwrap_err(), keybound::Misuse::CryptoMissing);
    }
}

/// A server that is set up wrongly lets nobody in.
#[tokio::test]
async fn a_principal_without_a_protection_is_an_error_of_the_server() {
    let app = |_: &Protection| {
        Router::new()
            .route("/items", get(|_: Principal| async {}))
            .route("/scoped", get(|| async {}).layer(RequireScopes::new(["items:read"])))
            .route("/either", get(|who: Option<Principal>| async move { format!("{}", who.is_some()) }))
    };
    let world = world(|builder| builder, app).await;
    for path in ["/items", "/scoped"] {
        let answer = send(world.client.address, "GET", path, &[]).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.body.contains("add .layer(protection.layer())"), "{path}: {}", answer.body);
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(send(world.client.address, "GET", "/either", &[]).await.body, "false");
}

async fn ask(
    protection: &Protection,
    client: &Client,
    token: &str,
    nonce: Option<&Nonce>,
) -> Result<Principal, Box<Refusal>> {
    let head = http::Request::get("/items")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", client.proof("GET", "/items", token, nonce.map(Nonce::as_str)));
    protection.admit(&head.body(()).unwrap().into_parts().0).await
}

/// A store behind a network that lost its memory: what it was is known here until its next answer.
struct Restarted {
    known: AtomicU64,
    server: MemoryStore,
}

impl AsyncReplayStore for Restarted {
    type Error = std::convert::Infallible;

    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>> {
        self.known.store(ReplayStore::epoch(&self.server).to_u64(), Ordering::SeqCst);
        Box::pin(async move { entries.iter().map(|entry| ReplayStore::insert(&self.server, entry, now)).collect() })
    }

    fn epoch(&self) -> StoreEpoch {
        StoreEpoch::from_u64(self.known.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_loss_noticed_by_the_insert_costs_one_challenge() {
    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let client = Client::new(&clock, "https://api.example.com", ([127, 0, 0, 1], 1).into());
    let agreement = keybound::Policy::default().replay_agreement(RUSTCRYPTO.digest);
    let server = MemoryStore::new(1_000, agreement, RUSTCRYPTO.random, clock.now()).unwrap();
    let builder = Protection::of("https://api.example.com").unwrap();
    let protection = builder
        .issuer_with_keys(ISSUER, issuer.keys())
        .unwrap()
        .replay_store(Restarted { known: AtomicU64::new(1), server })
        .clock(clock.reader())
        .build()
        .unwrap();
    let token = issuer.token(&client.bound_claims());
    let ask = async |nonce: Option<&Nonce>| ask(&protection, &client, &token, nonce).await;
    let first = ask(None).await.unwrap_err();
    assert_eq!(first.reason(), "nonce_missing");
    // The client's nonce is of the life before, and only the insert shows that this one is over.
    let lost = ask(first.dpop_nonce()).await.unwrap_err();
    assert_eq!((lost.reason(), lost.error()), ("before_store_floor", Some("use_dpop_nonce")));
    let admitted = ask(lost.dpop_nonce()).await.unwrap();
    assert_eq!(admitted.next_nonce(), None, "the nonce is of the present life");
}

#[tokio::test]
async fn nonce_keys_are_rotated_while_the_server_serves() {
    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let client = Client::new(&clock, "https://api.example.com", ([127, 0, 0, 1], 1).into());
    let key = |id| NonceKey::from_secret(id, [id; 32]).unwrap();
    let nonces = NonceIssuer::new(RUSTCRYPTO.mac, NonceKeys::new(key(1)), "https://api.example.com");
    let builder = Protection::of("https://api.example.com").unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let protection = builder.nonces(nonces).clock(clock.reader()).build().unwrap();
    let token = issuer.token(&client.bound_claims());
    let ask = async |nonce: Option<&Nonce>| ask(&protection, &client, &token, nonce).await;
    let first = ask(None).await.unwrap_err();
    let rotate = |id| protection.nonces().expect("an issuer").rotate(key(id)).unwrap();
    rotate(2);
    let admitted = ask(first.dpop_nonce()).await.unwrap();
    let next = admitted.next_nonce().expect("a nonce of the new key").clone();
    rotate(3);
    assert!(ask(Some(&next)).await.is_ok());
    let gone = ask(first.dpop_nonce()).await.unwrap_err();
    assert_eq!((gone.reason(), gone.error()), ("nonce_mismatch", Some("use_dpop_nonce")));
}
