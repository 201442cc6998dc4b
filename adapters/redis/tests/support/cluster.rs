//! A cluster: three primaries, each with a third of the slots, and replicas where asked for.

use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::{Kind, Server};

/// How long nodes may take to know each other.
const PATIENCE: Duration = Duration::from_secs(20);
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10_922), (10_923, 16_383)];

/// Nodes that run until they are dropped.
pub(crate) struct Cluster {
    pub(crate) primaries: Vec<Server>,
    /// The replica of the primary with the same place, or none at all.
    pub(crate) replicas: Vec<Server>,
}

impl Cluster {
    /// Three primaries.
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with_replicas(kind, 0)
    }

    /// Three primaries, the first `count` of which have a replica.
    pub(crate) fn with_replicas(kind: Kind, count: usize) -> Self {
        let primaries: Vec<Server> = SLOTS.iter().map(|_| node(kind)).collect();
        let replicas: Vec<Server> = (0..count).map(|_| node(kind)).collect();
        let first = primaries.first().unwrap();
        for (epoch, node) in primaries.iter().chain(&replicas).enumerate() {
            node.order(&["CLUSTER", "SET-CONFIG-EPOCH", &(epoch + 1).to_string()]);
        }
        for (node, (from, to)) in primaries.iter().zip(SLOTS) {
            node.order(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]);
        }
        for node in primaries.iter().skip(1).chain(&replicas) {
            let (port, bus) = (first.port.to_string(), first.bus.to_string());
            node.order(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self { primaries, replicas };
        let nodes = cluster.primaries.len() + cluster.replicas.len();
        cluster.wait(|node| said(node, "cluster_known_nodes") == nodes.to_string());
        for (replica, primary) in cluster.replicas.iter().zip(&cluster.primaries) {
            replica.order(&["CLUSTER", "REPLICATE", &id(primary)]);
            replica.await_info("replication", "master_link_status", "up");
        }
        cluster.wait(|node| said(node, "cluster_state") == "ok");
        cluster
    }

    /// The place of the primary that has the slot of `key`.
    pub(crate) fn owner(&self, key: &str) -> usize {
        let Value::Int(slot) = self.primaries.first().unwrap().say(&["CLUSTER", "KEYSLOT", key]) else {
            panic!("no slot of {key}")
        };
        SLOTS.iter().position(|(from, to)| (i64::from(*from)..=i64::from(*to)).contains(&slot)).unwrap()
    }

    fn wait(&self, ready: impl Fn(&Server) -> bool) {
        let begun = Instant::now();
        while !self.primaries.iter().chain(&self.replicas).all(&ready) {
            assert!(begun.elapsed() < PATIENCE, "the nodes did not find each other");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn node(kind: Kind) -> Server {
    let timeout = ["--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"];
    Server::start(kind, &[["--cluster-enabled", "yes"].as_slice(), &timeout].concat())
}

/// A number of CLUSTER INFO.
fn said(node: &Server, name: &str) -> String {
    let Value::BulkString(text) = node.say(&["CLUSTER", "INFO"]) else { return String::new() };
    let text = String::from_utf8(text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().to_owned()
}

fn id(node: &Server) -> String {
    let Value::BulkString(id) = node.say(&["CLUSTER", "MYID"]) else { panic!("a node without a name") };
    String::from_utf8(id).unwrap()
}
