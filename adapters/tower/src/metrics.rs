//! Numbers for the `metrics` facade: which program collects them is the host's choice.
//!
//! Their names, types and labels are a contract, `tests/contract/metrics.json`. No label has a value that came from a peer.

use std::time::Duration;

use keybound::Refusal;
use keybound::audit::Facts;
#[cfg(feature = "metrics")]
use keybound::audit::Verdict;
use keybound::guard::BreakerState;
use keybound::replay::Insertion;

/// Counts, if that is switched on; otherwise each method is a comparison.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Meter {
    #[cfg(feature = "metrics")]
    on: bool,
}

/// Why a store did not answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreFault {
    /// It failed.
    Error,
    /// It gave more or fewer answers than it was asked for.
    Answers,
    /// It says so itself, and may say why.
    Unavailable(Option<&'static str>),
}

impl Meter {
    /// Whether anything is counted.
    pub(crate) const fn is_on(self) -> bool {
        #[cfg(feature = "metrics")]
        return self.on;
        #[cfg(not(feature = "metrics"))]
        false
    }
}

#[cfg(feature = "metrics")]
mod names {
    //! What is counted, each with its help and the names of its labels.

    pub(super) const REQUESTS: &str = "keybound_requests_total";
    pub(super) const CHECK: &str = "keybound_check_seconds";
    pub(super) const REPLAYS: &str = "keybound_replays_total";
    pub(super) const CHALLENGES: &str = "keybound_nonce_challenges_total";
    pub(super) const CLOCK: &str = "keybound_clock_offset_seconds";
    pub(super) const STORE: &str = "keybound_store_seconds";
    pub(super) const FAULTS: &str = "keybound_store_faults_total";
    pub(super) const UP: &str = "keybound_store_up";
    pub(super) const LIVES: &str = "keybound_store_lives_total";
    pub(super) const BREAKER: &str = "keybound_breaker_state";
    pub(super) const LIMITED: &str = "keybound_rate_limited_total";
    pub(super) const LOST: &str = "keybound_audit_dropped_total";
}

#[cfg(feature = "metrics")]
impl Meter {
    /// Counts from now on, and tells the recorder what.
    pub(crate) fn on() -> Self {
        use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
        describe_counter!(names::REQUESTS, Unit::Count, "Requests that were decided, by verdict and reason.");
        describe_histogram!(names::CHECK, Unit::Seconds, "How long decisions took, the replay store included.");
        describe_counter!(names::REPLAYS, Unit::Count, "Proofs that were presented again.");
        describe_counter!(names::CHALLENGES, Unit::Count, "Requests answered with a nonce to use, by reason.");
        describe_histogram!(
            names::CLOCK,
            Unit::Seconds,
            "The iat of proofs minus the server's time; only proofs whose signature was verified."
        );
        describe_histogram!(names::STORE, Unit::Seconds, "How long the replay store took, by its answer.");
        describe_counter!(names::FAULTS, Unit::Count, "Questions that the replay store did not answer, by fault.");
        describe_gauge!(names::UP, Unit::Count, "1 if the replay store answered the last question, else 0.");
        describe_counter!(names::LIVES, Unit::Count, "How often the replay store began a new life.");
        describe_gauge!(
            names::BREAKER,
            Unit::Count,
            "The breaker before the replay store: 0 closed, 1 trying, 2 open."
        );
        describe_counter!(names::LIMITED, Unit::Count, "Requests over a limit, by what is limited.");
        describe_counter!(names::LOST, Unit::Count, "Audit records that were lost.");
        Self { on: true }
    }

    /// A decision about a request.
    pub(crate) fn decided(self, refusal: Option<&Refusal>, facts: Option<&Facts>, took: Duration) {
        if !self.on {
            return;
        }
        let verdict = refusal.map_or(Verdict::Admitted, Verdict::of);
        let reason = refusal.map_or("none", Refusal::reason);
        metrics::counter!(names::REQUESTS, "verdict" => verdict.name(), "reason" => reason).increment(1);
        metrics::histogram!(names::CHECK).record(took.as_secs_f64());
        if verdict == Verdict::Challenged {
            metrics::counter!(names::CHALLENGES, "reason" => reason).increment(1);
        }
        if reason == keybound::Rejection::Replayed.reason() {
            metrics::counter!(names::REPLAYS).increment(1);
        }
        if let Some(by) = refusal.and_then(Refusal::limited_by) {
            metrics::counter!(names::LIMITED, "by" => by.name()).increment(1);
        }
        if let Some(offset) = facts.and_then(Facts::clock_offset) {
            // Further apart than 68 years is 68 years apart.
            let furthest = if offset < 0 { i32::MIN } else { i32::MAX };
            metrics::histogram!(names::CLOCK).record(f64::from(i32::try_from(offset).unwrap_or(furthest)));
        }
    }

    /// An answer of the replay store.
    pub(crate) fn answered(self, insertion: Insertion, took: Duration) {
        if self.on {
            metrics::histogram!(names::STORE, "answer" => insertion.name()).record(took.as_secs_f64());
            metrics::gauge!(names::UP).set(if insertion == Insertion::Unavailable { 0.0 } else { 1.0 });
        }
    }

    /// A question that the store did not answer.
    pub(crate) fn store_failed(self, fault: StoreFault) {
        if self.on {
            let fault = match fault {
                StoreFault::Error => "error",
                StoreFault::Answers => "answers",
                StoreFault::Unavailable(why) => why.unwrap_or("unavailable"),
            };
            metrics::counter!(names::FAULTS, "fault" => fault).increment(1);
        }
    }

    /// What the breaker does with the next request, if there is one.
    pub(crate) fn breaker(self, state: impl FnOnce() -> Option<BreakerState>) {
        if self.on
            && let Some(state) = state()
        {
            metrics::gauge!(names::BREAKER).set(match state {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            });
        }
    }

    /// The store began a new life.
    pub(crate) fn store_lives(self) {
        if self.on {
            metrics::counter!(names::LIVES).increment(1);
        }
    }

    /// An audit record was lost.
    pub(crate) fn audit_lost(self) {
        if self.on {
            metrics::counter!(names::LOST).increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
#[allow(clippy::unused_self, reason = "as with the feature")]
impl Meter {
    pub(crate) const fn decided(self, _: Option<&Refusal>, _: Option<&Facts>, _: Duration) {}
    pub(crate) const fn answered(self, _: Insertion, _: Duration) {}
    pub(crate) const fn store_failed(self, _: StoreFault) {}
    pub(crate) fn breaker(self, _: impl FnOnce() -> Option<BreakerState>) {}
    pub(crate) const fn store_lives(self) {}
    pub(crate) const fn audit_lost(self) {}
}
