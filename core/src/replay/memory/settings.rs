//! What all shards of a store have in common: its limits, its secrets, and what it serves at all.

use siphasher::sip;

use crate::Misuse;

use super::generation::Number;
use super::shard::Tagged;
use crate::crypto::SecureRandom;
use crate::jose::thumbprint::Thumbprint;
use crate::replay::{Insertion, ReplayAgreement, ReplayEntry, StoreEpoch, StoreFloor};
use crate::time::UnixTime;

/// A store has one shard for so many entries of its capacity.
const SHARD_ENTRIES: usize = 16_384;
/// Shards at most: 2 to the power of this.
const MOST_SHARD_BITS: u32 = 10;
/// Into how many shares the capacity is divided, unless told otherwise.
pub(super) const DEFAULT_SHARES: usize = 64;
/// Into how many it can be divided.
const MOST_SHARES: usize = 4_096;

/// What one shard may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Live entries.
    pub(super) capacity: usize,
    /// So many live entries may be anyone's.
    pub(super) shared_from: usize,
    /// Live entries of one row of thumbprints beyond that.
    pub(super) share: u16,
}

impl Limits {
    /// Those of a store for `capacity` entries.
    fn of(capacity: usize, shard_bits: u32, shares: usize) -> Self {
        let here = capacity.div_ceil(1 << shard_bits);
        let share = (capacity >> shard_bits).checked_div(shares).unwrap_or(0).max(1);
        // With one share there is nothing to divide.
        let shared_from = if shares > 1 { here.div_euclid(2) } else { here };
        Self { capacity: here, shared_from, share: u16::try_from(share).unwrap_or(u16::MAX) }
    }
}

/// The unchanging part of a store.
pub(super) struct Settings {
    capacity: usize,
    shard_bits: u32,
    limits: Limits,
    agreement: ReplayAgreement,
    floor: StoreFloor,
    places: sip::SipHasher13,
    rows: sip::SipHasher13,
}

/// A shard, and the entry as that shard sees it.
pub(super) struct Placed {
    /// Index of the shard.
    pub(super) shard: usize,
    /// What to insert there.
    pub(super) tagged: Tagged,
}

impl Settings {
    /// Settings of a store for `capacity` entries that begins to remember at `now`.
    pub(super) fn new(
        capacity: usize,
        agreement: ReplayAgreement,
        random: &dyn SecureRandom,
        now: UnixTime,
    ) -> Result<Self, Misuse> {
        if capacity == 0 {
            return Err(Misuse::PolicyBound("`capacity` (at least 1 proof)"));
        }
        let shard_bits = capacity.div_euclid(SHARD_ENTRIES).max(1).ilog2().min(MOST_SHARD_BITS);
        let limits = Limits::of(capacity, shard_bits, DEFAULT_SHARES);
        let (mut places, mut rows) = ([0; 16], [0; 16]);
        random.fill(&mut places)?;
        random.fill(&mut rows)?;
        Ok(Self {
            capacity,
            shard_bits,
            limits,
            agreement,
            floor: StoreFloor::new(now, StoreEpoch::draw(random)?),
            places: sip::SipHasher13::new_with_key(&places),
            rows: sip::SipHasher13::new_with_key(&rows),
        })
    }

    /// The same with the capacity divided into `shares`: 1 to 4,096.
    pub(super) fn with_shares(self, shares: usize) -> Result<Self, Misuse> {
        if !(1..=MOST_SHARES).contains(&shares) {
            return Err(Misuse::PolicyBound("`shares` (1 to 4096)"));
        }
        Ok(Self { limits: Limits::of(self.capacity, self.shard_bits, shares), ..self })
    }

    /// The same for the first store of its namespace.
    pub(super) fn danger_first_start(self) -> Self {
        Self { floor: self.floor.danger_first_start(), ..self }
    }

    /// How many shards the store has: a power of two.
    pub(super) const fn shards(&self) -> usize {
        1 << self.shard_bits
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) const fn agreement(&self) -> ReplayAgreement {
        self.agreement
    }

    pub(super) const fn floor(&self) -> StoreFloor {
        self.floor
    }

    /// Finds the place of `entry`, or the answer to an entry this store does not serve or cannot vouch for.
    pub(super) fn place(&self, entry: &ReplayEntry, now: UnixTime) -> Result<Placed, Insertion> {
        if entry.agreement() != self.agreement {
            return Err(Insertion::Unavailable);
        }
        if !self.floor.vouches_for(entry) {
            return Err(Insertion::BeforeFloor);
        }
        let tag = self.places.hash(entry.key().as_bytes());
        // The low bits choose the shard, the high ones the place in it.
        let shard = tag & u64::MAX.checked_shr(u64::BITS.saturating_sub(self.shard_bits)).unwrap_or(0);
        let tagged = Tagged {
            tag,
            number: Number::at(entry.keep_until()),
            present: Number::at(now),
            row: self.row(entry.thumbprint(), shard),
        };
        Ok(Placed { shard: usize::try_from(shard).unwrap_or(0), tagged })
    }

    /// The row of shares in which `thumbprint` counts in shard `shard`.
    ///
    /// It differs from shard to shard, so that two clients who share a row in one do not share it in all: one
    /// keyed hash, multiplied by an odd number of each shard's own.
    fn row(&self, thumbprint: &Thumbprint, shard: u64) -> u8 {
        let factor = shard.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let factor = (factor ^ (factor >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1;
        let [.., row] = self.rows.hash(thumbprint.as_bytes()).wrapping_mul(factor).to_le_bytes();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Settings};
    use crate::replay::ReplayAgreement;
    use crate::replay::memory::tests::Counting;
    use crate::time::UnixTime;

    fn settings(capacity: usize) -> Settings {
        let agreement = ReplayAgreement::from_bytes([0; 16]);
        Settings::new(capacity, agreement, &Counting::default(), UnixTime::from_secs(0)).unwrap()
    }

    #[test]
    fn shards_follow_capacity_and_never_exceed_it_in_shares() {
        for (capacity, shards, here, shared_from, share) in [
            (1, 1, 1, 0, 1),
            (64, 1, 64, 32, 1),
            (1_000, 1, 1_000, 500, 15),
            (32_767, 1, 32_767, 16_383, 511),
            (32_768, 2, 16_384, 8_192, 256),
            (1_000_000, 32, 31_250, 15_625, 488),
            (10_000_000, 512, 19_532, 9_766, 305),
            (100_000_000, 1_024, 97_657, 48_828, 1_525),
        ] {
            let (settings, limits) = (settings(capacity), Limits { capacity: here, shared_from, share });
            assert_eq!((settings.shards(), settings.limits()), (shards, limits), "{capacity}");
            assert!(capacity < 64 || settings.shards() * usize::from(limits.share) * 64 <= capacity);
        }
    }

    #[test]
    fn shares_are_an_option_within_bounds() {
        let limits = |shares| settings(1_000_000).with_shares(shares).map(|settings| settings.limits());
        assert_eq!(limits(64), Ok(settings(1_000_000).limits()));
        assert_eq!(limits(4), Ok(Limits { capacity: 31_250, shared_from: 15_625, share: 7_812 }));
        assert_eq!(limits(1).map(|limits| limits.shared_from), Ok(31_250), "one key may hold everything");
        assert!(limits(0).is_err() && limits(4_097).is_err());
    }
}
