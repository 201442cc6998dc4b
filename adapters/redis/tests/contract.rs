//! The contract of every replay store.

use std::sync::atomic::{AtomicU64, Ordering};

use keybound::replay::contract::{Contract, check_async_store};
use keybound::{Policy, RUSTCRYPTO};
use keybound_redis::RedisReplayStore;

use crate::support::proofs::opened;
use crate::support::{Kind, Server, on_both};

/// Within what the founder of a life takes other clocks to be: its floor is so much later than its clock.
const CLOCKS_WITHIN: u64 = 10;

on_both! {
    async fn the_store_holds_to_the_contract(kind: Kind) {
        let server = Server::start(kind, &[]);
        let policy = Policy::default();
        let namespaces = AtomicU64::new(0);
        // The stores of the rules share a server, and have a namespace each.
        let make = async |now: keybound::UnixTime| {
            let namespace = format!("rule{}", namespaces.fetch_add(1, Ordering::Relaxed));
            let builder = RedisReplayStore::builder(&server.url(), &namespace, &policy);
            let clock = now.saturating_sub(CLOCKS_WITHIN);
            opened(builder.danger_ignore_server_clock().clock(move || clock)).await
        };
        let contract = Contract::new(policy.replay_agreement(RUSTCRYPTO.digest));
        check_async_store(make, contract).await.unwrap();
    }
}
