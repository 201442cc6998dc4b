//! What processes that share a ring do, for hosts that block.
//!
//! ```
//! use keybound::UnixTime;
//! use keybound::key::ring::{KeyRing, KeyRingStore, RingKeys, Rotation, Shared, SharedError};
//!
//! /// What a thread does each quarter of an hour.
//! fn maintain<T: KeyRingStore, K: RingKeys>(
//!     shared: &Shared<T, K>,
//!     ring: &mut KeyRing<K::Key>,
//!     now: UnixTime,
//! ) -> Result<(), SharedError<T::Error, K::Error>> {
//!     if shared.rotate(ring, now)? == Rotation::Rotated {
//!         println!("new tokens are bound to {}", ring.active().0);
//!     }
//!     let purged = shared.purge(ring, |_key| false, now)?;
//!     println!("deleted {:?}", purged.deleted);
//!     Ok(())
//! }
//! ```

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::{AsyncShared, Blocking, KeyRing, KeyRingStore, Purged, RingKeys, Rotation, RotationPolicy, SharedError};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// A ring's store and its keys: what processes that share the ring do.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shared<T, K> {
    /// Where the record is.
    pub store: T,
    /// Where the keys are.
    pub keys: K,
}

type Error<T, K> = SharedError<<T as KeyRingStore>::Error, <K as RingKeys>::Error>;

impl<T: KeyRingStore, K: RingKeys> Shared<T, K> {
    /// Opens the ring that the store describes, or founds it if there is none; for each of the processes that share it. If two of them
    /// found it at once, one wins, and the other opens the winner's and deletes its own key.
    ///
    /// `policy` is in force from the next key on that this process makes; until then that of the record is.
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn open(&self, policy: RotationPolicy, now: UnixTime) -> Result<KeyRing<K::Key>, Error<T, K>> {
        done(self.lifted().open(policy, now))
    }

    /// Takes over what other processes have recorded, and looks again for keys that were [lost](KeyRing::lost).
    ///
    /// A process that does not [rotate](Self::rotate) does this at least once an hour: one that never looks takes a key for active
    /// that the others have retired or revoked.
    ///
    /// # Errors
    /// [`SharedError`]; nothing has changed then.
    pub fn follow(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<(), Error<T, K>> {
        done(self.lifted().follow(ring, now))
    }

    /// [Follows](Self::follow) the record, and rotates the ring if that is due then: of any number of processes which do this at any
    /// time, one makes the successor and the others take it over.
    ///
    /// Each process does this at least once an hour, and before it asks for new tokens if it likes: it reads the record each time.
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn rotate(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<Rotation, Error<T, K>> {
        done(self.lifted().rotate(ring, now))
    }

    /// The same whether it is due or not, for a policy that is to take effect at once. The key that was active goes on signing for
    /// its tokens. If another process has made a successor of the key that was active here, this is [`Rotation::Followed`].
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn rotate_now(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<Rotation, Error<T, K>> {
        done(self.lifted().rotate_now(ring, now))
    }

    /// Retires a key at once, after a compromise. The active one gets a successor in the same step. Other processes sign with it until
    /// they next follow or rotate.
    ///
    /// Tokens that are bound to it are for the authorization server to revoke: who has the key signs elsewhere.
    ///
    /// # Errors
    /// [`SharedError`]. The key is not known to be revoked then: try again.
    pub fn revoke(
        &self,
        ring: &mut KeyRing<K::Key>,
        thumbprint: &Thumbprint,
        now: UnixTime,
    ) -> Result<(), Error<T, K>> {
        done(self.lifted().revoke(ring, thumbprint, now))
    }

    /// Deletes keys that have retired, and keys that a crashed process made and did not record.
    ///
    /// A purge marks them in the record, which keeps every process from making one active. One that comes an hour
    /// later deletes those that are still marked and records that they are gone. Nothing that is less than an hour old is touched, nothing that is
    /// `in_use`, and of keys that the record does not name only those that the host [lists](RingKeys::list).
    ///
    /// `in_use` says whether a stored session, or a refresh token wherever it is kept, is bound to the key. A host that does not know says
    /// `true`.
    ///
    /// # Errors
    /// [`SharedError`]. What had been deleted is recorded, as far as the store is in reach, or deleted once more by the next purge.
    pub fn purge(
        &self,
        ring: &mut KeyRing<K::Key>,
        in_use: impl Fn(&Thumbprint) -> bool,
        now: UnixTime,
    ) -> Result<Purged, Error<T, K>> {
        done(self.lifted().purge(ring, in_use, now))
    }

    /// Repairs a record that a clock far ahead has written: no time in it is after `now` any more, and earlier keys retire no later than
    /// if they had been superseded now. For an operator who knows that this process's clock is right, and has set right the other one.
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn set_back(&self, policy: RotationPolicy, now: UnixTime) -> Result<(), Error<T, K>> {
        done(self.lifted().set_back(policy, now))
    }

    /// Opens a ring whose active key is gone for good, by making a successor of it: an HSM was wiped. For an operator, after
    /// [`SharedError::ActiveKeyLost`]. If the key is there after all, this is [`open`](Self::open).
    ///
    /// # Errors
    /// [`SharedError`].
    pub fn replace_lost(&self, policy: RotationPolicy, now: UnixTime) -> Result<KeyRing<K::Key>, Error<T, K>> {
        done(self.lifted().replace_lost(policy, now))
    }

    const fn lifted(&self) -> AsyncShared<Blocking<&T>, Blocking<&K>> {
        AsyncShared { store: Blocking(&self.store), keys: Blocking(&self.keys) }
    }
}

/// The outcome of what waits for nothing: all its futures are [`Blocking`]'s.
fn done<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
}
