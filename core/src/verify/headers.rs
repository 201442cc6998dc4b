//! Memory of headers: the proofs of one session all have the same header, so its key is parsed once.
//!
//! It keeps facts that no policy can change, and only from headers of proofs whose signature verified. Every
//! policy check runs on a hit as well, so verdicts with and without it are the same.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::crypto::PreparedKey;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::thumbprint::Thumbprint;

/// How many headers are remembered for one key: clients that vary their header gain nothing by it.
const PER_THUMBPRINT: usize = 4;
/// Longer headers are not remembered; an ML-DSA-87 key takes 3.5 kB.
const MAX_HEADER_LEN: usize = 4096;

/// What a header says about its key.
pub(crate) struct RememberedKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) jwk: PublicJwk,
    pub(crate) thumbprint: Thumbprint,
    pub(crate) prepared: Box<dyn PreparedKey>,
}

/// A bounded memory of verified headers, to be shared by all threads and, if wanted, several verifiers.
///
/// Headers are found by a hash with a random key and then compared in full. What was not used for longest makes
/// room first, roughly.
///
/// ```
/// use std::sync::Arc;
/// use keybound::{HeaderMemory, Policy, RUSTCRYPTO, Verifier};
/// let memory = Arc::new(HeaderMemory::new(1024));
/// let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO).with_header_memory(memory);
/// ```
pub struct HeaderMemory {
    capacity: usize,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<[u8]>, Slot>,
    by_thumbprint: HashMap<Thumbprint, Vec<Arc<[u8]>>>,
    /// Headers in the order in which they came, those used since at the end of a second round.
    queue: VecDeque<Arc<[u8]>>,
}

struct Slot {
    key: Arc<RememberedKey>,
    used: AtomicBool,
}

impl HeaderMemory {
    /// A memory for up to `capacity` headers; each takes about 1 kB with an ES256 key.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: RwLock::default() }
    }

    /// How many headers are remembered.
    pub fn len(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn recall(&self, header: &[u8]) -> Option<Arc<RememberedKey>> {
        // What is not remembered need not be hashed.
        if header.len() > MAX_HEADER_LEN {
            return None;
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let slot = state.entries.get(header)?;
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.key))
    }

    pub(crate) fn remember(&self, header: &[u8], key: RememberedKey) {
        if header.len() > MAX_HEADER_LEN || self.capacity == 0 {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.entries.contains_key(header) {
            return;
        }
        // A key that has its share makes room among its own headers, so that it costs no other key its place.
        if let Some(of_key) = state.by_thumbprint.get_mut(&key.thumbprint)
            && of_key.len() >= PER_THUMBPRINT
        {
            let oldest = of_key.remove(0);
            state.entries.remove(&oldest);
        }
        while state.entries.len() >= self.capacity {
            state.forget_one();
        }
        // Headers forgotten out of turn stay queued until they come up, or until they are too many.
        if state.queue.len() >= self.capacity.saturating_mul(2) {
            let State { entries, queue, .. } = &mut *state;
            queue.retain(|queued| entries.contains_key(queued));
        }
        let header: Arc<[u8]> = header.into();
        state.by_thumbprint.entry(key.thumbprint).or_default().push(Arc::clone(&header));
        state.queue.push_back(Arc::clone(&header));
        state.entries.insert(header, Slot { key: Arc::new(key), used: AtomicBool::new(false) });
    }
}

impl State {
    /// Forgets the header at the front of the queue, unless it was used since it was put there.
    fn forget_one(&mut self) {
        while let Some(header) = self.queue.pop_front() {
            let Some(slot) = self.entries.get(&header) else { continue };
            if slot.used.swap(false, Ordering::Relaxed) {
                self.queue.push_back(header);
                continue;
            }
            if let Some(slot) = self.entries.remove(&header) {
                let thumbprint = slot.key.thumbprint;
                if let Some(of_key) = self.by_thumbprint.get_mut(&thumbprint) {
                    of_key.retain(|other| *other != header);
                    if of_key.is_empty() {
                        self.by_thumbprint.remove(&thumbprint);
                    }
                }
            }
            return;
        }
        self.entries.clear();
        self.by_thumbprint.clear();
    }
}

impl fmt::Debug for HeaderMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderMemory").field("capacity", &self.capacity).field("len", &self.len()).finish()
    }
}
