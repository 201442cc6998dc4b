//! How much of a shard one thumbprint holds.

use alloc::vec::Vec;

use super::generation::Number;
use super::table::OutOfMemory;

/// Rows of a shard. A thumbprint belongs to one row of each shard.
const ROWS: usize = 256;
/// Counters of a row.
const COLUMNS: i64 = 32;
/// Entries noted before they are counted together.
const NOTES: usize = 32;

/// Entries of one row, a counter for every second generation, all within one cache line: so the limit holds
/// over all generations together, and a generation takes its counts along when it is dropped.
///
/// Generations that are 64 apart share a counter, which errs on the side of counting too much.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Row([u16; 32]);

impl Row {
    /// The sum of all counters. While the store has room, a row is filled beyond any limit: the counters stop at their end then, which
    /// is no less than a limit can be.
    fn held(&self) -> u16 {
        self.0.iter().fold(0, |sum: u16, count| sum.saturating_add(*count))
    }
}

/// The counts of a shard: 16 KiB once anything is inserted.
///
/// New entries are noted first and counted 32 at a time, so that an insert need not wait for its row to arrive
/// from memory. That is exact all the same: a row is only taken for unfilled without a look while it stays so
/// even if all notes belong to it.
pub(super) struct Shares {
    rows: Vec<Row>,
    /// Row and column of entries not counted yet.
    notes: [(u8, u8); NOTES],
    noted: usize,
    /// One bit for each row that must be looked at before it takes another entry.
    close: [u64; ROWS / 64],
}

impl Default for Shares {
    fn default() -> Self {
        Self { rows: Vec::new(), notes: [(0, 0); NOTES], noted: 0, close: [u64::MAX; ROWS / 64] }
    }
}

impl Shares {
    /// Makes room for counts, if that has not happened yet.
    pub(super) fn prepare(&mut self) -> Result<(), OutOfMemory> {
        if self.rows.is_empty() {
            self.rows.try_reserve_exact(ROWS).map_err(|_| OutOfMemory)?;
            self.rows.resize(ROWS, Row([0; 32]));
        }
        Ok(())
    }

    /// Whether `row` may take another entry where `limit` is the most it may hold.
    pub(super) fn admits(&mut self, row: u8, limit: u16) -> bool {
        if !self.is_close(row) {
            return true;
        }
        self.count(limit);
        let held = self.rows.get(usize::from(row)).map_or(0, Row::held);
        if !leaves_no_room_for_notes(held, limit) {
            self.set_close(row, false);
        }
        held < limit
    }

    /// Notes an entry of generation `number` in `row`, which has been asked to admit it.
    pub(super) fn add(&mut self, row: u8, number: Number, limit: u16) {
        if let Some(note) = self.notes.get_mut(self.noted) {
            *note = (row, column(number));
        }
        self.noted = self.noted.saturating_add(1);
        if self.noted >= NOTES {
            self.count(limit);
        }
    }

    /// Forgets the entries of generation `number`, if no generation in `live` uses the same counter.
    pub(super) fn forget(&mut self, number: Number, mut live: impl Iterator<Item = Number>, limit: u16) {
        let column = column(number);
        if live.any(|other| self::column(other) == column) {
            return;
        }
        self.count(limit);
        for count in self.rows.iter_mut().filter_map(|row| row.0.get_mut(usize::from(column))) {
            *count = 0;
        }
    }

    /// Counts all notes.
    fn count(&mut self, limit: u16) {
        let notes = self.notes;
        let noted = notes.get(..self.noted).unwrap_or(&notes);
        self.noted = 0;
        // Two rounds: in the first the processor fetches all rows at once.
        for (row, column) in noted {
            let row = self.rows.get_mut(usize::from(*row));
            if let Some(count) = row.and_then(|row| row.0.get_mut(usize::from(*column))) {
                *count = count.saturating_add(1);
            }
        }
        for (row, _) in noted {
            let held = self.rows.get(usize::from(*row)).map_or(0, Row::held);
            if leaves_no_room_for_notes(held, limit) {
                self.set_close(*row, true);
            }
        }
    }

    fn is_close(&self, row: u8) -> bool {
        self.close.get(usize::from(row >> 6)).is_none_or(|word| *word & bit(row) != 0)
    }

    fn set_close(&mut self, row: u8, close: bool) {
        if let Some(word) = self.close.get_mut(usize::from(row >> 6)) {
            *word = if close { *word | bit(row) } else { *word & !bit(row) };
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity().saturating_mul(size_of::<Row>())
    }
}

/// Whether a row that holds so much could pass `limit` by notes alone.
fn leaves_no_room_for_notes(held: u16, limit: u16) -> bool {
    usize::from(held).saturating_add(NOTES) > usize::from(limit)
}

fn bit(row: u8) -> u64 {
    1_u64.rotate_left(u32::from(row & 63))
}

fn column(number: Number) -> u8 {
    u8::try_from((number.0 >> 1).rem_euclid(COLUMNS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{NOTES, Number, Shares};

    fn fill(shares: &mut Shares, row: u8, number: Number, limit: u16) -> usize {
        (0..10_000)
            .take_while(|_| {
                let admitted = shares.admits(row, limit);
                if admitted {
                    shares.add(row, number, limit);
                }
                admitted
            })
            .count()
    }

    #[test]
    fn a_row_takes_exactly_its_limit() {
        for limit in [1, 2, 31, 32, 33, 64, 100, 305, 1_000] {
            let mut shares = Shares::default();
            shares.prepare().unwrap();
            for row in [0, 63, 64, 255] {
                assert_eq!(fill(&mut shares, row, Number(10), limit), usize::from(limit));
            }
        }
    }

    #[test]
    fn a_row_takes_its_limit_while_others_are_noted_in_between() {
        let limit = 100;
        let mut shares = Shares::default();
        shares.prepare().unwrap();
        let mut taken = 0;
        for other in 0..1_000_u16 {
            if shares.admits(7, limit) {
                shares.add(7, Number(10), limit);
                taken = u16::saturating_add(taken, 1);
            }
            let other = u8::try_from(other % 20).unwrap().saturating_add(100);
            if shares.admits(other, limit) {
                shares.add(other, Number(11), limit);
            }
        }
        assert_eq!(taken, limit);
    }

    #[test]
    fn a_generation_takes_its_counts_along() {
        let limit = 90;
        let mut shares = Shares::default();
        shares.prepare().unwrap();
        for number in [10, 12, 13] {
            for _ in 0..NOTES.saturating_sub(2) {
                assert!(shares.admits(3, limit));
                shares.add(3, Number(number), limit);
            }
        }
        assert!(!shares.admits(3, limit));
        shares.forget(Number(12), [Number(13)].into_iter(), limit);
        assert!(!shares.admits(3, limit), "13 counts where 12 does");
        shares.forget(Number(13), core::iter::empty(), limit);
        assert_eq!(fill(&mut shares, 3, Number(14), limit), 60);
    }

    #[test]
    fn generations_before_1970_are_counted_too() {
        let mut shares = Shares::default();
        shares.prepare().unwrap();
        assert_eq!(fill(&mut shares, 0, Number(-1), 5), 5);
        shares.forget(Number(-1), core::iter::empty(), 5);
        assert!(shares.admits(0, 5));
    }
}
