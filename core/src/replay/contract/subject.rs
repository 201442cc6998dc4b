//! One face for both kinds of stores, so that the rules are written once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::future::Future;

use crate::replay::{AsyncReplayStore, Inserted, ReplayEntry, ReplayStore, StoreEpoch};
use crate::time::UnixTime;

/// A store under examination. Its failures are text, for the report.
pub(super) trait Subject {
    fn insert(&self, entries: &[ReplayEntry], now: UnixTime) -> impl Future<Output = Result<Vec<Inserted>, String>>;
    fn epoch(&self) -> StoreEpoch;
}

/// A store that answers at once.
pub(super) struct AtOnce<S>(pub(super) S);

impl<S: ReplayStore> Subject for AtOnce<S>
where
    S::Error: Debug,
{
    async fn insert(&self, entries: &[ReplayEntry], now: UnixTime) -> Result<Vec<Inserted>, String> {
        let answers = entries.iter().map(|entry| self.0.insert(entry, now)).collect::<Result<_, _>>();
        answers.map_err(|error| format!("{error:?}"))
    }

    fn epoch(&self) -> StoreEpoch {
        self.0.epoch()
    }
}

/// A store that must be waited for.
pub(super) struct Waiting<S>(pub(super) S);

impl<S: AsyncReplayStore> Subject for Waiting<S>
where
    S::Error: Debug,
{
    async fn insert(&self, entries: &[ReplayEntry], now: UnixTime) -> Result<Vec<Inserted>, String> {
        self.0.insert(entries, now).await.map_err(|error| format!("{error:?}"))
    }

    fn epoch(&self) -> StoreEpoch {
        self.0.epoch()
    }
}
