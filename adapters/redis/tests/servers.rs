//! That the servers which tests start are disturbed as the tests say.

use redis::Value;

use crate::support::{Cluster, Kind, Server, faketime_library, missing, on_both};

on_both! {
    async fn a_server_is_stopped_and_comes_back(kind: Kind) {
        let mut server = Server::start(kind, &["--appendonly", "yes", "--appendfsync", "always"]);
        server.order(&["SET", "one", "1"]);
        let length = server.log_length();
        server.order(&["SET", "two", "2"]);
        server.restart();
        assert_eq!(server.keys(), 2);
        server.kill();
        server.cut_log(length);
        server.restart();
        assert_eq!(server.keys(), 1);
    }

    async fn a_replica_is_promoted(kind: Kind) {
        let primary = Server::start(kind, &[]);
        primary.order(&["SET", "one", "1"]);
        let replica = primary.replica(&[]);
        assert_eq!(replica.keys(), 1);
        assert_eq!(replica.info("replication", "role"), "slave");
        replica.promote();
        replica.order(&["SET", "two", "2"]);
        assert_eq!(primary.keys(), 1);
    }

    async fn a_cluster_serves(kind: Kind) {
        let cluster = Cluster::with_replicas(kind, 1);
        let owner = cluster.owner("{kb1:a}");
        cluster.primaries[owner].order(&["SET", "{kb1:a}", "1"]);
        assert_eq!(cluster.replicas[0].info("replication", "role"), "slave");
    }
}

#[test]
fn a_clock_is_turned() {
    if Kind::Valkey.program().is_none() || faketime_library().is_none() {
        return missing("faketime or Valkey is missing");
    }
    let server = Server::with_own_clock(&[]);
    server.order(&["SET", "one", "1", "PX", "60000"]);
    server.turn_clock(-61);
    assert!(!matches!(server.say(&["GET", "one"]), Value::Nil));
    server.turn_clock(61);
    assert!(matches!(server.say(&["GET", "one"]), Value::Nil));
}
