//! What a client needs of its surroundings besides HTTP: keys in one place, sessions and locks in the same place or another.
//!
//! Rust drivers, such as `keybound-reqwest`, take a [`Host`]. A type that implements both traits is one. [`Split`] makes one of two,
//! for example of keys in an HSM and sessions in a folder.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::step::{CreatedKey, HostError, KeyFault, KeyOwner, Saved, Slot, Stored};
use super::sweep::KEY_GRACE;
use crate::key::{KeyProtection, Signer};
use crate::{Algorithm, AlgorithmSet, Thumbprint, UnixTime};

/// Where private keys are. All calls may block; asynchronous clients make them on threads for that.
pub trait KeyHost: Send + Sync + 'static {
    /// Makes a key for one of `algorithms` in one of the places `protections`, and keeps it under its thumbprint.
    ///
    /// Its [`owner`](CreatedKey::owner) is that of `wanted_for`. A host that answers with a key that several sessions share, such as the
    /// active key of a key ring, says [`KeyOwner::Host`] whatever was asked for.
    ///
    /// # Errors
    /// The host's own.
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError>;

    /// The key with this thumbprint.
    ///
    /// # Errors
    /// [`KeyFault`] says whether it is gone, another one, or cannot be used now. An outage is
    /// [`Unreadable`](KeyFault::Unreadable): the advice for a key that is gone is to replace it.
    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault>;

    /// Deletes a key. One that is already gone is not an error.
    ///
    /// # Errors
    /// The host's own.
    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError>;

    /// The keys that [`create_key`](Self::create_key) made and that still exist, in any order. One that nothing stored names is an
    /// orphan, made just before a crash.
    ///
    /// # Security
    /// Keys that came from elsewhere are not listed: what is listed and unnamed is deleted.
    ///
    /// # Errors
    /// The host's own. A list with gaps is not an answer.
    fn keys(&self) -> Result<Vec<HeldKey>, HostError>;
}

/// Where sessions are stored, with the locks by which flows take turns. All calls may block; asynchronous clients make them on
/// threads for that.
pub trait SessionHost: Send + Sync + 'static {
    /// What is stored in `slot`.
    ///
    /// # Errors
    /// The host's own.
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError>;

    /// Stores `value` with `version`, or deletes what is there, if the stored version is `expected`. Durable when it returns.
    ///
    /// # Errors
    /// The host's own.
    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError>;

    /// Takes the lock `name`, waiting for other tasks and processes, for `lease` seconds at most. It is given back when the value
    /// is dropped. It is never taken from a holder that lives: a slow refresh and one beside it would use one refresh token twice,
    /// for which servers revoke both.
    ///
    /// # Errors
    /// The host's own, also if another held it all that time.
    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError>;

    /// The keys that sessions, pending logins and registrations name, wherever the keys are. A [`Sweep`](super::Sweep) that is
    /// told everything stored [knows them](super::Sweep::named).
    ///
    /// # Errors
    /// The host's own, also if something stored cannot be read: it may name any key.
    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError>;

    /// The clock.
    fn now(&self) -> UnixTime {
        UnixTime::now()
    }
}

/// Keys, storage and locks of a client.
pub trait Host: KeyHost + SessionHost {}

impl<T: KeyHost + SessionHost + ?Sized> Host for T {}

/// What a key is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFor {
    /// A session or login of the same store. The store may delete the key when a [`Sweep`](super::Sweep) finds that nothing names it.
    Session,
    /// A session or login in another store: this one cannot tell whether it still exists, and deletes the key only when asked to.
    SessionElsewhere,
    /// The host itself, such as a key ring: sessions share the key, and it is deleted only when the host asks for it.
    Host,
}

impl KeyFor {
    /// Whose the key is.
    pub const fn owner(self) -> KeyOwner {
        match self {
            Self::Session | Self::SessionElsewhere => KeyOwner::Session,
            Self::Host => KeyOwner::Host,
        }
    }
}

/// A key as its host lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldKey {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// What it signs with; `None` if it cannot be used now.
    pub algorithm: Option<Algorithm>,
    /// Whose it is.
    pub owner: KeyOwner,
    /// When it was made, if the host knows.
    pub created_at: Option<UnixTime>,
}

/// The keys of sessions and logins that nothing stored names any more: those of [`held`](KeyHost::keys) that are not among `named`, are two
/// hours old at least, and are not the host's. A login under way has made its key and has not stored itself yet; one whose age is unknown may
/// be such a key.
///
/// List the keys first and [what is named](SessionHost::named_keys) afterwards: a key that is named in between is not taken for unused.
///
/// # Security
/// Every store whose sessions have keys here must be among those asked for `named`. Deleting what this returns ends the sessions of any other.
///
/// ```
/// use keybound::oauth::host::{HeldKey, unused_keys};
/// use keybound::oauth::step::KeyOwner;
/// use keybound::{Thumbprint, UnixTime};
///
/// let now = UnixTime::from_secs(1_700_000_000);
/// let key = |number, age| HeldKey {
///     thumbprint: Thumbprint::from_bytes([number; 32]),
///     algorithm: None,
///     owner: KeyOwner::Session,
///     created_at: Some(now.saturating_sub(age)),
/// };
/// let (used, left, young) = (key(1, 86_400), key(2, 86_400), key(3, 60));
/// let ring = HeldKey { owner: KeyOwner::Host, ..key(4, 86_400) };
/// let unused = unused_keys(&[used, left, young, ring], &[used.thumbprint], now);
/// assert_eq!(unused, [left.thumbprint]);
/// ```
pub fn unused_keys(held: &[HeldKey], named: &[Thumbprint], now: UnixTime) -> Vec<Thumbprint> {
    let is_unused = |key: &&HeldKey| {
        let is_old = key.created_at.is_some_and(|created_at| now >= created_at.saturating_add(KEY_GRACE));
        key.owner == KeyOwner::Session && is_old && !named.contains(&key.thumbprint)
    };
    held.iter().filter(is_unused).map(|key| key.thumbprint).collect()
}

/// A host of two: keys in one place, sessions and locks in another.
#[derive(Clone, Debug, Default)]
pub struct Split<K, S> {
    /// Where private keys are.
    pub keys: K,
    /// Where sessions are stored.
    pub sessions: S,
}

impl<K: KeyHost, S: Send + Sync + 'static> KeyHost for Split<K, S> {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        let elsewhere = match wanted_for {
            KeyFor::Session => KeyFor::SessionElsewhere,
            other => other,
        };
        self.keys.create_key(algorithms, protections, elsewhere)
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.keys.signer(thumbprint)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.keys.delete_key(thumbprint)
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.keys.keys()
    }
}

impl<K: Send + Sync + 'static, S: SessionHost> SessionHost for Split<K, S> {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        self.sessions.load(slot)
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        self.sessions.save(slot, expected, version, value)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        self.sessions.lock(name, lease)
    }

    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        self.sessions.named_keys()
    }

    fn now(&self) -> UnixTime {
        self.sessions.now()
    }
}

impl<T: KeyHost + ?Sized> KeyHost for Arc<T> {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        (**self).create_key(algorithms, protections, wanted_for)
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        (**self).signer(thumbprint)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        (**self).delete_key(thumbprint)
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        (**self).keys()
    }
}

impl<T: SessionHost + ?Sized> SessionHost for Arc<T> {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        (**self).load(slot)
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        (**self).save(slot, expected, version, value)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        (**self).lock(name, lease)
    }

    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        (**self).named_keys()
    }

    fn now(&self) -> UnixTime {
        (**self).now()
    }
}
