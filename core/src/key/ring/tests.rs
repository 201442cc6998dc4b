//! Stories with a clock of their own: keys in an HSM that all processes reach, and a store that can fail.

mod clock;
mod life;
mod model;
mod record;
mod shared;
mod troubles;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::{KeptKey, KeyRing, KeyRingRecord, KeyRingStore, RingKey, RingKeys, RotationPolicy, Shared, Swap};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// When the first key is due in the rings of [`policy`].
const DUE: i64 = 30 * DAY;

/// A new key each 30 days; what is bound to one lives for 7 days at most.
fn policy() -> RotationPolicy {
    days(30, 7)
}

fn days(rotate_after: u64, retire_after: u64) -> RotationPolicy {
    RotationPolicy::new(rotate_after * 86_400, retire_after * 86_400).unwrap()
}

fn id(number: u8) -> Thumbprint {
    Thumbprint::from_bytes([number; 32])
}

fn at(secs: i64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn unused(_: &Thumbprint) -> bool {
    false
}

#[derive(Clone, Copy, PartialEq, Debug)]
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

/// Keeps the text, as stores do.
#[derive(Default)]
struct Table {
    text: RefCell<Option<String>>,
    trouble: Cell<Trouble>,
    writes: Cell<u32>,
}

impl Table {
    fn record(&self) -> KeyRingRecord {
        self.load().unwrap().unwrap()
    }

    fn set(&self, record: &KeyRingRecord) {
        *self.text.borrow_mut() = Some(record.to_text());
    }
}

impl KeyRingStore for Table {
    type Error = Down;

    fn load(&self) -> Result<Option<KeyRingRecord>, Down> {
        Ok(self.text.borrow().as_deref().map(|text| KeyRingRecord::parse(text).unwrap()))
    }

    fn compare_and_set(&self, expected: Option<u64>, new: &KeyRingRecord) -> Result<Swap, Down> {
        let trouble = self.trouble.take();
        if let Trouble::NotDone = trouble {
            return Err(Down);
        }
        if self.load()?.map(|record| record.version()) != expected {
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

/// Key 1, then 2, and so on; a handle is the number.
#[derive(Default)]
struct Hsm {
    keys: RefCell<BTreeMap<u8, UnixTime>>,
    made: Cell<u8>,
    /// Its own clock, for the times at which keys were made.
    clock: Cell<UnixTime>,
    out_of_reach: Cell<bool>,
}

impl Hsm {
    fn holds(&self) -> Vec<u8> {
        self.keys.borrow().keys().copied().collect()
    }

    fn reached(&self) -> Result<(), Down> {
        if self.out_of_reach.get() { Err(Down) } else { Ok(()) }
    }
}

impl RingKeys for Hsm {
    type Key = u8;
    type Error = Down;

    fn create(&self) -> Result<RingKey<u8>, Down> {
        self.reached()?;
        let key = self.made.get() + 1;
        self.made.set(key);
        self.keys.borrow_mut().insert(key, self.clock.get());
        Ok(RingKey { thumbprint: id(key), key })
    }

    fn find(&self, thumbprint: &Thumbprint) -> Result<Option<u8>, Down> {
        self.reached()?;
        Ok(Some(thumbprint.as_bytes()[0]).filter(|key| self.keys.borrow().contains_key(key)))
    }

    fn delete(&self, thumbprint: &Thumbprint) -> Result<(), Down> {
        self.reached()?;
        self.keys.borrow_mut().remove(&thumbprint.as_bytes()[0]);
        Ok(())
    }

    fn list(&self) -> Result<Vec<KeptKey>, Down> {
        self.reached()?;
        let keys = self.keys.borrow();
        Ok(keys.iter().map(|(key, made_at)| KeptKey { thumbprint: id(*key), made_at: Some(*made_at) }).collect())
    }
}

type World = Shared<Table, Hsm>;

/// A world, and a process that has founded the ring at time 0.
fn founded() -> (World, KeyRing<u8>) {
    let world = World::default();
    let ring = world.open(policy(), at(0)).unwrap();
    (world, ring)
}

/// The same after the second key became active at [`DUE`].
fn rotated() -> (World, KeyRing<u8>) {
    let (world, mut ring) = founded();
    world.rotate(&mut ring, at(DUE)).unwrap();
    (world, ring)
}
