//! A bounded set of token buckets: a heap with the fullest first, and an index that finds a bucket by its key.
//!
//! Each change moves one bucket down one path of the heap and looks at one run of the index: about `log2(capacity)` steps, whatever
//! arrives. The index is open addressing, at most half full, by tags of a keyed hash, so that no one can choose keys that crowd into
//! one run.

use alloc::vec::Vec;

/// One bucket. It needs no timer: the moment at which it will be full says how full it is at any other.
#[derive(Clone, Copy)]
struct Bucket {
    /// Keyed hash of its key.
    tag: u64,
    /// When it is full again, if nothing more is taken.
    full_at: u64,
    /// Where the index has it.
    slot: usize,
}

/// At most `capacity` buckets.
pub(super) struct Buckets {
    /// A binary heap: the children of `n` are `2n + 1` and `2n + 2`, and none is full before its parent.
    heap: Vec<Bucket>,
    /// Places in the heap, plus one; zero where there is none. Its length is a power of two.
    index: Vec<usize>,
    capacity: usize,
    /// Buckets and slots looked at since the last reset: what a request costs.
    #[cfg(test)]
    pub(super) steps: core::cell::Cell<usize>,
}

impl Buckets {
    /// No buckets yet, and room for `capacity` (at least one).
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let slots = capacity.saturating_mul(2).next_power_of_two();
        Self {
            heap: Vec::with_capacity(capacity),
            index: alloc::vec![0; slots],
            capacity,
            #[cfg(test)]
            steps: core::cell::Cell::new(0),
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether one more needs the place of another.
    pub(super) const fn are_at_capacity(&self) -> bool {
        self.heap.len() >= self.capacity
    }

    /// When the bucket of `tag` is full; none if there is no such bucket.
    pub(super) fn full_at(&self, tag: u64) -> Option<u64> {
        self.search(tag).ok().map(|at| self.time(at))
    }

    /// When the fullest bucket is full.
    pub(super) fn fullest(&self) -> Option<u64> {
        self.heap.first().map(|bucket| bucket.full_at)
    }

    /// Puts off the moment at which the bucket of `tag` is full. Does nothing if there is no such bucket.
    pub(super) fn put_off(&mut self, tag: u64, full_at: u64) {
        let Ok(at) = self.search(tag) else { return };
        if let Some(bucket) = self.heap.get_mut(at) {
            bucket.full_at = full_at.max(bucket.full_at);
        }
        self.sink(at);
    }

    /// Adds a bucket for `tag`, which has none, while there is room.
    pub(super) fn add(&mut self, tag: u64, full_at: u64) {
        if self.are_at_capacity() {
            return;
        }
        let Err(slot) = self.search(tag) else { return };
        let at = self.heap.len();
        self.heap.push(Bucket { tag, full_at, slot });
        self.link(at);
        self.rise(at);
    }

    /// Gives the place of the fullest bucket to `tag`, which has none. It must not be fuller than the one before it.
    pub(super) fn replace_fullest(&mut self, tag: u64, full_at: u64) {
        let Some(fullest) = self.heap.first() else { return };
        self.vacate(fullest.slot);
        if let (Err(slot), Some(first)) = (self.search(tag), self.heap.first_mut()) {
            *first = Bucket { tag, full_at, slot };
        }
        self.link(0);
        self.sink(0);
    }

    /// The bucket's place in the heap, or the vacant slot at which its search ended.
    fn search(&self, tag: u64) -> Result<usize, usize> {
        let mut slot = self.home(tag);
        loop {
            self.count();
            // At most half of the slots are taken, so that there is a vacant one.
            let Some(at) = self.index.get(slot).and_then(|place| place.checked_sub(1)) else { return Err(slot) };
            if self.heap.get(at).is_some_and(|bucket| bucket.tag == tag) {
                return Ok(at);
            }
            slot = self.after(slot);
        }
    }

    /// Empties a slot, and moves what stood behind it because of it.
    fn vacate(&mut self, slot: usize) {
        let (mut hole, mut next) = (slot, self.after(slot));
        while let Some(at) = self.index.get(next).and_then(|place| place.checked_sub(1)) {
            self.count();
            let home = self.heap.get(at).map_or(next, |bucket| self.home(bucket.tag));
            // It may stand in the hole unless its search begins behind that.
            if self.distance(home, next) >= self.distance(hole, next) {
                if let Some(bucket) = self.heap.get_mut(at) {
                    bucket.slot = hole;
                }
                self.link(at);
                hole = next;
            }
            next = self.after(next);
        }
        if let Some(place) = self.index.get_mut(hole) {
            *place = 0;
        }
    }

    /// Moves a bucket down until none below it is fuller.
    fn sink(&mut self, mut at: usize) {
        loop {
            let left = at.saturating_mul(2).saturating_add(1);
            let right = left.saturating_add(1);
            let child = if self.time(right) < self.time(left) { right } else { left };
            self.count();
            if self.time(child) >= self.time(at) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }

    /// Moves a bucket up until the one above it is fuller.
    fn rise(&mut self, mut at: usize) {
        while let Some(parent) = at.checked_sub(1).map(|below| below >> 1) {
            self.count();
            if self.time(parent) <= self.time(at) {
                return;
            }
            self.swap(at, parent);
            at = parent;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.link(one);
        self.link(other);
    }

    /// Tells the index where a bucket is.
    fn link(&mut self, at: usize) {
        if let Some(place) = self.heap.get(at).and_then(|bucket| self.index.get_mut(bucket.slot)) {
            *place = at.saturating_add(1);
        }
    }

    /// When the bucket at a place is full; never, where there is none.
    fn time(&self, at: usize) -> u64 {
        self.heap.get(at).map_or(u64::MAX, |bucket| bucket.full_at)
    }

    const fn mask(&self) -> usize {
        self.index.len().saturating_sub(1)
    }

    /// Where the search for `tag` begins.
    fn home(&self, tag: u64) -> usize {
        usize::try_from(tag & u64::from(u32::MAX)).unwrap_or(0) & self.mask()
    }

    const fn after(&self, slot: usize) -> usize {
        slot.wrapping_add(1) & self.mask()
    }

    /// How many slots lie between, going up and around.
    const fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests count"))]
    fn count(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get().saturating_add(1));
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]
mod tests {
    use super::Buckets;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    /// Every bucket is where the index says, every parent at least as full as its children.
    fn check(buckets: &Buckets) {
        assert_eq!(buckets.index.iter().filter(|place| **place > 0).count(), buckets.heap.len());
        for (at, bucket) in buckets.heap.iter().enumerate() {
            assert_eq!(buckets.index[bucket.slot], at + 1);
            assert_eq!(buckets.full_at(bucket.tag), Some(bucket.full_at));
            assert!(at == 0 || buckets.heap[(at - 1) / 2].full_at <= bucket.full_at);
        }
    }

    /// Against a plain map, with tags that crowd into a few homes.
    #[test]
    fn the_fullest_is_always_found_and_nothing_else_is_lost() {
        let mut buckets = Buckets::new(50);
        let mut known = BTreeMap::new();
        let mut random = 1_u64;
        for round in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let tag = (random >> 33) % 150 * 32 + (random >> 60);
            let time = round + (random >> 20) % 1_000;
            match known.get(&tag).copied() {
                Some(full_at) => {
                    buckets.put_off(tag, full_at + time % 7);
                    known.insert(tag, full_at + time % 7);
                }
                None if known.len() < 50 => {
                    buckets.add(tag, time);
                    known.insert(tag, time);
                }
                None => {
                    let least = *known.values().min().unwrap();
                    assert_eq!(buckets.fullest(), Some(least));
                    let before: Vec<u64> = known.keys().copied().collect();
                    buckets.replace_fullest(tag, least + time % 11);
                    let gone: Vec<u64> = before.into_iter().filter(|tag| buckets.full_at(*tag).is_none()).collect();
                    assert_eq!(gone.len(), 1);
                    assert_eq!(known.remove(&gone[0]), Some(least));
                    known.insert(tag, least + time % 11);
                }
            }
            check(&buckets);
            assert_eq!(buckets.len(), known.len());
        }
        for (tag, full_at) in known {
            assert_eq!(buckets.full_at(tag), Some(full_at));
        }
    }

    #[test]
    fn no_more_than_fit() {
        let mut buckets = Buckets::new(0);
        assert_eq!(buckets.fullest(), None);
        buckets.replace_fullest(1, 5);
        buckets.add(1, 5);
        buckets.add(2, 6);
        assert_eq!((buckets.len(), buckets.full_at(1), buckets.full_at(2)), (1, Some(5), None));
        buckets.replace_fullest(2, 6);
        assert_eq!((buckets.len(), buckets.full_at(1), buckets.full_at(2)), (1, None, Some(6)));
    }
}
