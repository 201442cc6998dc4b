//! Keys for proofs.

use keybound::Algorithm;
use keybound::key::soft::SoftKey;
use keybound_aws_lc::AWS_LC;

/// A new key.
///
/// # Panics
/// If it cannot be made.
pub fn key(algorithm: Algorithm) -> SoftKey {
    SoftKey::generate(algorithm, &AWS_LC).unwrap_or_else(|error| panic!("{algorithm}: {error}"))
}
