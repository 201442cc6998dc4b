//! A circuit breaker: a store that keeps failing is left alone for a moment, so that requests are refused at once.

use super::limiter::Wait;
use crate::Misuse;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    faults: u32,
    pause: u64,
}

impl BreakerSettings {
    /// After how many faults in a row a breaker opens, unless told otherwise.
    pub const FAULTS: u32 = 5;
    /// For how many milliseconds, unless told otherwise.
    pub const PAUSE: u64 = 5_000;

    /// Opens after this many faults in a row (1 to 1,000), and tries again after `pause` milliseconds (100 to 300,000).
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`] outside those bounds.
    pub const fn new(faults: u32, pause: u64) -> Result<Self, Misuse> {
        if faults == 0 || faults > 1_000 {
            return Err(Misuse::PolicyBound("the faults of a breaker (1 to 1000)"));
        }
        if pause < 100 || pause > 300_000 {
            return Err(Misuse::PolicyBound("the pause of a breaker (100 to 300000 ms)"));
        }
        Ok(Self { faults, pause })
    }
}

impl Default for BreakerSettings {
    /// [`FAULTS`](Self::FAULTS) and [`PAUSE`](Self::PAUSE).
    fn default() -> Self {
        Self { faults: Self::FAULTS, pause: Self::PAUSE }
    }
}

/// What a breaker does with the next request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BreakerState {
    /// It passes: the store answers.
    Closed,
    /// It is refused: the store failed, and is left alone.
    Open,
    /// One request tries whether the store answers again; all others are refused until it is back.
    HalfOpen,
}

impl BreakerState {
    /// Stable name, for logs and metrics: `closed`, `open`, `half_open`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The state machine. It counts faults and time-outs, never what a store that works says. Time is an argument, in milliseconds
/// since any moment.
///
/// ```
/// use keybound::guard::{Breaker, BreakerSettings, BreakerState};
/// let mut breaker = Breaker::new(BreakerSettings::new(2, 1_000)?);
/// for _ in 0..2 {
///     let pass = breaker.pass(0).expect("it is closed");
///     breaker.failed(pass, 0);
/// }
/// assert!(breaker.pass(999).is_err());
/// let trial = breaker.pass(1_000).expect("one request tries");
/// assert!(breaker.pass(1_000).is_err());
/// breaker.answered(trial);
/// assert_eq!(breaker.state(1_000), BreakerState::Closed);
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Goes up with each change of the state.
    period: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        /// In a row.
        faults: u32,
    },
    Open {
        until: u64,
    },
    /// One request is trying. If it never comes back, for instance because its flow was dropped, another tries then.
    HalfOpen {
        until: u64,
    },
}

/// Leave to ask the store. Its outcome counts in the period in which it was given: answers to what was asked before the breaker opened
/// change nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "tell the breaker how it went"]
pub struct Pass(u64);

