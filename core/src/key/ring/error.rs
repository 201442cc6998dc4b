//! What can go wrong with a key ring.
//!
//! ```
//! use keybound::key::ring::{InvalidPolicy, RotationPolicy};
//!
//! assert_eq!(RotationPolicy::new(0, 600), Err(InvalidPolicy::Zero));
//! assert_eq!(RotationPolicy::new(1, 600), Err(InvalidPolicy::TooManyKeys));
//! ```

use core::fmt;

use super::RingKey;
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// Why a policy makes no sense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InvalidPolicy {
    /// A time is zero.
    Zero,
    /// More than [`RotationPolicy::MAX_RETIRING`](super::RotationPolicy::MAX_RETIRING) keys would be retiring at
    /// once.
    TooManyKeys,
}

/// Why there is no key to sign with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// The ring does not know the thumbprint, or has forgotten it long after the key was deleted.
    Unknown,
    /// The key has retired and does not sign any more.
    Retired {
        /// The first second in which it was retired.
        since: UnixTime,
    },
    /// The key should sign, but the host has none of this thumbprint. A key that is back is found by
    /// [`Shared::follow`](super::Shared::follow).
    Lost,
}

/// A successor was not installed; here it is back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RotationConflict<S> {
    /// Why, and with it what to do with the key.
    pub reason: ConflictReason,
    /// The key that was offered.
    pub offered: RingKey<S>,
}

/// Why a successor was not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConflictReason {
    /// Another successor was first. The key offered is not needed: delete it.
    AlreadyRotated,
    /// The key offered is in the ring or was. It must not be deleted, and a retired key does not come back.
    KeyKnown,
    /// There is no room for one more key: [purge](super::KeyRing::purge) the retired ones. The key offered is not needed: delete it.
    Full,
}

/// Why a record was not taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowError<E> {
    /// The host failed while it looked for a key: its own error.
    Host(E),
    /// It is not newer than the ring's own and not the same either: the store was set back.
    NotNewer,
    /// It does not descend from the ring's own, or makes a key active that was active before.
    Foreign,
    /// It says a time that lies more than [`KeyRingRecord::MAX_AHEAD`](super::KeyRingRecord::MAX_AHEAD) ahead of one's own clock.
    RecordAhead {
        /// The key of which it says it.
        thumbprint: Thumbprint,
        /// The time.
        at: UnixTime,
        /// One's own.
        now: UnixTime,
    },
    /// The host has no such key as its active one.
    ActiveKeyLost(Thumbprint),
}

/// Why a shared ring was not opened, rotated or purged. `E` is the error of the store, `K` that of the keys, both untouched.
///
/// What had been followed by then stays followed; anything else is as it was, and the next call goes on from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SharedError<E, K> {
    /// The store failed. A change may then have been made or not; the next call finds out.
    Store(E),
    /// The keys are out of reach, or one cannot be made or deleted.
    Keys(K),
    /// The store has no record although this ring came from one. It was emptied: restore it, or end all
    /// processes and begin anew.
    RecordMissing,
    /// The store's record does not descend from this ring's: it was set back to an earlier one, or is that of
    /// another ring.
    RecordForeign,
    /// The store's record says a time that lies more than [`KeyRingRecord::MAX_AHEAD`](super::KeyRingRecord::MAX_AHEAD) ahead of
    /// one's own clock. One of the two clocks is wrong: set it right. If it was the one that wrote the record, then
    /// [`Shared::set_back`](super::Shared::set_back).
    RecordAhead {
        /// The key of which it says it.
        thumbprint: Thumbprint,
        /// The time.
        at: UnixTime,
        /// One's own.
        now: UnixTime,
    },
    /// The host answered that the key which is active by the store's record is not there. If it is gone for good, then
    /// [`Shared::replace_lost`](super::Shared::replace_lost).
    ActiveKeyLost(Thumbprint),
    /// The host made a key with the thumbprint of one that is or was in the ring. It was not deleted.
    KeyKnown(Thumbprint),
    /// The record has no room for one more key. Purge the retired ones.
    Full {
        /// How many of them are retired and not deleted.
        retired: usize,
    },
    /// The ring has no such key.
    Unknown(Thumbprint),
    /// Other processes changed the record each time. Try again later.
    Contended,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "the time until a key rotates or retires is zero",
            Self::TooManyKeys => "keys retire so late that more than 64 would be retiring at once",
        })
    }
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no key of the ring has this thumbprint; obtain the token anew"),
            Self::Retired { since } => write!(f, "the key is retired since {since}; obtain the token anew"),
            Self::Lost => {
                f.write_str("the key was not found when the ring last looked; bring it back, or obtain the token anew")
            }
        }
    }
}

