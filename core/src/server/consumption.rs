//! Where the proofs of a server are used up.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::fmt;

use crate::Misuse;
use crate::flow::Io;
use crate::guard::{Watch, Watched};
use crate::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, ReplayStore, StoreEpoch};
use crate::verify::pending::{PendingProof, SettleError, VerifiedProof};

/// A store that answers at once and cannot fail, such as a [`MemoryStore`](crate::replay::memory::MemoryStore).
pub type LocalStore = dyn ReplayStore<Error = Infallible> + Send + Sync;

/// Where a server's proofs are used up, so that each is good for one request.
#[derive(Clone)]
pub struct Consumption {
    place: Place,
    /// That of the store, where it is known.
    agreement: Option<ReplayAgreement>,
}

#[derive(Clone)]
enum Place {
    Local(Arc<LocalStore>),
    Host,
    Nowhere,
}

impl Consumption {
    /// In a store of this process: no step is needed.
    pub fn local(store: Arc<LocalStore>) -> Self {
        Self { agreement: store.agreement(), place: Place::Local(store) }
    }

    /// In a store of the host's, by [`Insert`](crate::flow::step::Insert) steps.
    pub const fn by_host() -> Self {
        Self { place: Place::Host, agreement: None }
    }

    /// The same where the host's store has this [agreement](crate::replay::AsyncReplayStore::agreement): a server whose verifier has
    /// another policy is not made.
    #[must_use]
    pub fn agreeing_on(self, agreement: Option<ReplayAgreement>) -> Self {
        Self { agreement, ..self }
    }

    /// Nowhere.
    ///
    /// # Security
    /// Anyone who sees a request can repeat it until its proof is too old.
    pub const fn danger_nowhere() -> Self {
        Self { place: Place::Nowhere, agreement: None }
    }

    /// Checks that a verifier with this agreement can use the store.
    pub(super) fn check_agreement(&self, verifier: ReplayAgreement) -> Result<(), Misuse> {
        verifier.check_store(self.agreement)
    }

    /// The store's life: what a store of this process says, else what is known of the host's.
    pub(super) fn epoch(&self, known: StoreEpoch) -> StoreEpoch {
        match &self.place {
            Place::Local(store) => store.epoch(),
            Place::Host | Place::Nowhere => known,
        }
    }

    /// Uses a proof up, or says why not and in which life of the store.
    pub(super) async fn settle(
        &self,
        io: &Io,
        proof: PendingProof,
        watch: &Watch,
        at: Watched,
    ) -> Result<VerifiedProof, (SettleError, StoreEpoch)> {
        match self.insert(io, *proof.replay_entry(), watch, at).await {
            Some(inserted) => proof.settle(inserted, io.now()).map_err(|error| (error, inserted.epoch)),
            None => Ok(proof.danger_skip_replay_check()),
        }
    }

    /// Inserts an entry; none if proofs are used up nowhere. A store of the host's that is left alone by the breaker is not asked.
    pub(super) async fn insert(&self, io: &Io, entry: ReplayEntry, watch: &Watch, at: Watched) -> Option<Inserted> {
        match &self.place {
            Place::Local(store) => {
                let Ok(inserted) = store.insert(&entry, io.now());
                Some(inserted)
            }
            // A driver that answers something else has not asked its store.
            Place::Host => {
                let unknown = Inserted::new(Insertion::Unavailable, StoreEpoch::from_u64(0));
                let ask = async { io.insert(entry).await.unwrap_or(unknown) };
                Some(watch.ask(at, ask).await.unwrap_or(unknown))
            }
            Place::Nowhere => None,
        }
    }
}

impl fmt::Debug for Consumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.place {
            Place::Local(_) => "Local",
            Place::Host => "Host",
            Place::Nowhere => "Nowhere",
        })
    }
}
