//! Servers that are down, slow, full, or not as they must be.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keybound::Policy;
use keybound::replay::redis::Fault;
use keybound::replay::{AsyncReplayStore, Insertion};
use keybound_redis::{OpenError, RedisReplayStore};
use tokio::task::JoinSet;

use crate::support::proofs::{
    NAMESPACE, fault, impatient_store, inserted, open, opened, present, proof, store, timed, until_answered,
    until_fault, until_open,
};
use crate::support::{Kind, Server, on_both};

/// What no request waits longer than: the time-out of 250 ms, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a refusal takes that asks no one, on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(150);

/// The store of a user with these rights alone.
fn store_of(server: &Server, rights: &[&str]) -> keybound_redis::Builder {
    let user = ["ACL", "SETUSER", "api", "reset", "on", ">secret"];
    server.order(&[user.as_slice(), rights].concat());
    RedisReplayStore::builder(&format!("redis://api:secret@{}", server.address()), NAMESPACE, &Policy::default())
}

on_both! {
    async fn a_killed_server_is_503_and_recovers(kind: Kind) {
        let mut server = Server::start(kind, &[]);
        let store = open(&server).await;
        server.kill();
        for number in 0..20 {
            let (answer, took) = timed(present(&store, &proof(number, store.epoch()))).await;
            assert_eq!(answer, Insertion::Unavailable);
            assert!(took < AT_ONCE, "{took:?}");
        }
        assert!(!store.health().is_open());
        until_fault(&store, 10, "unreachable").await;
        assert_eq!(inserted(&store, &proof(21, store.epoch())).await.fault, Some("unreachable"));
        server.restart();
        until_open(&store).await;
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
    }

    async fn a_paused_server_times_out_and_nothing_is_repeated(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = opened(impatient_store(&server)).await;
        let (before, epoch) = (server.sets(), store.epoch());
        server.pause();
        let mut asked = JoinSet::new();
        for number in 0..64 {
            let store = store.clone();
            asked.spawn(async move {
                let mut slowest = Duration::ZERO;
                for round in 0..50 {
                    let (answer, took) = timed(present(&store, &proof(round * 64 + number, epoch))).await;
                    assert_eq!(answer, Insertion::Unavailable);
                    slowest = slowest.max(took);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                slowest
            });
        }
        for slowest in asked.join_all().await {
            assert!(slowest < PATIENCE, "{slowest:?}");
        }
        server.resume();
        until_open(&store).await;
        assert_eq!(store.epoch(), epoch);
        // What reached the server before it stopped is burnt, once; what was asked while nothing was open never got there.
        let sent = server.sets() - before;
        assert!((1..=64 + 4).contains(&sent), "{sent}");
        let last = proof(49 * 64, epoch);
        assert_eq!(present(&store, &last).await, Insertion::Fresh);
    }

    async fn a_server_that_is_out_of_reach_is_no_error(kind: Kind) {
        let mut server = Server::start(kind, &[]);
        server.kill();
        let store = store(&server).open().await.unwrap();
        let (answer, took) = timed(present(&store, &proof(1, store.epoch()))).await;
        assert_eq!((answer, took < AT_ONCE), (Insertion::Unavailable, true));
        let health = store.health();
        assert_eq!((health.life, health.obstacle.unwrap().name()), (None, "unreachable"));
        server.restart();
        until_open(&store).await;
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
    }

    async fn a_full_queue_is_unavailable(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = opened(impatient_store(&server).queue(1)).await;
        let (mut asked, faults) = (JoinSet::new(), Arc::new(Mutex::new(Vec::new())));
        server.pause();
        for number in 0..20 {
            let (store, entry, faults) = (store.clone(), proof(number, store.epoch()), Arc::clone(&faults));
            asked.spawn(async move {
                let (answer, took) = timed(inserted(&store, &entry)).await;
                faults.lock().unwrap().extend(answer.fault);
                (answer.insertion, took)
            });
        }
        let answers = asked.join_all().await;
        assert!(answers.iter().all(|(answer, took)| *answer == Insertion::Unavailable && *took < PATIENCE));
        assert!(answers.iter().filter(|(_, took)| *took < AT_ONCE).count() >= 10, "{answers:?}");
        let faults: BTreeSet<_> = faults.lock().unwrap().iter().copied().collect();
        assert_eq!(faults, BTreeSet::from(["lost", "queue_full"]));
    }

    async fn full_memory_is_full(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        server.order(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Full);
        assert!(store.health().is_open());
        server.order(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
    }

    async fn a_server_that_is_full_from_the_start_is_no_error(kind: Kind) {
        let server = Server::start(kind, &["--maxmemory", "1"]);
        let store = store(&server).open().await.unwrap();
        assert_eq!(store.health().obstacle.unwrap().name(), "full");
        server.order(&["CONFIG", "SET", "maxmemory", "0"]);
        until_open(&store).await;
    }

    async fn allkeys_lru_is_refused_at_start_and_within_ten_seconds_later(kind: Kind) {
        let server = Server::start(kind, &[]);
        let first = open(&server).await;
        let entry = proof(1, first.epoch());
        assert_eq!(present(&first, &entry).await, Insertion::Fresh);
        server.order(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        let fault = fault(store(&server)).await;
        assert_eq!(fault, Fault::Evicts { policy: "allkeys-lru".to_owned() });
        assert!(fault.to_string().contains("noeviction"), "{fault}");
        until_fault(&first, 10, "evicts").await;
        let refused = inserted(&first, &proof(2, first.epoch())).await;
        assert_eq!((refused.insertion, refused.fault), (Insertion::Unavailable, Some("evicts")));
        // What it evicted meanwhile does not count again once the policy is back.
        server.order(&["CONFIG", "SET", "maxmemory", "1"]);
        server.say(&["SET", "other", "1"]);
        server.order(&["CONFIG", "SET", "maxmemory", "0"]);
        server.order(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        until_open(&first).await;
        assert_eq!(present(&first, &entry).await, Insertion::BeforeFloor);
        assert_eq!(present(&first, &proof(3, first.epoch())).await, Insertion::Fresh);
    }

    async fn an_acl_without_config_suffices(kind: Kind) {
        let server = Server::start(kind, &[]);
        let rights = ["resetkeys", "~{kb1:test}*", "-@all", "+set", "+get", "+getex", "+info", "+wait"];
        let store = opened(store_of(&server, &rights)).await;
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Seen);
    }

    async fn an_acl_without_info_names_the_command(kind: Kind) {
        let server = Server::start(kind, &[]);
        let fault = fault(store_of(&server, &["~{kb1:test}*", "-@all", "+set", "+get", "+getex", "+wait"])).await;
        assert_eq!(fault, Fault::Forbidden { command: "INFO" });
        assert!(fault.to_string().contains("INFO"), "{fault}");
    }

    async fn an_acl_without_the_keys_is_refused(kind: Kind) {
        let server = Server::start(kind, &[]);
        let fault = fault(store_of(&server, &["~{kb1:other}*", "-@all", "+set", "+get", "+getex", "+info", "+wait"])).await;
        assert_eq!(fault, Fault::Forbidden { command: "SET" });
    }

    async fn a_wrong_password_is_refused(kind: Kind) {
        let server = Server::start(kind, &[]);
        drop(store_of(&server, &["~*", "+@all"]));
        let url = format!("redis://api:wrong@{}", server.address());
        let error = RedisReplayStore::builder(&url, NAMESPACE, &Policy::default()).open().await.unwrap_err();
        assert!(matches!(error, OpenError::Fault(Fault::NotAuthenticated)), "{error:?}");
        server.order(&["CONFIG", "SET", "requirepass", "secret"]);
        let error = store(&server).open().await.unwrap_err();
        assert!(matches!(error, OpenError::Fault(Fault::NotAuthenticated)), "{error:?}");
    }

    async fn a_replica_is_refused(kind: Kind) {
        let primary = Server::start(kind, &[]);
        let replica = primary.replica(&[]);
        assert_eq!(fault(store(&replica)).await, Fault::NotPrimary);
    }

    async fn a_server_with_replicas_waits_for_a_majority(kind: Kind) {
        let primary = Server::start(kind, &[]);
        let replicas = [primary.replica(&[]), primary.replica(&[])];
        assert_eq!(fault(store(&primary)).await, Fault::NeedsReplicas { needed: 2 });
        assert_eq!(fault(store(&primary).wait_for_replicas(1)).await, Fault::NeedsReplicas { needed: 2 });
        let store = opened(store(&primary).wait_for_replicas(2)).await;
        // A replica that has just come acknowledges for the first time within a second.
        until_answered(&store).await;
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
        replicas[0].pause();
        let entry = proof(2, store.epoch());
        let (answer, took) = timed(inserted(&store, &entry)).await;
        assert_eq!((answer.insertion, took < Duration::from_secs(7)), (Insertion::Unavailable, true), "{took:?}");
        assert_eq!(answer.fault, Some("not_acknowledged"));
        replicas[0].resume();
        // Others are accepted again; this one is used up.
        until_answered(&store).await;
        assert_eq!(present(&store, &entry).await, Insertion::Seen);
    }
}

#[tokio::test]
async fn urls_are_refused_that_lead_elsewhere_without_tls_or_nowhere() {
    let error = async |url: &str| {
        let builder = RedisReplayStore::builder(url, NAMESPACE, &Policy::default());
        assert!(!format!("{builder:?}").contains("secret"));
        let error = builder.open().await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        error
    };
    for url in
        ["redis://api:secret@redis.example.com", "redis://api:secret@192.0.2.1:6379", "redis://:secret@[2001:db8::1]"]
    {
        assert!(matches!(error(url).await, OpenError::Plaintext), "{url}");
    }
    for url in [
        "http://api:secret@127.0.0.1",
        "redis://",
        "rediss://api:secret@localhost#insecure",
        "redis:secret",
        "redis://:secret@localhost/1",
        "secret",
    ] {
        assert!(matches!(error(url).await, OpenError::Url(_)), "{url}");
    }
    let misuse = RedisReplayStore::builder("redis://127.0.0.1:1", "Not A Namespace", &Policy::default());
    assert!(matches!(misuse.open().await, Err(OpenError::Misuse(_))));
    let misuse = RedisReplayStore::builder("redis://127.0.0.1:1", NAMESPACE, &Policy::default()).clocks_within(10_000);
    assert!(matches!(misuse.open().await, Err(OpenError::Misuse(_))));
}
