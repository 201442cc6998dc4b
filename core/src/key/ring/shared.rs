//! What processes that share a ring do: each step is taken by comparing and setting the record. Written once, for asynchronous
//! hosts; [`Shared`](super::Shared) is the same for others.
//!
//! ```
//! use keybound::UnixTime;
//! use keybound::key::ring::{AsyncRingKeys, AsyncKeyRingStore, AsyncShared, KeyRing, Rotation, SharedError};
//!
//! /// What a task does each quarter of an hour.
//! async fn maintain<T: AsyncKeyRingStore, K: AsyncRingKeys>(
//!     shared: &AsyncShared<T, K>,
//!     ring: &mut KeyRing<K::Key>,
//!     now: UnixTime,
//! ) -> Result<(), SharedError<T::Error, K::Error>> {
//!     if shared.rotate(ring, now).await? == Rotation::Rotated {
//!         println!("new tokens are bound to {}", ring.active().0);
//!     }
//!     let purged = shared.purge(ring, |_key| false, now).await?;
//!     println!("deleted {:?}", purged.deleted);
//!     Ok(())
//! }
//! ```

use alloc::vec::Vec;

use super::record::Unannounced;
use super::{AsyncKeyRingStore, AsyncRingKeys, KeyRing, KeyRingRecord, RingKey, RotationPolicy, SharedError, Swap};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// How often a step is tried again because another process changed the record meanwhile.
const TURNS: u32 = 16;

/// A ring's store and its keys, where they are asynchronous: what processes that share the ring do. A store or keys that block are
/// wrapped in [`Blocking`](super::Blocking).
///
/// A call that is dropped before it has ended leaves the ring as after its last step; the next call goes on from there.
#[derive(Clone, Copy, Default, Debug)]
pub struct AsyncShared<T, K> {
    /// Where the record is.
    pub store: T,
    /// Where the keys are.
    pub keys: K,
}

/// What came of [`Shared::rotate`](super::Shared::rotate).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// It is not time yet.
    NotDue,
    /// Another process has recorded a key that is to be the next one and cannot be found yet. If it has crashed, another key is
    /// made an hour after that.
    Underway,
    /// The key that this process made is the active one.
    Rotated,
    /// Another process made the key that is now active here too. One that this process made in vain has been deleted.
    Followed,
}

/// What came of [`Shared::purge`](super::Shared::purge).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Purged {
    /// Keys that were deleted.
    pub deleted: Vec<Thumbprint>,
    /// Keys that this purge marked for deletion. One an hour later deletes them.
    pub marked: Vec<Thumbprint>,
}

/// Why a process makes a successor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Due,
    Wanted,
    /// The active key retires at once.
    Revoked,
}

type Error<T, K> = SharedError<<T as AsyncKeyRingStore>::Error, <K as AsyncRingKeys>::Error>;

impl<T: AsyncKeyRingStore, K: AsyncRingKeys> AsyncShared<T, K> {
    /// As [`Shared::open`](super::Shared::open).
    ///
    /// # Errors
    /// As there.
    pub async fn open(&self, policy: RotationPolicy, now: UnixTime) -> Result<KeyRing<K::Key>, Error<T, K>> {
        let mut made = None;
        let mut record = self.load().await?;
        if record.is_none() {
            let key = made.insert(self.create().await?);
            self.keys.keep(key).await.map_err(SharedError::Keys)?;
            let first = KeyRingRecord::new(policy, key.thumbprint, now);
            self.store.compare_and_set(None, &first).await.map_err(SharedError::Store)?;
            record = self.load().await?;
        }
        let record = record.ok_or(SharedError::RecordMissing)?.under(&policy);
        self.check_times(&record, now).await?;
        let active = record.active().thumbprint;
        let key = match made.take_if(|key| key.thumbprint == active) {
            Some(made) => made.key,
            None => self.find(&active).await?.ok_or(SharedError::ActiveKeyLost(active))?,
        };
        let mut ring = KeyRing::of(policy, record, key);
        self.find_missing(&mut ring, now).await?;
        self.discard(&ring, made).await?;
        Ok(ring)
    }

