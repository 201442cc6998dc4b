//! A host that forgets: keys and sessions in the memory of this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, Saved, Slot, Stored};
use keybound::oauth::{Sweep, Swept};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_files::LockTimeout;

use crate::host::Host;

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
    /// When a flow had it made; `None` for the caller's own.
    created_at: Option<UnixTime>,
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

    fn insert(&self, key: impl Signer + Send + Sync + 'static, created_at: Option<UnixTime>) {
        let thumbprint = key.public_key().thumbprint(RUSTCRYPTO.digest);
        self.kept().keys.insert(thumbprint, Key { signer: Arc::new(key), created_at });
    }

    pub(crate) fn create_key_at(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        now: UnixTime,
    ) -> Result<CreatedKey, HostError> {
        self.kept().sweep(now);
        let key = keybound_files::generate(algorithms, protections, &RUSTCRYPTO)?;
        let created = describe(&key);
        self.insert(key, Some(now));
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
        let mut sweep = Sweep::new(&RUSTCRYPTO, now);
        for (slot, stored) in &self.slots {
            sweep.stored(slot.as_str(), stored.version, Some(&stored.value), None);
        }
        for (thumbprint, key) in &self.keys {
            if let Some(created_at) = key.created_at {
                sweep.key(*thumbprint, created_at);
            }
        }
        let Swept { slots, keys } = sweep.finish();
        self.slots.retain(|slot, _| !slots.iter().any(|(ended, _)| ended == slot.as_str()));
        self.keys.retain(|thumbprint, _| !keys.contains(thumbprint));
    }
}

pub(crate) fn describe(key: &SoftKey) -> CreatedKey {
    CreatedKey { public_key: key.public_key().clone(), algorithm: key.algorithm(), protection: key.protection() }
}

impl Host for Memory {
    fn create_key(&self, algorithms: AlgorithmSet, protections: &[KeyProtection]) -> Result<CreatedKey, HostError> {
        self.create_key_at(algorithms, protections, UnixTime::now())
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.kept().keys.get(&thumbprint).map(|key| key.signer.clone()).ok_or(KeyFault::Missing)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.kept().keys.remove(&thumbprint);
        Ok(())
    }

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
