//! The store: what requests ask of its task.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keybound::replay::redis::{Fault, MAX_BATCH, RedisReplay};
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, ReplayAgreement, ReplayEntry, StoreEpoch};
use keybound::{Policy, UnixTime};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::builder::Builder;
use crate::health::{Health, Noted};

/// The name of the fault that more requests wait than may.
pub(crate) const QUEUE_FULL: &str = "queue_full";
/// The name of the fault that the store's task has ended, with the runtime that it was opened on.
pub(crate) const STOPPED: &str = "stopped";

/// A replay store in Redis or Valkey. Clones share it; when the last one is dropped, its task and its connection end.
///
/// It may be asked on other runtimes than the one it was opened on, whose task must go on running.
#[derive(Clone)]
pub struct RedisReplayStore {
    replay: RedisReplay,
    requests: mpsc::Sender<Request>,
    noted: Arc<Mutex<Noted>>,
    /// The runtime that the task runs on, whose timers say when a request has waited long enough.
    runtime: Handle,
    answer_timeout: Duration,
}

/// What one request asks.
pub(crate) struct Request {
    pub(crate) entries: Vec<ReplayEntry>,
    pub(crate) now: UnixTime,
    /// When it asked.
    pub(crate) asked: Instant,
    pub(crate) answer: oneshot::Sender<Vec<Inserted>>,
}

impl RedisReplayStore {
    /// A store in the server at `url` (`rediss://USER:PASSWORD@HOST:PORT`, `redis://` for one on this machine, `unix://` for its socket).
    ///
    /// The namespace is 1 to 32 characters of `a-z 0-9 . _ -`, one for each resource; all processes that serve it give the same one and
    /// the same `policy`.
    pub fn builder(url: &str, namespace: &str, policy: &Policy) -> Builder {
        Builder::new(url, namespace, policy)
    }

    pub(crate) const fn new(
        replay: RedisReplay,
        requests: mpsc::Sender<Request>,
        noted: Arc<Mutex<Noted>>,
        runtime: Handle,
        answer_timeout: Duration,
    ) -> Self {
        Self { replay, requests, noted, runtime, answer_timeout }
    }

    /// What is known of the store and its server. It asks nothing over the network.
    pub fn health(&self) -> Health {
        let status = self.replay.status();
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = self.requests.max_capacity();
        let waiting = capacity.saturating_sub(self.requests.capacity());
        // Without its task, nothing is sent any more.
        let life = status.life.filter(|_| noted.serves && !self.requests.is_closed());
        Health { life, obstacle: noted.obstacle.clone(), lives: status.lives, waiting, capacity }
    }

    /// Asks in batches, one after the other, so that of equal entries the first is the one that can be fresh.
    async fn ask(&self, entries: &[ReplayEntry], now: UnixTime) -> Vec<Inserted> {
        let mut answers = Vec::with_capacity(entries.len());
        for entries in entries.chunks(MAX_BATCH) {
            match self.ask_once(entries, now).await {
                Ok(answered) => answers.extend(answered),
                Err(fault) => answers.extend(unavailable(fault, self.epoch(), entries.len())),
            }
        }
        answers
    }

    /// Asks in one batch, or gives the name of what is in the way.
    async fn ask_once(&self, entries: &[ReplayEntry], now: UnixTime) -> Result<Vec<Inserted>, &'static str> {
        let answered = self.send(entries, now)?;
        // Also while it waits for others: no request waits longer than for an answer.
        let most = self.answer_timeout;
        match self.runtime.spawn(async move { timeout(most, answered).await }).await {
            Ok(Ok(Ok(answered))) if answered.len() == entries.len() => Ok(answered),
            Ok(Err(_)) => Err(Fault::Lost.name()),
            _ => Err(STOPPED),
        }
    }

    fn send(&self, entries: &[ReplayEntry], now: UnixTime) -> Result<oneshot::Receiver<Vec<Inserted>>, &'static str> {
        let (answer, answered) = oneshot::channel();
        let request = Request { entries: entries.to_vec(), now, asked: Instant::now(), answer };
        match self.requests.try_send(request) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => Err(QUEUE_FULL),
            Err(TrySendError::Closed(_)) => Err(STOPPED),
        }
    }
}

/// Nothing is decided, for the fault of this name: proofs that may have been stored are burnt, which is safe.
pub(crate) fn unavailable(fault: &'static str, epoch: StoreEpoch, count: usize) -> Vec<Inserted> {
    vec![Inserted::unavailable(fault, epoch); count]
}

impl AsyncReplayStore for RedisReplayStore {
    type Error = Infallible;

    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>> {
        Box::pin(async move { Ok(self.ask(entries, now).await) })
    }

    fn epoch(&self) -> StoreEpoch {
        self.replay.epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        Some(self.replay.agreement())
    }
}

impl fmt::Debug for RedisReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisReplayStore").field(&self.health()).finish()
    }
}
