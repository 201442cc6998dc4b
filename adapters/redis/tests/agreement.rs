//! Verifiers that do not agree.

use keybound::replay::Insertion;
use keybound::replay::redis::Fault;
use keybound::{Policy, RUSTCRYPTO};
use keybound_redis::RedisReplayStore;

use crate::support::proofs::{NAMESPACE, fault, open, opened, present, proof, store};
use crate::support::{Kind, Server, on_both};

fn other_policy() -> Policy {
    Policy::default().with_max_age(120).unwrap()
}

/// The key of the life, which is the only one in an empty server that lasts for a day.
fn life(server: &Server) -> String {
    let (run, replication) = (server.info("server", "run_id"), server.info("replication", "master_replid"));
    format!("{{kb1:{NAMESPACE}}}life:{run}:{replication}")
}

on_both! {
    async fn another_policy_refuses_to_start(kind: Kind) {
        let server = Server::start(kind, &[]);
        let first = open(&server).await;
        let other = RedisReplayStore::builder(&server.url(), NAMESPACE, &other_policy());
        let fault = fault(other).await;
        let Fault::Disagrees { found, expected } = &fault else { panic!("{fault}") };
        assert_ne!(found, expected);
        for text in [found, expected] {
            assert!(fault.to_string().contains(text.as_str()), "{fault}");
        }
        // The one that was there first goes on.
        assert_eq!(present(&first, &proof(1, first.health().life.unwrap().0)).await, Insertion::Fresh);
    }

    async fn another_format_refuses_to_start(kind: Kind) {
        let server = Server::start(kind, &[]);
        drop(open(&server).await);
        let agreement = Policy::default().replay_agreement(RUSTCRYPTO.digest);
        server.order(&["SET", &life(&server), &format!("2 {agreement:?} of a later version"), "PX", "86400000"]);
        let fault = fault(store(&server)).await;
        assert!(matches!(fault, Fault::Disagrees { .. }), "{fault}");
    }

    async fn a_policy_is_changed_by_a_new_namespace_or_after_a_day(kind: Kind) {
        let server = Server::start(kind, &[]);
        drop(open(&server).await);
        drop(opened(RedisReplayStore::builder(&server.url(), "test.2", &other_policy())).await);
        let redis::Value::Int(left) = server.say(&["PTTL", &life(&server)]) else { panic!("no life") };
        assert!((86_390_000..=86_400_000).contains(&left), "{left}");
        // A day without a verifier.
        server.order(&["SET", &life(&server), "past", "PX", "1"]);
        while server.say(&["EXISTS", &life(&server)]) != redis::Value::Int(0) {}
        drop(opened(RedisReplayStore::builder(&server.url(), NAMESPACE, &other_policy())).await);
    }
}
