//! The keys of a nonce issuer: the one it issues with and the one it still accepts.
//!
//! ```
//! use keybound::nonce::issuer::{NonceKey, NonceKeyError, NonceKeys};
//!
//! let mut keys = NonceKeys::new(NonceKey::from_secret(1, [0x17; 32])?);
//! keys.rotate(NonceKey::from_secret(2, [0x2a; 32])?)?;
//! assert_eq!((keys.current().id(), keys.other().map(NonceKey::id)), (2, Some(1)));
//! # Ok::<(), NonceKeyError>(())
//! ```

use core::fmt;
#[cfg(feature = "std")]
use std::sync::{PoisonError, RwLock};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::{RandomUnavailable, SecureRandom, secret};

/// A secret that nonces are made with, and the number that tells a node which one it was.
///
/// The secret is overwritten when the key is dropped, and `Debug` does not show it.
pub struct NonceKey {
    id: u8,
    secret: Zeroizing<[u8; 32]>,
}

impl NonceKey {
    /// A new key called `id`.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if `random` failed, or gave 32 zero bytes, which no working source does.
    pub fn generate(id: u8, random: &dyn SecureRandom) -> Result<Self, RandomUnavailable> {
        secret::drawn(random).map(|secret| Self { id, secret })
    }

    /// The configured key called `id`: 32 bytes from a secure source, the same on every node of a service.
    ///
    /// The caller's own copy of `secret` is the caller's to overwrite.
    ///
    /// # Errors
    /// [`NonceKeyError::Zero`] if all bytes are zero.
    pub fn from_secret(id: u8, secret: [u8; 32]) -> Result<Self, NonceKeyError> {
        let secret = Zeroizing::new(secret);
        if secret::is_zero(&secret) { Err(NonceKeyError::Zero) } else { Ok(Self { id, secret }) }
    }

    /// The number of the key, which every nonce made with it shows.
    pub const fn id(&self) -> u8 {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// Whether both can be in one ring.
    fn differs_from(&self, other: &Self) -> Result<(), NonceKeyError> {
        if self.id == other.id {
            return Err(NonceKeyError::SameId);
        }
        if bool::from(self.secret.ct_eq(other.secret.as_ref())) { Err(NonceKeyError::SameSecret) } else { Ok(()) }
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The current key, and if there is one another that is accepted but not issued with.
///
/// One process rotates with [`rotate`](Self::rotate): the other key is then the one before. Where several nodes
/// answer for one service, a new key first becomes the *other* one on every node, and only then the current one,
/// so that no node meets a nonce of a key it does not know; see [`with_other`](Self::with_other).
#[derive(Debug)]
pub struct NonceKeys {
    current: NonceKey,
    other: Option<NonceKey>,
}

impl NonceKeys {
    /// A ring of one key.
    pub const fn new(current: NonceKey) -> Self {
        Self { current, other: None }
    }

    /// The same ring, which also accepts nonces made with `other`: the previous key, or the next one while it is
    /// being given to all nodes. It takes the place of another one given before.
    ///
    /// # Errors
    /// [`NonceKeyError::SameId`] or [`NonceKeyError::SameSecret`] if it is not another key than the current one.
    pub fn with_other(self, other: NonceKey) -> Result<Self, NonceKeyError> {
        other.differs_from(&self.current)?;
        Ok(Self { other: Some(other), ..self })
    }

    /// Makes `new` the current key and keeps the one before; the one before that is overwritten and gone, and
    /// what was issued with it unknown.
    ///
    /// # Errors
    /// [`NonceKeyError::SameId`] or [`NonceKeyError::SameSecret`] if `new` is not another key than the current
    /// one; nothing has changed then.
    pub fn rotate(&mut self, new: NonceKey) -> Result<(), NonceKeyError> {
        new.differs_from(&self.current)?;
        self.other = Some(core::mem::replace(&mut self.current, new));
        Ok(())
    }

    /// The key that nonces are issued with.
    pub const fn current(&self) -> &NonceKey {
        &self.current
    }

    /// The other key that is accepted.
    pub const fn other(&self) -> Option<&NonceKey> {
        self.other.as_ref()
    }

    pub(super) fn find(&self, id: u8) -> Option<&NonceKey> {
        [Some(&self.current), self.other.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }
}

/// The keys of an issuer in use, which threads share.
#[derive(Debug)]
pub(super) struct Ring(#[cfg(feature = "std")] RwLock<NonceKeys>, #[cfg(not(feature = "std"))] NonceKeys);

#[cfg(feature = "std")]
impl Ring {
    pub(super) const fn new(keys: NonceKeys) -> Self {
        Self(RwLock::new(keys))
    }

    /// Looks at the keys. A rotation waits until it is done.
    pub(super) fn read<T>(&self, look: impl FnOnce(&NonceKeys) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn rotate(&self, new: NonceKey) -> Result<(), NonceKeyError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).rotate(new)
    }
}

#[cfg(not(feature = "std"))]
impl Ring {
    pub(super) const fn new(keys: NonceKeys) -> Self {
        Self(keys)
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&NonceKeys) -> T) -> T {
        look(&self.0)
    }

    pub(super) fn rotate(&mut self, new: NonceKey) -> Result<(), NonceKeyError> {
        self.0.rotate(new)
    }
}

/// Why a key cannot be used for nonces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NonceKeyError {
    /// All its bytes are zero: a buffer that nobody filled.
    Zero,
    /// Two keys of one ring have the same id.
    SameId,
    /// Two keys of one ring have the same secret: a rotation that would change nothing.
    SameSecret,
}

impl fmt::Display for NonceKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "all bytes of the nonce key are zero",
            Self::SameId => "two nonce keys have the same id",
            Self::SameSecret => "two nonce keys have the same secret",
        })
    }
}

