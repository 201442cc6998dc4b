//! One key ring for many processes: a record in a store that compares before it sets.
//!
//! ```
//! use keybound::key::ring::{KeyRingStore, RingKey, RotationPolicy, open_shared, rotate_shared};
//! use keybound::{Thumbprint, UnixTime};
//! # use keybound::key::ring::{KeyRingRecord, Swap};
//! # #[derive(Default)]
//! # struct Table(std::cell::RefCell<Option<KeyRingRecord>>);
//! # impl KeyRingStore for Table {
//! #     type Error = std::convert::Infallible;
//! #     fn load(&self) -> Result<Option<KeyRingRecord>, Self::Error> { Ok(self.0.borrow().clone()) }
//! #     fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Self::Error> {
//! #         let mut row = self.0.borrow_mut();
//! #         if row.as_ref().map(KeyRingRecord::version) != expected { return Ok(Swap::Conflict); }
//! #         *row = Some(new.clone());
//! #         Ok(Swap::Done)
//! #     }
//! # }
//! # let store = Table::default();
//! # let make = |number: u8| Ok(RingKey { thumbprint: Thumbprint::from_bytes([number; 32]), key: number });
//! # let find = |thumbprint: &Thumbprint| Some(thumbprint.as_bytes()[0]);
//! // Each process does this, whenever it likes.
//! let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400).expect("sensible");
//! let start = UnixTime::from_secs(1_700_000_000);
//! let mut ring = open_shared(policy, &store, start, || make(1), find).expect("opened").ring;
//! assert_eq!(*ring.active().1, 1);
//!
//! let a_month_later = start.saturating_add(30 * 86_400);
//! rotate_shared(&mut ring, &store, a_month_later, || make(2), find).expect("rotated");
//! assert_eq!(*ring.active().1, 2);
//! ```

use core::fmt;

use super::record::KeyRingRecord;
use super::{FollowError, KeyRing, RingKey, RotationPolicy};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// Where processes that share their keys keep the ring's record: a row of a database, a key in Redis, a file under
/// a lock.
///
/// *Security.* The record says which key signs and which keys are retired: who can write it can bring a retired
/// key back. It deserves the protection of the keys' own store.
pub trait KeyRingStore {
    /// The host's own error, passed through untouched.
    type Error;

    /// The record as last set; `None` if there never was one.
    ///
    /// It must see every [`compare_and_set`](Self::compare_and_set) that was done before: no replica that lags.
    ///
    /// # Errors
    /// The store's own.
    fn load(&self) -> Result<Option<KeyRingRecord>, Self::Error>;

    /// Stores `new` if the stored record has the version `expected` (`None`: if there is no record), in one
    /// atomic step.
    ///
    /// # Errors
    /// The store's own. It may then have been done or not; the caller loads to find out.
    fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Self::Error>;
}

/// What came of [`KeyRingStore::compare_and_set`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swap {
    /// The record is the new one.
    Done,
    /// The stored record was another one than expected, and still is.
    Conflict,
}

/// What came of [`open_shared`].
#[derive(Debug)]
pub struct Opened<S> {
    /// The ring, as the store describes it.
    pub ring: KeyRing<S>,
    /// A key that this process made in vain, because another one founded the ring meanwhile: delete it.
    pub unused: Option<RingKey<S>>,
}

/// What came of [`rotate_shared`].
#[derive(PartialEq, Eq)]
pub enum Rotation<S> {
    /// It is not time yet; the store was not asked.
    NotDue,
    /// The key that this process made is the active one.
    Rotated,
    /// Another process was first, and its key is now active here too. `unused` is the key that this process made
    /// in vain, if it came that far: delete it.
    Followed {
        /// The key to delete.
        unused: Option<RingKey<S>>,
    },
}

/// Why a shared ring was not opened or rotated. The ring is as it was before.
pub struct SharedError<S, E> {
    /// What went wrong.
    pub cause: SharedErrorCause<E>,
    /// The key that had been made by then. After [`SharedErrorCause::Host`] it may be the active one already:
    /// keep it until a loaded record shows that it is not in there.
    pub made: Option<RingKey<S>>,
}

