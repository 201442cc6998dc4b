//! The replay store behind a protection: in memory, or one of the host's.

use std::fmt;

use keybound::UnixTime;
use keybound::replay::memory::MemoryStore;
use keybound::replay::{AsyncReplayStore, BoxFuture, Insertion, ReplayEntry, ReplayStore, StoreEpoch};

pub(crate) enum Replay {
    Memory(Box<MemoryStore>),
    Custom(Box<dyn AnyStore>),
}

impl Replay {
    pub(crate) async fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Insertion {
        match self {
            Self::Memory(store) => {
                let Ok(insertion) = store.insert(entry, now);
                insertion
            }
            Self::Custom(store) => store.insert_one(entry, now).await,
        }
    }

    /// The present life of the store, which nonces vouch for.
    pub(crate) fn epoch(&self) -> StoreEpoch {
        match self {
            Self::Memory(store) => store.epoch(),
            Self::Custom(store) => store.epoch_now(),
        }
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Custom(_) => "Custom",
        })
    }
}

/// An asynchronous store whose error type is of no interest but for the log.
pub(crate) trait AnyStore: Send + Sync {
    fn insert_one<'a>(&'a self, entry: &'a ReplayEntry, now: UnixTime) -> BoxFuture<'a, Insertion>;
    fn epoch_now(&self) -> StoreEpoch;
}

impl<S> AnyStore for S
where
    S: AsyncReplayStore,
    S::Error: fmt::Display,
{
    fn insert_one<'a>(&'a self, entry: &'a ReplayEntry, now: UnixTime) -> BoxFuture<'a, Insertion> {
        Box::pin(async move {
            match self.insert(std::slice::from_ref(entry), now).await.as_deref() {
                Ok([insertion]) => *insertion,
                Ok(answers) => {
                    tracing::error!(target: "keybound", answers = answers.len(), "the replay store answered one question with this many answers");
                    Insertion::Unavailable
                }
                Err(error) => {
                    tracing::error!(target: "keybound", %error, "the replay store failed");
                    Insertion::Unavailable
                }
            }
        })
    }

    fn epoch_now(&self) -> StoreEpoch {
        self.epoch()
    }
}
