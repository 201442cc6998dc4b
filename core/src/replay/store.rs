//! What a replay store must do, for stores that answer at once and for stores behind a network.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use super::entry::{ReplayEntry, StoreEpoch};
use super::floor::StoreFloor;
use super::insertion::Inserted;
#[cfg(doc)]
use super::insertion::Insertion;
use super::key::ReplayAgreement;
use crate::time::UnixTime;

/// A future on the heap that any executor can run on any thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store that answers at once.
///
/// RFC 9449 section 11.1: "servers can store, in the context of the target URI, the `jti` value of each DPoP
/// proof for the time window in which the respective DPoP proof JWT would be accepted". What a store must
/// hold to is written at [`Insertion`], answer by answer, and checked by
/// [`contract::check_store`](super::contract::check_store).
pub trait ReplayStore {
    /// How the store itself can fail. The request is then refused with status 503.
    type Error;

    /// Inserts `entry` if it is absent, in one atomic step, and says whether it was, and in which of the store's lives.
    ///
    /// # Errors
    /// The store's own error. Callers treat it as [`Insertion::Unavailable`].
    ///
    /// # Security
    /// Looking first and writing later lets two requests with one proof both find nothing. A store that
    /// forgets entries must keep a floor, the instant before which it cannot vouch, and answer
    /// [`Insertion::BeforeFloor`] to entries timed at or before floor + `max_ahead` whose nonce does not hold
    /// the present [`epoch`](Self::epoch).
    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, Self::Error>;

    /// The store's life as far as it is known, for the nonces that vouch for it: that of the last answer, and before the first
    /// one a random one, for which no nonce vouches.
    fn epoch(&self) -> StoreEpoch;

    /// What the verifiers of this store have to agree on, where it is made for some: a server with another policy is then refused when it is
    /// built, and not with each request.
    fn agreement(&self) -> Option<ReplayAgreement> {
        None
    }

    /// Since when the store remembers, where it can say so without asking: explanations tell by it that the store would refuse a proof
    /// ([`Verifier::explain_with_floor`](crate::Verifier::explain_with_floor)).
    fn floor(&self) -> Option<StoreFloor> {
        None
    }
}

impl<S: ReplayStore + ?Sized> ReplayStore for &S {
    type Error = S::Error;

    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, Self::Error> {
        (**self).insert(entry, now)
    }

    fn epoch(&self) -> StoreEpoch {
        (**self).epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        (**self).agreement()
    }

    fn floor(&self) -> Option<StoreFloor> {
        (**self).floor()
    }
}

impl<S: ReplayStore + ?Sized> ReplayStore for Arc<S> {
    type Error = S::Error;

    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, Self::Error> {
        (**self).insert(entry, now)
    }

    fn epoch(&self) -> StoreEpoch {
        (**self).epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        (**self).agreement()
    }

    fn floor(&self) -> Option<StoreFloor> {
        (**self).floor()
    }
}

/// A store that must be waited for, typically behind a network.
///
/// The same contract as [`ReplayStore`], in batches. It names no executor.
pub trait AsyncReplayStore: Send + Sync {
    /// How the store itself can fail. The requests are then refused with status 503.
    type Error: Send;

    /// Inserts each of `entries` that is absent, each in one atomic step, and answers for each, in order.
    ///
    /// If an entry occurs twice in one batch, the first may be fresh and the second is
    /// [`Insertion::Seen`]. A caller that receives another number of answers than it gave entries must refuse
    /// all of them.
    ///
    /// # Errors
    /// The store's own error. Callers treat it as [`Insertion::Unavailable`] for every entry, although some of
    /// them may have been inserted: those proofs are burnt, which is safe.
    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>>;

    /// The store's life as far as it is known, for the nonces that vouch for it: that of the last answer, and before the first
    /// one a random one, for which no nonce vouches. It asks nothing over the network.
    fn epoch(&self) -> StoreEpoch;

    /// What the verifiers of this store have to agree on, where it is made for some: a server with another policy is then refused when it is
    /// built, and not with each request.
    fn agreement(&self) -> Option<ReplayAgreement> {
        None
    }

    /// Since when the store remembers, where it can say so without asking: explanations tell by it that the store would refuse a proof
    /// ([`Verifier::explain_with_floor`](crate::Verifier::explain_with_floor)).
    fn floor(&self) -> Option<StoreFloor> {
        None
    }
}

impl<S: AsyncReplayStore + ?Sized> AsyncReplayStore for Arc<S> {
    type Error = S::Error;

    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>> {
        (**self).insert(entries, now)
    }

    fn epoch(&self) -> StoreEpoch {
        (**self).epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        (**self).agreement()
    }

    fn floor(&self) -> Option<StoreFloor> {
        (**self).floor()
    }
}

/// Lets a [`ReplayStore`] serve where an [`AsyncReplayStore`] is asked for. Its futures are ready at once.
#[derive(Clone, Copy, Debug)]
pub struct Immediate<S>(S);

impl<S> Immediate<S> {
    /// Wraps `store`.
    pub const fn new(store: S) -> Self {
        Self(store)
    }

    /// The store inside.
    pub const fn store(&self) -> &S {
        &self.0
    }
}

impl<S> AsyncReplayStore for Immediate<S>
where
    S: ReplayStore + Send + Sync,
    S::Error: Send,
{
    type Error = S::Error;

    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        now: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>> {
        Box::pin(async move { entries.iter().map(|entry| self.0.insert(entry, now)).collect() })
    }

    fn epoch(&self) -> StoreEpoch {
        self.0.epoch()
    }

    fn agreement(&self) -> Option<ReplayAgreement> {
        self.0.agreement()
    }

    fn floor(&self) -> Option<StoreFloor> {
        self.0.floor()
    }
}
