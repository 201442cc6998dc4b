//! Entries that may be forgotten together: those with the same `keep_until`, to 16 seconds.

use super::table::Table;
use crate::time::UnixTime;

/// How far ahead of the present a generation may lie: 62 of them are 992 s, and no valid policy keeps a proof
/// for more than 300 s of age, 60 s ahead and 600 s of margin.
const MOST_AHEAD: i64 = 62;

/// Which generation: `keep_until` divided by 16 s, rounded down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Number(pub(super) i64);

impl Number {
    /// The generation of entries kept until `instant`; of all generations, the first that is live at `instant`.
    pub(super) const fn at(instant: UnixTime) -> Self {
        Self(instant.secs() >> 4)
    }

    /// The generation after this one.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether this generation lies further ahead of `present` than any valid policy keeps proofs.
    pub(super) const fn is_beyond_policy(self, present: Self) -> bool {
        self.0.saturating_sub(present.0) > MOST_AHEAD
    }
}

/// The entries of one generation in one shard.
pub(super) struct Generation {
    /// Which one.
    pub(super) number: Number,
    /// The entries.
    pub(super) table: Table,
}
