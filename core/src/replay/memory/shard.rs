//! One shard: its generations, what they hold in total, and the generations that are closed for good.

use alloc::vec::Vec;

use super::generation::{Generation, Number};
use super::settings::Limits;
use super::share::Shares;
use super::table::{OutOfMemory, Table};
use crate::replay::Insertion;

/// Generations a shard keeps at most. 63 can be live at one instant; more exist only after a clock went back.
const MOST_GENERATIONS: usize = 128;

/// An entry as a shard sees it.
pub(super) struct Tagged {
    /// Keyed hash of the entry's key.
    pub(super) tag: u64,
    /// The generation it is kept in.
    pub(super) number: Number,
    /// The first generation that is live at present.
    pub(super) present: Number,
    /// The row of shares in which its thumbprint counts.
    pub(super) row: u8,
}

/// A part of a store that is used by one caller at a time.
#[derive(Default)]
pub(super) struct Shard {
    /// In ascending order of their numbers.
    generations: Vec<Generation>,
    shares: Shares,
    held: usize,
    /// Generations before this one are not opened again: entries of theirs may have been dropped.
    closed_before: Option<Number>,
    #[cfg(test)]
    pub(super) last_steps: usize,
}

impl Shard {
    /// Inserts `entry` if it is absent.
    pub(super) fn insert(&mut self, entry: &Tagged, limits: Limits) -> Insertion {
        if self.generations.first().is_some_and(|oldest| oldest.number < entry.present) {
            self.expire(entry.present, limits);
        }
        if entry.number < entry.present || self.closed_before.is_some_and(|closed| entry.number < closed) {
            return Insertion::BeforeFloor;
        }
        if entry.number.is_beyond_policy(entry.present) {
            return Insertion::Unavailable;
        }
        let newest_first = self.generations.iter_mut().rev();
        let mut generation = newest_first.take_while(|live| live.number >= entry.number).last();
        if generation.as_ref().is_some_and(|found| found.number != entry.number) {
            generation = None;
        }
        let place = generation.as_ref().map(|generation| generation.table.search(entry.tag));
        #[cfg(test)]
        {
            self.last_steps = place.as_ref().map_or(0, |place| place.steps);
        }
        if place.as_ref().is_some_and(|place| place.found) {
            return Insertion::Seen;
        }
        if self.held >= limits.capacity {
            return Insertion::Full;
        }
        // Where there is room for everyone, no one is counted out.
        if self.held >= limits.shared_from && !self.shares.admits(entry.row, limits.share) {
            return Insertion::ShareFull;
        }
        let stored = match (generation, place) {
            (Some(generation), Some(place)) if !generation.table.is_crowded() => {
                generation.table.put(entry.tag, &place)
            }
            _ => self.insert_with_room(entry).is_ok(),
        };
        if !stored {
            return Insertion::Unavailable;
        }
        self.shares.add(entry.row, entry.number, limits.share);
        self.held = self.held.saturating_add(1);
        Insertion::Fresh
    }

    /// Entries held, those of generations not dropped yet included.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Inserts an absent entry whose generation does not exist or needs a larger table.
    fn insert_with_room(&mut self, entry: &Tagged) -> Result<(), OutOfMemory> {
        self.shares.prepare()?;
        let index = self.generations.partition_point(|live| live.number < entry.number);
        if self.generations.get(index).is_none_or(|found| found.number != entry.number) {
            if self.generations.len() >= MOST_GENERATIONS {
                return Err(OutOfMemory);
            }
            // As large as the one before, and an eighth more: under a steady load no table grows.
            let before = index.checked_sub(1).and_then(|before| self.generations.get(before));
            let likely = before.map_or(0, |before| before.table.len());
            let table = Table::with_room(likely.saturating_add(likely >> 3))?;
            self.generations.try_reserve(1).map_err(|_| OutOfMemory)?;
            self.generations.insert(index, Generation { number: entry.number, table });
        }
        let generation = self.generations.get_mut(index).ok_or(OutOfMemory)?;
        if generation.table.is_crowded() {
            generation.table.grow()?;
        }
        let place = generation.table.search(entry.tag);
        if generation.table.put(entry.tag, &place) { Ok(()) } else { Err(OutOfMemory) }
    }

    /// Drops all generations before `present`, and closes them for good.
    ///
    /// A generation that never held an entry needs no closing: after a clock that jumped ahead has come back,
    /// only what was really dropped is refused.
    #[cold]
    fn expire(&mut self, present: Number, limits: Limits) {
        let expired = self.generations.partition_point(|live| live.number < present);
        for _ in 0..expired {
            let dropped = self.generations.remove(0);
            self.held = self.held.saturating_sub(dropped.table.len());
            self.closed_before = self.closed_before.max(Some(dropped.number.next()));
            self.shares.forget(dropped.number, self.generations.iter().map(|live| live.number), limits.share);
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let generations = self.generations.capacity().saturating_mul(size_of::<Generation>());
        let tables = self.generations.iter().map(|generation| generation.table.bytes());
        tables.fold(self.shares.bytes().saturating_add(generations), usize::saturating_add)
    }
}
