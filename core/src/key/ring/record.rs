//! What a key ring writes down: which keys there have been, and when. Nothing in it is secret.
//!
//! ```
//! use keybound::UnixTime;
//! use keybound::key::ring::{KeyRingRecord, KeyState};
//!
//! let text = "keybound-key-ring 2\n\
//!     version 4\n\
//!     policy 2592000 604800\n\
//!     earlier 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I 1700000000 1703196800\n\
//!     active AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 1702592000\n";
//! let record = KeyRingRecord::parse(text)?;
//! assert_eq!(record.version(), 4);
//! let first = record.keys().next().expect("never empty");
//! assert_eq!(first.retires_at, Some(UnixTime::from_secs(1_703_196_800)));
//! assert_eq!(record.state(&first.thumbprint, UnixTime::from_secs(1_703_196_800)), Some(KeyState::Retired { since: first.retires_at.expect("superseded") }));
//! assert_eq!(record.to_text(), text);
//! # Ok::<(), keybound::key::ring::InvalidRecord>(())
//! ```

mod change;
mod text;

use alloc::vec::Vec;

pub(super) use change::Unannounced;
pub use text::InvalidRecord;

use super::{KeyState, RotationPolicy};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// The keys of a ring: one is active, one may be pending, and the earlier ones retire or have retired. Holds no private material.
///
/// The time at which a superseded key retires is written down when it is superseded, and only ever comes nearer: no policy and
/// no process brings a retired key back. No thumbprint occurs twice. A retired key is remembered until the host has deleted it,
/// and the last [`MAX_DELETED`](Self::MAX_DELETED) deleted ones are remembered as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRingRecord {
    version: u64,
    /// `None` in a record of format 1, which said none.
    policy: Option<RotationPolicy>,
    earlier: Vec<Earlier>,
    active: Made,
    pending: Option<Made>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Made {
    thumbprint: Thumbprint,
    at: UnixTime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Earlier {
    made: Made,
    /// When it retires; in a record of format 1, when it was superseded.
    retires_at: UnixTime,
    left: Left,
}

/// How far the deletion of a key has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    Kept,
    /// To be deleted, once this mark is old enough for other processes to have seen it.
    Marked(UnixTime),
    Deleted,
}

/// One key of a [`KeyRingRecord`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedKey {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// When it became the active key.
    pub created_at: UnixTime,
    /// The first second in which it does not sign any more; `None` for the active key.
    pub retires_at: Option<UnixTime>,
    /// When a purge marked it for deletion.
    pub marked_at: Option<UnixTime>,
    /// Whether the host has deleted it.
    pub deleted: bool,
}

/// A key that the host keeps for the ring, whether the record names it or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptKey {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// When it was made, as far as the host knows.
    pub made_at: Option<UnixTime>,
}

impl KeyRingRecord {
    /// The most keys a record can hold, deleted ones included.
    pub const MAX_KEYS: usize = 128;

    /// How many deleted keys a record remembers. Older ones are as unknown as if they had never been, which
    /// refuses to sign as well.
    pub const MAX_DELETED: usize = 16;

    /// How far ahead of one's own clock a time in the record may lie, in seconds: five minutes.
    pub const MAX_AHEAD: u64 = 300;

    /// The age in seconds below which no key is deleted, and for which a key stays marked before it is: one hour.
    pub const MIN_ORPHAN_AGE: u64 = 3_600;

    /// The record of a ring whose first key is made at `now`. Its version is 1.
    pub const fn new(policy: RotationPolicy, thumbprint: Thumbprint, now: UnixTime) -> Self {
        let active = Made { thumbprint, at: now };
        Self { version: 1, policy: Some(policy), earlier: Vec::new(), active, pending: None }
    }

    /// How often the record has been written: what a store compares before it sets. Every change adds one.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The policy by which the active key lives; `None` in a record of format 1.
    pub const fn policy(&self) -> Option<RotationPolicy> {
        self.policy
    }

    /// The active key.
    pub const fn active(&self) -> RecordedKey {
        let Made { thumbprint, at } = self.active;
        RecordedKey { thumbprint, created_at: at, retires_at: None, marked_at: None, deleted: false }
    }

    /// The key that has been made and is to be the next active one, and when it was recorded.
    pub const fn pending(&self) -> Option<(Thumbprint, UnixTime)> {
        match self.pending {
            Some(Made { thumbprint, at }) => Some((thumbprint, at)),
            None => None,
        }
    }

