//! One proof, many presentations.

use std::process::{Command, Stdio};

use keybound::replay::{AsyncReplayStore, Insertion, StoreEpoch};
use keybound::{Policy, UnixTime};
use keybound_redis::RedisReplayStore;
use tokio::task::JoinSet;

use crate::support::proofs::{NAMESPACE, made, open, opened, present, proof};
use crate::support::{Kind, Server, on_both};

/// How many proofs the processes present, each of them in 64 tasks.
const PROOFS: usize = 20;

/// What another process is told: the server's URL, when the proofs were made, and the epoch of their nonces.
const TOLD: &str = "KEYBOUND_REDIS_PRESENTS";

on_both! {
    async fn one_of_64_tasks_and_two_processes(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let (epoch, at) = (store.epoch(), UnixTime::now());
        let mut other = Command::new(std::env::current_exe().unwrap());
        other.args(["--exact", "once::another_process", "--ignored", "--nocapture"]);
        other.env(TOLD, format!("{} {} {}", server.url(), at.secs(), epoch.to_u64()));
        let other = other.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let own = fresh(store, at, epoch).await;
        let said = String::from_utf8(other.wait_with_output().unwrap().stdout).unwrap();
        let others = said.lines().find_map(|line| line.split_once("fresh: ")).expect("a count").1;
        assert_eq!(own + others.parse::<usize>().unwrap(), PROOFS, "{said}");
    }

    async fn a_batch_with_twins(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let (one, two) = (proof(1, store.epoch()), proof(2, store.epoch()));
        let answers = store.insert(&[one, two, one, one, two], UnixTime::now()).await.unwrap();
        let answers: Vec<_> = answers.iter().map(|answer| answer.insertion).collect();
        let (fresh, seen) = (Insertion::Fresh, Insertion::Seen);
        assert_eq!(answers, [fresh, fresh, seen, seen, seen]);
    }

    async fn more_entries_than_one_batch_takes(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let entries: Vec<_> = (0..1_000).map(|number| proof(number % 600, store.epoch())).collect();
        let answers = store.insert(&entries, UnixTime::now()).await.unwrap();
        assert_eq!(answers.len(), 1_000);
        for (place, answer) in answers.iter().enumerate() {
            let expected = if place < 600 { Insertion::Fresh } else { Insertion::Seen };
            assert_eq!(answer.insertion, expected, "{place}");
        }
    }

    async fn two_namespaces_do_not_meet(kind: Kind) {
        let server = Server::start(kind, &[]);
        let one = open(&server).await;
        let two = opened(RedisReplayStore::builder(&server.url(), "test.2", &Policy::default())).await;
        assert_ne!(one.epoch(), two.epoch());
        assert_eq!(present(&one, &proof(1, one.epoch())).await, Insertion::Fresh);
        assert_eq!(present(&two, &proof(1, two.epoch())).await, Insertion::Fresh);
    }

    async fn a_store_is_asked_from_another_runtime(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let entry = proof(1, store.epoch());
        let asked = store.clone();
        let elsewhere = move || {
            // One without Tokio's timers or its network.
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(present(&asked, &entry))
        };
        assert_eq!(std::thread::spawn(elsewhere).join().unwrap(), Insertion::Fresh);
        assert_eq!(present(&store, &entry).await, Insertion::Seen);
    }

    async fn a_dropped_store_ends_its_task(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let connections = || server.info("clients", "connected_clients");
        // That of the question is one of them.
        assert_eq!(connections(), "2");
        drop(store);
        server.await_info("clients", "connected_clients", "1");
    }
}

/// Presents every proof in 64 tasks and gives how many times it was fresh.
async fn fresh(store: RedisReplayStore, at: UnixTime, epoch: StoreEpoch) -> usize {
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut fresh = 0;
            for number in (0_u64..).take(PROOFS) {
                let answer = present(&store, &made(number, at, Some(epoch))).await;
                assert!(matches!(answer, Insertion::Fresh | Insertion::Seen), "{answer}");
                fresh += usize::from(answer == Insertion::Fresh);
            }
            fresh
        });
    }
    tasks.join_all().await.into_iter().sum()
}

#[tokio::test]
#[ignore = "what another process does in one_of_64_tasks_and_two_processes"]
async fn another_process() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<&str> = told.split(' ').collect();
    let [url, at, epoch] = told.as_slice() else { panic!("{told:?}") };
    let store = opened(RedisReplayStore::builder(url, NAMESPACE, &Policy::default())).await;
    let (at, epoch) = (UnixTime::from_secs(at.parse().unwrap()), StoreEpoch::from_u64(epoch.parse().unwrap()));
    assert_eq!(store.epoch(), epoch);
    println!("fresh: {}", fresh(store, at, epoch).await);
}
