//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keybound::UnixTime;

/// When a clock begins unless it is told: 14 November 2023, 22:13:20 UTC.
const START: i64 = 1_700_000_000;

/// A clock that stands still until it is moved. Clones show the same time.
///
/// ```
/// use keybound_testing::TestClock;
/// let clock = TestClock::default();
/// let before = clock.now();
/// clock.advance(60);
/// assert_eq!(clock.now().since(before), 60);
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// A clock that shows `time`. For tests beside code that reads the system's clock, give [`UnixTime::now`].
    pub fn at(time: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(time.secs())))
    }

    /// The time it shows.
    pub fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::SeqCst))
    }

    /// Moves it to `time`, which may be in its past.
    pub fn set(&self, time: UnixTime) {
        self.0.store(time.secs(), Ordering::SeqCst);
    }

    /// Moves it `seconds` ahead.
    pub fn advance(&self, seconds: u64) {
        self.set(self.now().saturating_add(seconds));
    }

    /// The form in which [`Builder::clock`](keybound_tower::Builder::clock) takes it.
    pub fn reader(&self) -> impl Fn() -> UnixTime + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(UnixTime::from_secs(START))
    }
}