    /// As [`Shared::follow`](super::Shared::follow).
    ///
    /// # Errors
    /// As there.
    pub async fn follow(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<(), Error<T, K>> {
        let record = self.load().await?.ok_or(SharedError::RecordMissing)?.under(&ring.policy);
        self.check_times(&record, now).await?;
        ring.accepts(&record)?;
        let mut found = Vec::new();
        for thumbprint in ring.wanted(&record, now) {
            match self.find(&thumbprint).await? {
                Some(key) => found.push(RingKey { thumbprint, key }),
                None if thumbprint == record.active().thumbprint => return Err(SharedError::ActiveKeyLost(thumbprint)),
                None => {}
            }
        }
        ring.take_over(record, found);
        Ok(())
    }

    /// As [`Shared::rotate`](super::Shared::rotate).
    ///
    /// # Errors
    /// As there.
    pub async fn rotate(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<Rotation, Error<T, K>> {
        self.succeed(ring, now, Why::Due).await
    }

    /// As [`Shared::rotate_now`](super::Shared::rotate_now).
    ///
    /// # Errors
    /// As there.
    pub async fn rotate_now(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<Rotation, Error<T, K>> {
        self.succeed(ring, now, Why::Wanted).await
    }

    /// As [`Shared::revoke`](super::Shared::revoke).
    ///
    /// # Errors
    /// As there.
    pub async fn revoke(
        &self,
        ring: &mut KeyRing<K::Key>,
        thumbprint: &Thumbprint,
        now: UnixTime,
    ) -> Result<(), Error<T, K>> {
        for _ in 0..TURNS {
            self.follow(ring, now).await?;
            if ring.active().0 == *thumbprint {
                self.succeed(ring, now, Why::Revoked).await?;
                continue;
            }
            if !ring.record.names(thumbprint) {
                return Err(SharedError::Unknown(*thumbprint));
            }
            let Some(next) = ring.record.revoked(thumbprint, now) else { return Ok(()) };
            if self.swap(ring, next).await? {
                return Ok(());
            }
        }
        Err(SharedError::Contended)
    }

    /// As [`Shared::purge`](super::Shared::purge).
    ///
    /// # Errors
    /// As there.
    pub async fn purge(
        &self,
        ring: &mut KeyRing<K::Key>,
        in_use: impl Fn(&Thumbprint) -> bool,
        now: UnixTime,
    ) -> Result<Purged, Error<T, K>> {
        // Listed before the record is read: a key that is recorded in between is not taken for an orphan.
        let kept = self.keys.list().await.map_err(SharedError::Keys)?;
        let mut purged = Purged::default();
        let mut turns = 0..TURNS;
        loop {
            turns.next().ok_or(SharedError::Contended)?;
            self.follow(ring, now).await?;
            let Some(next) = ring.record.marked(&kept, &in_use, now) else { break };
            let new = next.keys().filter(|key| key.marked_at.is_some() && !ring.record.is_marked(&key.thumbprint));
            purged.marked = new.map(|key| key.thumbprint).collect();
            if self.swap(ring, next).await? {
                break;
            }
            purged.marked.clear();
        }
        let mut failed = Ok(());
        for thumbprint in ring.record.deletable(&in_use, now) {
            failed = self.keys.delete(&thumbprint).await.map_err(SharedError::Keys);
            if failed.is_err() {
                break;
            }
            purged.deleted.push(thumbprint);
        }
        while let Some(next) = ring.record.without(&purged.deleted) {
            if !self.swap(ring, next).await? {
                turns.next().ok_or(SharedError::Contended)?;
                self.follow(ring, now).await?;
            }
        }
        failed.map(|()| purged)
    }

    /// As [`Shared::set_back`](super::Shared::set_back).
    ///
    /// # Errors
    /// As there.
    pub async fn set_back(&self, policy: RotationPolicy, now: UnixTime) -> Result<(), Error<T, K>> {
        for _ in 0..TURNS {
            let record = self.load().await?.ok_or(SharedError::RecordMissing)?.under(&policy);
            let Some(next) = record.set_back(now) else { return Ok(()) };
            if self.compare_and_set(record.version(), &next).await? {
                return Ok(());
            }
        }
        Err(SharedError::Contended)
    }

    /// As [`Shared::replace_lost`](super::Shared::replace_lost).
    ///
    /// # Errors
    /// As there.
    pub async fn replace_lost(&self, policy: RotationPolicy, now: UnixTime) -> Result<KeyRing<K::Key>, Error<T, K>> {
        let mut made: Option<RingKey<K::Key>> = None;
        for _ in 0..TURNS {
            let record = self.load().await?.ok_or(SharedError::RecordMissing)?.under(&policy);
            self.check_times(&record, now).await?;
            if self.find(&record.active().thumbprint).await?.is_some() {
                let ring = self.open(policy, now).await?;
                self.discard(&ring, made).await?;
                return Ok(ring);
            }
            let pending = match record.pending() {
                Some((pending, _)) => self.find(&pending).await?,
                None => None,
            };
            if let Some(next) = pending.and_then(|_| record.activated(policy, now, false)) {
                self.compare_and_set(record.version(), &next).await?;
                continue;
            }
            // A key of this process that is recorded and not there was given up by another one.
            made.take_if(|key| record.names(&key.thumbprint));
            let key = match made.take() {
                Some(key) => made.insert(key),
                None => made.insert(self.create().await?),
            };
            let next = announced(&record, key.thumbprint, now)?;
            if self.compare_and_set(record.version(), &next).await? {
                self.keys.keep(key).await.map_err(SharedError::Keys)?;
            }
        }
        Err(SharedError::Contended)
    }

    /// Makes a successor of the active key, or finds that another process has.
    async fn succeed(&self, ring: &mut KeyRing<K::Key>, now: UnixTime, why: Why) -> Result<Rotation, Error<T, K>> {
        let mut made = None;
        let outcome = self.take_turns(ring, now, why, &mut made).await?;
        // Only here is the record at hand that followed what this process last wrote. After an error a purge finds the key.
        self.discard(ring, made).await?;
        Ok(outcome)
    }

    async fn take_turns(
        &self,
        ring: &mut KeyRing<K::Key>,
        now: UnixTime,
        why: Why,
        made: &mut Option<RingKey<K::Key>>,
    ) -> Result<Rotation, Error<T, K>> {
        let before = ring.active().0;
        for _ in 0..TURNS {
            self.follow(ring, now).await?;
            let active = ring.active().0;
            if active != before {
                let mine = made.take_if(|key| key.thumbprint == active).is_some();
                return Ok(if mine { Rotation::Rotated } else { Rotation::Followed });
            }
            let pending = ring.record.pending();
            // Another process gave up the key that this one had recorded.
            made.take_if(|key| {
                ring.record.names(&key.thumbprint) && pending.is_none_or(|pending| pending.0 != key.thumbprint)
            });
            if let Some((thumbprint, at)) = pending {
                let mine = made.take_if(|key| key.thumbprint == thumbprint);
                let outcome = if mine.is_some() { Rotation::Rotated } else { Rotation::Followed };
                let key = match mine {
                    Some(mine) => Some(mine.key),
                    None => self.find(&thumbprint).await?,
                };
                if let Some(key) = key {
                    let next = ring.record.activated(ring.policy, now, why == Why::Revoked);
                    let next = next.ok_or(SharedError::RecordForeign)?;
                    if self.compare_and_set(ring.version(), &next).await? {
                        ring.take_over(next, Vec::from([RingKey { thumbprint, key }]));
                        return Ok(outcome);
                    }
                    if outcome == Rotation::Rotated {
                        *made = Some(RingKey { thumbprint, key });
                    }
                    continue;
                }
                if why != Why::Revoked && now.since(at) < KeyRingRecord::MIN_ORPHAN_AGE {
                    return Ok(Rotation::Underway);
                }
            } else if why == Why::Due && now < ring.next_due() {
                return Ok(Rotation::NotDue);
            }
            self.announce(ring, now, made).await?;
        }
        Err(SharedError::Contended)
    }

    /// Makes a key, unless there is one already, and records it as the next one.
    async fn announce(
        &self,
        ring: &mut KeyRing<K::Key>,
        now: UnixTime,
        made: &mut Option<RingKey<K::Key>>,
    ) -> Result<(), Error<T, K>> {
        if ring.record.is_full() {
            return Err(SharedError::Full { retired: ring.record.undeleted(now) });
        }
        let key = match made.take() {
            Some(key) => made.insert(key),
            None => made.insert(self.create().await?),
        };
        let next = announced(&ring.record, key.thumbprint, now)?;
        if self.swap(ring, next).await? {
            self.keys.keep(key).await.map_err(SharedError::Keys)?;
        }
        Ok(())
    }

    /// A clock that is far ahead must not have keys deleted: its marks are taken away.
    async fn check_times(&self, record: &KeyRingRecord, now: UnixTime) -> Result<(), Error<T, K>> {
        let Some((thumbprint, at)) = record.ahead(now) else { return Ok(()) };
        if let Some(next) = record.unmarked(now) {
            self.compare_and_set(record.version(), &next).await?;
        }
        Err(SharedError::RecordAhead { thumbprint, at, now })
    }

    /// Deletes a key that was made in vain. One that the record names is not touched.
    async fn discard(&self, ring: &KeyRing<K::Key>, made: Option<RingKey<K::Key>>) -> Result<(), Error<T, K>> {
        match made.filter(|key| !ring.record.names(&key.thumbprint)) {
            Some(key) => self.keys.delete(&key.thumbprint).await.map_err(SharedError::Keys),
            None => Ok(()),
        }
    }

    async fn find_missing(&self, ring: &mut KeyRing<K::Key>, now: UnixTime) -> Result<(), Error<T, K>> {
        for thumbprint in ring.lost(now) {
            ring.earlier.extend(self.find(&thumbprint).await?.map(|key| RingKey { thumbprint, key }));
        }
        Ok(())
    }

    /// Stores the next record, in which the same key is active, and takes it over; whether no other process was first.
    async fn swap(&self, ring: &mut KeyRing<K::Key>, next: KeyRingRecord) -> Result<bool, Error<T, K>> {
        let done = self.compare_and_set(ring.version(), &next).await?;
        if done {
            ring.take_over(next, Vec::new());
        }
        Ok(done)
    }

    async fn compare_and_set(&self, expected: u64, next: &KeyRingRecord) -> Result<bool, Error<T, K>> {
        let swap = self.store.compare_and_set(Some(expected), next).await.map_err(SharedError::Store)?;
        Ok(swap == Swap::Done)
    }

    async fn load(&self) -> Result<Option<KeyRingRecord>, Error<T, K>> {
        self.store.load().await.map_err(SharedError::Store)
    }

    async fn create(&self) -> Result<RingKey<K::Key>, Error<T, K>> {
        self.keys.create().await.map_err(SharedError::Keys)
    }

    async fn find(&self, thumbprint: &Thumbprint) -> Result<Option<K::Key>, Error<T, K>> {
        self.keys.find(thumbprint).await.map_err(SharedError::Keys)
    }
}

fn announced<E, K>(
    record: &KeyRingRecord,
    thumbprint: Thumbprint,
    now: UnixTime,
) -> Result<KeyRingRecord, SharedError<E, K>> {
    record.announced(thumbprint, now).map_err(|why| match why {
        Unannounced::Known => SharedError::KeyKnown(thumbprint),
        Unannounced::Full => SharedError::Full { retired: record.undeleted(now) },
    })
}
