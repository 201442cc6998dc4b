//! What a store tells of itself: open or why not, epoch, floor, queue.

use std::fmt;

use keybound::UnixTime;
use keybound::replay::StoreEpoch;
use keybound::replay::redis::Fault;

/// What is known of a store and its server, for health checks and metrics. It costs no round trip.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The epoch and the floor of the server's present life; none while it cannot be used.
    pub life: Option<(StoreEpoch, UnixTime)>,
    /// Why it cannot be used, or why it last could not.
    pub obstacle: Option<Obstacle>,
    /// How many lives were found so far.
    pub lives: u64,
    /// How many requests wait.
    pub waiting: usize,
    /// How many may wait.
    pub capacity: usize,
}

impl Health {
    /// Whether proofs can be accepted.
    pub const fn is_open(&self) -> bool {
        self.life.is_some()
    }
}

/// What the task of a store tells the store.
#[derive(Default)]
pub(crate) struct Noted {
    /// Whether requests are sent to the server rather than refused.
    pub(crate) serves: bool,
    /// What was in the way last.
    pub(crate) obstacle: Option<Obstacle>,
}

/// Why the store cannot use its server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Obstacle {
    /// What the server said, or that it said nothing in time.
    Fault(Fault),
    /// Its certificate is not trusted, or is for another name.
    Certificate,
    /// There was no connection; what kind of error there was instead.
    Unreachable(String),
}

impl Obstacle {
    /// Stable name, for logs and metrics: a [fault's](Fault::name), `certificate`, `unreachable`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.name(),
            Self::Certificate => "certificate",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Certificate => f.write_str(
                "the Redis server's certificate is not trusted, or is for another name than the URL's: give the authority's to \
                 root_certificates, and write the host as the certificate has it",
            ),
            Self::Unreachable(why) => write!(f, "the Redis server is out of reach ({why})"),
        }
    }
}

impl std::error::Error for Obstacle {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{QUEUE_FULL, STOPPED};

    /// Operators look there for what metrics count.
    #[test]
    fn the_documentation_names_every_fault() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis.md");
        let page = std::fs::read_to_string(page).unwrap();
        let text = String::new;
        let faults = [
            Fault::NotPrimary,
            Fault::Loading,
            Fault::Evicts { policy: text() },
            Fault::Disagrees { found: text(), expected: text() },
            Fault::NotAuthenticated,
            Fault::Sentinel,
            Fault::Forbidden { command: "INFO" },
            Fault::ClockApart { seconds: 25 },
            Fault::Moved { address: text() },
            Fault::TooOld,
            Fault::NeedsReplicas { needed: 1 },
            Fault::Full,
            Fault::Malformed,
            Fault::Refuses { code: text() },
            Fault::Unsteady,
            Fault::NotAcknowledged { needed: 1, found: 0 },
            Fault::Lost,
        ];
        let obstacles = faults.into_iter().map(Obstacle::Fault);
        let obstacles = obstacles.chain([Obstacle::Certificate, Obstacle::Unreachable(text())]);
        for name in obstacles.map(|obstacle| obstacle.name()).chain([QUEUE_FULL, STOPPED]) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