/// What went wrong with a shared ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedErrorCause<E> {
    /// The store failed, or the key could not be made: the host's own error.
    Host(E),
    /// The store has no record although this ring came from one. It was emptied: restore it, or end all
    /// processes and begin anew.
    RecordMissing,
    /// The store's record does not descend from this ring's: it was set back to an earlier one, or is that of
    /// another ring.
    RecordForeign,
    /// The key that is active by the store's record is not to be had in this process.
    ActiveKeyLost(Thumbprint),
    /// The new key has the thumbprint of one that is or was in the ring. It must not be deleted.
    KeyKnown,
}

/// Opens the ring that `store` describes, or founds it if there is none; for each of the processes that share it.
///
/// `create` makes and keeps a key, `resolve` finds the key of a thumbprint where the host keeps its keys. If two
/// processes found the ring at once, one of them wins and the other opens the winner's.
///
/// # Errors
/// [`SharedError`]; never [`SharedErrorCause::RecordForeign`] or [`SharedErrorCause::KeyKnown`].
pub fn open_shared<S, T: KeyRingStore>(
    policy: RotationPolicy,
    store: &T,
    now: UnixTime,
    create: impl FnOnce() -> Result<RingKey<S>, T::Error>,
    mut resolve: impl FnMut(&Thumbprint) -> Option<S>,
) -> Result<Opened<S>, SharedError<S, T::Error>> {
    if let Some(record) = store.load().map_err(SharedError::host)? {
        let ring = KeyRing::restore(policy, record, resolve);
        return ring
            .map(|ring| Opened { ring, unused: None })
            .map_err(|lost| SharedErrorCause::ActiveKeyLost(lost.thumbprint).into());
    }
    let made = create().map_err(SharedError::host)?;
    let record = KeyRingRecord::new(made.thumbprint, now);
    let stored = match store.compare_and_set(None, &record) {
        Ok(Swap::Done) => Ok(Some(record)),
        Ok(Swap::Conflict) => store.load(),
        Err(error) => Err(error),
    };
    let record = match stored {
        Ok(Some(record)) => record,
        Ok(None) => return Err(SharedError { cause: SharedErrorCause::RecordMissing, made: Some(made) }),
        Err(error) => return Err(SharedError { cause: SharedErrorCause::Host(error), made: Some(made) }),
    };
    let mut offer = Some(made);
    match KeyRing::restore(policy, record, |wanted| take(&mut offer, wanted).or_else(|| resolve(wanted))) {
        Ok(ring) => Ok(Opened { ring, unused: offer }),
        Err(lost) => Err(SharedError { cause: SharedErrorCause::ActiveKeyLost(lost.thumbprint), made: offer }),
    }
}

/// Rotates the ring if that is due, so that of any number of processes which do this at any time, one makes the
/// successor and the others take it over.
///
/// Each process does this before it asks for new tokens, or now and then, but more often than
/// [`RotationPolicy::retire_after`]: one that never looks takes a key for active that the others have retired.
///
/// A host whose store is asynchronous does the same with its own calls:
/// 1. [`KeyRing::rotation_due`]; nothing to do if there is no ticket.
/// 2. Load the record. If its version is higher than the ring's, [`KeyRing::follow`] it; done.
/// 3. Make a key. [`KeyRing::propose`] gives the record with it.
/// 4. Compare-and-set that record against the ring's version.
/// 5. If done, [`KeyRing::follow`] the proposed record; on a conflict load, follow that, and delete the key made.
///
/// # Errors
/// [`SharedError`].
pub fn rotate_shared<S, T: KeyRingStore>(
    ring: &mut KeyRing<S>,
    store: &T,
    now: UnixTime,
    create: impl FnOnce() -> Result<RingKey<S>, T::Error>,
    mut resolve: impl FnMut(&Thumbprint) -> Option<S>,
) -> Result<Rotation<S>, SharedError<S, T::Error>> {
    let Some(ticket) = ring.rotation_due(now) else { return Ok(Rotation::NotDue) };
    match store.load().map_err(SharedError::host)? {
        None => return Err(SharedErrorCause::RecordMissing.into()),
        Some(record) if record == *ring.record() => {}
        Some(record) => {
            ring.follow(record, resolve).map_err(SharedErrorCause::from)?;
            return Ok(Rotation::Followed { unused: None });
        }
    }
    let made = create().map_err(SharedError::host)?;
    let proposed = match ring.propose(&ticket, made.thumbprint, now) {
        Ok(record) => record,
        Err(_) => return Err(SharedError { cause: SharedErrorCause::KeyKnown, made: Some(made) }),
    };
    let stored = match store.compare_and_set(Some(ticket.version()), &proposed) {
        Ok(Swap::Done) => Ok(Some(proposed)),
        // Perhaps this process's own record after all, if the store repeated a write whose answer got lost.
        Ok(Swap::Conflict) => store.load(),
        Err(error) => Err(error),
    };
    let record = match stored {
        Ok(Some(record)) => record,
        Ok(None) => return Err(SharedError { cause: SharedErrorCause::RecordMissing, made: Some(made) }),
        Err(error) => return Err(SharedError { cause: SharedErrorCause::Host(error), made: Some(made) }),
    };
    let mut offer = Some(made);
    match ring.follow(record, |wanted| take(&mut offer, wanted).or_else(|| resolve(wanted))) {
        Ok(()) if offer.is_none() => Ok(Rotation::Rotated),
        Ok(()) => Ok(Rotation::Followed { unused: offer }),
        Err(error) => Err(SharedError { cause: error.into(), made: offer }),
    }
}

