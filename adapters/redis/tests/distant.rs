//! A server whose replies take nearly half of the time that requests wait.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use keybound::replay::{AsyncReplayStore, Insertion};
use keybound_redis::RedisReplayStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::proofs::{NAMESPACE, opened, present, proof};
use crate::support::{Kind, Server, on_both};

/// How long each reply is on its way.
const DELAY: Duration = Duration::from_millis(400);
/// How long requests wait.
const ANSWER: Duration = Duration::from_secs(1);

on_both! {
    async fn a_life_is_opened_in_more_time_than_requests_wait(kind: Kind) {
        let server = Server::start(kind, &[]);
        let url = format!("redis://{}", relay(server.address()).await);
        let builder = RedisReplayStore::builder(&url, NAMESPACE, &keybound::Policy::default());
        let store = opened(builder.answer_timeout(ANSWER)).await;
        assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);

        server.order(&["FLUSHALL"]);
        let old = store.epoch();
        // This one hears of nothing in its time, and the life is opened all the same.
        assert_eq!(present(&store, &proof(2, old)).await, Insertion::Unavailable);
        for _ in 0..100 {
            sleep(DELAY / 10).await;
            if store.epoch() != old {
                break;
            }
        }
        assert_ne!(store.epoch(), old);
        assert_eq!(present(&store, &proof(3, store.epoch())).await, Insertion::Fresh);
    }

async fn a_request_that_waits_for_others_waits_no_longer(kind: Kind) {
    let server = Server::start(kind, &[]);
    let url = format!("redis://{}", relay(server.address()).await);
    let builder = RedisReplayStore::builder(&url, NAMESPACE, &keybound::Policy::default()).answer_timeout(ANSWER);
    let store = opened(builder).await;
    // More than two batches take, so that the last ones wait for two round trips and more.
    let epoch = store.epoch();
    let mut tasks = JoinSet::new();
    for number in 0..3_000 {
        let (store, entry) = (store.clone(), proof(number, epoch));
        tasks.spawn(async move {
            let begun = Instant::now();
            (present(&store, &entry).await, begun.elapsed())
        });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().any(|(answer, _)| *answer == Insertion::Fresh));
    assert!(answers.iter().any(|(answer, _)| *answer == Insertion::Unavailable));
    for (answer, took) in answers {
        assert!(took < ANSWER * 2, "{answer:?} after {took:?}");
    }
}
}

/// Passes everything on, replies later. Its address.
async fn relay(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            let ((mut asks, mut hears), (mut replies, mut orders)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { copy(&mut asks, &mut orders).await });
            tokio::spawn(async move {
                let mut reply = [0; 16_384];
                while let Ok(length @ 1..) = replies.read(&mut reply).await {
                    sleep(DELAY).await;
                    if hears.write_all(&reply[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn without_a_runtime_it_says_what_to_do() {
    let opening =
        pin!(RedisReplayStore::builder("redis://127.0.0.1:1", NAMESPACE, &keybound::Policy::default()).open());
    let Poll::Ready(Err(error)) = opening.poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
    assert!(error.to_string().contains("#[tokio::main]"), "{error}");
}
