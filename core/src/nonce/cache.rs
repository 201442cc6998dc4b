//! The client's nonces: the latest one of each server, for each key.
//!
//! ```
//! use keybound::Thumbprint;
//! use keybound::nonce::Role::AuthorizationServer;
//! use keybound::nonce::cache::NonceCache;
//!
//! let key = Thumbprint::from_bytes([1; 32]);
//! let mut nonces = NonceCache::new();
//! // Every response is shown to the cache, whatever its status.
//! nonces.observe("https://as.example.com", AuthorizationServer, &key, &[b"eyJ7S_zG"])?;
//! // The next proof for this server carries what it sent last.
//! let nonce = nonces.get("https://as.example.com", AuthorizationServer, &key).expect("just stored");
//! assert_eq!(nonce.as_str(), "eyJ7S_zG");
//! # Ok::<(), keybound::nonce::NonceError>(())
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use super::{Nonce, NonceError, Role};
use crate::jose::thumbprint::Thumbprint;

/// The latest nonce of each server a client talks to (RFC 9449 sections 8.2 and 9).
///
/// Nonces are filed under the origin that answered, its role and the thumbprint of the key that the proof was
/// made with: an authorization server and an API on one origin do not disturb each other, and neither do two
/// keys at a server that binds its nonces to keys.
///
/// The origin is compared byte for byte. Callers give it in one spelling, that of RFC 6454 section 6.1:
/// lower case scheme and host, the port only where it is not the default one, no path and no final slash
/// (`https://as.example.com`). Another spelling finds nothing, which costs one challenge and no security.
///
/// The cache holds a limited number of nonces; the one used longest ago makes room for a new one.
/// `Debug` shows how many there are and none of them.
pub struct NonceCache {
    capacity: NonZeroUsize,
    entries: Vec<Entry>,
    /// Counts uses; the entry with the lowest count was used longest ago.
    uses: u64,
}

struct Entry {
    origin: Box<str>,
    role: Role,
    thumbprint: Thumbprint,
    nonce: Nonce,
    used: u64,
}

impl Entry {
    fn is_for(&self, origin: &str, role: Role, thumbprint: &Thumbprint) -> bool {
        self.role == role && *self.origin == *origin && self.thumbprint == *thumbprint
    }
}

impl NonceCache {
    /// How many nonces [`new`](Self::new) makes room for.
    pub const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

    /// An empty cache for 256 nonces.
    pub const fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// An empty cache for `capacity` nonces. Memory is taken as it fills.
    pub const fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self { capacity, entries: Vec::new(), uses: 0 }
    }

    /// Keeps what a response says about nonces: call it for every response of a server that was sent a proof.
    ///
    /// That means success, errors and the answer to a retried request alike (RFC 9449 section 8.2: a new nonce
    /// replaces the old one from then on). `origin` is the one that answered, which after a redirect is not the
    /// one first asked. `fields` has one slice for each `DPoP-Nonce` field line. Returns the nonce that was
    /// stored, or `None` if the response has none; the one known before then stays.
    ///
    /// # Errors
    /// [`NonceError`] if there are two fields or the value is not a nonce. Nothing is stored then, and the nonce
    /// known before is kept.
    pub fn observe(
        &mut self,
        origin: &str,
        role: Role,
        thumbprint: &Thumbprint,
        fields: &[&[u8]],
    ) -> Result<Option<&Nonce>, NonceError> {
        match Nonce::from_fields(fields)? {
            None => Ok(None),
            Some(nonce) => {
                self.store(origin, role, thumbprint, nonce);
                Ok(self.entries.last().map(|entry| &entry.nonce))
            }
        }
    }

    /// Stores `nonce` in place of the one known for this server and key, if any.
    pub fn store(&mut self, origin: &str, role: Role, thumbprint: &Thumbprint, nonce: Nonce) {
        let used = self.next_use();
        let origin = match self.take(origin, role, thumbprint) {
            Some(known) => known.origin,
            None => {
                self.make_room();
                origin.into()
            }
        };
        self.entries.push(Entry { origin, role, thumbprint: *thumbprint, nonce, used });
    }

    /// The nonce that the next proof for this server and key carries, if one is known.
    ///
    /// Asking counts as a use, so that nonces in use are not the ones that make room.
    pub fn get(&mut self, origin: &str, role: Role, thumbprint: &Thumbprint) -> Option<&Nonce> {
        let used = self.next_use();
        let entry = self.entries.iter_mut().find(|entry| entry.is_for(origin, role, thumbprint))?;
        entry.used = used;
        Some(&entry.nonce)
    }

    /// Forgets the nonce of this server and key and returns it, for example when a key is deleted.
    pub fn remove(&mut self, origin: &str, role: Role, thumbprint: &Thumbprint) -> Option<Nonce> {
        self.take(origin, role, thumbprint).map(|entry| entry.nonce)
    }

    /// How many nonces are stored.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no nonce is stored.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn next_use(&mut self) -> u64 {
        self.uses = self.uses.saturating_add(1);
        self.uses
    }

    fn take(&mut self, origin: &str, role: Role, thumbprint: &Thumbprint) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.is_for(origin, role, thumbprint))?;
        Some(self.entries.swap_remove(index))
    }

    /// Drops what was used longest ago until one more entry fits.
    fn make_room(&mut self) {
        while self.entries.len() >= self.capacity.get() {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.used).map(|(index, _)| index);
            let Some(index) = oldest else { return };
            self.entries.swap_remove(index);
        }
    }
}