impl<S> fmt::Debug for RotationConflict<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotationConflict").field("reason", &self.reason).field("offered", &self.offered).finish()
    }
}

impl<S> fmt::Display for RotationConflict<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRotated => "another successor was installed first; delete this one",
            Self::KeyKnown => "the key is or was in the ring already; make another one",
            Self::Full => "the ring has no room for one more key; purge the retired ones",
        })
    }
}

impl<E: fmt::Display> fmt::Display for FollowError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::NotNewer => f.write_str("the record is not newer than that of the ring"),
            Self::Foreign => f.write_str("the record does not descend from that of the ring"),
            Self::RecordAhead { thumbprint, at, now } => ahead(f, thumbprint, *at, *now),
            Self::ActiveKeyLost(thumbprint) => lost(f, thumbprint),
        }
    }
}

impl<E: fmt::Display, K: fmt::Display> fmt::Display for SharedError<E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
            Self::RecordMissing => {
                f.write_str("the store has lost the key ring's record; restore it, or end all processes and begin anew")
            }
            Self::RecordForeign => f.write_str(
                "the stored record does not descend from this key ring; the store was set back, or names another ring",
            ),
            Self::RecordAhead { thumbprint, at, now } => ahead(f, thumbprint, *at, *now),
            Self::ActiveKeyLost(thumbprint) => lost(f, thumbprint),
            Self::KeyKnown(thumbprint) => {
                write!(f, "the new key {thumbprint} is or was in the ring already; make one with a random private key")
            }
            Self::Full { retired } => {
                write!(f, "the key ring's record is full; purge it: {retired} of its keys are retired and not deleted")
            }
            Self::Unknown(thumbprint) => write!(f, "the key ring has no key {thumbprint}"),
            Self::Contended => f.write_str("other processes changed the key ring each time; try again later"),
        }
    }
}

fn ahead(f: &mut fmt::Formatter<'_>, thumbprint: &Thumbprint, at: UnixTime, now: UnixTime) -> fmt::Result {
    let seconds = at.since(now);
    write!(
        f,
        "the key ring's record says of key {thumbprint} the time {at}, {seconds} s ahead of this clock; \
         set right the clock that is wrong, and if it was the one that wrote the record, set the record back"
    )
}

fn lost(f: &mut fmt::Formatter<'_>, thumbprint: &Thumbprint) -> fmt::Result {
    write!(f, "the active key {thumbprint} is not there; bring it back, or replace it if it is gone for good")
}

impl core::error::Error for InvalidPolicy {}
debug_as_text!(InvalidPolicy);
impl core::error::Error for KeyRefusal {}
debug_as_text!(KeyRefusal);
impl<S> core::error::Error for RotationConflict<S> {}
impl core::error::Error for ConflictReason {}
impl<E: fmt::Debug + fmt::Display> core::error::Error for FollowError<E> {}
impl<E: fmt::Debug + fmt::Display, K: fmt::Debug + fmt::Display> core::error::Error for SharedError<E, K> {}

impl<E, K> From<FollowError<K>> for SharedError<E, K> {
    fn from(error: FollowError<K>) -> Self {
        match error {
            FollowError::Host(error) => Self::Keys(error),
            FollowError::NotNewer | FollowError::Foreign => Self::RecordForeign,
            FollowError::RecordAhead { thumbprint, at, now } => Self::RecordAhead { thumbprint, at, now },
            FollowError::ActiveKeyLost(thumbprint) => Self::ActiveKeyLost(thumbprint),
        }
    }
}
