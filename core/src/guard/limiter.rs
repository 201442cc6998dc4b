//! Token buckets for any number of keys, in bounded memory and at the same cost for any key.

use core::fmt;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use super::buckets::Buckets;
use crate::Misuse;
use crate::crypto::{RandomUnavailable, SecureRandom};

/// Nanoseconds in a millisecond, and in a second.
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// The largest rate and the largest burst.
const MOST: u32 = 1_000_000;

/// How often something may happen: at a steady rate, and a number of times at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    rate: u32,
    burst: u32,
}

impl Limit {
    /// `rate` times a second, and up to `burst` times at once after a pause; each 1 to 1,000,000.
    ///
    /// ```
    /// use keybound::guard::Limit;
    /// let limit = Limit::per_second(10, 20)?;
    /// # Ok::<(), keybound::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`] outside those bounds.
    pub const fn per_second(rate: u32, burst: u32) -> Result<Self, Misuse> {
        if rate == 0 || rate > MOST {
            return Err(Misuse::PolicyBound("the rate of a limit (1 to 1000000 a second)"));
        }
        if burst == 0 || burst > MOST {
            return Err(Misuse::PolicyBound("the burst of a limit (1 to 1000000)"));
        }
        Ok(Self { rate, burst })
    }

    /// How many times a second.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// How many times at once.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// In how many nanoseconds one token comes back. Rounded up: never faster than the rate.
    const fn interval(&self) -> u64 {
        // A u32 always fits; `From` is not const.
        #[allow(clippy::as_conversions, reason = "u32 to u64 loses nothing")]
        SECOND.div_ceil(self.rate as u64)
    }

    /// How far the moment at which a bucket is full may lie ahead, for one more token to be in it.
    const fn tolerance(&self) -> u64 {
        #[allow(clippy::as_conversions, reason = "u32 to u64 loses nothing")]
        let burst = self.burst as u64;
        self.interval().saturating_mul(burst.saturating_sub(1))
    }
}

/// A bucket is empty; it has a token again after this time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wait(Duration);

impl Wait {
    pub(super) const fn nanoseconds(nanoseconds: u64) -> Self {
        Self(Duration::from_nanos(nanoseconds))
    }

    pub(super) const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// How long.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The same in whole seconds, rounded up and at least one: the value of `Retry-After` (RFC 9110 section 10.2.3).
    pub fn seconds(self) -> u64 {
        self.0.as_secs().saturating_add(u64::from(self.0.subsec_nanos() > 0)).max(1)
    }
}

/// Token buckets by key, at most so many.
///
/// - A key without a bucket has a full one; a bucket that is full again gives its place away first.
/// - At capacity the fullest bucket, that of the key that was used least, gives its place away. The key that takes it goes on from where it
///   was, so that going round more keys than there are buckets refills none of them: no key ever gets more than its limit.
/// - A bucket that is empty is never dropped. If all are, keys without a bucket share one.
/// - Time is an argument, in milliseconds since any moment, and does not go back.
///
/// Positions come from SipHash-1-3 under a key drawn at creation. Of each key a hash of 64 bits is kept: two keys share a bucket by
/// chance once in 2^64 pairs.
///
/// ```
/// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
/// use keybound::guard::{Limit, Limiter};
/// let mut limiter = Limiter::new(Limit::per_second(1, 2)?, 1_000, keybound::RUSTCRYPTO.random)?;
/// assert!(limiter.take(b"one", 0).is_ok());
/// assert!(limiter.take(b"one", 0).is_ok());
/// assert_eq!(limiter.take(b"one", 0).unwrap_err().seconds(), 1);
/// assert!(limiter.take(b"another", 0).is_ok());
/// assert!(limiter.take(b"one", 1_000).is_ok());
/// # }
/// # Ok::<(), keybound::Misuse>(())
/// ```
pub struct Limiter {
    limit: Limit,
    hash: SipHasher13,
    buckets: Buckets,
    /// When the bucket is full that newcomers share while all others are empty.
    shared: u64,
}

