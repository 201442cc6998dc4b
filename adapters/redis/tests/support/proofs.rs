//! Stores that tests open, and entries as verifiers make them of proofs.

use std::future::Future;
use std::time::{Duration, Instant};

use keybound::replay::redis::Fault;
use keybound::replay::{AsyncReplayStore, Inserted, Insertion, ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};
use keybound::{Policy, RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_redis::{Builder, Health, Obstacle, OpenError, RedisReplayStore};

use super::Server;

/// The namespace of most tests: each has a server to itself.
pub(crate) const NAMESPACE: &str = "test";

/// A store that is ready to be opened, and waits long enough for servers on a busy machine.
pub(crate) fn store(server: &Server) -> Builder {
    impatient_store(server).answer_timeout(Duration::from_secs(3))
}

/// A store with the time-outs that stores have.
pub(crate) fn impatient_store(server: &Server) -> Builder {
    RedisReplayStore::builder(&server.url(), NAMESPACE, &Policy::default())
}

/// A store that is open.
pub(crate) async fn open(server: &Server) -> RedisReplayStore {
    opened(store(server)).await
}

/// The store of this builder, open.
pub(crate) async fn opened(builder: Builder) -> RedisReplayStore {
    let store = builder.open().await.unwrap();
    assert!(store.health().is_open(), "{:?}", store.health());
    store
}

/// The fault for which a store is not opened.
pub(crate) async fn fault(builder: Builder) -> Fault {
    match builder.open().await {
        Err(OpenError::Fault(fault)) => fault,
        other => panic!("not refused for a fault: {other:?}"),
    }
}

/// Waits until a store says so.
pub(crate) async fn until(store: &RedisReplayStore, seconds: u64, ready: impl Fn(&Health) -> bool) -> Health {
    let begun = Instant::now();
    loop {
        let health = store.health();
        if ready(&health) {
            return health;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "after {seconds} s: {health:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a store is open, as after a server came back.
pub(crate) async fn until_open(store: &RedisReplayStore) {
    until(store, 10, Health::is_open).await;
}

/// Presents proofs until one is decided about, as after a server came back: a store notices by asking.
pub(crate) async fn until_answered(store: &RedisReplayStore) {
    let begun = Instant::now();
    for number in u64::MAX / 2.. {
        if present(store, &proof(number, store.epoch())).await != Insertion::Unavailable {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "still no answer: {:?}", store.health());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a store cannot be used for a fault of this name.
pub(crate) async fn until_fault(store: &RedisReplayStore, seconds: u64, name: &str) {
    let is_there = |health: &Health| !health.is_open() && health.obstacle.as_ref().map(Obstacle::name) == Some(name);
    until(store, seconds, is_there).await;
}

/// The entry of a proof made now, with a nonce of this epoch. Equal numbers are one proof only if all else is equal.
pub(crate) fn proof(number: u64, epoch: StoreEpoch) -> ReplayEntry {
    made(number, UnixTime::now(), Some(epoch))
}

/// The entry of a proof made at a time, with a nonce or without.
pub(crate) fn made(number: u64, at: UnixTime, nonce_epoch: Option<StoreEpoch>) -> ReplayEntry {
    let policy = Policy::default();
    let mut key = [0; 16];
    key[8..].copy_from_slice(&number.to_be_bytes());
    ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::from_bytes(key),
        thumbprint: Thumbprint::from_bytes([0x5a; 32]),
        timed_at: at,
        max_ahead: policy.max_ahead(),
        expires_at: at.saturating_add(policy.max_age()),
        store_margin: policy.store_margin(),
        nonce_epoch,
        agreement: policy.replay_agreement(RUSTCRYPTO.digest),
    })
}

/// Presents a proof now.
pub(crate) async fn present(store: &RedisReplayStore, entry: &ReplayEntry) -> Insertion {
    inserted(store, entry).await.insertion
}

/// Presents a proof to a verifier whose clock shows this time.
pub(crate) async fn present_at(store: &RedisReplayStore, entry: &ReplayEntry, now: UnixTime) -> Insertion {
    let answers = store.insert(std::slice::from_ref(entry), now).await.unwrap();
    let [answer] = answers.as_slice() else { panic!("{} answers", answers.len()) };
    answer.insertion
}

/// Presents a proof now, and hears in which epoch it was answered.
pub(crate) async fn inserted(store: &RedisReplayStore, entry: &ReplayEntry) -> Inserted {
    let answers = store.insert(std::slice::from_ref(entry), UnixTime::now()).await.unwrap();
    let [answer] = answers.as_slice() else { panic!("{} answers", answers.len()) };
    *answer
}

/// What something gives, and how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (work.await, begun.elapsed())
}
