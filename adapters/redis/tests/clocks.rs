//! Clocks that are wrong.

use keybound::UnixTime;
use keybound::replay::{AsyncReplayStore, Insertion};
use keybound_redis::Builder;

use crate::support::proofs::{made, open, opened, present, proof, store, until_answered};
use crate::support::{Kind, Server, faketime_library, missing, on_both};

/// A verifier whose clock is ahead by so many seconds, or behind.
fn ahead(builder: Builder, seconds: i64) -> Builder {
    builder.clock(move || UnixTime::from_secs(UnixTime::now().secs() + seconds))
}

on_both! {
    async fn verifiers_apart_by_less_than_the_margin(kind: Kind) {
        let server = Server::start(kind, &[]);
        let behind = opened(ahead(store(&server), -4)).await;
        let ahead = opened(ahead(store(&server), 4)).await;
        assert_eq!(behind.epoch(), ahead.epoch());
        for number in 0..20 {
            let entry = proof(number, behind.epoch());
            let (first, second) = if number % 2 == 0 { (&ahead, &behind) } else { (&behind, &ahead) };
            assert_eq!(present(first, &entry).await, Insertion::Fresh);
            assert_eq!(present(second, &entry).await, Insertion::Seen);
        }
        // What the clock that is ahead may have accepted already is before the floor of the one behind.
        let early = made(100, UnixTime::now(), None);
        assert_eq!(present(&behind, &early).await, Insertion::BeforeFloor);
    }

    async fn one_verifier_far_apart_does_not_stop_the_others(kind: Kind) {
        let server = Server::start(kind, &[]);
        let right = open(&server).await;
        for (number, seconds) in [(1, 100), (2, -100)] {
            let wrong = ahead(store(&server), seconds).open().await.unwrap();
            let health = wrong.health();
            assert_eq!((health.life, health.obstacle.as_ref().unwrap().name()), (None, "clock_apart"));
            let said = health.obstacle.unwrap().to_string();
            assert!(said.contains("100 s") || said.contains("99 s") || said.contains("101 s"), "{said}");
            let entry = proof(number, right.epoch());
            assert_eq!(present(&wrong, &entry).await, Insertion::Unavailable);
            assert_eq!(present(&right, &entry).await, Insertion::Fresh);
            assert_eq!(present(&right, &entry).await, Insertion::Seen);
        }
        assert_eq!(right.health().lives, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_clock_steps_forward() {
    if Kind::Valkey.program().is_none() || faketime_library().is_none() {
        return missing("Valkey or faketime is not installed");
    }
    let server = Server::with_own_clock(&[]);
    let store = open(&server).await;
    let entry = proof(1, store.epoch());
    assert_eq!(present(&store, &entry).await, Insertion::Fresh);
    server.turn_clock(1_000);
    // The server has forgotten it, long before its time.
    assert_ne!(present(&store, &entry).await, Insertion::Fresh);
    until_answered(&store).await;
    assert_eq!(present(&store, &entry).await, Insertion::BeforeFloor);
    let next = proof(2, store.epoch());
    assert_eq!(present(&store, &next).await, Insertion::Fresh);
    assert_eq!(present(&store, &next).await, Insertion::Seen);
    // And back: nothing is forgotten, but nothing is certain either.
    server.turn_clock(0);
    assert_ne!(present(&store, &next).await, Insertion::Fresh);
}