impl Default for NonceCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NonceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceCache").field("len", &self.len()).field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role::{AuthorizationServer, ResourceServer};
    use super::super::{Nonce, NonceError};
    use super::NonceCache;
    use crate::jose::thumbprint::Thumbprint;
    use alloc::format;
    use alloc::string::String;
    use core::num::NonZeroUsize;

    const AS: &str = "https://as.example.com";
    const API: &str = "https://api.example.com";
    const KEY: Thumbprint = Thumbprint::from_bytes([1; 32]);
    const OTHER_KEY: Thumbprint = Thumbprint::from_bytes([2; 32]);

    fn nonce(text: &str) -> Nonce {
        Nonce::parse(text.as_bytes()).unwrap()
    }

    fn known(cache: &mut NonceCache, origin: &str, key: &Thumbprint) -> Option<String> {
        cache.get(origin, AuthorizationServer, key).map(|nonce| nonce.as_str().into())
    }

    #[test]
    fn origins_roles_and_keys_never_mix() {
        let mut cache = NonceCache::new();
        let places = [AS, API].into_iter().flat_map(|origin| {
            [AuthorizationServer, ResourceServer]
                .into_iter()
                .flat_map(move |role| [KEY, OTHER_KEY].into_iter().map(move |key| (origin, role, key)))
        });
        for (origin, role, key) in places.clone() {
            assert_eq!(cache.get(origin, role, &key), None);
            cache.store(origin, role, &key, nonce(&format!("{origin}/{role:?}/{key}")));
        }
        assert_eq!(cache.len(), 8);
        for (origin, role, key) in places {
            let expected = format!("{origin}/{role:?}/{key}");
            assert_eq!(cache.get(origin, role, &key).unwrap().as_str(), expected);
            assert_eq!(cache.remove(origin, role, &key).unwrap().as_str(), expected);
            assert_eq!(cache.get(origin, role, &key), None);
        }
        assert!(cache.is_empty());
    }

    #[test]
    fn the_origin_is_compared_byte_for_byte() {
        let mut cache = NonceCache::new();
        cache.store(AS, AuthorizationServer, &KEY, nonce("n"));
        for other in ["https://AS.example.com", "https://as.example.com/", "https://as.example.com:443", ""] {
            assert_eq!(known(&mut cache, other, &KEY), None, "{other}");
        }
    }

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let mut cache = NonceCache::with_capacity(NonZeroUsize::new(2).unwrap());
        cache.store("https://a.example", AuthorizationServer, &KEY, nonce("a"));
        cache.store("https://b.example", AuthorizationServer, &KEY, nonce("b"));
        assert_eq!(known(&mut cache, "https://a.example", &KEY).unwrap(), "a");
        cache.store("https://c.example", AuthorizationServer, &KEY, nonce("c"));
        assert_eq!(cache.len(), 2);
        assert_eq!(known(&mut cache, "https://b.example", &KEY), None);
        assert_eq!(known(&mut cache, "https://a.example", &KEY).unwrap(), "a");
        // A new nonce for a known server takes nobody's place.
        cache.store("https://c.example", AuthorizationServer, &KEY, nonce("c2"));
        assert_eq!(known(&mut cache, "https://a.example", &KEY).unwrap(), "a");
        assert_eq!(known(&mut cache, "https://c.example", &KEY).unwrap(), "c2");
    }

    #[test]
    fn ten_thousand_servers_take_the_room_of_256() {
        let mut cache = NonceCache::default();
        for index in 0..10_000_u32 {
            cache.store(&format!("https://{index}.example"), ResourceServer, &KEY, nonce("n"));
        }
        assert_eq!(cache.len(), 256);
        assert!(cache.get("https://9999.example", ResourceServer, &KEY).is_some());
        assert!(cache.get("https://9744.example", ResourceServer, &KEY).is_some());
        assert!(cache.get("https://9743.example", ResourceServer, &KEY).is_none());
    }

    /// A challenge, its retry answered with yet another nonce, then a success without one.
    #[test]
    fn the_nonce_of_the_retried_answer_is_kept() {
        let mut cache = NonceCache::new();
        cache.observe(AS, AuthorizationServer, &KEY, &[b"challenge"]).unwrap();
        assert_eq!(known(&mut cache, AS, &KEY).unwrap(), "challenge");
        let stored = cache.observe(AS, AuthorizationServer, &KEY, &[b"retried"]).unwrap();
        assert_eq!(stored.unwrap().as_str(), "retried");
        assert_eq!(cache.observe(AS, AuthorizationServer, &KEY, &[]), Ok(None));
        assert_eq!(known(&mut cache, AS, &KEY).unwrap(), "retried");
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn two_fields_or_a_malformed_one_leave_the_old_nonce() {
        let mut cache = NonceCache::new();
        cache.store(AS, AuthorizationServer, &KEY, nonce("old"));
        let wrong: [(&[&[u8]], NonceError); 4] = [
            (&[b"one", b"two"], NonceError::Repeated),
            (&[b"one, two"], NonceError::InvalidCharacter),
            (&[b""], NonceError::Empty),
            (&[&[b'n'; 4097]], NonceError::TooLong),
        ];
        for (fields, error) in wrong {
            assert_eq!(cache.observe(AS, AuthorizationServer, &KEY, fields), Err(error));
            assert_eq!(cache.observe(API, AuthorizationServer, &KEY, fields), Err(error));
        }
        assert_eq!(known(&mut cache, AS, &KEY).unwrap(), "old");
        assert_eq!(known(&mut cache, API, &KEY), None);
    }

    #[test]
    fn debug_shows_no_nonce_and_no_origin() {
        let mut cache = NonceCache::new();
        cache.store(AS, AuthorizationServer, &KEY, nonce("visible"));
        let shown = format!("{cache:?}");
        assert!(!shown.contains("visible") && !shown.contains("example"), "{shown}");
    }
}
