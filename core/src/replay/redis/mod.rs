//! Replay protection in Redis and Valkey: what to send and what the replies mean. It opens no connection.
//!
//! [`RedisReplay`] is the store of a namespace as one verifier sees it. It hands out [`Exchange`]s: commands to send in one pipeline over
//! one connection. Their replies bring the next step. One proof costs one round trip, and a batch of up to [`MAX_BATCH`] no more.
//!
//! # Why an insert can be trusted
//!
//! `SET key 1 NX PX lifetime` alone accepts a proof twice once the server has forgotten it: after a restart, a failover, `FLUSHALL`. So each
//! server has a *life*, a key named after what the server calls its present run and its replication history, with an epoch that is never
//! written twice. Every pipeline reads all three *after* its inserts. If they are those that were known before, the inserts happened within
//! this life, whatever the client library pooled, reconnected or repeated. If not, the life is found or founded anew, and the proofs
//! are answered [`BeforeFloor`](crate::replay::Insertion::BeforeFloor).
//!
//! - An entry has the key `{kb1:NAMESPACE}` with the 16 bytes of its [`ReplayKey`](crate::replay::ReplayKey), and ends by itself. The life is at
//!   `{kb1:NAMESPACE}life:RUN_ID:REPLID`. All of it has one hash tag, so that it is on one node of a cluster.
//! - Clocks are compared with the server's at each batch: Redis keeps absolute times, and forgets early if its clock steps forward.
//! - Commands: `SET`, `GET`, `GETEX`, `INFO`, `WAIT`. Redis 6.2 or newer, Valkey 7.2 or newer.
//!
//! ```
//! # #[cfg(feature = "rustcrypto")] {
//! use keybound::replay::redis::{Next, RedisReplay, Reply};
//! use keybound::{Policy, RUSTCRYPTO, UnixTime};
//!
//! let redis = RedisReplay::for_policy("api", &Policy::default(), &RUSTCRYPTO)?;
//! let exchange = redis.open(UnixTime::now());
//! assert_eq!(exchange.commands()[0].arguments()[0], b"INFO");
//! // Send them, and give the replies; here the user may not run INFO.
//! let replies = vec![Reply::Error(b"NOPERM this user has no permissions to run the 'info' command".to_vec())];
//! let Next::Fault { fault, .. } = exchange.resume(replies, UnixTime::now()) else { panic!() };
//! assert_eq!(fault.name(), "forbidden");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod command;
mod drive;
mod fault;
mod info;
mod life;
mod open;
#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;

pub use command::{Command, Reply};
pub use drive::{ANSWER_MS, CONNECT_MS, HOPS, MAX_BATCH, OPENING_TURNS, QUEUE, REPLICAS_MS, UNDER_WAY, needs_tls};
pub use fault::Fault;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::batch::Inserting;
use self::info::Sections;
use self::life::OpenLife;
use self::open::{Claiming, Inspecting, Purpose};
use crate::crypto::{Crypto, SecureRandom};
use crate::misuse::Misuse;
use crate::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, StoreEpoch};
use crate::time::UnixTime;
use crate::verify::policy::Policy;

/// How far the clocks of verifiers are apart at most, in seconds, unless told otherwise.
const CLOCKS_WITHIN: u64 = 10;
/// After how many seconds a batch begins with a look at the server's configuration.
const CHECK_AFTER: u64 = 8;
/// After how many seconds a driver with a task of its own should look.
const CHECK_DUE: u64 = 5;

/// The replay store of one namespace, as one verifier sees it. Clones share their state.
#[derive(Clone)]
pub struct RedisReplay {
    settings: Arc<Settings>,
    known: Arc<Mutex<Known>>,
}

#[derive(Clone)]
struct Settings {
    /// `{kb1:NAMESPACE}`, with which every key begins.
    prefix: Vec<u8>,
    agreement: ReplayAgreement,
    store_margin: u64,
    clocks_within: u64,
    /// How many replicas must acknowledge a write, and for how many milliseconds each of two commands waits for them.
    quorum: Option<(u32, u32)>,
    accepts_split_brain: bool,
    ignores_server_clock: bool,
    random: &'static dyn SecureRandom,
}

