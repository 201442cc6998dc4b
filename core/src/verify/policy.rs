//! What a verifier accepts, within bounds that cannot be left.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::Misuse;
use crate::crypto::Digest;
use crate::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::jose::jwk::RsaBounds;
use crate::replay::ReplayAgreement;

/// The rules a verifier applies.
///
/// `Policy::default()` is the level Enhanced; the other presets follow published profiles. Every number has bounds,
/// and what is outside them is [`Misuse`], not a policy.
///
/// ```
/// use keybound::{AlgorithmSet, Policy};
/// let policy = Policy::default().with_max_age(120)?.with_algorithms(AlgorithmSet::FAPI2)?;
/// assert!(Policy::default().with_max_age(301).is_err());
/// # Ok::<(), keybound::Misuse>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    algorithms: AlgorithmSet,
    ceiling: AlgorithmSet,
    max_age: u64,
    max_ahead: u64,
    nonces: NonceMode,
    time_source: TimeSource,
    store_margin: u64,
    rsa_bounds: RsaBounds,
    bare_htu: bool,
    namespace: String,
}

/// Whether proofs must carry a nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NonceMode {
    /// Every proof must carry one where the verifier has a nonce issuer, none where it has not.
    Followed,
    /// Every proof must carry one. Without an issuer, or an exact nonce for the request, all are refused.
    Required,
}

/// Which clock says how old a proof is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeSource {
    /// The client's: the claim `iat`.
    IssuedAt,
    /// The server's: the time inside a nonce of the verifier's issuer, for clients whose clocks are wrong (RFC 9449
    /// section 11.1). Every proof must then carry such a nonce; without an issuer `iat` counts.
    Nonce,
}

impl Policy {
    /// The longest `max_age`, in seconds.
    pub const MAX_AGE_LIMIT: u64 = 300;
    /// The longest `max_ahead`, in seconds (FAPI 2.0 section 5.3.2.1).
    pub const MAX_AHEAD_LIMIT: u64 = 60;
    /// The longest store margin, in seconds.
    pub const STORE_MARGIN_LIMIT: u64 = 600;

    /// The FAPI 2.0 Security Profile, and the level Maximum: nonces required, algorithms that cannot be widened.
    pub fn fapi2() -> Self {
        Self { ceiling: AlgorithmSet::FAPI2, nonces: NonceMode::Required, ..Self::default() }
    }

    /// The profile of the Model Context Protocol: clocks may differ by more.
    pub fn mcp() -> Self {
        Self { max_age: 300, max_ahead: 60, ..Self::default() }
    }

    /// The profile of the AT Protocol: ES256 and nonces required.
    pub fn atproto() -> Self {
        Self { algorithms: AlgorithmSet::of(&[Algorithm::Es256]), nonces: NonceMode::Required, ..Self::default() }
    }

    /// The OpenID4VC High Assurance Interoperability Profile: ES256.
    pub fn haip() -> Self {
        Self { algorithms: AlgorithmSet::of(&[Algorithm::Es256]), ..Self::default() }
    }

    /// Permits exactly these algorithms. Those outside the default cost a verifier more (ES384 four times ES256).
    ///
    /// # Errors
    /// [`Misuse::NoAlgorithms`] for an empty set, [`Misuse::ProfileAlgorithms`] if the preset cannot be widened.
    pub fn with_algorithms(self, algorithms: AlgorithmSet) -> Result<Self, Misuse> {
        if algorithms.is_empty() {
            return Err(Misuse::NoAlgorithms);
        }
        if !algorithms.is_subset_of(self.ceiling) {
            return Err(Misuse::ProfileAlgorithms);
        }
        Ok(Self { algorithms, ..self })
    }

    /// Accepts proofs up to `seconds` old: 1 to 300.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`].
    pub fn with_max_age(self, seconds: u64) -> Result<Self, Misuse> {
        if !(1..=Self::MAX_AGE_LIMIT).contains(&seconds) {
            return Err(Misuse::PolicyBound("`max_age` (1 to 300 seconds)"));
        }
        Ok(Self { max_age: seconds, ..self })
    }

    /// Accepts proofs dated up to `seconds` ahead of this clock: 0 to 60.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`].
    pub fn with_max_ahead(self, seconds: u64) -> Result<Self, Misuse> {
        if seconds > Self::MAX_AHEAD_LIMIT {
            return Err(Misuse::PolicyBound("`max_ahead` (0 to 60 seconds)"));
        }
        Ok(Self { max_ahead: seconds, ..self })
    }

    /// Keeps used proofs for `seconds` beyond their last acceptable instant: 1 to 600, default 60.
    ///
    /// It must be at least the disagreement of all clocks involved plus the replay store's timeout.
    ///
    /// # Errors
    /// [`Misuse::PolicyBound`].
    pub fn with_store_margin(self, seconds: u64) -> Result<Self, Misuse> {
        if !(1..=Self::STORE_MARGIN_LIMIT).contains(&seconds) {
            return Err(Misuse::PolicyBound("`store_margin` (1 to 600 seconds)"));
        }
        Ok(Self { store_margin: seconds, ..self })
    }

