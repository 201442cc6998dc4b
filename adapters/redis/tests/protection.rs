//! The store behind a resource: what its clients see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use keybound::json::Value;
use keybound::{Misuse, Policy, StoreDifference};
use keybound_redis::RedisReplayStore;
use keybound_tower::Protection;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::story::{Client, Clock, ISSUER, Issuer};
use crate::support::proofs::{impatient_store, open, opened, until_open};
use crate::support::{Kind, Server, on_both};

const RESOURCE: &str = "https://api.example.com";

/// One process that serves the resource, and a client of it.
struct World {
    protection: Protection,
    client: Client,
    token: String,
}

/// How a request ended: admitted, or the status and the reason, and the nonce that came with it.
type Ended = Result<(), (u16, &'static str, Option<String>)>;

impl World {
    fn new(store: RedisReplayStore) -> Self {
        let issuer = Issuer::new("k1");
        let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
        let protection = builder.replay_store(store).build().unwrap();
        // No address: nothing is sent.
        let client = Client::new(&Clock::real(), RESOURCE, ([127, 0, 0, 1], 1).into());
        let token = issuer.token(&client.bound_claims().with("scope", Value::from("items:read")));
        Self { protection, client, token }
    }

    async fn send(&self, proof: &str) -> Ended {
        let request =
            Request::get("/items").header("authorization", format!("DPoP {}", self.token)).header("dpop", proof);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match self.protection.admit(&parts).await {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let nonce = refusal.dpop_nonce().map(|nonce| nonce.as_str().to_owned());
                Err((refusal.status(), refusal.reason(), nonce))
            }
        }
    }

    fn proof(&self, nonce: Option<&str>) -> String {
        self.client.proof("GET", "/items", &self.token, nonce)
    }

    /// The nonce of a challenge.
    async fn challenged(&self, proof: &str, reason: &str) -> String {
        match self.send(proof).await {
            Err((401, found, Some(nonce))) if found == reason => nonce,
            other => panic!("no challenge for {reason}: {other:?}"),
        }
    }
}

on_both! {
    async fn a_resource_with_another_policy_than_its_store_is_not_built(kind: Kind) {
        let server = Server::start(kind, &[]);
        let (store, issuer) = (open(&server).await, Issuer::new("k1"));
        let built = |policy: Policy| {
            let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
            builder.proofs(policy).replay_store(store.clone()).build().map(drop)
        };
        let refused = built(Policy::default().with_max_age(120).unwrap()).unwrap_err();
        let difference = StoreDifference::Seconds { name: "max_age", store: 60, verifier: 120 };
        assert_eq!(refused, Misuse::StoreDisagreement(difference));
        assert!(refused.to_string().contains("make it with the verifier's policy"), "{refused}");
        // What the two need not agree on may differ.
        assert_eq!(built(Policy::default().requiring_nonces()), Ok(()));
    }

    async fn a_loss_noticed_by_the_insert_costs_one_challenge(kind: Kind) {
        let server = Server::start(kind, &[]);
        let world = World::new(open(&server).await);
        let nonce = world.challenged(&world.proof(None), "nonce_missing").await;
        let accepted = world.proof(Some(&nonce));
        assert_eq!(world.send(&accepted).await, Ok(()));
        assert_eq!(world.send(&world.proof(Some(&nonce))).await, Ok(()));
        server.order(&["FLUSHALL"]);
        let next = world.challenged(&world.proof(Some(&nonce)), "before_store_floor").await;
        assert_ne!(nonce, next);
        // One challenge was enough, and what was accepted before is not again.
        assert_eq!(world.send(&world.proof(Some(&next))).await, Ok(()));
        world.challenged(&accepted, "before_store_floor").await;
    }

    async fn a_killed_server_is_503(kind: Kind) {
        let mut server = Server::start(kind, &[]);
        let store = opened(impatient_store(&server)).await;
        let world = World::new(store.clone());
        let nonce = world.challenged(&world.proof(None), "nonce_missing").await;
        assert_eq!(world.send(&world.proof(Some(&nonce))).await, Ok(()));
        server.kill();
        let Err((503, _, None)) = world.send(&world.proof(Some(&nonce))).await else { panic!("no 503") };
        server.restart();
        until_open(&store).await;
        // At most one challenge after the restart.
        let next = world.challenged(&world.proof(Some(&nonce)), "before_store_floor").await;
        assert_eq!(world.send(&world.proof(Some(&next))).await, Ok(()));
    }

    #[ignore = "takes half a minute, and its numbers want an optimised build and a quiet machine"]
    async fn two_thousand_admissions_a_second(kind: Kind) {
        let server = Server::start(kind, &[]);
        let world = Arc::new(World::new(opened(impatient_store(&server)).await));
        let nonce = world.challenged(&world.proof(None), "nonce_missing").await;
        let proofs: Vec<_> = (0..20_000).map(|_| world.proof(Some(&nonce))).collect();
        let (begun, mut tasks) = (Instant::now(), JoinSet::new());
        for (number, proof) in (0_u32..).zip(proofs) {
            sleep_until((begun + number * Duration::from_micros(500)).into()).await;
            let world = Arc::clone(&world);
            tasks.spawn(async move {
                let sent = Instant::now();
                let ended = world.send(&proof).await;
                (ended.is_ok(), sent.elapsed())
            });
        }
        let mut took: Vec<_> = tasks.join_all().await;
        let refused = took.iter().filter(|(is_admitted, _)| !is_admitted).count();
        took.sort_by_key(|(_, took)| *took);
        let at = |part: usize| took[took.len() * part / 1000 - 1].1;
        println!("{kind:?}: half {:?}, 99 % {:?}, all {:?}; {refused} refused", at(500), at(990), at(1000));
    }
}
