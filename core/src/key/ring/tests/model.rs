//! All orders in which two processes can take their steps, and a crash before each of them.
//!
//! A step is one call to the store or the keys. After each, every key that signs by the record must be there, and no retirement may
//! have moved. When all have ended or crashed, a survivor rotates and purges: then the active key must be the only one.

mod explore;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt::Write as _;
use core::pin::Pin;

use super::super::{
    AsyncKeyRingStore, AsyncRingKeys, AsyncShared, KeptKey, KeyRing, KeyRingRecord, RingKey, Rotation, SharedError,
    Swap,
};
use super::{DAY, DUE, HOUR, at, id, policy, unused};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;
use explore::{every_order, some_orders, step};

/// When keys are kept.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// As they are made, as in an HSM.
    Hsm,
    /// Once they are recorded, as software keys.
    Software,
}

struct State {
    kind: Kind,
    record: Option<KeyRingRecord>,
    keys: BTreeMap<u8, Option<UnixTime>>,
    made: u8,
    now: i64,
    /// Whose turn it is, and what each process was answered.
    turn: usize,
    /// Whether the key that was active first was lost.
    lost: bool,
    answers: BTreeMap<usize, String>,
}

/// What all processes reach.
#[derive(Clone)]
struct World(Rc<RefCell<State>>);

type Process = Pin<Box<dyn Future<Output = ()>>>;

impl World {
    /// Key 1 is active since time 0.
    fn founded(kind: Kind) -> Self {
        let world = Self::empty(kind);
        let mut state = world.0.borrow_mut();
        state.record = Some(KeyRingRecord::new(policy(), id(1), at(0)));
        state.keys.insert(1, Some(at(0)));
        state.made = 1;
        drop(state);
        world
    }

    fn empty(kind: Kind) -> Self {
        let (keys, answers) = (BTreeMap::new(), BTreeMap::new());
        Self(Rc::new(RefCell::new(State {
            kind,
            record: None,
            keys,
            made: 0,
            now: DUE,
            turn: 0,
            lost: false,
            answers,
        })))
    }

    fn take_turn(&self, process: usize) {
        let mut state = self.0.borrow_mut();
        state.turn = process;
        state.answers.entry(process).or_default().push(' ');
    }

    /// The world, and what processes were answered in it.
    fn state(&self) -> String {
        let State { record, keys, made, answers, .. } = &*self.0.borrow();
        let record = record.as_ref().map(KeyRingRecord::to_text);
        format!("{record:?} {:?} {made} {answers:?}", keys.keys())
    }

    /// Remembers what the process whose turn it is was answered.
    fn answer<T: core::fmt::Debug>(&self, answer: T) -> Result<T, Infallible> {
        let mut state = self.0.borrow_mut();
        let turn = state.turn;
        let _ = write!(state.answers.entry(turn).or_default(), "{answer:?}");
        Ok(answer)
    }

    fn shared(&self) -> AsyncShared<Self, Self> {
        AsyncShared { store: self.clone(), keys: self.clone() }
    }

    fn record(&self) -> KeyRingRecord {
        self.0.borrow().record.clone().unwrap()
    }

    fn now(&self) -> UnixTime {
        at(self.0.borrow().now)
    }

    fn ring(&self) -> KeyRing<u8> {
        let find = |key: &Thumbprint| Ok::<_, Infallible>(Some(key.as_bytes()[0]));
        KeyRing::restore(policy(), self.record(), self.now(), find).unwrap()
    }

    /// What must hold after each step.
    fn check(&self) {
        let state = self.0.borrow();
        let Some(record) = state.record.as_ref().filter(|_| !state.lost) else { return };
        let gone = |key: &Thumbprint| !state.keys.contains_key(&key.as_bytes()[0]);
        for key in record.keys().filter(|key| key.state(at(state.now)).is_signing()) {
            assert!(!gone(&key.thumbprint), "a key that signs is gone: {record:?}");
        }
        assert_eq!(KeyRingRecord::parse(&record.to_text()).as_ref(), Ok(record));
    }

