//! A host that forgets: keys and sessions in the memory of this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keybound::key::{KeyProtection, Signer};
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost, SessionHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::oauth::{Sweep, Swept};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_files::LockTimeout;

/// Keys and sessions in memory, for services that log in anew when they start, and for tests.
///
/// What has ended is removed, at most once an hour and when a key is made: expired logins with their keys, and keys that no
/// session or login names.
#[derive(Clone, Default)]
pub struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    freed: Condvar,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<Thumbprint, Key>,
    slots: HashMap<Slot, Stored>,
    locks: Vec<String>,
    swept: Option<UnixTime>,
}

struct Key {
    signer: Arc<dyn Signer + Send + Sync>,
    /// What it was made for and when; `None` for the caller's own.
    made: Option<(KeyFor, UnixTime)>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with.
    pub fn add_key(&self, key: impl Signer + Send + Sync + 'static) {
        self.insert(key, None);
    }

    fn insert(&self, key: impl Signer + Send + Sync + 'static, made: Option<(KeyFor, UnixTime)>) {
        let thumbprint = key.public_key().thumbprint(RUSTCRYPTO.digest);
        self.kept().keys.insert(thumbprint, Key { signer: Arc::new(key), made });
    }

    pub(crate) fn create_key_at(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
        now: UnixTime,
    ) -> Result<CreatedKey, HostError> {
        self.kept().sweep(now);
        let key = keybound_files::generate(algorithms, protections, &RUSTCRYPTO)?;
        let created = keybound_files::describe(&key, wanted_for.owner());
        self.insert(key, Some((wanted_for, now)));
        Ok(created)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Removes what has ended, if that was not done within the hour.
    fn sweep(&mut self, now: UnixTime) {
        if !Sweep::is_due(self.swept, now) {
            return;
        }
        self.swept = Some(now);
        let mut sweep = self.told(now);
        for (thumbprint, key) in &self.keys {
            if let Some((KeyFor::Session, created_at)) = key.made {
                sweep.key(*thumbprint, created_at);
            }
        }
        let Swept { slots, keys } = sweep.finish();
        self.slots.retain(|slot, _| !slots.iter().any(|(ended, _)| ended == slot.as_str()));
        self.keys.retain(|thumbprint, _| !keys.contains(thumbprint));
    }

    /// A sweep that was told everything stored.
    fn told(&self, now: UnixTime) -> Sweep {
        let mut sweep = Sweep::new(&RUSTCRYPTO, now);
        for (slot, stored) in &self.slots {
            sweep.stored(slot.as_str(), stored.version, Some(&stored.value), None);
        }
        sweep
    }
}

impl KeyHost for Memory {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        self.create_key_at(algorithms, protections, wanted_for, UnixTime::now())
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.kept().keys.get(&thumbprint).map(|key| key.signer.clone()).ok_or(KeyFault::Missing)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.kept().keys.remove(&thumbprint);
        Ok(())
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        let kept = self.kept();
        let held = kept.keys.iter().filter_map(|(thumbprint, key)| {
            let (wanted_for, created_at) = key.made?;
            let algorithm = Some(key.signer.algorithm());
            Some(HeldKey {
                thumbprint: *thumbprint,
                algorithm,
                owner: wanted_for.owner(),
                created_at: Some(created_at),
            })
        });
        Ok(held.collect())
    }
}

impl SessionHost for Memory {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        Ok(self.kept().slots.get(slot).cloned())
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        let mut kept = self.kept();
        if kept.slots.get(slot).map(|stored| stored.version) != expected {
            return Ok(Saved::Conflict);
        }
        match value {
            Some(value) => drop(kept.slots.insert(slot.clone(), Stored { version, value: value.to_vec() })),
            None => drop(kept.slots.remove(slot)),
        }
        Ok(Saved::Stored)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        let (began, lease) = (Instant::now(), Duration::from_secs(lease));
        let mut kept = self.kept();
        while kept.locks.iter().any(|held| held == name) {
            let left = lease.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(LockTimeout::new(name, lease).into());
            }
            kept = self.0.freed.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        kept.locks.push(name.into());
        drop(kept);
        Ok(Box::new(Held { memory: self.clone(), name: name.into() }))
    }

    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        let sweep = self.kept().told(UnixTime::now());
        Ok(sweep.named().ok_or("a stored value cannot be read, and may name any key")?.to_vec())
    }
}

struct Held {
    memory: Memory,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.kept().locks.retain(|held| *held != self.name);
        self.memory.0.freed.notify_all();
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("Memory").field("keys", &kept.keys.len()).field("slots", &kept.slots.len()).finish()
    }
}
