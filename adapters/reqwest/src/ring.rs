//! Keys that rotate: a key ring over the keys of a host, as a host of keys.

use std::fmt::{self, Debug, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use keybound::key::ring::{
    KeptKey, KeyRefusal, KeyRing, KeyRingStore, Purged, RingKey, RingKeys, Rotation, RotationPolicy, Shared,
};
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::FlowError;
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};

type Handle = Arc<dyn Signer + Send + Sync>;
type Clock = dyn Fn() -> UnixTime + Send + Sync;

/// The keys of a [`KeyHost`] as a [key ring](keybound::key::ring), which is a [`KeyHost`] as well: it answers each request for a key with its
/// active one, says that the key [belongs to the host](KeyOwner::Host), and signs with every key that may still sign. Clones are the same
/// ring.
///
/// A [`RotationTask`](crate::RotationTask) rotates it. Sessions get the new key by a login, or by
/// [`rekey`](crate::Client::rekey).
///
/// ```
/// use keybound::key::ring::{MemoryKeyRing, RotationPolicy};
/// use keybound_reqwest::{Memory, RotatingKeys, Split};
///
/// // A new key each month; tokens bound to the one before live for a week at most.
/// let policy = RotationPolicy::new(30 * 86_400, 7 * 86_400)?;
/// let keys = RotatingKeys::builder(Memory::new(), MemoryKeyRing::default(), policy).open()?;
/// let host = Split { keys: keys.clone(), sessions: Memory::new() };
/// # fn takes(_: impl keybound_reqwest::Host) {}
/// # takes(host);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Security
/// The host's keys that belong to the host are this ring's and no other's: those that its record does not name are deleted. Two
/// rings need two hosts, such as two folders, or two applications of `keybound-pkcs11` on one token.
///
/// An intent's key ends with the intent where it is the intent's own. With a ring, intents and other sessions share one.
pub struct RotatingKeys<K, T>(Arc<Inner<K, T>>);

struct Inner<K, T> {
    shared: Shared<T, Kept<K>>,
    ring: RwLock<KeyRing<Handle>>,
    /// Who changes the ring.
    turn: Mutex<()>,
    clock: Box<Clock>,
    /// Whether the sessions that a look is given are all whose keys are in the host.
    has_all_sessions: bool,
}

/// Builder for [`RotatingKeys`], with its defaults: ES256, wherever the host keeps keys.
#[must_use]
pub struct RingBuilder<K, T> {
    shared: Shared<T, Kept<K>>,
    policy: RotationPolicy,
    clock: Box<Clock>,
    has_all_sessions: bool,
}

/// A host's keys as those of the ring.
struct Kept<K> {
    host: K,
    algorithms: AlgorithmSet,
    protections: Vec<KeyProtection>,
}

impl<K: KeyHost> RingKeys for Kept<K> {
    type Key = Handle;
    type Error = HostError;

    fn create(&self) -> Result<RingKey<Handle>, HostError> {
        let made = self.host.create_key(self.algorithms, &self.protections, KeyFor::Host)?;
        let thumbprint = made.public_key.thumbprint(RUSTCRYPTO.digest);
        match self.host.signer(thumbprint) {
            Ok(key) => Ok(RingKey { thumbprint, key }),
            Err(fault) => {
                // No key is left behind; what counts is why it cannot be used.
                drop(self.host.delete_key(thumbprint));
                Err(FlowError::from(fault).into())
            }
        }
    }

    fn find(&self, thumbprint: &Thumbprint) -> Result<Option<Handle>, HostError> {
        match self.host.signer(*thumbprint) {
            Ok(key) => Ok(Some(key)),
            Err(KeyFault::Missing) => Ok(None),
            Err(fault) => Err(FlowError::from(fault).into()),
        }
    }

    fn delete(&self, thumbprint: &Thumbprint) -> Result<(), HostError> {
        self.host.delete_key(*thumbprint)
    }

