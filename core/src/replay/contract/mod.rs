//! One suite of checks for every replay store, shipped with the crate so that stores of others can pass it too.
//!
//! [`check_store`] runs it over a store that answers at once, [`check_async_store`] over one behind a network;
//! the host drives that future with its own executor. Time is made up: no check sleeps. The first broken
//! [`Rule`] is reported.
//!
//! ```no_run
//! # use keybound::UnixTime;
//! # use keybound::replay::{Inserted, Insertion, ReplayAgreement, ReplayEntry, ReplayStore, StoreEpoch};
//! # struct MyStore;
//! # impl MyStore { fn empty(_: ReplayAgreement, _: UnixTime) -> Self { Self } }
//! # impl ReplayStore for MyStore {
//! #     type Error = core::convert::Infallible;
//! #     fn insert(&self, _: &ReplayEntry, _: UnixTime) -> Result<Inserted, Self::Error> {
//! #         Ok(Inserted::new(Insertion::Fresh, self.epoch()))
//! #     }
//! #     fn epoch(&self) -> StoreEpoch { StoreEpoch::from_u64(0) }
//! # }
//! use keybound::replay::contract::{Contract, check_store};
//!
//! let agreement = ReplayAgreement::from_bytes([1; 16]);
//! let contract = Contract::new(agreement).with_capacity(10_000);
//! check_store(|now| MyStore::empty(agreement, now), contract).unwrap();
//! ```

mod rules;
mod subject;

use alloc::string::String;
use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::key::ReplayAgreement;
use super::store::{AsyncReplayStore, ReplayStore};
use crate::time::UnixTime;
use subject::{AtOnce, Waiting};

/// What the suite is told about the stores it checks.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    agreement: ReplayAgreement,
    capacity: Option<usize>,
    share: Option<usize>,
}

impl Contract {
    /// The rules for stores created with this `agreement`, without those about limits.
    pub const fn new(agreement: ReplayAgreement) -> Self {
        Self { agreement, capacity: None, share: None }
    }

    /// Adds the rules about a full store, for stores that hold at most `capacity` entries.
    ///
    /// Up to twice as many entries are inserted. Let it be 4,000 or more where the store also limits the share
    /// of one thumbprint, so that the limits are not in each other's way.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Adds the rules about the share of one thumbprint, for stores in which one that has the store for itself holds at most `share`
    /// entries: half of the capacity in the memory stores.
    #[must_use]
    pub const fn with_share(mut self, share: usize) -> Self {
        self.share = Some(share);
        self
    }
}

/// Checks a store that answers at once.
///
/// `make` gives an empty store created at the given time, with the agreement of `contract` and room for 1,000
/// entries at least; it is called once for each rule or two.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_store<S>(mut make: impl FnMut(UnixTime) -> S, contract: Contract) -> Result<(), ContractViolation>
where
    S: ReplayStore,
    S::Error: fmt::Debug,
{
    let suite = rules::check(async |now| AtOnce(make(now)), contract);
    match pin!(suite).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(ContractViolation::new(Rule::FirstIsFresh, "an answer at once", "none")),
    }
}

/// Checks a store that must be waited for.
///
/// `make` gives an empty store created at the given time, with the agreement of `contract` and room for 1,000
/// entries at least; it is called once for each rule or two. A store that outlives the process, such as a database, is emptied by `make` or given
/// another namespace each time; what its clock says does not matter, but its lifetimes must be relative ones.
///
/// # Errors
/// The first rule that does not hold.
pub async fn check_async_store<S>(
    mut make: impl AsyncFnMut(UnixTime) -> S,
    contract: Contract,
) -> Result<(), ContractViolation>
where
    S: AsyncReplayStore,
    S::Error: fmt::Debug,
{
    rules::check(async |now| Waiting(make(now).await), contract).await
}

/// What the suite checks, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rule {
    /// The first insert of an entry is fresh.
    FirstIsFresh,
    /// The second insert of an entry is seen, and so is every further one.
    SecondIsSeen,
    /// Entries of two thumbprints with one `jti` have different keys and do not collide.
    StrangersDoNotCollide,
    /// An entry is known until its `keep_until`, that instant included.
    KeptUntilTheEnd,
    /// An entry timed at or before floor + `max_ahead` is before the floor; one timed a second later is not.
    FloorIsKept,
    /// A nonce with the present epoch vouches for entries timed before the floor, once each.
    PresentEpochVouches,
    /// A nonce with another epoch vouches for nothing.
    OtherEpochDoesNotVouch,
    /// An answer names the life it was given in, and from then on so does the store.
    AnswerNamesEpoch,
    /// No entry is accepted twice, whatever the clock does in between.
    ClockMayStepBack,
    /// An entry of another agreement is refused as unavailable, and refuses nobody else.
    AgreementIsKept,
    /// A batch has one answer for each entry, in order; an empty batch has none.
    AnswersAreInOrder,
    /// Of equal entries in one batch the first is fresh and the rest are seen.
    BatchHasNoTwins,
    /// Of inserts of one entry under way at the same time exactly one is fresh.
    OneOfManyIsFresh,
    /// A store holds no more than its capacity, and at least half of it before it is full.
    CapacityIsLimit,
    /// A full store still knows every live entry.
    FullForgetsNothing,
    /// A full store has room again when its entries have expired.
    RoomReturns,
    /// One thumbprint holds no more than its share, and at least one entry.
    ShareIsLimit,
    /// A thumbprint that has used up its share does not keep others out.
    ShareSparesOthers,
}

/// A store broke a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContractViolation {
    rule: Rule,
    expected: &'static str,
    found: String,
}

impl ContractViolation {
    fn new(rule: Rule, expected: &'static str, found: impl Into<String>) -> Self {
        Self { rule, expected, found: found.into() }
    }

    /// Which rule.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What the rule asks for.
    pub const fn expected(&self) -> &'static str {
        self.expected
    }

    /// What the store did.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for ContractViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store broke the rule {:?}: expected {}, found {}", self.rule, self.expected, self.found)
    }
}

impl core::error::Error for ContractViolation {}

#[cfg(test)]
mod tests;
