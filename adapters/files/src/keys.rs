//! New software keys.

use keybound::key::KeyProtection;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, AlgorithmSet, Crypto};

use crate::error::NoKey;

/// The algorithms that software keys are made for, the one that most servers know first.
const PREFERRED: [Algorithm; 6] =
    [Algorithm::Es256, Algorithm::Ed25519, Algorithm::EdDsa, Algorithm::Es384, Algorithm::Es512, Algorithm::Ps256];

/// A new software key for one of `algorithms`, if keys may live in software: of the permitted algorithm that most servers know.
///
/// # Errors
/// [`NoKey`].
pub fn generate(algorithms: AlgorithmSet, protections: &[KeyProtection], crypto: &Crypto) -> Result<SoftKey, NoKey> {
    if !protections.contains(&KeyProtection::Software) {
        return Err(NoKey::KeyProtection);
    }
    let can = |algorithm: &Algorithm| algorithms.contains(*algorithm) && crypto.signer(*algorithm).is_some();
    let algorithm = PREFERRED.into_iter().chain(algorithms.iter()).find(can).ok_or(NoKey::Algorithm)?;
    SoftKey::generate(algorithm, crypto).map_err(NoKey::Provider)
}