    fn list(&self) -> Result<Vec<KeptKey>, HostError> {
        let held = self.host.keys()?.into_iter().filter(|key| key.owner == KeyOwner::Host);
        Ok(held.map(|key| KeptKey { thumbprint: key.thumbprint, made_at: key.created_at }).collect())
    }
}

impl<K, T> RotatingKeys<K, T>
where
    K: KeyHost,
    T: KeyRingStore + Send + Sync + 'static,
    T::Error: Debug + Display + Send + Sync + 'static,
{
    /// Begins to describe a ring of the keys of `host`, whose record is in `store`.
    pub fn builder(host: K, store: T, policy: RotationPolicy) -> RingBuilder<K, T> {
        let (algorithms, protections) = (AlgorithmSet::of(&[Algorithm::Es256]), KeyProtection::ALL.to_vec());
        let shared = Shared { store, keys: Kept { host, algorithms, protections } };
        RingBuilder { shared, policy, clock: Box::new(UnixTime::now), has_all_sessions: false }
    }

    /// The key for new tokens.
    pub fn active(&self) -> Thumbprint {
        self.ring().active().0
    }

    /// When the active key is due to be superseded.
    pub fn next_due(&self) -> UnixTime {
        self.ring().next_due()
    }

    /// Makes a successor of the active key now, for a policy that is to take effect at once.
    ///
    /// # Errors
    /// [`SharedError`](keybound::key::ring::SharedError), as the host's.
    pub fn rotate_now(&self) -> Result<Rotation, HostError> {
        self.change(|shared, ring, now| Ok(shared.rotate_now(ring, now)?))
    }

    /// Retires a key at once, after a compromise. The active one gets a successor in the same step. Other processes sign with it until
    /// their task looks next.
    ///
    /// # Errors
    /// [`SharedError`](keybound::key::ring::SharedError), as the host's. The key is not known to be revoked then: try again.
    pub fn revoke(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.change(|shared, ring, now| Ok(shared.revoke(ring, &thumbprint, now)?))
    }

    pub(crate) fn rotate(&self) -> Result<Rotation, HostError> {
        self.change(|shared, ring, now| Ok(shared.rotate(ring, now)?))
    }

    pub(crate) fn purge(&self, in_use: impl Fn(&Thumbprint) -> bool) -> Result<Purged, HostError> {
        self.change(|shared, ring, now| Ok(shared.purge(ring, in_use, now)?))
    }

    pub(crate) fn has_all_sessions(&self) -> bool {
        self.0.has_all_sessions
    }

    pub(crate) fn host(&self) -> &K {
        &self.0.shared.keys.host
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.0.clock)()
    }

    /// Changes a copy of the ring, so that others sign meanwhile.
    fn change<R>(
        &self,
        work: impl FnOnce(&Shared<T, Kept<K>>, &mut KeyRing<Handle>, UnixTime) -> Result<R, HostError>,
    ) -> Result<R, HostError> {
        let _turn = self.turn();
        let mut ring = self.ring();
        let outcome = work(&self.0.shared, &mut ring, self.now());
        // Also after an error: what had been followed by then stays followed.
        *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        outcome
    }

    /// What other processes have recorded.
    fn follow(&self) -> Result<(), HostError> {
        self.change(|shared, ring, now| Ok(shared.follow(ring, now)?))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> KeyRing<Handle> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key_for(&self, thumbprint: &Thumbprint) -> Result<Handle, KeyRefusal> {
        let ring = self.0.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.key_for(thumbprint, self.now()).cloned()
    }
}

