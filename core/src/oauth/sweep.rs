//! What a store deletes by itself: abandoned logins, sessions of intents that ended, and keys that nothing names.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::kept::check_format;
use super::registration;
use super::step::KeyOwner;
use crate::crypto::{Crypto, Digest};
use crate::jose::jwk::PublicJwk;
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

/// For how long a key may be without anything stored that names it, in seconds. A login on another device has a key for an hour
/// before its session is stored, and one by redirect has none stored while its code is redeemed.
pub(super) const KEY_GRACE: u64 = 7_200;
/// After how many seconds a pending login is over whatever its value says. It waits ten minutes.
const LOGIN_GRACE: u64 = 3_600;

/// Finds what a store can delete. It is told everything that is stored, one value at a time, and then says what has ended.
///
/// - A pending login that has expired is deleted with its key, and so is the session of an intent that has ended.
/// - A key that no session, pending login or registration names is deleted once it is two hours old: a login under way has
///   made its key and has not stored itself yet.
/// - While any value cannot be read, no unnamed key is deleted, because that value may name it.
///
/// Tell it of keys that [`CreateKey`](super::step::CreateKey) steps made and of no others. A key that the user added, for
/// example the one the client authenticates with, is named by nothing that is stored.
///
/// A store sweeps when it is opened and before it makes a key, at most once an hour, and holds a lock meanwhile so that one
/// process does it at a time. Flows that run beside it are safe: what they store while it works is not older than the grace period.
///
/// ```
/// use keybound::oauth::Sweep;
/// use keybound::{RUSTCRYPTO, Thumbprint, UnixTime};
///
/// let now = UnixTime::from_secs(1_700_000_000);
/// let (old, new) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
/// let mut sweep = Sweep::new(&RUSTCRYPTO, now);
/// sweep.key(old, now.saturating_sub(86_400));
/// sweep.key(new, now.saturating_sub(60));
/// assert_eq!(sweep.finish().keys, [old]);
/// ```
#[must_use = "nothing is found before `finish`"]
pub struct Sweep {
    now: UnixTime,
    digest: &'static dyn Digest,
    named: Vec<Thumbprint>,
    ended: Swept,
    keys: Vec<Thumbprint>,
    is_blind: bool,
}

/// What a store can delete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Slots, as they were told, and the version that is to be deleted. One that has another version by now stays.
    pub slots: Vec<(String, u64)>,
    /// Keys. One that is gone already is no error.
    pub keys: Vec<Thumbprint>,
}

/// What a stored value says that matters here.
struct Content {
    key: Option<(Thumbprint, KeyOwner)>,
    ends: Option<UnixTime>,
}

impl Sweep {
    /// How many seconds pass between two sweeps of one store, and how old a write is that broke off for good.
    pub const INTERVAL: u64 = 3_600;

    /// Whether a store sweeps now that did so last at `last`.
    pub fn is_due(last: Option<UnixTime>, now: UnixTime) -> bool {
        last.is_none_or(|last| now.secs().abs_diff(last.secs()) >= Self::INTERVAL)
    }

    /// Begins. `now` is the store's clock.
    pub fn new(crypto: &Crypto, now: UnixTime) -> Self {
        let ended = Swept::default();
        Self { now, digest: crypto.digest, named: Vec::new(), ended, keys: Vec::new(), is_blind: false }
    }

    /// Tells what is stored in `slot`: `session/…`, `login/…` or `registration/…`, where what follows the slash is any text by
    /// which the store finds it again. `None` is a value that is there and cannot be read.
    ///
    /// `stored_at` is the time of its last change, where the store knows that.
    pub fn stored(&mut self, slot: &str, version: u64, value: Option<&[u8]>, stored_at: Option<UnixTime>) {
        let kind = slot.split_once('/').map_or("", |(kind, _)| kind);
        let content = value.and_then(|value| Content::read(kind, value, self.digest));
        let is_old = |at: UnixTime| self.now >= at.saturating_add(LOGIN_GRACE);
        let is_over = kind == "login" && stored_at.is_some_and(is_old);
        let has_ended = content.as_ref().and_then(|content| content.ends).is_some_and(|ends| self.now >= ends);
        if is_over || has_ended {
            self.ended.slots.push((slot.into(), version));
        }
        match content {
            None => self.is_blind = true,
            Some(Content { key: Some((_, KeyOwner::Host)), .. }) if is_over || has_ended => {}
            Some(Content { key: Some((key, KeyOwner::Session)), .. }) if is_over || has_ended => {
                self.ended.keys.push(key)
            }
            Some(Content { key, .. }) => self.named.extend(key.map(|(key, _)| key)),
        }
    }

    /// Tells of a key that a [`CreateKey`](super::step::CreateKey) step made, and when that was.
    pub fn key(&mut self, thumbprint: Thumbprint, created_at: UnixTime) {
        if self.now >= created_at.saturating_add(KEY_GRACE) {
            self.keys.push(thumbprint);
        }
    }

    /// The keys that something stored names and that has not ended, after everything was told. `None` if a value could not be read,
    /// because it may name any key.
    pub fn named(&self) -> Option<&[Thumbprint]> {
        (!self.is_blind).then_some(self.named.as_slice())
    }

    /// What can be deleted, after everything was told.
    #[must_use]
    pub fn finish(self) -> Swept {
        let Self { mut named, ended: Swept { slots, mut keys }, keys: old, is_blind, .. } = self;
        if !is_blind {
            keys.extend(old);
        }
        // A store may hold thousands of sessions.
        named.sort_unstable_by_key(|key| *key.as_bytes());
        keys.retain(|key| named.binary_search_by_key(key.as_bytes(), |named| *named.as_bytes()).is_err());
        keys.sort_unstable_by_key(|key| *key.as_bytes());
        keys.dedup();
        Swept { slots, keys }
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Content {
    /// `None` if the value is not one that this version writes: it may then name any key.
    fn read(kind: &str, value: &[u8], digest: &dyn Digest) -> Option<Self> {
        let value = Value::parse_object(value).ok()?;
        match kind {
            "session" | "login" => check_format(&value).ok()?,
            "registration" if value.integer("v") == Some(registration::FORMAT) => {}
            _ => return None,
        }
        let key = match value.member("key") {
            None => None,
            Some(key) => {
                let thumbprint = PublicJwk::parse(&key.member("jwk")?.to_json()).ok()?.thumbprint(digest);
                Some((thumbprint, KeyOwner::stored(key)?))
            }
        };
        let binds = SecurityLevel::from_name(value.text("level").unwrap_or_default()).map(SecurityLevel::binds);
        if kind != "registration" && binds != Some(key.is_some()) {
            return None;
        }
        let ends = match (kind, value.member("intent")) {
            ("login", _) => Some(value.time("expires")?),
            ("session", Some(intent)) => Some(intent.time("expires")?),
            _ => None,
        };
        Some(Self { key, ends })
    }
}
