//! The host of a story: keys, storage and locks in memory, a clock that stands still, and randomness that repeats itself.

use std::cell::Cell;
use std::collections::HashMap;

use keybound::crypto::{RandomUnavailable, SecureRandom};
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner, Saved, Slot, Stored};
use keybound::{Algorithm, AlgorithmSet, Crypto, RUSTCRYPTO, Thumbprint, UnixTime};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that look random and are the same each time a story is played.
struct Repeating;

impl SecureRandom for Repeating {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for chunk in out.chunks_mut(32) {
            let count = COUNT.get();
            COUNT.set(count + 1);
            let bytes = RUSTCRYPTO.digest.sha256(&[b"flow", &count.to_be_bytes()]);
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// The portable provider with repeating randomness, which begins anew.
pub fn repeating() -> Crypto {
    COUNT.set(0);
    Crypto { random: &Repeating, ..RUSTCRYPTO }
}

/// The host of a story.
pub struct Host {
    /// The clock.
    pub now: UnixTime,
    /// Where new keys claim to live.
    pub protection: KeyProtection,
    /// Whether it answers with one key of its own until [`rotate`](Self::rotate), as a key ring does.
    pub is_ring: bool,
    /// What is wrong with every key, if anything is.
    pub fault: Option<fn() -> KeyFault>,
    /// Whether storing fails.
    pub broken_store: bool,
    /// A slot, and what another process stores in it just before this one does.
    pub meanwhile: Option<(&'static str, String)>,
    crypto: Crypto,
    /// The key that a ring answers with.
    active: Option<Thumbprint>,
    keys: HashMap<Thumbprint, SoftKey>,
    /// Thumbprints in the order of creation.
    pub created: Vec<Thumbprint>,
    slots: HashMap<Slot, Stored>,
    locks: Vec<String>,
}

impl Host {
    /// A host without anything stored.
    pub fn new(crypto: Crypto, now: UnixTime) -> Self {
        Self {
            now,
            protection: KeyProtection::Software,
            is_ring: false,
            active: None,
            fault: None,
            broken_store: false,
            meanwhile: None,
            crypto,
            keys: HashMap::new(),
            created: Vec::new(),
            slots: HashMap::new(),
            locks: Vec::new(),
        }
    }

    /// Makes and keeps a key, or answers with the one of its ring.
    ///
    /// # Errors
    /// If no permitted algorithm is one of this host.
    pub fn create_key(&mut self, algorithms: AlgorithmSet) -> Result<CreatedKey, HostError> {
        if let Some(key) = self.active.and_then(|active| self.keys.get(&active)) {
            return Ok(self.describe(key));
        }
        let known = [Algorithm::Es256, Algorithm::Ed25519];
        let algorithm = known.into_iter().find(|algorithm| algorithms.contains(*algorithm)).ok_or("no algorithm")?;
        let key = SoftKey::generate(algorithm, &self.crypto)?;
        let thumbprint = key.public_key().thumbprint(self.crypto.digest);
        let created = self.describe(&key);
        self.active = self.is_ring.then_some(thumbprint);
        self.keys.insert(thumbprint, key);
        self.created.push(thumbprint);
        Ok(created)
    }

    fn describe(&self, key: &SoftKey) -> CreatedKey {
        CreatedKey {
            public_key: key.public_key().clone(),
            algorithm: key.algorithm(),
            protection: self.protection,
            owner: if self.is_ring { KeyOwner::Host } else { KeyOwner::Session },
        }
    }

    /// Has a ring answer with a new key from now on. It keeps the one before.
    pub fn rotate(&mut self) {
        self.active = None;
    }

    /// The key with this thumbprint.
    ///
    /// # Errors
    /// That it is missing, or the fault the story is about.
    pub fn key(&self, thumbprint: Thumbprint) -> Result<&SoftKey, KeyFault> {
        match self.fault {
            Some(fault) => Err(fault()),
            None => self.keys.get(&thumbprint).ok_or(KeyFault::Missing),
        }
    }

    /// Deletes a key.
    pub fn delete_key(&mut self, thumbprint: Thumbprint) {
        self.keys.remove(&thumbprint);
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// What is stored.
    pub fn load(&self, slot: &Slot) -> Option<Stored> {
        self.slots.get(slot).cloned()
    }

    /// Everything that is stored.
    pub fn slots(&self) -> impl Iterator<Item = (&Slot, &Stored)> {
        self.slots.iter()
    }

    /// What is stored under this name, as text.
    pub fn stored(&self, name: &str) -> Option<String> {
        let stored = self.slots.iter().find(|(slot, _)| slot.as_str() == name)?.1;
        String::from_utf8(stored.value.clone()).ok()
    }

    /// Changes what is stored under this name, behind everybody's back.
    ///
    /// # Panics
    /// If nothing is.
    pub fn overwrite(&mut self, name: &str, text: &str) {
        let stored = self.slots.iter_mut().find(|(slot, _)| slot.as_str() == name).expect("something stored").1;
        stored.value = text.as_bytes().to_vec();
    }

    /// Stores by compare-and-set.
    ///
    /// # Errors
    /// If the story is about a store that fails.
    pub fn save(
        &mut self,
        slot: &Slot,
        expected: Option<u64>,
        version: u64,
        value: Option<&[u8]>,
    ) -> Result<Saved, HostError> {
        if self.broken_store {
            return Err("the disk is full".into());
        }
        if let Some((_, value)) = self.meanwhile.take_if(|(name, _)| *name == slot.as_str()) {
            self.slots.insert(slot.clone(), Stored { version: u64::MAX, value: value.into_bytes() });
        }
        if self.slots.get(slot).map(|stored| stored.version) != expected {
            return Ok(Saved::Conflict);
        }
        match value {
            Some(value) => self.slots.insert(slot.clone(), Stored { version, value: value.to_vec() }),
            None => self.slots.remove(slot),
        };
        Ok(Saved::Stored)
    }

    /// Takes a lock.
    ///
    /// # Panics
    /// If it is held already: a story has one thread, which would wait for ever.
    pub fn lock(&mut self, name: &str) {
        assert!(!self.locks.iter().any(|held| held == name), "{name} is locked twice");
        self.locks.push(name.into());
    }

    /// Gives a lock back.
    ///
    /// # Panics
    /// If it is not held.
    pub fn unlock(&mut self, name: &str) {
        let at = self.locks.iter().position(|held| held == name).expect("a lock that is held");
        self.locks.remove(at);
    }

    /// Whether no lock is held.
    pub fn is_unlocked(&self) -> bool {
        self.locks.is_empty()
    }
}