/// What is known of the server.
struct Known {
    /// Of the last life; at first a random one.
    epoch: StoreEpoch,
    /// Epochs of nonces that made this verifier look whether another life has begun, the latest last.
    heard_of: [Option<StoreEpoch>; 4],
    life: Option<Arc<OpenLife>>,
    fault: Option<Fault>,
    /// When the server was last looked at, or last tried.
    looked_at: Option<UnixTime>,
    /// A life that must not count again, because the server may have evicted proofs in it.
    ended: Option<StoreEpoch>,
    /// By how many seconds the clock of the last life's founder was ahead of this one, and when that was seen.
    ahead: Option<(i64, UnixTime)>,
    lives: u64,
}

/// What is known of the server, for health checks and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The epoch and the floor of the present life; none while the server cannot be used.
    pub life: Option<(StoreEpoch, UnixTime)>,
    /// Why it cannot be used, or why it last could not.
    pub fault: Option<Fault>,
    /// How many lives were found so far.
    pub lives: u64,
}

impl RedisReplay {
    /// The store of `namespace`, for verifiers with this `policy`. Two resources have two namespaces.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`] if the namespace is not 1 to 32 characters of `a-z 0-9 . _ -`, or if the policy's `store_margin` is below 2
    /// seconds, which no two clocks keep; [`Misuse::Random`].
    pub fn for_policy(namespace: &str, policy: &Policy, crypto: &Crypto) -> Result<Self, Misuse> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !(1..=32).contains(&namespace.len()) || !namespace.bytes().all(fits) {
            return Err(Misuse::PolicyBound("`namespace` (1 to 32 characters of a-z 0-9 . _ -)"));
        }
        let margin = policy.store_margin();
        if margin < 2 {
            return Err(Misuse::PolicyBound("`store_margin` (at least 2 seconds with Redis)"));
        }
        let epoch = StoreEpoch::draw(crypto.random)?;
        let settings = Settings {
            prefix: format!("{{kb1:{namespace}}}").into_bytes(),
            agreement: policy.replay_agreement(crypto.digest),
            store_margin: margin,
            clocks_within: CLOCKS_WITHIN.min(margin.div_euclid(2)),
            quorum: None,
            accepts_split_brain: false,
            ignores_server_clock: false,
            random: crypto.random,
        };
        let known = Known {
            epoch,
            heard_of: [None; 4],
            life: None,
            fault: None,
            looked_at: None,
            ended: None,
            ahead: None,
            lives: 0,
        };
        Ok(Self { settings: Arc::new(settings), known: Arc::new(Mutex::new(known)) })
    }

    /// By how many seconds the clocks of two verifiers of this namespace may differ: 10 unless told otherwise, or half of a smaller
    /// `store_margin`. A verifier further apart accepts nothing.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`] unless it is at least 1 and at most half of the policy's `store_margin`.
    pub fn clocks_within(self, seconds: u64) -> Result<Self, Misuse> {
        if !(1..=self.settings.store_margin.div_euclid(2)).contains(&seconds) {
            return Err(Misuse::PolicyBound("`clocks_within` (1 second to half of `store_margin`)"));
        }
        Ok(self.with(|settings| settings.clocks_within = seconds))
    }

    /// Accepts a proof only once so many replicas have acknowledged it, each batch waiting `milliseconds` for them at most. Needed
    /// where the server has replicas: a majority of them.
    #[must_use]
    pub fn wait_for_replicas(self, count: u32, milliseconds: u32) -> Self {
        // There are two commands that wait. With 0 the server would wait for ever.
        self.with(|settings| settings.quorum = Some((count, milliseconds.div_euclid(2).max(1))))
    }

    /// Accepts a server with replicas without waiting for them.
    ///
    /// # Security
    /// After a failover, verifiers that still reach the old primary accept proofs that others accept at the new one.
    #[must_use]
    pub fn danger_accept_split_brain(self) -> Self {
        self.with(|settings| settings.accepts_split_brain = true)
    }

    /// Does not compare clocks with the server's: for tests with a made-up time.
    ///
    /// # Security
    /// If the server's clock steps forward, it forgets proofs that are still good.
    #[must_use]
    pub fn danger_ignore_server_clock(self) -> Self {
        self.with(|settings| settings.ignores_server_clock = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Finds the server's life or founds one. At the start, after a fault, and now and then while [`check_is_due`](Self::check_is_due).
    ///
    /// It ends with [`Next::Answers`] without answers, or with [`Next::Fault`].
    pub fn open(&self, now: UnixTime) -> Exchange {
        self.known().tried(now);
        self.inspect(Purpose::Open)
    }

    /// Inserts up to [`MAX_BATCH`] entries; the answers come in their order. More are answered
    /// [`Unavailable`](Insertion::Unavailable), all of them.
    ///
    /// While no life is open, everything is answered `Unavailable` at once, but once a second the batch begins with an attempt to open
    /// one: a driver without a task of its own needs nothing else.
    pub fn batch(&self, entries: &[ReplayEntry], now: UnixTime) -> Next {
        let mut known = self.known();
        let after = if known.life.is_some() { CHECK_AFTER } else { 1 };
        let is_due = known.is_due(after, now) || known.hears_of_another(entries);
        let fits = !entries.is_empty() && entries.len() <= MAX_BATCH;
        if is_due && fits {
            known.tried(now);
            drop(known);
            return Next::Exchange(self.inspect(Purpose::Batch(entries.to_vec())));
        }
        let life = known.life.clone().filter(|_| fits);
        drop(known);
        match life {
            Some(life) => self.insert(life, entries, now),
            None => Next::Answers(self.all(Insertion::Unavailable, entries.len())),
        }
    }

    /// Whether a verifier with the policy of this store made the entry. Any other is answered
    /// [`Unavailable`](Insertion::Unavailable) for ever, so a host had better say so.
    pub fn serves(&self, entry: &ReplayEntry) -> bool {
        entry.agreement() == self.settings.agreement
    }

    /// What the verifiers of this namespace agree on: that of the policy it was made for.
    pub fn agreement(&self) -> ReplayAgreement {
        self.settings.agreement
    }

    /// What every key of this namespace begins with, in ASCII. In a cluster, all of them are on the node that has this one.
    pub fn prefix(&self) -> &[u8] {
        &self.settings.prefix
    }

    /// The epoch of the present life, or of the last one, or a random one before the first.
    pub fn epoch(&self) -> StoreEpoch {
        self.known().epoch
    }

    /// What is known of the server.
    pub fn status(&self) -> Status {
        let known = self.known();
        let life = known.life.as_ref().map(|open| (open.life.epoch, open.life.floor));
        Status { life, fault: known.fault.clone(), lives: known.lives }
    }

    /// Whether a driver that has a task of its own should [open](Self::open), so that no batch has to begin with it: after a fault, and 5
    /// seconds after the last look.
    pub fn check_is_due(&self, now: UnixTime) -> bool {
        let known = self.known();
        known.life.is_none() || known.is_due(CHECK_DUE, now)
    }

    /// A look at the server. One that is not known is asked for everything at once.
    fn inspect(&self, purpose: Purpose) -> Exchange {
        let sections = self.known().life.as_ref().map_or(Sections::Together, |open| open.sections);
        Exchange::inspect(self.clone(), Inspecting { purpose, sections, tries: 0 })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self, insertion: Insertion, count: usize) -> Vec<Inserted> {
        alloc::vec![Inserted::new(insertion, self.epoch()); count]
    }

    /// One answer for each entry: what was settled, and `others` for the rest.
    fn answers(&self, settled: &[Option<Insertion>], others: Insertion) -> Vec<Inserted> {
        let epoch = self.epoch();
        settled.iter().map(|settled| Inserted::new(settled.unwrap_or(others), epoch)).collect()
    }

    fn draw_epoch(&self) -> Result<StoreEpoch, Fault> {
        StoreEpoch::draw(self.settings.random).map_err(|_| Fault::Unsteady)
    }

    /// The server cannot be used: nothing is answered but `Unavailable` until it has been opened anew. `life` is the one it was used in.
    fn close(&self, fault: Fault, life: Option<&OpenLife>) {
        let mut known = self.known();
        // Another exchange may have opened a new life meanwhile.
        let is_of_another = known.life.as_deref().is_some_and(|open| life.is_some_and(|life| life != open));
        if is_of_another {
            return;
        }
        if matches!(fault, Fault::Evicts { .. }) {
            known.ended = known.life.as_ref().map(|open| open.life.epoch).or(known.ended);
        }
        known.life = None;
        known.fault = Some(fault);
    }
}

impl Known {
    fn is_due(&self, after: u64, now: UnixTime) -> bool {
        // A clock that was set back makes it due.
        self.looked_at.is_none_or(|at| now < at || now.since(at) >= after)
    }

    /// Whether a proof has a nonce of a life that is not known: another verifier has noticed a loss. That is looked at first, once for each
    /// epoch, or else a client that was asked for such a nonce would be asked again here.
    fn hears_of_another(&mut self, entries: &[ReplayEntry]) -> bool {
        let is_known = |epoch: &StoreEpoch| *epoch == self.epoch || self.heard_of.contains(&Some(*epoch));
        let news = entries.iter().filter_map(ReplayEntry::nonce_epoch).find(|epoch| !is_known(epoch));
        let Some(epoch) = news.filter(|_| self.life.is_some()) else { return false };
        self.hear_of(epoch);
        true
    }

    fn hear_of(&mut self, epoch: StoreEpoch) {
        self.heard_of.rotate_left(1);
        if let Some(latest) = self.heard_of.last_mut() {
            *latest = Some(epoch);
        }
    }

    /// The server is about to be looked at. While it is in use that counts once there is an answer: a look that is given up is none.
    const fn tried(&mut self, now: UnixTime) {
        if self.life.is_none() {
            self.looked_at = Some(now);
        }
    }

    /// By how many seconds the clock of the last life's founder was ahead, if that was seen within the last `within` seconds.
    fn ahead(&self, now: UnixTime, within: u64) -> Option<i64> {
        self.ahead.filter(|(_, at)| now.since(*at) <= within).map(|(seconds, _)| seconds)
    }
}

/// Shows no entries.
impl fmt::Debug for RedisReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplay").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Commands to send, and what waits for their replies.
#[must_use = "send the commands, then resume"]
pub struct Exchange {
    redis: RedisReplay,
    commands: Vec<Command>,
    stage: Stage,
}

enum Stage {
    /// Looks at the server.
    Inspect(Inspecting),
    /// Finds or founds the life.
    Claim(Claiming),
    Insert(Inserting),
}

/// What comes after an exchange.
#[must_use]
pub enum Next {
    /// Send more.
    Exchange(Exchange),
    /// It is done; one answer for each entry, in order.
    Answers(Vec<Inserted>),
    /// It is done, and the server cannot be used: open anew, later. One answer for each entry, none of them
    /// [`Fresh`](Insertion::Fresh).
    Fault {
        /// Why.
        fault: Fault,
        /// As of [`Answers`](Self::Answers).
        answers: Vec<Inserted>,
    },
}

impl Exchange {
    /// What to send: all of it in one pipeline over one connection, in this order. It must not be repeated.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Takes the replies, one for each command, in their order.
    pub fn resume(self, replies: Vec<Reply>, now: UnixTime) -> Next {
        let Self { redis, commands, stage } = self;
        // A reply too few or too many may be that of another command.
        let replies = if replies.len() == commands.len() { replies } else { Vec::new() };
        match stage {
            Stage::Inspect(inspecting) => redis.inspected(&replies, inspecting, now),
            Stage::Claim(claiming) => redis.claimed(&replies, claiming, now),
            Stage::Insert(inserting) => redis.inserted(&replies, inserting, now),
        }
    }

    /// There are no replies: the time was up, or the connection broke. Whatever was inserted is burnt, which is safe.
    ///
    /// Open anew. The exchange must not be sent again.
    pub fn lost(self) -> Vec<Inserted> {
        let Self { redis, stage, .. } = self;
        match stage {
            Stage::Inspect(Inspecting { purpose, .. }) | Stage::Claim(Claiming { purpose, .. }) => {
                redis.close(Fault::Lost, None);
                redis.failed(purpose)
            }
            Stage::Insert(inserting) => {
                redis.close(Fault::Lost, Some(&inserting.life));
                redis.answers(&inserting.settled, Insertion::Unavailable)
            }
        }
    }

    fn inspect(redis: RedisReplay, inspecting: Inspecting) -> Self {
        Self { redis, commands: open::inspection(inspecting.sections), stage: Stage::Inspect(inspecting) }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("commands", &self.commands).finish_non_exhaustive()
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(exchange) => exchange.fmt(f),
            Self::Answers(answers) => f.debug_tuple("Answers").field(answers).finish(),
            Self::Fault { fault, answers } => {
                f.debug_struct("Fault").field("fault", fault).field("answers", answers).finish()
            }
        }
    }
}
