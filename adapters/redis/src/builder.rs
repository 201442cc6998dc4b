//! What a store is made of: where the server is, and what it must hold to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keybound::replay::redis::{ANSWER_MS, CONNECT_MS, Fault, QUEUE, REPLICAS_MS, RedisReplay};
use keybound::{Misuse, Policy, UnixTime};
use keybound_aws_lc::AWS_LC;
use redis::{ClientTlsConfig, TlsCertificates};
use tokio::runtime::Handle;

use crate::connection::{Connector, Place};
use crate::health::{Health, Obstacle};
use crate::store::RedisReplayStore;
use crate::worker::Worker;

const CONNECT_TIMEOUT: Duration = milliseconds(CONNECT_MS);
const ANSWER_TIMEOUT: Duration = milliseconds(ANSWER_MS);

#[allow(clippy::as_conversions, reason = "u32 to u64 loses nothing; `From` is not const")]
const fn milliseconds(number: u32) -> Duration {
    Duration::from_millis(number as u64)
}

/// Builder for [`RedisReplayStore`], with its defaults.
#[must_use]
pub struct Builder {
    url: String,
    replay: Result<RedisReplay, Misuse>,
    certificates: TlsCertificates,
    quorum: Option<u32>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    queue: usize,
    follows: bool,
    accepts_plaintext: bool,
    clock: Clock,
}

pub(crate) type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

impl Builder {
    pub(crate) fn new(url: &str, namespace: &str, policy: &Policy) -> Self {
        Self {
            url: url.to_owned(),
            replay: RedisReplay::for_policy(namespace, policy, &AWS_LC),
            certificates: TlsCertificates { client_tls: None, root_cert: None },
            quorum: None,
            connect_timeout: CONNECT_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
            queue: QUEUE,
            follows: false,
            accepts_plaintext: false,
            clock: Arc::new(UnixTime::now),
        }
    }

    /// Trusts these certificates (PEM) for the server's, in place of those that the system trusts.
    pub fn root_certificates(mut self, pem: &[u8]) -> Self {
        self.certificates.root_cert = Some(pem.to_owned());
        self
    }

    /// Shows the server a certificate, for servers that ask for one: the chain and the private key, both PEM.
    pub fn client_certificate(mut self, chain: &[u8], key: &[u8]) -> Self {
        self.certificates.client_tls =
            Some(ClientTlsConfig { client_cert: chain.to_owned(), client_key: key.to_owned() });
        self
    }

    /// How long making a connection may take; 1 second unless told otherwise. No request waits for it.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// How long the server may take to answer, and so how long a request waits at most; 250 ms unless told otherwise.
    pub fn answer_timeout(self, timeout: Duration) -> Self {
        Self { answer_timeout: timeout, ..self }
    }

    /// How many requests wait while others are under way, 4,096 unless told otherwise; further ones are answered `Unavailable`.
    pub fn queue(self, requests: usize) -> Self {
        Self { queue: requests, ..self }
    }

    /// By how many seconds the clocks of two processes may differ: 10 unless told otherwise, and at most half of the policy's
    /// `store_margin`. A process further apart from the others accepts nothing.
    pub fn clocks_within(self, seconds: u64) -> Self {
        self.with(|replay| replay.clocks_within(seconds))
    }

    /// Accepts a proof only once so many replicas have it: a majority of them, where the server has any.
    pub fn wait_for_replicas(self, count: u32) -> Self {
        Self { quorum: Some(count), ..self }
    }

    /// The server is a node of a cluster: follows it to the node that has the namespace, and to another when that fails over.
    pub fn cluster(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Accepts a server with replicas without waiting for them.
    ///
    /// # Security
    /// After a failover, processes that still reach the old primary accept proofs that others accept at the new one.
    pub fn danger_accept_split_brain(self) -> Self {
        self.with(|replay| Ok(replay.danger_accept_split_brain()))
    }

    /// Talks to another machine without TLS.
    ///
    /// # Security
    /// Anyone between the machines can read the password, answer in the server's place and replay every proof.
    pub fn danger_plaintext(self) -> Self {
        Self { accepts_plaintext: true, ..self }
    }

    /// Does not compare clocks with the server's: for tests with a made-up time.
    ///
    /// # Security
    /// If the server's clock steps forward, it forgets proofs that are still good.
    pub fn danger_ignore_server_clock(self) -> Self {
        self.with(|replay| Ok(replay.danger_ignore_server_clock()))
    }

    /// Reads the time from here, for tests.
    pub fn clock(self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    fn with(self, change: impl FnOnce(RedisReplay) -> Result<RedisReplay, Misuse>) -> Self {
        Self { replay: self.replay.and_then(change), ..self }
    }

    /// Opens the store, within a Tokio runtime whose timers run. The store's task runs there until the store is dropped.
    ///
    /// A server out of reach is no error: the store answers `Unavailable` and goes on trying.
    ///
    /// # Errors
    /// [`OpenError`] if someone has to change a configuration: the URL, an option, or the server's.
    pub async fn open(self) -> Result<RedisReplayStore, OpenError> {
        if Handle::try_current().is_err() {
            return Err(OpenError::NoRuntime);
        }
        let place = Place::parse(&self.url, self.accepts_plaintext, &self.certificates)?;
        let mut replay = self.replay.map_err(OpenError::Misuse)?;
        if let Some(count) = self.quorum {
            // The answer needs time, too.
            let part = self.answer_timeout.as_millis().saturating_mul(u128::from(REPLICAS_MS));
            let milliseconds = part.div_euclid(u128::from(ANSWER_MS));
            replay = replay.wait_for_replicas(count, u32::try_from(milliseconds).unwrap_or(u32::MAX));
        }
        let connector = Connector {
            place,
            follows: self.follows,
            accepts_plaintext: self.accepts_plaintext,
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
        };
        let store = Worker::start(replay, connector, self.clock, self.queue).await;
        match store.health() {
            Health { obstacle: Some(Obstacle::Fault(fault)), .. } if fault.is_configuration() => {
                Err(OpenError::Fault(fault))
            }
            Health { obstacle: Some(obstacle @ Obstacle::Certificate), .. } => {
                Err(OpenError::Certificates(obstacle.to_string()))
            }
            _ => Ok(store),
        }
    }
}

/// Shows no URL: it may hold a password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("replay", &self.replay).finish_non_exhaustive()
    }
}

/// Why a store was not opened, and what to change.
#[non_exhaustive]
pub enum OpenError {
    /// The URL is none of a Redis server.
    Url(String),
    /// Another machine would be talked to without TLS.
    Plaintext,
    /// A certificate or its key cannot be used, or the server's is not trusted.
    Certificates(String),
    /// There is no Tokio runtime here.
    NoRuntime,
    /// The namespace, `clocks_within` or the policy is out of bounds.
    Misuse(Misuse),
    /// The server is not one that can be used as it is configured.
    Fault(Fault),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => write!(
                f,
                "the URL of the Redis server cannot be used ({why}): write rediss://USER:PASSWORD@HOST:PORT, \
                 redis://127.0.0.1:PORT for one on this machine, or unix:///PATH for its socket"
            ),
            Self::Plaintext => f.write_str(
                "the Redis server is on another machine and the URL says redis://, without TLS: write rediss://, \
                 or set danger_plaintext where no one else can reach the network between them",
            ),
            Self::Certificates(why) => write!(f, "a certificate for the Redis server cannot be used: {why}"),
            Self::NoRuntime => {
                f.write_str("open the store within a Tokio runtime, such as #[tokio::main], that goes on running")
            }
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

keybound::debug_as_text!(OpenError);

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Misuse(misuse) => Some(misuse),
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}