    /// Requires nonces. They cannot be made optional again: a profile that requires them does.
    #[must_use]
    pub fn requiring_nonces(self) -> Self {
        Self { nonces: NonceMode::Required, ..self }
    }

    /// Lets the time in a valid nonce stand in for `iat`.
    #[must_use]
    pub fn with_time_source(self, time_source: TimeSource) -> Self {
        Self { time_source, ..self }
    }

    /// Takes RSA moduli up to this bound.
    #[must_use]
    pub fn with_rsa_bounds(self, rsa_bounds: RsaBounds) -> Self {
        Self { rsa_bounds, ..self }
    }

    /// Refuses an `htu` with query or fragment instead of ignoring them.
    #[must_use]
    pub fn requiring_bare_htu(self) -> Self {
        Self { bare_htu: true, ..self }
    }

    /// Keeps this verifier's used proofs apart from others in the same store, for example those of a gateway in front.
    #[must_use]
    pub fn with_namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// The permitted algorithms.
    pub const fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// How old a proof may be, in seconds.
    pub const fn max_age(&self) -> u64 {
        self.max_age
    }

    /// How far ahead of this clock a proof may be dated, in seconds.
    pub const fn max_ahead(&self) -> u64 {
        self.max_ahead
    }

    /// How long used proofs are kept beyond their last acceptable instant, in seconds.
    pub const fn store_margin(&self) -> u64 {
        self.store_margin
    }

    /// Whether proofs must carry a nonce.
    pub const fn nonces(&self) -> NonceMode {
        self.nonces
    }

    /// Which clock says how old a proof is.
    pub const fn time_source(&self) -> TimeSource {
        self.time_source
    }

    /// The namespace of used proofs.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) const fn rsa_bounds(&self) -> RsaBounds {
        self.rsa_bounds
    }

    pub(crate) const fn requires_bare_htu(&self) -> bool {
        self.bare_htu
    }

    /// What all verifiers that share a replay store must have in common, for a verifier with all that this policy asks for.
    pub fn replay_agreement(&self, digest: &dyn Digest) -> ReplayAgreement {
        let nonce_time = self.time_source == TimeSource::Nonce;
        ReplayAgreement::new(digest, nonce_time, self.max_age, self.max_ahead, self.store_margin)
    }
}

impl Default for Policy {
    /// ES256, Ed25519/EdDSA and PS256; 60 seconds of age, 10 ahead; nonces followed if an issuer is given.
    fn default() -> Self {
        Self {
            algorithms: AlgorithmSet::FAPI2,
            ceiling: AlgorithmSet::ALL,
            max_age: 60,
            max_ahead: 10,
            nonces: NonceMode::Followed,
            time_source: TimeSource::IssuedAt,
            store_margin: 60,
            rsa_bounds: RsaBounds::Up4096,
            bare_htu: false,
            namespace: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NonceMode, Policy};
    use crate::{Algorithm, AlgorithmSet, Misuse};

    #[test]
    fn presets_are_those_of_the_table() {
        for (policy, algorithms, age, ahead, nonces) in [
            (Policy::default(), "ES256 Ed25519 EdDSA PS256", 60, 10, NonceMode::Followed),
            (Policy::fapi2(), "ES256 Ed25519 EdDSA PS256", 60, 10, NonceMode::Required),
            (Policy::mcp(), "ES256 Ed25519 EdDSA PS256", 300, 60, NonceMode::Followed),
            (Policy::atproto(), "ES256", 60, 10, NonceMode::Required),
            (Policy::haip(), "ES256", 60, 10, NonceMode::Followed),
        ] {
            assert_eq!(alloc::string::ToString::to_string(&policy.algorithms()), algorithms);
            assert_eq!((policy.max_age(), policy.max_ahead(), policy.nonces()), (age, ahead, nonces));
        }
    }

    #[test]
    fn bounds_hold() {
        assert!(Policy::default().with_max_age(300).is_ok());
        for result in [
            Policy::default().with_max_age(0),
            Policy::default().with_max_age(301),
            Policy::default().with_max_ahead(61),
            Policy::default().with_store_margin(0),
            Policy::default().with_store_margin(601),
        ] {
            assert!(matches!(result, Err(Misuse::PolicyBound(_))));
        }
        assert_eq!(Policy::default().with_algorithms(AlgorithmSet::EMPTY), Err(Misuse::NoAlgorithms));
        assert_eq!(Policy::fapi2().with_algorithms(AlgorithmSet::ALL), Err(Misuse::ProfileAlgorithms));
        assert!(Policy::fapi2().with_algorithms(AlgorithmSet::of(&[Algorithm::Ps256])).is_ok());
    }
}