    /// All keys that were active, in the order in which they came in, and the active one last. Keys that never became active
    /// and were found by a purge are among them.
    pub fn keys(&self) -> impl Iterator<Item = RecordedKey> + '_ {
        self.earlier.iter().map(Earlier::recorded).chain([self.active()])
    }

    /// Whether the record names the key, in whatever state, also as pending.
    pub fn names(&self, thumbprint: &Thumbprint) -> bool {
        self.made().any(|made| made.thumbprint == *thumbprint)
    }

    /// What may be done with the key at `now`; `None` if the record does not know it, or it is pending.
    ///
    /// This alone knows no time but `now`; [`KeyRing::state`](super::KeyRing::state) does not let a clock that
    /// steps back bring a retired key to life again. A record of format 1 says of a superseded key that it is retired, until
    /// it is [read under a policy](Self::under).
    pub fn state(&self, thumbprint: &Thumbprint, now: UnixTime) -> Option<KeyState> {
        self.keys().find(|key| key.thumbprint == *thumbprint).map(|key| key.state(now))
    }

    /// The record with `policy` in force if it has none: one of format 1. Any other is as it was.
    #[must_use]
    pub fn under(mut self, policy: &RotationPolicy) -> Self {
        if self.policy.is_none() {
            self.policy = Some(*policy);
            for key in &mut self.earlier {
                key.retires_at = key.retires_at.saturating_add(policy.retire_after());
            }
        }
        self
    }

    /// The first time at which the active key is due to be superseded. A pending key is due at once.
    pub fn due_at(&self) -> UnixTime {
        let rotate_after = self.policy.map_or(0, |policy| policy.rotate_after());
        self.pending.map_or_else(|| self.active.at.saturating_add(rotate_after), |pending| pending.at)
    }

    /// The first key of which the record says a time that lies more than [`MAX_AHEAD`](Self::MAX_AHEAD) after `now`, and that
    /// time. The clock that wrote it was ahead, or the one that reads it is behind.
    pub fn ahead(&self, now: UnixTime) -> Option<(Thumbprint, UnixTime)> {
        let latest = now.saturating_add(Self::MAX_AHEAD);
        let marked = self.earlier.iter().filter_map(|key| match key.left {
            Left::Marked(at) => Some(Made { thumbprint: key.made.thumbprint, at }),
            Left::Kept | Left::Deleted => None,
        });
        let ahead = self.made().copied().chain(marked).find(|made| made.at > latest);
        ahead.map(|made| (made.thumbprint, made.at))
    }

    /// Those of the host's keys that the record does not name and that are older than
    /// [`MIN_ORPHAN_AGE`](Self::MIN_ORPHAN_AGE), or of unknown age: processes that made them crashed before they recorded them.
    ///
    /// They are not to be deleted at once: a slow process may yet record one. [`purge`](super::Shared::purge) prevents that first.
    pub fn orphans(&self, kept: &[KeptKey], now: UnixTime) -> Vec<Thumbprint> {
        let old = |key: &&KeptKey| key.made_at.is_none_or(|at| now.since(at) >= Self::MIN_ORPHAN_AGE);
        let orphans = kept.iter().filter(old).map(|key| key.thumbprint);
        orphans.filter(|thumbprint| !self.names(thumbprint)).collect()
    }

    pub(super) fn is_marked(&self, thumbprint: &Thumbprint) -> bool {
        self.keys().any(|key| key.thumbprint == *thumbprint && key.marked_at.is_some())
    }

    fn made(&self) -> impl Iterator<Item = &Made> + Clone {
        self.earlier.iter().map(|key| &key.made).chain([&self.active]).chain(&self.pending)
    }
}

impl Earlier {
    const fn recorded(&self) -> RecordedKey {
        RecordedKey {
            thumbprint: self.made.thumbprint,
            created_at: self.made.at,
            retires_at: Some(self.retires_at),
            marked_at: if let Left::Marked(at) = self.left { Some(at) } else { None },
            deleted: matches!(self.left, Left::Deleted),
        }
    }
}

impl RecordedKey {
    /// What may be done with this key at `now`.
    pub fn state(&self, now: UnixTime) -> KeyState {
        match self.retires_at {
            None => KeyState::Active,
            Some(until) if now < until && !self.deleted => KeyState::Retiring { until },
            Some(since) => KeyState::Retired { since },
        }
    }
}