impl<K, T> RingBuilder<K, T>
where
    K: KeyHost,
    T: KeyRingStore + Send + Sync + 'static,
    T::Error: Debug + Display + Send + Sync + 'static,
{
    /// What keys of the ring sign with: one of these. Clients and servers have to take it.
    pub fn algorithms(mut self, algorithms: AlgorithmSet) -> Self {
        self.shared.keys.algorithms = algorithms;
        self
    }

    /// Where keys of the ring may live.
    pub fn protections(mut self, protections: &[KeyProtection]) -> Self {
        self.shared.keys.protections = protections.to_vec();
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// States that the sessions which a [look](RotatingKeys::look) or a [task](crate::RotationTask) is given are all whose keys are in this
    /// host. Keys that were made for sessions and logins, and that nothing stored names two hours later, are then deleted.
    ///
    /// For hosts whose sessions are elsewhere, such as HSMs: a store that has keys and sessions does so by itself.
    ///
    /// # Security
    /// The keys of all other sessions are deleted, and these sessions end.
    pub const fn all_sessions(mut self) -> Self {
        self.has_all_sessions = true;
        self
    }

    /// Opens the ring that the store describes, or founds it if there is none.
    ///
    /// # Errors
    /// [`SharedError`](keybound::key::ring::SharedError), as the host's.
    pub fn open(self) -> Result<RotatingKeys<K, T>, HostError> {
        let ring = self.shared.open(self.policy, (self.clock)())?;
        Ok(self.with(ring))
    }

    /// Opens a ring whose active key is gone for good, with a successor of it. Sessions of that key need a new login.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn replace_lost(self) -> Result<RotatingKeys<K, T>, HostError> {
        let ring = self.shared.replace_lost(self.policy, (self.clock)())?;
        Ok(self.with(ring))
    }

    fn with(self, ring: KeyRing<Handle>) -> RotatingKeys<K, T> {
        let Self { shared, clock, has_all_sessions, .. } = self;
        RotatingKeys(Arc::new(Inner { shared, ring: RwLock::new(ring), turn: Mutex::new(()), clock, has_all_sessions }))
    }
}

impl<K, T> KeyHost for RotatingKeys<K, T>
where
    K: KeyHost,
    T: KeyRingStore + Send + Sync + 'static,
    T::Error: Debug + Display + Send + Sync + 'static,
{
    /// The active key, which is due to be superseded at the [time](Self::next_due) the ring says.
    ///
    /// # Errors
    /// If it is not for one of `algorithms`, or not in one of the places `protections`.
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        _: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        let ring = self.ring();
        let (_, key) = ring.active();
        let (algorithm, protection) = (key.algorithm(), key.protection());
        if !algorithms.contains(algorithm) || !protections.contains(&protection) {
            return Err(format!(
                "the key ring's active key signs with {algorithm} and is in the place {}, which is not what client, level and server \
                 permit; build the ring with other algorithms and protections, and rotate it",
                protection.name()
            )
            .into());
        }
        Ok(CreatedKey { public_key: key.public_key().clone(), algorithm, protection, owner: KeyOwner::Host })
    }

    /// A key of the ring while it may sign, and a key of the host that is not one of the ring's.
    ///
    /// # Errors
    /// [`KeyFault::Missing`] also for a key of the ring that has retired.
    fn signer(&self, thumbprint: Thumbprint) -> Result<Handle, KeyFault> {
        let mut found = self.key_for(&thumbprint);
        if matches!(found, Err(KeyRefusal::Unknown | KeyRefusal::Lost)) {
            // Another process may have made it active, or retired it: without its record no one knows whether it may sign.
            self.follow().map_err(KeyFault::Unreadable)?;
            found = self.key_for(&thumbprint);
        }
        match found {
            Ok(key) => Ok(key),
            Err(KeyRefusal::Retired { .. }) => Err(KeyFault::Missing),
            Err(KeyRefusal::Unknown | KeyRefusal::Lost) => self.host().signer(thumbprint),
        }
    }

    /// Deletes a key that is not one of the ring's. Those are deleted once they have retired and no session uses them.
    ///
    /// # Errors
    /// The host's own.
    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        let is_of_ring = self.ring().record().keys().any(|key| key.thumbprint == thumbprint);
        if is_of_ring { Ok(()) } else { self.host().delete_key(thumbprint) }
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.host().keys()
    }
}

impl<K, T> Clone for RotatingKeys<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, T> Debug for RotatingKeys<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RotatingKeys").field(&*self.0.ring.read().unwrap_or_else(PoisonError::into_inner)).finish()
    }
}

impl<K, T> Debug for RingBuilder<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
