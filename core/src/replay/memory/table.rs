//! A set of tags that only grows: open addressing, linear probing, any size.
//!
//! Tags are outputs of a keyed hash, so the position of a tag is read from the tag itself and moving it to a
//! larger table needs no hashing. Tables stay in the order of positions, roughly, and growth therefore reads
//! and writes memory from one end to the other.
//!
//! A tag has 64 bits, not the 128 of the key: half the memory and half the cache misses, for a chance of 2^-64
//! with each entry held in the same table that an honest proof is taken for one seen before.

use alloc::vec::Vec;

/// Slots of the first allocation.
const FIRST_SLOTS: usize = 16;

/// A set of 64-bit tags. Zero marks an empty slot; the tag zero is stored as one.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<u64>,
    len: usize,
}

/// Where a tag is, or where it would go.
pub(super) struct Search {
    /// Whether the tag is in the set.
    pub(super) found: bool,
    /// Index of the tag, or of the empty slot that ends its probe sequence; past the end if there is none.
    slot: usize,
    /// Slots looked at: what an insert costs.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests count the cost of an insert by it"))]
    pub(super) steps: usize,
}

/// There is no memory for a larger table.
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl Table {
    /// Tags in the set.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity().saturating_mul(size_of::<u64>())
    }

    /// Looks for `tag`.
    pub(super) fn search(&self, tag: u64) -> Search {
        let tag = tag.max(1);
        let home = home(tag, self.slots.len());
        let (before, after) = self.slots.split_at_checked(home).unwrap_or((&self.slots, &[]));
        let ends = |slot: &u64| *slot == 0 || *slot == tag;
        if let Some(distance) = after.iter().position(ends) {
            let found = after.get(distance) == Some(&tag);
            return Search { found, slot: home.saturating_add(distance), steps: distance.saturating_add(1) };
        }
        let slot = before.iter().position(ends).unwrap_or(usize::MAX);
        let steps = after.len().saturating_add(slot.min(before.len())).saturating_add(1);
        Search { found: before.get(slot) == Some(&tag), slot, steps }
    }

    /// Whether one more tag needs [`grow`](Self::grow) first: at a load of 0.8.
    pub(super) const fn is_crowded(&self) -> bool {
        self.len.saturating_add(1).saturating_mul(5) > self.slots.len().saturating_mul(4)
    }

    /// An empty table that need not grow before it holds `tags`.
    pub(super) fn with_room(tags: usize) -> Result<Self, OutOfMemory> {
        Self::with_slots(tags.saturating_add(tags >> 2).saturating_add(1))
    }

    fn with_slots(slots: usize) -> Result<Self, OutOfMemory> {
        let slots = slots.max(FIRST_SLOTS);
        let mut empty = Vec::new();
        empty.try_reserve_exact(slots).map_err(|_| OutOfMemory)?;
        empty.resize(slots, 0);
        Ok(Self { slots: empty, len: 0 })
    }

    /// Makes the table larger by half. What [`search`](Self::search) said before no longer holds.
    pub(super) fn grow(&mut self) -> Result<(), OutOfMemory> {
        let slots = self.slots.len();
        let mut larger = Self::with_slots(slots.saturating_add(slots >> 1))?;
        for tag in self.slots.iter().copied().filter(|tag| *tag != 0) {
            let place = larger.search(tag);
            larger.put(tag, &place);
        }
        *self = larger;
        Ok(())
    }

    /// Adds `tag`, which `place` has shown to be absent. Gives `false` and changes nothing if there is no room.
    pub(super) fn put(&mut self, tag: u64, place: &Search) -> bool {
        let Some(slot) = self.slots.get_mut(place.slot) else { return false };
        *slot = tag.max(1);
        self.len = self.len.saturating_add(1);
        true
    }
}

/// The slot at which the probe sequence of `tag` starts: its high 32 bits, scaled to the number of slots.
fn home(tag: u64, slots: usize) -> usize {
    let slots = u64::try_from(slots).unwrap_or(u64::MAX);
    usize::try_from((tag >> 32).wrapping_mul(slots) >> 32).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
mod tests {
    use super::Table;

    fn add(table: &mut Table, tag: u64) -> bool {
        if table.search(tag).found {
            return false;
        }
        if table.is_crowded() {
            table.grow().unwrap();
        }
        let place = table.search(tag);
        assert!(table.put(tag, &place));
        true
    }

    #[test]
    fn an_empty_table_holds_nothing() {
        let mut table = Table::default();
        let place = table.search(5);
        assert!(!place.found);
        assert!(!table.put(5, &place));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn tags_survive_growth_and_wrap_around_the_end() {
        let mut table = Table::default();
        // All of them belong into the last slot, whatever the size.
        for low in 1..500 {
            assert!(add(&mut table, 0xffff_ffff << 32 | low));
        }
        for low in 1..500 {
            assert!(table.search(0xffff_ffff << 32 | low).found);
        }
        assert_eq!(table.len(), 499);
        assert!(!table.search(0xffff_ffff << 32 | 500).found);
    }

    #[test]
    fn room_that_was_asked_for_is_there() {
        for tags in [0, 1, 12, 13, 100, 101, 1_000] {
            let mut table = Table::with_room(tags).unwrap();
            let slots = table.slots.len();
            for tag in 0..tags as u64 {
                assert!(add(&mut table, (tag << 50) | (tag + 1)));
            }
            assert_eq!(table.slots.len(), slots, "{tags}");
        }
    }

    #[test]
    fn the_tag_zero_is_a_tag() {
        let mut table = Table::default();
        assert!(add(&mut table, 0));
        assert!(table.search(0).found);
        assert!(!add(&mut table, 0));
    }

    #[test]
    fn a_table_is_never_more_than_four_fifths_full_nor_less_than_half() {
        let mut table = Table::default();
        for tag in 0..20_000_u64 {
            assert!(add(&mut table, (tag + 2).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            assert!(table.len() * 5 <= table.slots.len() * 4);
            assert!(table.len() < 16 || table.len() * 2 >= table.slots.len());
        }
    }
}
