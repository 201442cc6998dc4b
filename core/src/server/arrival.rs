//! How a request arrived: what a server knows of it that the request itself does not say.

use core::net::IpAddr;

use crate::replay::StoreEpoch;

/// What is known of a request's way to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The life of the host's replay store as far as it is known ([`AsyncReplayStore::epoch`](crate::replay::AsyncReplayStore::epoch)),
    /// which nonces vouch for. A store that was given to the server is asked itself.
    pub epoch: StoreEpoch,
    /// The address that the request came from: the connection's peer, or what trusted proxies say
    /// ([`TargetSource::client`](crate::server::source::TargetSource::client)).
    pub peer: Option<IpAddr>,
    /// A clock that never goes back, in milliseconds since any moment: that of [guards](crate::guard). Give it with every request to a
    /// server, or with none.
    pub ticks: Option<u64>,
}

impl Arrival {
    /// Nothing is known, as where the store was given to the server or no nonces are issued.
    pub const fn unknown() -> Self {
        Self::in_epoch(StoreEpoch::from_u64(0))
    }

    /// In this life of the host's replay store; nothing else is known.
    pub const fn in_epoch(epoch: StoreEpoch) -> Self {
        Self { epoch, peer: None, ticks: None }
    }
}