/// The offered key, if it is the one that is wanted.
fn take<S>(offer: &mut Option<RingKey<S>>, wanted: &Thumbprint) -> Option<S> {
    offer.take_if(|offered| offered.thumbprint == *wanted).map(|offered| offered.key)
}

impl<S, E> SharedError<S, E> {
    fn host(error: E) -> Self {
        SharedErrorCause::Host(error).into()
    }
}

impl<S, E> From<SharedErrorCause<E>> for SharedError<S, E> {
    fn from(cause: SharedErrorCause<E>) -> Self {
        Self { cause, made: None }
    }
}

impl<E> From<FollowError> for SharedErrorCause<E> {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::NotNewer | FollowError::Foreign => Self::RecordForeign,
            FollowError::ActiveKeyLost(thumbprint) => Self::ActiveKeyLost(thumbprint),
        }
    }
}

impl<E: fmt::Display> fmt::Display for SharedErrorCause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::RecordMissing => f.write_str("the store has lost the key ring's record"),
            Self::RecordForeign => f.write_str("the stored record does not descend from this key ring"),
            Self::ActiveKeyLost(thumbprint) => write!(f, "the active key {thumbprint} is not to be had"),
            Self::KeyKnown => f.write_str("the new key is or was in the ring already"),
        }
    }
}

impl<S, E: fmt::Display> fmt::Display for SharedError<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<S, E: fmt::Debug> fmt::Debug for SharedError<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedError").field("cause", &self.cause).field("made", &self.made).finish()
    }
}

impl<S, E: fmt::Debug + fmt::Display> core::error::Error for SharedError<S, E> {}