    fn process<F: Future<Output = ()> + 'static>(&self, run: impl FnOnce(Self) -> F) -> Process {
        Box::pin(run(self.clone()))
    }

    fn rotates(&self) -> Process {
        self.process(|world| async move {
            let (mut ring, now) = (world.ring(), world.now());
            let outcome = world.shared().rotate(&mut ring, now).await.unwrap();
            if outcome != Rotation::Underway {
                assert_ne!(ring.active().0, id(1));
            }
        })
    }

    fn purges(&self) -> Process {
        self.process(|world| async move {
            let (mut ring, now) = (world.ring(), world.now());
            world.shared().purge(&mut ring, unused, now).await.unwrap();
        })
    }

    /// A process that comes later and finds what the others left.
    async fn survive(self) {
        let shared = self.shared();
        let (now, lost) = (self.now(), self.0.borrow().lost);
        let opened = if lost { shared.replace_lost(policy(), now).await } else { shared.open(policy(), now).await };
        let mut ring = opened.unwrap();
        for _ in 0..2 {
            shared.rotate(&mut ring, self.now()).await.unwrap();
            self.0.borrow_mut().now += HOUR;
        }
        self.0.borrow_mut().now += 8 * DAY;
        for _ in 0..2 {
            shared.purge(&mut ring, unused, self.now()).await.unwrap();
            self.0.borrow_mut().now += HOUR;
        }
        assert_eq!(ring.record().pending(), None);
        let kept: Vec<Thumbprint> = self.0.borrow().keys.keys().map(|key| id(*key)).collect();
        assert_eq!(kept, [ring.active().0], "{:?}", ring.record());
    }

    /// How many keys have been active.
    fn activated(&self) -> usize {
        // One that was given up, or that no record named, was retired before it could be active.
        self.record().keys().filter(|key| key.retires_at.is_none_or(|retires_at| retires_at > key.created_at)).count()
    }
}

impl AsyncKeyRingStore for World {
    type Error = Infallible;

    async fn load(&self) -> Result<Option<KeyRingRecord>, Infallible> {
        step().await;
        let record = self.0.borrow().record.clone();
        // What tells it from others of this version.
        let brief = |record: &KeyRingRecord| (record.version(), record.active().thumbprint, record.pending());
        let _ = self.answer(record.as_ref().map(brief));
        Ok(record)
    }

    async fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Infallible> {
        step().await;
        let mut state = self.0.borrow_mut();
        if state.record.as_ref().map(KeyRingRecord::version) != expected {
            drop(state);
            return self.answer(Swap::Conflict);
        }
        for key in state.record.iter().flat_map(KeyRingRecord::keys) {
            let next = new.keys().find(|next| next.thumbprint == key.thumbprint).unwrap();
            let later = key.retires_at.is_some() && next.retires_at.is_none_or(|at| Some(at) > key.retires_at);
            assert!(!later, "a retirement was put off: {new:?}");
        }
        state.record = Some(new.clone());
        drop(state);
        self.answer(Swap::Done)
    }
}

impl AsyncRingKeys for World {
    type Key = u8;
    type Error = Infallible;

    async fn create(&self) -> Result<RingKey<u8>, Infallible> {
        step().await;
        let mut state = self.0.borrow_mut();
        state.made += 1;
        let (key, now) = (state.made, at(state.now));
        if state.kind == Kind::Hsm {
            state.keys.insert(key, Some(now));
        }
        drop(state);
        let key = self.answer(key)?;
        Ok(RingKey { thumbprint: id(key), key })
    }

    async fn keep(&self, key: &RingKey<u8>) -> Result<(), Infallible> {
        step().await;
        let now = self.now();
        self.0.borrow_mut().keys.entry(key.key).or_insert(Some(now));
        self.answer(())
    }

    async fn find(&self, thumbprint: &Thumbprint) -> Result<Option<u8>, Infallible> {
        step().await;
        let found = Some(thumbprint.as_bytes()[0]).filter(|key| self.0.borrow().keys.contains_key(key));
        self.answer(found)
    }

    async fn delete(&self, thumbprint: &Thumbprint) -> Result<(), Infallible> {
        step().await;
        self.0.borrow_mut().keys.remove(&thumbprint.as_bytes()[0]);
        self.answer(())
    }

    async fn list(&self) -> Result<Vec<KeptKey>, Infallible> {
        step().await;
        let keys = self.0.borrow().keys.clone();
        self.answer(keys.into_iter().map(|(key, made_at)| KeptKey { thumbprint: id(key), made_at }).collect())
    }
}

