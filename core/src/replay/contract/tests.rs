//! The suite itself: it passes a plain store and finds each defect.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::convert::Infallible;

use super::{Contract, Rule, check_store};
use crate::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, ReplayStore, StoreEpoch};
use crate::time::UnixTime;

const AGREEMENT: ReplayAgreement = ReplayAgreement::from_bytes([9; 16]);
const CAPACITY: usize = 1_000;
const SHARE: usize = 10;

/// What a store can get wrong.
#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    AlwaysFresh,
    AlwaysSeen,
    KeyIsHalf,
    EndsTooEarly,
    NoFloor,
    FloorIsOneTooLow,
    AnyEpoch,
    EpochIgnored,
    NamesAnotherEpoch,
    ReopensTime,
    AnyAgreement,
    Unbounded,
    Evicts,
    FullForGood,
    NoShare,
}

/// A store as one would write it in an afternoon.
struct Plain {
    defect: Defect,
    floor: UnixTime,
    latest: Cell<UnixTime>,
    entries: RefCell<Vec<ReplayEntry>>,
}

impl ReplayStore for Plain {
    type Error = Infallible;

    fn insert(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Inserted, Infallible> {
        let epoch = match self.defect {
            Defect::NamesAnotherEpoch => StoreEpoch::from_u64(5),
            _ => self.epoch(),
        };
        Ok(Inserted::new(self.answer(entry, now), epoch))
    }

    fn epoch(&self) -> StoreEpoch {
        StoreEpoch::from_u64(4)
    }
}

impl Plain {
    fn answer(&self, entry: &ReplayEntry, now: UnixTime) -> Insertion {
        let mut entries = self.entries.borrow_mut();
        if self.defect == Defect::AlwaysFresh {
            return Insertion::Fresh;
        }
        if entry.agreement() != AGREEMENT && self.defect != Defect::AnyAgreement {
            return Insertion::Unavailable;
        }
        let ahead = entry.max_ahead().saturating_sub(u64::from(self.defect == Defect::FloorIsOneTooLow));
        let vouched = match self.defect {
            Defect::AnyEpoch => entry.nonce_epoch().is_some(),
            Defect::EpochIgnored => false,
            _ => entry.nonce_epoch() == Some(self.epoch()),
        };
        if entry.timed_at() <= self.floor.saturating_add(ahead) && !vouched && self.defect != Defect::NoFloor {
            return Insertion::BeforeFloor;
        }
        let latest = if self.defect == Defect::ReopensTime { now } else { self.latest.get().max(now) };
        self.latest.set(latest);
        let end = |entry: &ReplayEntry| match self.defect {
            Defect::EndsTooEarly => entry.keep_until().saturating_sub(1),
            _ => entry.keep_until(),
        };
        if self.defect != Defect::FullForGood {
            entries.retain(|held| end(held) >= latest);
        }
        let same = |held: &&ReplayEntry| match self.defect {
            Defect::KeyIsHalf => held.key().as_bytes()[..8] == entry.key().as_bytes()[..8],
            _ => held.key() == entry.key(),
        };
        if self.defect == Defect::AlwaysSeen || entries.iter().any(|held| same(&held)) {
            return Insertion::Seen;
        }
        if end(entry) < latest {
            return Insertion::BeforeFloor;
        }
        let shared = entries.iter().filter(|held| held.thumbprint() == entry.thumbprint()).count();
        if shared >= SHARE && self.defect != Defect::NoShare {
            return Insertion::Full;
        }
        if entries.len() >= CAPACITY {
            match self.defect {
                Defect::Unbounded => {}
                Defect::Evicts => {
                    entries.remove(0);
                    entries.push(*entry);
                    return Insertion::Full;
                }
                _ => return Insertion::Full,
            }
        }
        entries.push(*entry);
        Insertion::Fresh
    }
}

fn outcome(defect: Defect) -> Option<Rule> {
    let make = |now| Plain { defect, floor: now, latest: Cell::new(now), entries: RefCell::default() };
    let contract = Contract::new(AGREEMENT).with_capacity(CAPACITY).with_share(SHARE);
    check_store(make, contract).err().map(|violation| violation.rule())
}

#[test]
fn a_store_without_defects_passes() {
    assert_eq!(outcome(Defect::None), None);
}

#[test]
fn each_defect_breaks_its_rule() {
    let found: Vec<_> = [
        (Defect::AlwaysFresh, Rule::SecondIsSeen),
        (Defect::AlwaysSeen, Rule::FirstIsFresh),
        (Defect::KeyIsHalf, Rule::StrangersDoNotCollide),
        (Defect::EndsTooEarly, Rule::KeptUntilTheEnd),
        (Defect::NoFloor, Rule::FloorIsKept),
        (Defect::FloorIsOneTooLow, Rule::FloorIsKept),
        (Defect::AnyEpoch, Rule::OtherEpochDoesNotVouch),
        (Defect::EpochIgnored, Rule::PresentEpochVouches),
        (Defect::NamesAnotherEpoch, Rule::AnswerNamesEpoch),
        (Defect::ReopensTime, Rule::ClockMayStepBack),
        (Defect::AnyAgreement, Rule::AgreementIsKept),
        (Defect::Unbounded, Rule::CapacityIsLimit),
        (Defect::Evicts, Rule::FullForgetsNothing),
        (Defect::FullForGood, Rule::RoomReturns),
        (Defect::NoShare, Rule::ShareIsLimit),
    ]
    .into_iter()
    .map(|(defect, rule)| {
        assert_eq!(outcome(defect), Some(rule));
        alloc::format!("{rule:?}")
    })
    .collect();
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 14);
}