impl<S> fmt::Debug for Rotation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue => f.write_str("NotDue"),
            Self::Rotated => f.write_str("Rotated"),
            Self::Followed { unused } => f.debug_struct("Followed").field("unused", unused).finish(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::{KeyRing, KeyRingRecord, RingKey, RotationPolicy};
    use super::{KeyRingStore, Rotation, SharedErrorCause, Swap, open_shared, rotate_shared};
    use crate::jose::thumbprint::Thumbprint;
    use crate::time::UnixTime;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::{Cell, RefCell};

    const DUE: UnixTime = UnixTime::from_secs(1000);

    fn policy() -> RotationPolicy {
        RotationPolicy::new(1000, 300).unwrap()
    }

    fn id(number: u8) -> Thumbprint {
        Thumbprint::from_bytes([number; 32])
    }

    fn made(number: u8) -> RingKey<u8> {
        RingKey { thumbprint: id(number), key: number }
    }

    /// The keys are in an HSM that all processes reach.
    fn find(thumbprint: &Thumbprint) -> Option<u8> {
        Some(thumbprint.as_bytes()[0])
    }

    #[derive(PartialEq, Debug)]
    struct Down;

    /// What goes wrong with the next write.
    #[derive(Clone, Copy, Default)]
    enum Trouble {
        #[default]
        None,
        NotDone,
        DoneWithoutAnswer,
        DoneTwice,
    }

    #[derive(Default)]
    struct Table {
        text: RefCell<Option<String>>,
        trouble: Cell<Trouble>,
        writes: Cell<u32>,
    }

    impl Table {
        fn record(&self) -> Option<KeyRingRecord> {
            self.text.borrow().as_deref().map(|text| KeyRingRecord::parse(text).unwrap())
        }

        fn with_first_key() -> Self {
            let table = Self::default();
            table.set(&KeyRingRecord::new(id(1), UnixTime::from_secs(0)));
            table
        }

        fn set(&self, record: &KeyRingRecord) {
            *self.text.borrow_mut() = Some(record.to_text());
        }

        fn ring(&self) -> KeyRing<u8> {
            KeyRing::restore(policy(), self.record().unwrap(), find).unwrap()
        }
    }

    impl KeyRingStore for Table {
        type Error = Down;

        fn load(&self) -> Result<Option<KeyRingRecord>, Down> {
            Ok(self.record())
        }

        fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Down> {
            let trouble = self.trouble.take();
            if let Trouble::NotDone = trouble {
                return Err(Down);
            }
            if self.record().map(|record| record.version()) != expected {
                return Ok(Swap::Conflict);
            }
            self.set(new);
            self.writes.set(self.writes.get() + 1);
            match trouble {
                Trouble::DoneWithoutAnswer => Err(Down),
                Trouble::DoneTwice => Ok(Swap::Conflict),
                _ => Ok(Swap::Done),
            }
        }
    }

    fn assert_one_successor(table: &Table, rings: &[KeyRing<u8>]) {
        let record = table.record().unwrap();
        assert_eq!((record.version(), record.keys().count()), (2, 2));
        for ring in rings {
            assert_eq!(*ring.record(), record);
            assert_eq!(ring.active(), (record.active().thumbprint, &record.active().thumbprint.as_bytes()[0]));
        }
    }

    #[test]
    fn eight_processes_one_after_the_other_make_one_successor() {
        let table = Table::with_first_key();
        let mut rings: Vec<_> = (0..8).map(|_| table.ring()).collect();
        let (mut keys_made, mut first) = (0, true);
        for ring in &mut rings {
            let create = || {
                keys_made += 1;
                Ok(made(2))
            };
            let outcome = rotate_shared(ring, &table, DUE, create, find).unwrap();
            let expected = if first { Rotation::Rotated } else { Rotation::Followed { unused: None } };
            assert_eq!(outcome, expected);
            first = false;
            assert_eq!(rotate_shared(ring, &table, DUE, || Err(Down), find).unwrap(), Rotation::NotDue);
        }
        assert_eq!((keys_made, table.writes.get()), (1, 1));
        assert_one_successor(&table, &rings);
    }

    /// Each process is overtaken by all later ones while it makes its key.
    #[test]
    fn eight_processes_inside_one_another_make_one_successor() {
        fn run(table: &Table, rings: &mut [KeyRing<u8>], number: u8, unused: &mut Vec<u8>) {
            let Some((ring, rest)) = rings.split_first_mut() else { return };
            let create = || {
                run(table, rest, number + 1, unused);
                Ok(made(number))
            };
            if let Rotation::Followed { unused: Some(key) } = rotate_shared(ring, table, DUE, create, find).unwrap() {
                unused.push(key.key);
            }
        }
        let table = Table::with_first_key();
        let mut rings: Vec<_> = (0..8).map(|_| table.ring()).collect();
        let mut unused = Vec::new();
        run(&table, &mut rings, 10, &mut unused);
        assert_eq!(unused, [16, 15, 14, 13, 12, 11, 10]);
        assert_eq!((*rings[0].active().1, table.writes.get()), (17, 1));
        assert_one_successor(&table, &rings);
    }

    /// Eight processes take the four steps of an asynchronous host in a thousand different orders.
    #[test]
    fn a_thousand_interleavings_make_one_successor() {
        enum At {
            Start,
            Loaded(super::super::RotationTicket),
            Made(super::super::RotationTicket, RingKey<u8>),
            Done,
        }
        let mut seed = 1_u64;
        for _ in 0..1000 {
            let table = Table::with_first_key();
            let mut rings: Vec<_> = (0..8).map(|_| table.ring()).collect();
            let mut processes: Vec<_> = (0..8).map(|_| At::Start).collect();
            let mut refused = 0;
            while processes.iter().any(|process| !matches!(process, At::Done)) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let number = usize::try_from(seed >> 61).unwrap();
                let ring = &mut rings[number];
                processes[number] = match core::mem::replace(&mut processes[number], At::Done) {
                    At::Start => ring.rotation_due(DUE).map_or(At::Done, At::Loaded),
                    At::Loaded(ticket) => {
                        let record = table.record().unwrap();
                        if record.version() > ring.version() {
                            ring.follow(record, find).unwrap();
                            At::Done
                        } else {
                            At::Made(ticket, made(10 + u8::try_from(number).unwrap()))
                        }
                    }
                    At::Made(ticket, key) => {
                        let proposed = ring.propose(&ticket, key.thumbprint, DUE).unwrap();
                        match table.compare_and_set(Some(ticket.version()), &proposed).unwrap() {
                            Swap::Done => ring.follow(proposed, find).unwrap(),
                            Swap::Conflict => {
                                refused += 1;
                                ring.follow(table.record().unwrap(), find).unwrap();
                            }
                        }
                        At::Done
                    }
                    At::Done => At::Done,
                };
            }
            assert_eq!(table.writes.get(), 1);
            assert!(refused < 8);
            assert_one_successor(&table, &rings);
        }
    }

    #[test]
    fn processes_that_found_the_ring_at_once_share_one_first_key() {
        let table = Table::default();
        let mut winner = None;
        let create = || {
            winner = Some(open_shared(policy(), &table, DUE, || Ok(made(2)), find).unwrap());
            Ok(made(1))
        };
        let loser = open_shared(policy(), &table, DUE, create, find).unwrap();
        let winner = winner.unwrap();
        assert_eq!((loser.unused, winner.unused), (Some(made(1)), None));
        assert_eq!((loser.ring.active(), winner.ring.active()), ((id(2), &2), (id(2), &2)));
        let third = open_shared(policy(), &table, DUE, || Err(Down), find).unwrap();
        assert_eq!((third.ring.active(), third.unused), ((id(2), &2), None));
    }

    #[test]
    fn a_write_without_an_answer_loses_no_key_and_makes_no_second() {
        for (trouble, version) in [(Trouble::NotDone, 1), (Trouble::DoneWithoutAnswer, 2)] {
            let table = Table::with_first_key();
            let mut ring = table.ring();
            table.trouble.set(trouble);
            let error = rotate_shared(&mut ring, &table, DUE, || Ok(made(2)), find).unwrap_err();
            assert_eq!((error.cause, error.made), (SharedErrorCause::Host(Down), Some(made(2))));
            assert_eq!((ring.active(), table.record().unwrap().version()), ((id(1), &1), version));
            rotate_shared(&mut ring, &table, DUE, || Ok(made(2)), find).unwrap();
            assert_one_successor(&table, &[ring]);
        }
    }

    /// The store repeats a write whose answer got lost, and calls its own first attempt a conflict.
    #[test]
    fn a_conflict_with_oneself_is_a_success() {
        let table = Table::with_first_key();
        let mut ring = table.ring();
        table.trouble.set(Trouble::DoneTwice);
        let outcome = rotate_shared(&mut ring, &table, DUE, || Ok(made(2)), |_| None).unwrap();
        assert_eq!((outcome, ring.active()), (Rotation::Rotated, (id(2), &2)));
    }

    #[test]
    fn a_store_that_lost_or_changed_its_record_is_not_overwritten() {
        let rotate = |table: &Table, key: u8| {
            let mut ring = KeyRing::new(policy(), id(1), 1, UnixTime::from_secs(0));
            let error = rotate_shared(&mut ring, table, DUE, || Ok(made(key)), |_| None).unwrap_err();
            assert_eq!(ring.active(), (id(1), &1));
            (error.cause, error.made)
        };
        assert_eq!(rotate(&Table::default(), 2), (SharedErrorCause::RecordMissing, None));
        let table = Table::with_first_key();
        assert_eq!(rotate(&table, 1), (SharedErrorCause::KeyKnown, Some(made(1))));
        table.set(&table.record().unwrap().succeeded_by(id(3), &policy(), DUE).unwrap());
        assert_eq!(rotate(&table, 2), (SharedErrorCause::ActiveKeyLost(id(3)), None));
        table.set(&KeyRingRecord::new(id(9), UnixTime::from_secs(0)));
        assert_eq!(rotate(&table, 2), (SharedErrorCause::RecordForeign, None));
        assert_eq!(table.writes.get(), 0);
    }
}
