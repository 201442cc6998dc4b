//! The steps by which one record becomes the next. Each adds one to the version; none brings a retired key back.

use alloc::vec::Vec;

use super::{Earlier, KeyRingRecord, Left, Made};
use crate::jose::thumbprint::Thumbprint;
use crate::key::ring::{KeptKey, RotationPolicy};
use crate::time::UnixTime;

/// Why a key is not announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::key::ring) enum Unannounced {
    /// The record names it already.
    Known,
    /// There is no room.
    Full,
}

impl KeyRingRecord {
    /// The record once the key of `thumbprint`, which has been made, is written down as the next active one. A key that is
    /// pending already is given up: it retires at once.
    pub(in crate::key::ring) fn announced(&self, thumbprint: Thumbprint, now: UnixTime) -> Result<Self, Unannounced> {
        if self.names(&thumbprint) {
            return Err(Unannounced::Known);
        }
        if self.is_full() {
            return Err(Unannounced::Full);
        }
        let mut next = self.abandoned(now);
        next.pending = Some(Made { thumbprint, at: now });
        Ok(next.changed())
    }

    /// The record once the pending key is active and `policy` in force. The key before retires by the policy under which it became
    /// active; if it is revoked, it never was one to sign with, by whatever clock. `None` if no key is pending.
    pub(in crate::key::ring) fn activated(&self, policy: RotationPolicy, now: UnixTime, revoke: bool) -> Option<Self> {
        let Made { thumbprint, at } = self.pending?;
        let at = at.max(now).max(self.active.at);
        let retire_after = self.policy.unwrap_or(policy).retire_after();
        let retires_at = if revoke { self.active.at.min(now) } else { at.saturating_add(retire_after) };
        let mut next = self.clone().under(&policy);
        next.earlier.push(Earlier { made: self.active, retires_at, left: Left::Kept });
        next.active = Made { thumbprint, at };
        next.pending = None;
        next.policy = Some(policy);
        Some(next.changed())
    }

    /// The record once an earlier key is revoked, which counts as retired since it became active, or the pending one is given up; `None`
    /// if that changes nothing.
    pub(in crate::key::ring) fn revoked(&self, thumbprint: &Thumbprint, now: UnixTime) -> Option<Self> {
        let mut next = if self.pending.is_some_and(|pending| pending.thumbprint == *thumbprint) {
            self.abandoned(now)
        } else {
            self.clone()
        };
        for key in next.earlier.iter_mut().filter(|key| key.made.thumbprint == *thumbprint) {
            key.retires_at = key.retires_at.min(key.made.at).min(now);
        }
        (next != *self).then(|| next.changed())
    }

    /// The record once the keys that may be deleted are marked: those that are retired, at least an hour old and not in use, and
    /// of the keys that are `kept` the orphans, as far as there is room. `None` if there is none.
    pub(in crate::key::ring) fn marked(
        &self,
        kept: &[KeptKey],
        in_use: &impl Fn(&Thumbprint) -> bool,
        now: UnixTime,
    ) -> Option<Self> {
        let mut next = self.clone();
        for key in next.earlier.iter_mut().filter(|key| key.left == Left::Kept) {
            let old = now.since(key.made.at) >= Self::MIN_ORPHAN_AGE;
            if old && key.retires_at <= now && !in_use(&key.made.thumbprint) {
                key.left = Left::Marked(now);
            }
        }
        for thumbprint in self.orphans(kept, now).into_iter().filter(|thumbprint| !in_use(thumbprint)) {
            // A place for the next key stays free.
            if !next.names(&thumbprint) && next.made().count().saturating_add(1) < Self::MAX_KEYS {
                // A time of the record's own: a clock that is far ahead leaves none but its mark, which others take away.
                let made = Made { thumbprint, at: self.active.at.min(now) };
                next.earlier.push(Earlier { made, retires_at: made.at, left: Left::Marked(now) });
            }
        }
        (next != *self).then(|| next.changed())
    }

