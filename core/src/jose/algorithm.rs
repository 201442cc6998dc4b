//! The signature algorithms of proofs, and sets of them.

use core::fmt;

macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $bit:literal;)*) => {
        /// An asymmetric signature algorithm registered for JOSE (RFC 7518 section 3.1, RFC 8037, RFC 9864, RFC 9964).
        ///
        /// There is no member for `none` or for a MAC: such a proof cannot be represented (RFC 9449 section 4.2).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Algorithm { $($(#[$doc])* $variant,)* }

        impl Algorithm {
            /// Every algorithm this version knows, in the order of preference used when listing them.
            pub const ALL: &'static [Algorithm] = &[$(Algorithm::$variant),*];

            /// The registered name, as in the `alg` header parameter.
            pub const fn name(self) -> &'static str {
                match self { $(Algorithm::$variant => $name,)* }
            }

            const fn bit(self) -> u32 {
                match self { $(Algorithm::$variant => 1 << $bit,)* }
            }
        }
    };
}

algorithms! {
    /// ECDSA with P-256 and SHA-256; signatures of 64 bytes.
    Es256 = "ES256", 0;
    /// EdDSA with Ed25519 under its own name (RFC 9864); signatures of 64 bytes.
    Ed25519 = "Ed25519", 1;
    /// The older, polymorphic name for EdDSA; accepted with Ed25519 keys only.
    EdDsa = "EdDSA", 2;
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes; signatures as long as the modulus.
    Ps256 = "PS256", 3;
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384 = "PS384", 4;
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512 = "PS512", 5;
    /// ECDSA with P-384 and SHA-384; signatures of 96 bytes.
    Es384 = "ES384", 6;
    /// ECDSA with P-521 and SHA-512; signatures of 132 bytes.
    Es512 = "ES512", 7;
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = "RS256", 8;
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = "RS384", 9;
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = "RS512", 10;
    /// ML-DSA-44 (RFC 9964); signatures of 2420 bytes.
    MlDsa44 = "ML-DSA-44", 11;
    /// ML-DSA-65 (RFC 9964); signatures of 3309 bytes.
    MlDsa65 = "ML-DSA-65", 12;
    /// ML-DSA-87 (RFC 9964); signatures of 4627 bytes.
    MlDsa87 = "ML-DSA-87", 13;
}

/// The hash an algorithm applies to the message before it signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashFunction {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// The type of key an algorithm needs (`kty` and, where it has one, `crv` or its own `alg`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum KeyType {
    /// `EC` with `P-256`.
    P256,
    /// `EC` with `P-384`.
    P384,
    /// `EC` with `P-521`.
    P521,
    /// `OKP` with `Ed25519`.
    Ed25519,
    /// `RSA`.
    Rsa,
    /// `AKP` with `ML-DSA-44`.
    MlDsa44,
    /// `AKP` with `ML-DSA-65`.
    MlDsa65,
    /// `AKP` with `ML-DSA-87`.
    MlDsa87,
}

impl Algorithm {
    /// No name of one is longer, in bytes.
    #[cfg(feature = "dpop")]
    pub(crate) const LONGEST_NAME: usize = 16;

    /// The algorithm of this registered name, compared exactly (RFC 7515 section 4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// Whether `name` is one of this algorithm's: EdDSA with an Ed25519 key has two (RFC 9864 section 2.2).
    #[cfg(any(feature = "dpop", feature = "oauth"))]
    pub(crate) fn is_called(self, name: &str) -> bool {
        match self {
            Self::Ed25519 | Self::EdDsa => [Self::Ed25519, Self::EdDsa].iter().any(|known| known.name() == name),
            _ => self.name() == name,
        }
    }

    /// The type of key this algorithm uses.
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Es256 => KeyType::P256,
            Self::Es384 => KeyType::P384,
            Self::Es512 => KeyType::P521,
            Self::Ed25519 | Self::EdDsa => KeyType::Ed25519,
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyType::Rsa,
            Self::MlDsa44 => KeyType::MlDsa44,
            Self::MlDsa65 => KeyType::MlDsa65,
            Self::MlDsa87 => KeyType::MlDsa87,
        }
    }

    /// The hash applied to the message first; none for Ed25519 and ML-DSA, which take the message itself.
    pub const fn hash(self) -> Option<HashFunction> {
        match self {
            Self::Es256 | Self::Ps256 | Self::Rs256 => Some(HashFunction::Sha256),
            Self::Es384 | Self::Ps384 | Self::Rs384 => Some(HashFunction::Sha384),
            Self::Es512 | Self::Ps512 | Self::Rs512 => Some(HashFunction::Sha512),
            _ => None,
        }
    }

    /// The length of a signature in bytes where the algorithm fixes it; none for RSA, where the key does.
    pub const fn signature_len(self) -> Option<usize> {
        match self {
            Self::Es256 | Self::Ed25519 | Self::EdDsa => Some(64),
            Self::Es384 => Some(96),
            Self::Es512 => Some(132),
            Self::MlDsa44 => Some(2420),
            Self::MlDsa65 => Some(3309),
            Self::MlDsa87 => Some(4627),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms, as a policy permits them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AlgorithmSet(u32);

impl AlgorithmSet {
    /// No algorithm.
    pub const EMPTY: Self = Self(0);
    /// Every algorithm this version knows.
    pub const ALL: Self = Self::of(Algorithm::ALL);
    /// ES256, Ed25519 (and its older name EdDSA) and PS256: the set of FAPI 2.0 section 5.4.1.
    pub const FAPI2: Self = Self::of(&[Algorithm::Es256, Algorithm::Ed25519, Algorithm::EdDsa, Algorithm::Ps256]);

    /// The set of exactly these.
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut rest = algorithms;
        while let [first, tail @ ..] = rest {
            bits |= first.bit();
            rest = tail;
        }
        Self(bits)
    }

    /// Whether `algorithm` is a member.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// Whether every member of this set is one of `other`.
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The members that are in `other` as well.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set has no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.iter().copied().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |bits, algorithm| bits | algorithm.bit()))
    }
}

/// The names, separated by single spaces, as in the `algs` parameter of a challenge (RFC 9449 section 7.1).
impl fmt::Display for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, algorithm) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(algorithm.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlgorithmSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, AlgorithmSet};
    use alloc::string::ToString;

    #[test]
    fn names_lead_back_and_case_counts() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(*algorithm));
        }
        for name in ["es256", "none", "None", "HS256", "ES256K", "Ed448", ""] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn sets_contain_their_members_only() {
        assert_eq!(AlgorithmSet::FAPI2.to_string(), "ES256 Ed25519 EdDSA PS256");
        assert!(AlgorithmSet::FAPI2.is_subset_of(AlgorithmSet::ALL));
        assert!(!AlgorithmSet::ALL.is_subset_of(AlgorithmSet::FAPI2));
        assert_eq!(AlgorithmSet::ALL.iter().count(), Algorithm::ALL.len());
    }
}
