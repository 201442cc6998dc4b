//! The store: what requests ask of its task.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keybound::replay::redis::{MAX_BATCH, RedisReplay};
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, Insertion, ReplayAgreement, ReplayEntry, StoreEpoch};
use keybound::{Policy, UnixTime};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::builder::Builder;
use crate::health::{Health, Noted};

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
            let answered = match self.send(entries, now) {
                Some(answered) => {
                    // Also while it waits for others: no request waits longer than for an answer.
                    let most = self.answer_timeout;
                    let answered = self.runtime.spawn(async move { timeout(most, answered).await }).await;
                    answered.ok().and_then(Result::ok).and_then(Result::ok)
                }
                None => None,
            };
            match answered {
                Some(answered) if answered.len() == entries.len() => answers.extend(answered),
                // The queue is full, or the task has ended.
                _ => answers.extend(unavailable(self.epoch(), entries.len())),
            }
        }
        answers
    }

    fn send(&self, entries: &[ReplayEntry], now: UnixTime) -> Option<oneshot::Receiver<Vec<Inserted>>> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(Request { entries: entries.to_vec(), now, asked: Instant::now(), answer }).ok()?;
        Some(answered)
    }
}

/// Nothing is decided: proofs that may have been stored are burnt, which is safe.
pub(crate) fn unavailable(epoch: StoreEpoch, count: usize) -> Vec<Inserted> {
    vec![Inserted::new(Insertion::Unavailable, epoch); count]
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
