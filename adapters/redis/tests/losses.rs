//! Servers that lose what they knew.

use keybound::replay::{AsyncReplayStore, Insertion, ReplayEntry};
use keybound::{Policy, UnixTime};
use keybound_redis::RedisReplayStore;

use crate::support::proofs::{NAMESPACE, inserted, made, open, opened, present, proof, store, until_answered};
use crate::support::{Kind, Relay, Server, on_both};

/// The store was open when its server lost its memory, and `lost` was accepted before: it is not accepted again, and others are.
async fn goes_on_without(store: &RedisReplayStore, lost: &ReplayEntry) {
    let before = store.epoch();
    let answer = inserted(store, lost).await;
    assert_eq!(answer.insertion, Insertion::BeforeFloor);
    assert_eq!(answer.epoch, store.epoch());
    assert_eq!(present(store, lost).await, Insertion::BeforeFloor);
    let next = proof(1_000, store.epoch());
    assert_eq!(present(store, &next).await, Insertion::Fresh);
    assert_eq!(present(store, &next).await, Insertion::Seen);
    // A proof of just now without a nonce may be one that was accepted before the loss.
    assert_eq!(present(store, &made(1_001, UnixTime::now(), None)).await, Insertion::BeforeFloor);
    assert_ne!(lost.nonce_epoch(), Some(store.epoch()), "{before:?}");
}

on_both! {
    async fn flushall_is_noticed_by_the_next_insert(kind: Kind) {
        let server = Server::start(kind, &[]);
        let store = open(&server).await;
        let entry = proof(1, store.epoch());
        assert_eq!(present(&store, &entry).await, Insertion::Fresh);
        server.order(&["FLUSHALL"]);
        goes_on_without(&store, &entry).await;
        assert_eq!(store.health().lives, 2);
    }

    async fn a_restart_without_persistence(kind: Kind) {
        let mut server = Server::start(kind, &[]);
        let store = open(&server).await;
        let entry = proof(1, store.epoch());
        assert_eq!(present(&store, &entry).await, Insertion::Fresh);
        server.restart();
        until_answered(&store).await;
        goes_on_without(&store, &entry).await;
    }

    async fn a_restart_with_a_cut_aof(kind: Kind) {
        let mut server = Server::start(kind, &["--appendonly", "yes", "--appendfsync", "always"]);
        let store = open(&server).await;
        let (kept, lost) = (proof(1, store.epoch()), proof(2, store.epoch()));
        assert_eq!(present(&store, &kept).await, Insertion::Fresh);
        let length = server.log_length();
        assert_eq!(present(&store, &lost).await, Insertion::Fresh);
        server.kill();
        server.cut_log(length);
        server.restart();
        until_answered(&store).await;
        // What it knows from before, it does not vouch for.
        assert_eq!(present(&store, &kept).await, Insertion::BeforeFloor);
        goes_on_without(&store, &lost).await;
    }

    async fn a_promoted_replica_that_lags(kind: Kind) {
        let mut primary = Server::start(kind, &[]);
        let replica = primary.replica(&[]);
        let address = Relay::to(&primary).await;
        let builder = RedisReplayStore::builder(&address.url(), NAMESPACE, &Policy::default());
        let store = opened(builder.danger_accept_split_brain()).await;
        let (kept, lost) = (proof(1, store.epoch()), proof(2, store.epoch()));
        assert_eq!(present(&store, &kept).await, Insertion::Fresh);
        while replica.keys() < primary.keys() {}
        replica.lose_sight();
        assert_eq!(present(&store, &lost).await, Insertion::Fresh);
        primary.kill();
        replica.promote();
        address.turn_to(&replica);
        until_answered(&store).await;
        assert_eq!(present(&store, &kept).await, Insertion::BeforeFloor);
        goes_on_without(&store, &lost).await;
    }

    async fn failback_on_an_open_connection(kind: Kind) {
        let first = Server::start(kind, &[]);
        let second = first.replica(&[]);
        let store = opened(store(&first).danger_accept_split_brain()).await;
        second.lose_sight();
        let lost = proof(1, store.epoch());
        assert_eq!(present(&store, &lost).await, Insertion::Fresh);
        // There and back, while the store asks nothing.
        second.promote();
        first.follow(&second);
        first.promote();
        goes_on_without(&store, &lost).await;
    }

    async fn two_verifiers_agree_on_the_new_epoch(kind: Kind) {
        let server = Server::start(kind, &[]);
        let (one, two) = (open(&server).await, open(&server).await);
        assert_eq!(one.epoch(), two.epoch());
        for round in 0..20 {
            server.order(&["FLUSHALL"]);
            let (first, second) = (proof(2_000 + round, one.epoch()), proof(3_000 + round, one.epoch()));
            let answers = tokio::join!(inserted(&one, &first), inserted(&two, &second));
            assert_eq!(answers.0, answers.1);
            assert_eq!(answers.0.insertion, Insertion::BeforeFloor);
            assert_eq!((answers.0.epoch, answers.1.epoch), (one.epoch(), two.epoch()));
            let next = proof(round, one.epoch());
            let answers = tokio::join!(present(&one, &next), present(&two, &next));
            let of_both = [answers.0, answers.1];
            assert!(of_both.contains(&Insertion::Fresh) && of_both.contains(&Insertion::Seen), "{of_both:?}");
        }
    }
}