impl core::error::Error for NonceKeyError {}
debug_as_text!(NonceKeyError);

#[cfg(test)]
mod tests {
    use super::{NonceKey, NonceKeyError, NonceKeys};
    use crate::crypto::{RandomUnavailable, SecureRandom};
    use alloc::format;

    struct Constant(Option<u8>);

    impl SecureRandom for Constant {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
            out.fill(self.0.ok_or(RandomUnavailable)?);
            Ok(())
        }
    }

    fn key(id: u8, byte: u8) -> NonceKey {
        NonceKey::from_secret(id, [byte; 32]).unwrap()
    }

    #[test]
    fn a_key_that_nobody_filled_is_refused() {
        assert_eq!(NonceKey::from_secret(1, [0; 32]).unwrap_err(), NonceKeyError::Zero);
        assert_eq!(NonceKey::generate(1, &Constant(Some(0))).unwrap_err(), RandomUnavailable);
        assert_eq!(NonceKey::generate(1, &Constant(None)).unwrap_err(), RandomUnavailable);
        assert_eq!(NonceKey::generate(1, &Constant(Some(7))).unwrap().secret(), [7; 32]);
    }

    #[test]
    fn two_keys_of_a_ring_differ() {
        let ring = || NonceKeys::new(key(1, 1));
        assert_eq!(ring().with_other(key(1, 2)).unwrap_err(), NonceKeyError::SameId);
        assert_eq!(ring().with_other(key(2, 1)).unwrap_err(), NonceKeyError::SameSecret);
        let mut ring = ring().with_other(key(2, 2)).unwrap();
        assert_eq!(ring.rotate(key(1, 3)).unwrap_err(), NonceKeyError::SameId);
        assert_eq!((ring.current().id(), ring.other().map(NonceKey::id)), (1, Some(2)));
        // The key that has been the other one so far becomes the current one.
        ring.rotate(key(2, 2)).unwrap();
        assert_eq!((ring.current().id(), ring.other().map(NonceKey::id)), (2, Some(1)));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", key(3, 0xab)), "NonceKey { id: 3, .. }");
    }
}