#[test]
fn two_processes_rotate() {
    for kind in [Kind::Hsm, Kind::Software] {
        every_order(
            1,
            || World::founded(kind),
            |world| [world.rotates(), world.rotates()].into(),
            |world, crashed| {
                if crashed == 0 {
                    assert_eq!(world.activated(), 2);
                    assert_eq!(world.record().keys().count(), 2);
                    assert_eq!(world.0.borrow().keys.len(), 2, "what was made in vain is deleted");
                }
            },
        );
    }
}

#[test]
fn three_processes_rotate() {
    for kind in [Kind::Hsm, Kind::Software] {
        let three = |world: &World| [world.rotates(), world.rotates(), world.rotates()].into();
        every_order(0, || World::founded(kind), three, |world, _| assert_eq!(world.activated(), 2));
        // With one crash there are 90,000 states, and a minute is too long for every day.
        some_orders(500, || World::founded(kind), three, |world| assert!(world.activated() <= 2));
    }
}

#[test]
fn two_processes_found_a_ring() {
    let opens = |world: &World| {
        world.process(|world| async move {
            let ring = world.shared().open(policy(), world.now()).await.unwrap();
            assert_eq!(ring.active().0, world.record().active().thumbprint);
        })
    };
    for kind in [Kind::Hsm, Kind::Software] {
        every_order(
            1,
            || World::empty(kind),
            |world| [opens(world), opens(world)].into(),
            |world, crashed| {
                assert!(crashed > 0 || world.0.borrow().keys.len() == 1, "what was made in vain is deleted");
            },
        );
    }
}

/// Of unknown age, what another process is just making is taken for an orphan.
#[test]
fn one_rotates_while_another_purges() {
    let world = |made_at| {
        let world = World::founded(Kind::Hsm);
        let mut state = world.0.borrow_mut();
        state.keys.insert(7, made_at);
        state.keys.insert(8, Some(at(0)));
        let marked =
            state.record.take().unwrap().marked(&[KeptKey { thumbprint: id(8), made_at: None }], &unused, at(0));
        state.record = marked;
        drop(state);
        world
    };
    for made_at in [None, Some(at(0))] {
        every_order(
            1,
            || world(made_at),
            |world| [world.rotates(), world.purges()].into(),
            |world, _| {
                assert!(world.activated() <= 2);
            },
        );
    }
}

/// The active key, or the one that the first process is making.
#[test]
fn one_rotates_while_another_revokes() {
    let revokes = |world: &World, key: Thumbprint| {
        world.process(move |world| async move {
            let (mut ring, now) = (world.ring(), world.now());
            match world.shared().revoke(&mut ring, &key, now).await {
                Err(error) => assert_eq!((error, key), (SharedError::Unknown(id(2)), id(2))),
                Ok(()) => assert!(ring.key_for(&key, at(0)).is_err() && world.ring().key_for(&key, now).is_err()),
            }
        })
    };
    for (kind, key) in [(Kind::Hsm, 1), (Kind::Software, 1), (Kind::Hsm, 2), (Kind::Software, 2)] {
        every_order(
            1,
            || World::founded(kind),
            |world| [world.rotates(), revokes(world, id(key))].into(),
            |world, _| assert!(world.record().keys().count() <= 3),
        );
    }
}

#[test]
fn two_processes_replace_a_lost_key() {
    let world = |kind| {
        let world = World::founded(kind);
        let mut state = world.0.borrow_mut();
        state.keys.clear();
        state.lost = true;
        drop(state);
        world
    };
    let replaces = |world: &World| {
        world.process(|world| async move {
            match world.shared().replace_lost(policy(), world.now()).await {
                Ok(ring) => assert_ne!(ring.active().0, id(1)),
                Err(error) => assert_eq!(error, SharedError::Contended),
            }
        })
    };
    every_order(
        0,
        || world(Kind::Hsm),
        |world| [replaces(world), replaces(world)].into(),
        |world, _| {
            assert_ne!(world.record().active().thumbprint, id(1));
        },
    );
    some_orders(2_000, || world(Kind::Software), |world| [replaces(world), replaces(world)].into(), |_| {});
}