impl Breaker {
    /// A closed one.
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { faults: 0 }, period: 0 }
    }

    /// Leave to ask the store.
    ///
    /// # Errors
    /// How long until it is worth another try.
    pub const fn pass(&mut self, now: u64) -> Result<Pass, Wait> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } | State::HalfOpen { until } if now < until => {
                return Err(Wait::milliseconds(until.saturating_sub(now)));
            }
            State::Open { .. } | State::HalfOpen { .. } => {
                self.enter(State::HalfOpen { until: now.saturating_add(self.settings.pause) });
            }
        }
        Ok(Pass(self.period))
    }

    /// How long until it next lets a request through, as [`pass`](Self::pass) says; none while it is closed.
    pub const fn wait(&self, now: u64) -> Option<Wait> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } | State::HalfOpen { until } => Some(Wait::milliseconds(until.saturating_sub(now))),
        }
    }

    /// The store answered, whatever it said.
    pub const fn answered(&mut self, pass: Pass) {
        if pass.0 != self.period {
            return;
        }
        match &mut self.state {
            State::Closed { faults } => *faults = 0,
            State::Open { .. } | State::HalfOpen { .. } => self.enter(State::Closed { faults: 0 }),
        }
    }

    /// The store failed, or did not answer in time.
    pub const fn failed(&mut self, pass: Pass, now: u64) {
        if pass.0 != self.period {
            return;
        }
        if let State::Closed { faults } = &mut self.state {
            *faults = faults.saturating_add(1);
            if *faults < self.settings.faults {
                return;
            }
        }
        self.enter(State::Open { until: now.saturating_add(self.settings.pause) });
    }

    /// What becomes of the next request.
    pub const fn state(&self, now: u64) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    const fn enter(&mut self, state: State) {
        self.state = state;
        self.period = self.period.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, BreakerSettings, BreakerState};

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings::new(3, 1_000).unwrap())
    }

    fn fail(breaker: &mut Breaker, now: u64) {
        let pass = breaker.pass(now).unwrap();
        breaker.failed(pass, now);
    }

    #[test]
    fn it_opens_after_so_many_faults_in_a_row() {
        let mut breaker = breaker();
        for _ in 0..10 {
            fail(&mut breaker, 0);
            fail(&mut breaker, 0);
            let pass = breaker.pass(0).unwrap();
            breaker.answered(pass);
        }
        assert_eq!((breaker.state(0), breaker.wait(0)), (BreakerState::Closed, None));
        for _ in 0..3 {
            fail(&mut breaker, 100);
        }
        assert_eq!(breaker.state(100), BreakerState::Open);
        assert_eq!(breaker.pass(200).unwrap_err().duration().as_millis(), 900);
        assert_eq!(breaker.wait(200), breaker.pass(200).err());
        assert_eq!((breaker.wait(100).unwrap().seconds(), breaker.wait(9_999).unwrap().seconds()), (1, 1));
        assert!(breaker.pass(1_099).is_err());
    }

    #[test]
    fn one_request_tries_and_its_outcome_decides() {
        let mut breaker = breaker();
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        assert_eq!(breaker.state(1_000), BreakerState::HalfOpen);
        let trial = breaker.pass(1_000).unwrap();
        for _ in 0..5 {
            assert!(breaker.pass(1_001).is_err(), "one at a time");
        }
        // A fault opens it at once, not after three more.
        breaker.failed(trial, 1_250);
        assert_eq!(breaker.state(1_250), BreakerState::Open);
        assert!(breaker.pass(2_249).is_err());
        let trial = breaker.pass(2_250).unwrap();
        breaker.answered(trial);
        assert_eq!(breaker.state(2_250), BreakerState::Closed);
        fail(&mut breaker, 2_250);
        assert_eq!(breaker.state(2_250), BreakerState::Closed, "the count began anew");
    }

    #[test]
    fn a_trial_that_never_comes_back_is_followed_by_another() {
        let mut breaker = breaker();
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        let lost = breaker.pass(1_000).unwrap();
        assert!(breaker.pass(1_999).is_err());
        let trial = breaker.pass(2_000).unwrap();
        assert!(breaker.pass(2_000).is_err());
        // The lost one comes back after all: it no longer counts.
        breaker.answered(lost);
        breaker.failed(lost, 2_000);
        assert!(breaker.pass(2_000).is_err());
        breaker.answered(trial);
        assert!(breaker.pass(2_000).is_ok());
    }

    #[test]
    fn what_was_asked_before_it_opened_changes_nothing() {
        let mut breaker = breaker();
        let slow = [breaker.pass(0).unwrap(), breaker.pass(0).unwrap()];
        for _ in 0..3 {
            fail(&mut breaker, 0);
        }
        breaker.answered(slow[0]);
        assert_eq!(breaker.state(0), BreakerState::Open);
        breaker.failed(slow[1], 999);
        assert!(breaker.pass(1_000).is_ok(), "a late fault keeps it open no longer");
    }

    #[test]
    fn settings_have_bounds() {
        assert!(BreakerSettings::new(1, 100).is_ok() && BreakerSettings::new(1_000, 300_000).is_ok());
        for (faults, pause) in [(0, 100), (1_001, 100), (1, 99), (1, 300_001)] {
            assert!(BreakerSettings::new(faults, pause).is_err(), "{faults} {pause}");
        }
        assert_eq!(BreakerSettings::default(), BreakerSettings::new(5, 5_000).unwrap());
    }
}