    /// The keys to delete at `now`: marked for an hour, and still not in use.
    pub(in crate::key::ring) fn deletable(
        &self,
        in_use: &impl Fn(&Thumbprint) -> bool,
        now: UnixTime,
    ) -> Vec<Thumbprint> {
        let marked = self.earlier.iter().filter(|key| match key.left {
            Left::Marked(at) => now.since(at) >= Self::MIN_ORPHAN_AGE && key.retires_at <= now,
            Left::Kept | Left::Deleted => false,
        });
        marked.map(|key| key.made.thumbprint).filter(|thumbprint| !in_use(thumbprint)).collect()
    }

    /// The record once the host has deleted these earlier keys; `None` if that changes nothing.
    pub(in crate::key::ring) fn without(&self, deleted: &[Thumbprint]) -> Option<Self> {
        let mut next = self.clone();
        for key in next.earlier.iter_mut().filter(|key| deleted.contains(&key.made.thumbprint)) {
            key.left = Left::Deleted;
        }
        (next != *self).then(|| next.changed())
    }

    /// The record without the marks that a clock far ahead has set; `None` if there is none.
    pub(in crate::key::ring) fn unmarked(&self, now: UnixTime) -> Option<Self> {
        let latest = now.saturating_add(Self::MAX_AHEAD);
        let mut next = self.clone();
        for key in &mut next.earlier {
            if matches!(key.left, Left::Marked(at) if at > latest) {
                key.left = Left::Kept;
            }
        }
        (next != *self).then(|| next.changed())
    }

    /// The record with no time after `now`, and with keys that retire no later than if they had been superseded now; `None` if
    /// that changes nothing.
    pub(in crate::key::ring) fn set_back(&self, now: UnixTime) -> Option<Self> {
        let mut next = self.clone();
        let retire_after = self.policy.map_or(0, |policy| policy.retire_after());
        next.active.at = next.active.at.min(now);
        if let Some(pending) = &mut next.pending {
            pending.at = pending.at.min(now);
        }
        for key in &mut next.earlier {
            key.made.at = key.made.at.min(now);
            key.retires_at = key.retires_at.min(now.saturating_add(retire_after));
            if matches!(key.left, Left::Marked(at) if at > now) {
                key.left = Left::Kept;
            }
        }
        (next != *self).then(|| next.changed())
    }

    /// Whether there is no room for one more key.
    pub(in crate::key::ring) fn is_full(&self) -> bool {
        let deleted = self.earlier.iter().filter(|key| key.left == Left::Deleted).count();
        let forgettable = deleted.saturating_sub(Self::MAX_DELETED);
        self.made().count().saturating_sub(forgettable) >= Self::MAX_KEYS
    }

    /// How many of its keys are retired and not deleted.
    pub(in crate::key::ring) fn undeleted(&self, now: UnixTime) -> usize {
        self.earlier.iter().filter(|key| key.left != Left::Deleted && key.retires_at <= now).count()
    }

    /// Without the pending key, which retires at once: a process may have made it, and a purge deletes it.
    fn abandoned(&self, now: UnixTime) -> Self {
        let mut next = self.clone();
        if let Some(made) = next.pending.take() {
            next.earlier.push(Earlier { made, retires_at: now.min(made.at), left: Left::Kept });
        }
        next
    }

    /// The next version, which forgets the oldest of too many deleted keys.
    fn changed(mut self) -> Self {
        let deleted = self.earlier.iter().filter(|key| key.left == Left::Deleted).count();
        let mut forgettable = deleted.saturating_sub(Self::MAX_DELETED);
        self.earlier.retain(|key| {
            let forgotten = forgettable > 0 && key.left == Left::Deleted;
            forgettable = forgettable.saturating_sub(usize::from(forgotten));
            !forgotten
        });
        self.version = self.version.saturating_add(1);
        self
    }
}
