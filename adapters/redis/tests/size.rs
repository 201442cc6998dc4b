//! What entries weigh, and what inserts cost beside plain `SET NX PX`. It takes a minute, and says its numbers.
#![allow(clippy::as_conversions, reason = "numbers that are shown")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keybound::UnixTime;
use keybound::replay::{AsyncReplayStore, Insertion};
use tokio::task::JoinSet;

use crate::support::proofs::{made, open, opened, store};
use crate::support::{Kind, Server, on_both};

/// How many proofs are inserted.
const PROOFS: u64 = 1_000_000;
/// How often two ways to insert take turns, and how many batches each sends at a time.
const SLICES: usize = 40;
const BATCHES: usize = 500;
/// How many tasks insert them, as requests of a server do: one proof at a time.
const TASKS: u64 = 64;

on_both! {
    #[ignore = "takes a minute, and its numbers want an optimised build"]
    async fn a_million_entries(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = opened(store(&server)).await;
        let (epoch, at) = (store.epoch(), UnixTime::now());
        let empty = memory(&server);
        let (next, begun, used) = (Arc::new(AtomicU64::new(0)), Instant::now(), server_time(&server));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (store, next) = (store.clone(), Arc::clone(&next));
            tasks.spawn(async move {
                let mut slowest = Duration::ZERO;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= PROOFS {
                        return slowest;
                    }
                    let (entry, begun) = (made(number, at, Some(epoch)), Instant::now());
                    let answers = store.insert(&[entry], UnixTime::now()).await.unwrap();
                    assert_eq!(answers[0].insertion, Insertion::Fresh);
                    slowest = slowest.max(begun.elapsed());
                }
            });
        }
        let slowest = tasks.join_all().await.into_iter().max().unwrap();
        let (took, used) = (begun.elapsed(), server_time(&server) - used);
        let bytes = (memory(&server) - empty) as f64 / PROOFS as f64;
        let rate = PROOFS as f64 / took.as_secs_f64();
        let cost = used / PROOFS as f64 * 1e6;
        println!("{kind:?}: {bytes:.0} bytes an entry, {rate:.0} a second, {cost:.2} us of the server each, slowest {slowest:?}");
        assert!(bytes <= 125.0, "{bytes} bytes an entry");
    }

    #[ignore = "takes a minute, and its numbers want an optimised build"]
    async fn an_insert_beside_plain_set(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for size in [1, 32] {
            let (mut plain, mut ours) = (0.0, 0.0);
            let mut numbers = size << 40..;
            // In turns, so that a busy machine is as busy for both.
            for _ in 0..SLICES {
                let used = server_time(&server);
                for _ in 0..BATCHES {
                    let mut pipeline = redis::pipe();
                    for number in numbers.by_ref().take(size) {
                        let key = [b"{kb1:test}".as_slice(), &[1; 8], &number.to_be_bytes()].concat();
                        pipeline.cmd("SET").arg(key).arg("1").arg("NX").arg("PX").arg(131_000).ignore();
                    }
                    pipeline.exec_async(&mut connection).await.unwrap();
                }
                plain += server_time(&server) - used;
                let (epoch, at, used) = (store.epoch(), UnixTime::now(), server_time(&server));
                for _ in 0..BATCHES {
                    let numbers = numbers.by_ref().take(size);
                    let entries: Vec<_> = numbers.map(|number| made(u64::try_from(number).unwrap(), at, Some(epoch))).collect();
                    let answers = store.insert(&entries, UnixTime::now()).await.unwrap();
                    assert!(answers.iter().all(|answer| answer.insertion == Insertion::Fresh));
                }
                ours += server_time(&server) - used;
            }
            let each = |seconds: f64| seconds / (SLICES * BATCHES * size) as f64 * 1e6;
            let (plain, ours) = (each(plain), each(ours));
            println!("{kind:?}: batches of {size}: {ours:.2} us of the server each, plain {plain:.2}: {:.2}", ours / plain);
        }
    }
}

fn memory(server: &Server) -> u64 {
    server.info("memory", "used_memory").parse().unwrap()
}

/// Processor time that the server used so far, in seconds.
fn server_time(server: &Server) -> f64 {
    let seconds = |name: &str| server.info("cpu", name).parse::<f64>().unwrap();
    seconds("used_cpu_sys_main_thread") + seconds("used_cpu_user_main_thread")
}