/// Where the tokens of a key are.
#[derive(Clone, Copy)]
enum Holder {
    /// In its own bucket.
    Own { full_at: u64 },
    /// In one that is to be added.
    New,
    /// In the place of the fullest bucket.
    Successor { full_at: u64 },
    /// In the bucket that is shared while all others are empty.
    Shared { full_at: u64 },
}

impl Limiter {
    /// Buckets of this limit for at most `capacity` keys, at about 40 bytes each.
    ///
    /// # Errors
    /// [`RandomUnavailable`]: no key for the hash could be drawn.
    pub fn new(limit: Limit, capacity: usize, random: &dyn SecureRandom) -> Result<Self, RandomUnavailable> {
        let mut key = [0; 16];
        random.fill(&mut key)?;
        Ok(Self { limit, hash: SipHasher13::new_with_key(&key), buckets: Buckets::new(capacity), shared: 0 })
    }

    /// Whether `key` has a token, which is left where it is.
    ///
    /// # Errors
    /// How long it takes until it has one.
    pub fn look(&self, key: &[u8], now: u64) -> Result<(), Wait> {
        let now = nanoseconds(now);
        self.has_token(self.holder(self.hash.hash(key), now), now)
    }

    /// Takes a token of `key`, if it has one.
    ///
    /// # Errors
    /// How long it takes until it has one. Nothing is taken then.
    pub fn take(&mut self, key: &[u8], now: u64) -> Result<(), Wait> {
        let (tag, now) = (self.hash.hash(key), nanoseconds(now));
        let holder = self.holder(tag, now);
        self.has_token(holder, now)?;
        self.charge_to(holder, tag, now);
        Ok(())
    }

    /// Takes a token of `key` for something that was done, whether it has one or not. What is taken beyond the last token is owed: the
    /// key waits that much longer.
    pub fn charge(&mut self, key: &[u8], now: u64) {
        let (tag, now) = (self.hash.hash(key), nanoseconds(now));
        self.charge_to(self.holder(tag, now), tag, now);
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn holder(&self, tag: u64, now: u64) -> Holder {
        if let Some(full_at) = self.buckets.full_at(tag) {
            return Holder::Own { full_at };
        }
        match self.buckets.fullest() {
            // A full bucket says no more than a missing one.
            Some(full_at) if full_at <= now => Holder::Successor { full_at },
            Some(full_at) if self.buckets.are_at_capacity() => {
                let is_empty = self.has_token(Holder::Own { full_at }, now).is_err();
                if is_empty { Holder::Shared { full_at: self.shared } } else { Holder::Successor { full_at } }
            }
            _ => Holder::New,
        }
    }

    fn has_token(&self, holder: Holder, now: u64) -> Result<(), Wait> {
        let full_at = match holder {
            Holder::New => return Ok(()),
            Holder::Own { full_at } | Holder::Successor { full_at } | Holder::Shared { full_at } => full_at,
        };
        match full_at.saturating_sub(now).saturating_sub(self.limit.tolerance()) {
            0 => Ok(()),
            wait => Err(Wait::nanoseconds(wait)),
        }
    }

    fn charge_to(&mut self, holder: Holder, tag: u64, now: u64) {
        let later = |full_at: u64| full_at.max(now).saturating_add(self.limit.interval());
        match holder {
            Holder::Own { full_at } => self.buckets.put_off(tag, later(full_at)),
            Holder::New => self.buckets.add(tag, later(now)),
            Holder::Successor { full_at } => self.buckets.replace_fullest(tag, later(full_at)),
            Holder::Shared { full_at } => self.shared = later(full_at),
        }
    }
}

const fn nanoseconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(MILLISECOND)
}

impl fmt::Debug for Limiter {
    /// Without the key of the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("limit", &self.limit).field("buckets", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
mod tests {
    use super::{Limit, Limiter};
    use crate::crypto::{RandomUnavailable, SecureRandom};
    use alloc::format;

    struct Fixed;

    impl SecureRandom for Fixed {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
            out.fill(7);
            Ok(())
        }
    }

