//! A cluster: the namespace is on one of its nodes.

use std::time::Duration;

use keybound::replay::redis::Fault;
use keybound::replay::{AsyncReplayStore, Insertion};

use crate::support::proofs::{NAMESPACE, fault, opened, present, proof, store, until_answered};
use crate::support::{Cluster, Kind, on_both};

on_both! {
    async fn moved_is_followed(kind: Kind) {
        let cluster = Cluster::start(kind);
        let owner = cluster.owner(&format!("{{kb1:{NAMESPACE}}}"));
        let (own, other) = (&cluster.primaries[owner], &cluster.primaries[(owner + 1) % 3]);
        assert_eq!(fault(store(own)).await, Fault::NeedsReplicas { needed: 1 });
        let moved = fault(store(other).danger_accept_split_brain()).await;
        assert_eq!(moved, Fault::Moved { address: own.address() });
        let one = opened(store(other).danger_accept_split_brain().cluster()).await;
        let two = opened(store(own).danger_accept_split_brain()).await;
        assert_eq!(one.epoch(), two.epoch());
        let entry = proof(1, one.epoch());
        assert_eq!(present(&one, &entry).await, Insertion::Fresh);
        assert_eq!(present(&two, &entry).await, Insertion::Seen);
    }

    async fn a_shard_that_fails_over_is_a_new_life(kind: Kind) {
        let mut cluster = Cluster::with_replicas(kind, 3);
        let owner = cluster.owner(&format!("{{kb1:{NAMESPACE}}}"));
        let seed = store(&cluster.primaries[(owner + 1) % 3]);
        let store = opened(seed.wait_for_replicas(1).cluster()).await;
        until_answered(&store).await;
        let entry = proof(1, store.epoch());
        assert_eq!(present(&store, &entry).await, Insertion::Fresh);
        cluster.primaries[owner].kill();
        cluster.replicas[owner].await_info("replication", "role", "master");
        // The new primary has no replica any more that could be waited for.
        assert_eq!(present(&store, &entry).await, Insertion::Unavailable);
        cluster.primaries[owner].restart();
        // Its replica acknowledges now and then, at first.
        let served = async {
            while present(&store, &entry).await != Insertion::BeforeFloor {}
            for number in 2.. {
                if present(&store, &proof(number, store.epoch())).await == Insertion::Fresh {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), served).await.expect("it is served again");
    }
}
