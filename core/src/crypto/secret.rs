//! Secrets of 32 bytes that a service draws or is configured with.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{RandomUnavailable, SecureRandom};

/// A new secret.
///
/// # Errors
/// [`RandomUnavailable`] if `random` failed, or gave 32 zero bytes, which no working source does.
pub(crate) fn drawn(random: &dyn SecureRandom) -> Result<Zeroizing<[u8; 32]>, RandomUnavailable> {
    let mut secret = Zeroizing::new([0; 32]);
    random.fill(secret.as_mut())?;
    if is_zero(&secret) { Err(RandomUnavailable) } else { Ok(secret) }
}

/// Whether it is one that was never filled in.
pub(crate) fn is_zero(secret: &[u8; 32]) -> bool {
    secret.ct_eq(&[0; 32]).into()
}