    fn limiter(rate: u32, burst: u32, capacity: usize) -> Limiter {
        Limiter::new(Limit::per_second(rate, burst).unwrap(), capacity, &Fixed).unwrap()
    }

    /// How many of so many attempts in one moment are permitted.
    fn permitted(limiter: &mut Limiter, key: &[u8], now: u64, attempts: usize) -> usize {
        (0..attempts).filter(|_| limiter.take(key, now).is_ok()).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut limiter = limiter(10, 5, 100);
        assert_eq!(permitted(&mut limiter, b"a", 1_000, 100), 5);
        // One token in 100 ms.
        assert_eq!(limiter.take(b"a", 1_099).unwrap_err().duration().as_micros(), 1_000);
        assert_eq!(permitted(&mut limiter, b"a", 1_100, 100), 1);
        assert_eq!(permitted(&mut limiter, b"a", 1_300, 100), 2);
        // However long the pause, no more than a burst.
        assert_eq!(permitted(&mut limiter, b"a", 1_000_000, 100), 5);
        let within_ten_seconds = (0..10_000).filter(|ms| limiter.take(b"b", 2_000_000 + ms).is_ok()).count();
        assert_eq!(within_ten_seconds, 5 + 99);
    }

    #[test]
    fn a_key_has_a_bucket_of_its_own() {
        let mut limiter = limiter(1, 3, 100);
        assert_eq!(permitted(&mut limiter, b"a", 0, 10), 3);
        assert_eq!(permitted(&mut limiter, b"b", 0, 10), 3);
        assert_eq!(permitted(&mut limiter, b"", 0, 10), 3);
    }

    #[test]
    fn looking_takes_nothing_and_charging_asks_nobody() {
        let mut limiter = limiter(1, 2, 100);
        for _ in 0..10 {
            assert!(limiter.look(b"a", 0).is_ok());
        }
        assert!(limiter.is_empty());
        for _ in 0..4 {
            limiter.charge(b"a", 0);
        }
        // Two of the four are owed, and the next token comes after them.
        assert_eq!(limiter.look(b"a", 0).unwrap_err().seconds(), 3);
        assert!(limiter.look(b"a", 2_999).is_err());
        assert!(limiter.look(b"a", 3_000).is_ok());
    }

    #[test]
    fn at_capacity_the_fullest_goes_and_no_empty_one() {
        let mut limiter = limiter(1, 4, 3);
        assert_eq!(permitted(&mut limiter, b"empty", 0, 9), 4);
        assert_eq!(permitted(&mut limiter, b"half", 0, 2), 2);
        assert_eq!(permitted(&mut limiter, b"little", 0, 1), 1);
        // The newcomer goes on from where "little" was.
        assert_eq!(permitted(&mut limiter, b"new", 0, 9), 3);
        assert_eq!(limiter.len(), 3);
        assert_eq!(permitted(&mut limiter, b"empty", 0, 9), 0);
        // "new" is empty now, so "half" goes.
        assert_eq!(permitted(&mut limiter, b"newer", 0, 9), 2);
        for gone in [&b"empty"[..], b"new", b"newer"] {
            assert_eq!(permitted(&mut limiter, gone, 0, 9), 0, "{gone:?}");
        }
    }

    #[test]
    fn where_all_buckets_are_empty_newcomers_share_one() {
        let mut limiter = limiter(1, 2, 3);
        for key in [b"a", b"b", b"c"] {
            assert_eq!(permitted(&mut limiter, key, 0, 9), 2);
        }
        let newcomers: usize = (0..1_000_u32).map(|key| permitted(&mut limiter, &key.to_le_bytes(), 0, 1)).sum();
        assert_eq!(newcomers, 2, "one bucket for all of them");
        assert!(limiter.look(b"another", 0).is_err());
        assert_eq!(permitted(&mut limiter, b"a", 0, 9), 0, "none of the empty ones was dropped");
        // A second later each has a token again, the shared one too; and then there is a fullest to be replaced.
        assert_eq!(permitted(&mut limiter, b"a", 1_000, 9), 1);
        assert_eq!(permitted(&mut limiter, b"another", 1_000, 9), 1);
    }

