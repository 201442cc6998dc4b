//! Trust, after one look: the first signature of an outside key is verified at once.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use super::{KeyProtection, Signer, SignerError, SigningInput};
use crate::Misuse;
use crate::crypto::Crypto;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;

/// An outside signer whose first signature, and first after every reconnect, is verified before it is used.
///
/// A wrong key, hash or encoding then shows as one precise local error instead of a server's refusal.
/// Later signatures are passed on unverified.
pub struct CheckedSigner<S> {
    signer: S,
    crypto: Crypto,
    checked: AtomicBool,
}

impl<S: Signer> CheckedSigner<S> {
    /// Wraps `signer`; `crypto` must have a verifier for its algorithm.
    ///
    /// # Errors
    /// [`Misuse::AlgorithmUnavailable`], and [`Misuse::AlgorithmKey`] if the signer's key does not fit its algorithm.
    pub fn new(signer: S, crypto: &Crypto) -> Result<Self, Misuse> {
        let algorithm = signer.algorithm();
        if crypto.verifier(algorithm).is_none() {
            return Err(Misuse::AlgorithmUnavailable(algorithm));
        }
        if signer.public_key().key_type() != algorithm.key_type() {
            return Err(Misuse::AlgorithmKey(algorithm));
        }
        Ok(Self { signer, crypto: *crypto, checked: AtomicBool::new(false) })
    }

    /// To be called after the connection to the key was made anew: the next signature is verified again.
    pub fn reconnected(&self) {
        self.checked.store(false, Ordering::Release);
    }

    /// The signer itself.
    pub const fn inner(&self) -> &S {
        &self.signer
    }
}

/// Verifies `signature` over `message` with the public key of its signer.
pub(crate) fn verify_own(
    crypto: &Crypto,
    key: &PublicJwk,
    message: &[u8],
    signature: &Signature,
) -> Result<(), Misuse> {
    let algorithm = signature.algorithm();
    let verifier = crypto.verifier(algorithm).ok_or(Misuse::AlgorithmUnavailable(algorithm))?;
    verifier.verify(key, message, signature.as_bytes()).map_err(|_| Misuse::SignatureDoesNotVerify)
}

impl<S: Signer> Signer for CheckedSigner<S> {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &PublicJwk {
        self.signer.public_key()
    }

    fn protection(&self) -> KeyProtection {
        self.signer.protection()
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        let signature = self.signer.sign(input)?;
        if signature.algorithm() != self.algorithm() {
            return Err(Misuse::SignatureAlgorithm.into());
        }
        if !self.checked.load(Ordering::Acquire) {
            verify_own(&self.crypto, self.public_key(), input.message(), &signature)?;
            self.checked.store(true, Ordering::Release);
        }
        Ok(signature)
    }
}

impl<S> fmt::Debug for CheckedSigner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedSigner").field("checked", &self.checked).finish_non_exhaustive()
    }
}
