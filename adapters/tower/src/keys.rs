//! The keys of issuers: given, or fetched when they are needed and kept for a while.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keybound::UnixTime;
use keybound::replay::BoxFuture;
use keybound::server::JwkSet;
use keybound::server::resource::AwaitingKeys;
use tokio::sync::{Semaphore, watch};

use crate::HostError;

/// Where the present keys of one issuer come from.
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the set. It is asked for when it is needed, by one request at a time; a fetch that takes longer than ten
    /// seconds has failed.
    fn fetch(&self) -> BoxFuture<'_, Result<JwkSet, HostError>>;
}

/// How old keys may be before they are fetched again, in seconds.
const MAX_AGE: u64 = 600;
/// How old keys may be if they cannot be fetched again, in seconds: a day.
const MAX_STALE: u64 = 86_400;
/// The shortest time between two fetches, in seconds: anyone can name a key that nobody has.
const MIN_INTERVAL: u64 = 10;
/// How many requests wait for a fetch. More are refused with 503.
const MAX_WAITING: usize = 1024;
/// The longest that a fetch may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The keys of one issuer.
pub(crate) enum IssuerKeys {
    Given(Arc<JwkSet>),
    Fetched(Arc<Cache>),
}

pub(crate) struct Cache {
    source: Box<dyn KeySource>,
    held: RwLock<Held>,
    /// The fetch under way, which ends with its sender: one for all requests, so that broken-off ones leave nothing behind.
    underway: Mutex<Option<watch::Receiver<()>>>,
    waiting: Semaphore,
}

#[derive(Clone, Default)]
struct Held {
    keys: Option<(Arc<JwkSet>, UnixTime)>,
    tried_at: Option<UnixTime>,
}

impl IssuerKeys {
    pub(crate) fn fetched(source: impl KeySource) -> Self {
        let (held, underway, waiting) = (RwLock::default(), Mutex::default(), Semaphore::new(MAX_WAITING));
        let cache = Cache { source: Box::new(source), held, underway, waiting };
        Self::Fetched(Arc::new(cache))
    }

    /// The keys to judge a token with; none if they cannot be had.
    pub(crate) async fn answer(&self, needs: &AwaitingKeys, now: UnixTime) -> Option<Arc<JwkSet>> {
        let cache = match self {
            Self::Given(keys) => return Some(Arc::clone(keys)),
            Self::Fetched(cache) => cache,
        };
        if let Some(keys) = cache.held().enough(needs, now) {
            return Some(keys);
        }
        let _seat = cache.waiting.try_acquire().ok()?;
        // The fetch goes on if this request is given up, or else its client could keep it from ever ending. Its end is its sender's.
        if let Some(mut fetch) = cache.fetch(now) {
            drop(fetch.changed().await);
        }
        cache.held().at_all(now)
    }
}

impl Held {
    /// The keys, if they are fresh and have the one that is needed, or if nothing newer can be had yet.
    fn enough(&self, needs: &AwaitingKeys, now: UnixTime) -> Option<Arc<JwkSet>> {
        let (keys, fetched_at) = self.keys.as_ref()?;
        let is_good = now.since(*fetched_at) < MAX_AGE && needs.is_answered_by(keys);
        if is_good || !self.may_fetch(now) { self.at_all(now) } else { None }
    }

    /// The keys, however old, within reason.
    fn at_all(&self, now: UnixTime) -> Option<Arc<JwkSet>> {
        let (keys, fetched_at) = self.keys.as_ref()?;
        (now.since(*fetched_at) < MAX_STALE).then(|| Arc::clone(keys))
    }

    fn may_fetch(&self, now: UnixTime) -> bool {
        self.tried_at.is_none_or(|tried_at| now.since(tried_at) >= MIN_INTERVAL)
    }
}

impl Cache {
    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The fetch that is under way, begun if there is none; nothing if the last one was a moment ago.
    fn fetch(self: &Arc<Self>, now: UnixTime) -> Option<watch::Receiver<()>> {
        let mut underway = self.underway.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetch) = underway.as_ref().filter(|fetch| fetch.has_changed().is_ok()) {
            return Some(fetch.clone());
        }
        if !self.held().may_fetch(now) {
            return None;
        }
        self.hold(|held| held.tried_at = Some(now));
        let (end, fetch) = watch::channel(());
        *underway = Some(fetch.clone());
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            cache.fetch_once(now).await;
            drop(end);
        });
        Some(fetch)
    }

    async fn fetch_once(&self, now: UnixTime) {
        match tokio::time::timeout(TIMEOUT, self.source.fetch()).await {
            Ok(Ok(keys)) => {
                tracing::debug!(target: "keybound", keys = keys.len(), "fetched the keys of an issuer");
                self.hold(|held| held.keys = Some((Arc::new(keys), now)));
            }
            Ok(Err(error)) => tracing::warn!(target: "keybound", %error, "the keys of an issuer cannot be fetched"),
            Err(_) => tracing::warn!(target: "keybound", "fetching the keys of an issuer took too long"),
        }
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given",
            Self::Fetched(_) => "Fetched",
        })
    }
}