    /// With more addresses than there are buckets nobody gets more than the table has tokens.
    #[test]
    fn going_round_many_keys_refills_nothing() {
        let (capacity, burst) = (100, 5);
        let mut limiter = limiter(1, burst, capacity);
        let keys = 0..(capacity as u32 * 3);
        let permitted: usize =
            (0..50).map(|_| keys.clone().filter(|key| limiter.take(&key.to_le_bytes(), 0).is_ok()).count()).sum();
        // All buckets and the shared one.
        assert_eq!(permitted, (capacity + 1) * burst as usize);
    }

    /// No key gets more than its limit, whatever the others do and however small the table is.
    #[test]
    fn a_key_that_is_dropped_comes_back_no_richer() {
        let mut limiter = limiter(1, 4, 8);
        let mut random = 1_u64;
        let mut mine = 0_u64;
        for step in 0..100_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let now = step * 10;
            let key = match (random >> 40) % 3 {
                0 => 0,
                _ => (random >> 33) % 40,
            };
            let permitted = limiter.take(&key.to_le_bytes(), now).is_ok();
            mine += u64::from(key == 0 && permitted);
            // At most a burst, a token a second, and what it may have had from the shared bucket.
            assert!(mine <= 2 * (4 + now / 1_000), "{mine} at {now}");
        }
        assert!(mine > 500, "{mine}: and it is served");
    }

    /// A flood of new keys at capacity is the worst that can arrive. It costs a path of the heap and a run of the index.
    #[test]
    fn a_flood_of_new_keys_costs_the_same_at_any_capacity() {
        for capacity in [16_usize, 1_024, 65_536] {
            let mut limiter = limiter(1_000, 100, capacity);
            let (mut most, mut sum) = (0, 0);
            let requests = capacity as u64 * 4 + 20_000;
            for key in 0..requests {
                limiter.buckets.steps.set(0);
                // All of them within a moment, so that no bucket fills up again and each newcomer replaces another.
                let _ = limiter.take(&key.to_le_bytes(), key / 1_000_000);
                most = most.max(limiter.buckets.steps.get());
                sum += limiter.buckets.steps.get() as u64;
            }
            assert_eq!(limiter.len(), capacity);
            let depth = capacity.ilog2() as usize + 1;
            assert!(sum <= requests * (depth as u64 + 12), "{capacity}: {} on average", sum / requests);
            // Runs of a half-full index are short: the longest of 65,536 has some 40 slots.
            assert!(most <= depth + 120, "{capacity}: {most} at most");
        }
    }

    #[test]
    fn waits_are_rounded_up() {
        let mut limiter = limiter(1_000, 1, 10);
        assert!(limiter.take(b"a", 0).is_ok());
        assert_eq!(limiter.take(b"a", 0).unwrap_err().seconds(), 1);
        limiter.charge(b"a", 0);
        assert_eq!(limiter.look(b"a", 0).unwrap_err().seconds(), 1);
        for _ in 0..999 {
            limiter.charge(b"a", 0);
        }
        assert_eq!(limiter.look(b"a", 0).unwrap_err().seconds(), 2);
    }

    #[test]
    fn times_at_the_end_of_the_world_do_no_harm() {
        let mut limiter = limiter(1, 1, 2);
        assert!(limiter.take(b"a", u64::MAX).is_ok());
        limiter.charge(b"a", u64::MAX);
        limiter.charge(b"b", 0);
        assert!(limiter.look(b"b", 0).is_err());
    }

    #[test]
    fn limits_have_bounds() {
        assert!(Limit::per_second(1, 1).is_ok() && Limit::per_second(1_000_000, 1_000_000).is_ok());
        for (rate, burst) in [(0, 1), (1, 0), (1_000_001, 1), (1, 1_000_001)] {
            assert!(Limit::per_second(rate, burst).is_err(), "{rate} {burst}");
        }
        assert!(!format!("{:?}", limiter(1, 1, 1)).contains('7'), "no key of the hash is shown");
    }
}
