//! How long keys live.
//!
//! ```
//! use keybound::key::ring::RotationPolicy;
//!
//! // A new key each month; what is bound to the one before lives for a week at most.
//! let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400)?;
//! assert_eq!(policy.retire_after(), 604_800);
//! # Ok::<(), keybound::key::ring::InvalidPolicy>(())
//! ```

use super::InvalidPolicy;

/// When keys are superseded and when they retire.
///
/// A key lives by the policy under which it became active: the record says it. A changed policy therefore takes effect with the
/// next key, in all processes at once, and no retired key signs again; [`rotate_now`](super::Shared::rotate_now) makes that key
/// at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RotationPolicy {
    rotate_after: u64,
    retire_after: u64,
}

impl RotationPolicy {
    /// How many keys may be retiring at once.
    pub const MAX_RETIRING: u64 = 64;

    /// A policy: a key is due to be superseded `rotate_after` seconds after it became active, and retires
    /// `retire_after` seconds after it was superseded.
    ///
    /// `retire_after` is the longest life of what may be bound to a key, refresh tokens included; what lives
    /// longer is lost when the key retires.
    ///
    /// # Errors
    /// [`InvalidPolicy`] if either is zero, or `retire_after` is more than 64 times `rotate_after`.
    pub const fn new(rotate_after: u64, retire_after: u64) -> Result<Self, InvalidPolicy> {
        if retire_after == 0 {
            return Err(InvalidPolicy::Zero);
        }
        match retire_after.checked_div(rotate_after) {
            None => Err(InvalidPolicy::Zero),
            Some(retiring) if retiring > Self::MAX_RETIRING => Err(InvalidPolicy::TooManyKeys),
            Some(_) => Ok(Self { rotate_after, retire_after }),
        }
    }

    /// The age in seconds at which the active key is due to be superseded.
    pub const fn rotate_after(&self) -> u64 {
        self.rotate_after
    }

    /// For how many seconds a superseded key still signs.
    pub const fn retire_after(&self) -> u64 {
        self.retire_after
    }
}
