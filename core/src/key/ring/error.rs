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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidPolicy {
    /// A time is zero.
    Zero,
    /// More than [`RotationPolicy::MAX_RETIRING`](super::RotationPolicy::MAX_RETIRING) keys would be retiring at
    /// once.
    TooManyKeys,
}

/// Why there is no key to sign with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyRefusal {
    /// The ring does not know the thumbprint, or has forgotten it long after the key retired.
    Unknown,
    /// The key has retired and does not sign any more.
    Retired {
        /// The first second in which it was retired.
        since: UnixTime,
    },
    /// The key should sign, but the host has not found it when the ring was restored.
    Lost,
}

/// The active key of a record was not found by the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveKeyLost {
    /// The thumbprint of the key that was looked for.
    pub thumbprint: Thumbprint,
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
}

/// Why a record was not taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowError {
    /// It is not newer than the ring's own and not the same either: the store was set back.
    NotNewer,
    /// It does not descend from the ring's own, or makes a key active that was active before.
    Foreign,
    /// The host has not found its active key.
    ActiveKeyLost(Thumbprint),
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
            Self::Unknown => f.write_str("no key has this thumbprint"),
            Self::Retired { since } => write!(f, "the key is retired since {since}"),
            Self::Lost => f.write_str("the key was not found when the ring was restored"),
        }
    }
}

impl fmt::Display for ActiveKeyLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the active key {} was not found", self.thumbprint)
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
            Self::AlreadyRotated => "another successor was installed first",
            Self::KeyKnown => "the key is or was in the ring already",
        })
    }
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNewer => f.write_str("the record is not newer than that of the ring"),
            Self::Foreign => f.write_str("the record does not descend from that of the ring"),
            Self::ActiveKeyLost(thumbprint) => write!(f, "the active key {thumbprint} was not found"),
        }
    }
}

impl core::error::Error for InvalidPolicy {}
impl core::error::Error for KeyRefusal {}
impl core::error::Error for ActiveKeyLost {}
impl<S> core::error::Error for RotationConflict<S> {}
impl core::error::Error for ConflictReason {}
impl core::error::Error for FollowError {}
