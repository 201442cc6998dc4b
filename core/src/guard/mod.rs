//! Limits by address, key and client, and a breaker for a replay store that fails.
//!
//! State machines without clock and without IO, in bounded memory: a [`Limiter`] is token buckets by any key, a [`Breaker`] leaves
//! a failing store alone. A server that is given [`Guards`] applies them in its admission, where every language has them alike:
//!
//! | guard | when it looks | what it charges |
//! |---|---|---|
//! | [`limit_addresses`](Guards::limit_addresses) | before anything is read | every request |
//! | [`limit_keys`](Guards::limit_keys) | after the signature, before the proof is used up | requests whose proof was fresh |
//! | [`breaker`](Guards::breaker) | before the host's store is asked | |
//! | [`limit_clients`](Guards::limit_clients) | once the proof is used up | requests that are admitted |
//!
//! A limit refuses with 429, an open breaker with 503, both with `Retry-After`; the reasons are `rate_limited` and `store_unavailable`.
//! Copies of a request that was seen before are not charged to its key, so that who captured one cannot lock its sender out. And only
//! a key that a verified token or a stored grant names is limited at all, so that no one fills the table with keys made for that.
//!
//! ```
//! use keybound::guard::{BreakerSettings, Guards, Limit};
//! let guards = Guards::new()
//!     .limit_addresses(Limit::per_second(50, 100)?)
//!     .limit_keys(Limit::per_second(10, 20)?)
//!     .breaker(BreakerSettings::default());
//! # Ok::<(), keybound::Misuse>(())
//! ```
//!
//! They are given to a server with [`ResourceServer::guarded_by`](crate::server::resource::ResourceServer::guarded_by) or
//! [`AuthorizationServer::guarded_by`](crate::server::authorization::AuthorizationServer::guarded_by).

mod breaker;
mod buckets;
mod limiter;
mod watch;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Pass};
pub use limiter::{Limit, Limiter, Wait};
pub(crate) use watch::{Watch, Watched};

use core::fmt;

use crate::Misuse;
use crate::server::source::TargetSource;

/// How many keys each limit of a server tells apart, at about 40 bytes each.
pub const CAPACITY: usize = 65_536;

/// Which guards a server has: none, unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Guards {
    addresses: Option<Limit>,
    keys: Option<Limit>,
    clients: Option<Limit>,
    breaker: Option<BreakerSettings>,
}

impl Guards {
    /// None.
    pub const fn new() -> Self {
        Self { addresses: None, keys: None, clients: None, breaker: None }
    }

    /// Limits the requests of each address: [`Arrival::peer`](crate::server::Arrival::peer), IPv6 by its first 64 bits. Requests
    /// from no known address share one bucket.
    #[must_use]
    pub const fn limit_addresses(self, limit: Limit) -> Self {
        Self { addresses: Some(limit), ..self }
    }

    /// Limits the requests made with each key that a verified token or a stored grant names.
    ///
    /// While the store answers, more requests of one key may be under way than it has tokens. What they take beyond the last one is owed.
    #[must_use]
    pub const fn limit_keys(self, limit: Limit) -> Self {
        Self { keys: Some(limit), ..self }
    }

    /// Limits the requests of each client, by the issuer and `client_id` of its verified tokens. Tokens that name no client share one
    /// bucket for each issuer.
    ///
    /// The proof of a request that is refused for this is used up.
    #[must_use]
    pub const fn limit_clients(self, limit: Limit) -> Self {
        Self { clients: Some(limit), ..self }
    }

    /// Leaves a replay store of the host's alone while it fails, and refuses at once. A store of this process has no need of it.
    #[must_use]
    pub const fn breaker(self, settings: BreakerSettings) -> Self {
        Self { breaker: Some(settings), ..self }
    }

    /// Checks that addresses, if they are limited, can be told apart.
    ///
    /// # Errors
    /// [`Misuse::LimitBehindProxies`] if all requests come through proxies that do not say from which address, so that they would count as
    /// one client's.
    pub fn check_targets(&self, targets: &TargetSource) -> Result<(), Misuse> {
        let cannot_tell = self.addresses.is_some() && targets.hides_clients();
        if cannot_tell { Err(Misuse::LimitBehindProxies) } else { Ok(()) }
    }

    pub(crate) const fn limits_clients(&self) -> bool {
        self.clients.is_some()
    }
}

/// What a request was limited by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LimitedBy {
    /// The address that it came from.
    Address,
    /// The key that its proof was made with.
    Key,
    /// The client that its token was issued to.
    Client,
}

impl LimitedBy {
    /// Stable name, for logs and metrics: `address`, `key`, `client`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Key => "key",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
