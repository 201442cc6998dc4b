//! The two digests a store works with: what names a proof, and what its verifiers have agreed on.

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::crypto::Digest;
use crate::jose::thumbprint::Thumbprint;
use crate::misuse::{Misuse, StoreDifference};

/// Names one proof in a store: 16 bytes derived from namespace, key thumbprint and `jti`.
///
/// # Security
/// Never the `jti` alone, or one client could burn the identifiers of another; never the text of the proof,
/// because an ECDSA signature can be rewritten into another valid one. 16 bytes of SHA-256 leave an attacker
/// who wants two different proofs with one key 2^64 attempts, and the reward is that one of them is refused.
/// The bytes can be ground by whoever chooses `jti`, so a store must not place entries by them without a
/// secret of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayKey([u8; 16]);

impl ReplayKey {
    /// The key of the proof with this `jti`, made with the key of this `thumbprint`, as consumed in `namespace`.
    ///
    /// It is the first 16 bytes of SHA-256 over the three fields in this order, each after its length in bytes
    /// as a big-endian 64-bit number. A gateway and the service behind it use different namespaces, so that
    /// each can consume the same proof once.
    pub fn derive(digest: &dyn Digest, namespace: &str, thumbprint: &Thumbprint, jti: &str) -> Self {
        let hash = digest.sha256(&[
            &length(namespace.as_bytes()),
            namespace.as_bytes(),
            &length(thumbprint.as_bytes()),
            thumbprint.as_bytes(),
            &length(jti.as_bytes()),
            jti.as_bytes(),
        ]);
        Self(first_half(hash))
    }

    /// A key from its 16 bytes: for stores that keep keys outside, and for tests of stores.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayKey(..)")
    }
}

/// What all verifiers that share a store must agree on, as a digest of 16 bytes.
///
/// Two verifiers that keep entries for different times in one store would each forget proofs that the other
/// still accepts. A store is created with its agreement and serves no entry of another one; a networked store
/// keeps the agreement beside its entries and refuses to start when it differs.
///
/// Two are equal if their digests are. One that was made here also knows its settings, which messages name.
#[derive(Clone, Copy)]
pub struct ReplayAgreement {
    digest: [u8; 16],
    settings: Option<Settings>,
}

/// What an agreement is made of.
#[derive(Clone, Copy)]
struct Settings {
    nonce_replaces_iat: bool,
    max_age: u64,
    max_ahead: u64,
    store_margin: u64,
}

impl ReplayAgreement {
    /// Version of the format of entries. Part of the digest, so that two formats never share a store.
    pub const FORMAT: u64 = 1;

    /// The agreement of verifiers with these settings; all times in seconds.
    ///
    /// `nonce_replaces_iat` says whether a valid nonce stands in for the check of `iat`; `max_age` and
    /// `max_ahead` bound how old and how far in the future a proof may be; `store_margin` is how long entries
    /// are kept beyond the last instant at which their proof could be accepted.
    pub fn new(digest: &dyn Digest, nonce_replaces_iat: bool, max_age: u64, max_ahead: u64, store_margin: u64) -> Self {
        let digest = first_half(digest.sha256(&[
            b"keybound replay agreement",
            &Self::FORMAT.to_be_bytes(),
            &u64::from(nonce_replaces_iat).to_be_bytes(),
            &max_age.to_be_bytes(),
            &max_ahead.to_be_bytes(),
            &store_margin.to_be_bytes(),
        ]));
        Self { digest, settings: Some(Settings { nonce_replaces_iat, max_age, max_ahead, store_margin }) }
    }

    /// An agreement from its 16 bytes, as a networked store reads it back.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { digest: bytes, settings: None }
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.digest
    }

    /// Checks that verifiers with this agreement can use a store with that one. Of a store whose agreement is not known, nothing is said.
    ///
    /// # Errors
    /// [`Misuse::StoreDisagreement`] if the two differ: the store would refuse every proof.
    pub fn check_store(self, store: Option<Self>) -> Result<(), Misuse> {
        match store {
            Some(store) if store != self => Err(Misuse::StoreDisagreement(self.difference(store))),
            _ => Ok(()),
        }
    }

    fn difference(self, store: Self) -> StoreDifference {
        let (Some(own), Some(other)) = (self.settings, store.settings) else { return StoreDifference::Unknown };
        let seconds = [
            ("max_age", other.max_age, own.max_age),
            ("max_ahead", other.max_ahead, own.max_ahead),
            ("store_margin", other.store_margin, own.store_margin),
        ];
        match seconds.into_iter().find(|(_, store, verifier)| store != verifier) {
            Some((name, store, verifier)) => StoreDifference::Seconds { name, store, verifier },
            None => StoreDifference::TimeSource { store_by_nonce: other.nonce_replaces_iat },
        }
    }
}

impl PartialEq for ReplayAgreement {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ReplayAgreement {}

impl Hash for ReplayAgreement {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

/// Public settings, not secret: all bytes are shown, so that two that differ can be told apart in a log.
impl fmt::Debug for ReplayAgreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayAgreement(")?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

fn length(field: &[u8]) -> [u8; 8] {
    u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes()
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    half
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use super::{ReplayAgreement, ReplayKey};
    use crate::crypto::Digest;
    use crate::jose::thumbprint::Thumbprint;
    use alloc::format;
    use sha2::Digest as _;

    struct Sha2;

    impl Digest for Sha2 {
        fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
            parts.iter().fold(sha2::Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
        }
        fn sha384(&self, _: &[&[u8]]) -> [u8; 48] {
            [0; 48]
        }
        fn sha512(&self, _: &[&[u8]]) -> [u8; 64] {
            [0; 64]
        }
    }

    #[test]
    fn the_key_is_a_hash_of_length_separated_fields() {
        // printf '\0\0\0\0\0\0\0\2rs\0\0\0\0\0\0\0\x20' + 32 * '\x01' + '\0\0\0\0\0\0\0\3abc' | sha256sum
        let mut text = alloc::vec![0, 0, 0, 0, 0, 0, 0, 2, b'r', b's', 0, 0, 0, 0, 0, 0, 0, 32];
        text.extend([1; 32]);
        text.extend([0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c']);
        let whole = sha2::Sha256::digest(&text);
        let key = ReplayKey::derive(&Sha2, "rs", &Thumbprint::from_bytes([1; 32]), "abc");
        assert_eq!(key.as_bytes(), &whole[..16]);
    }

    #[test]
    fn no_field_can_pass_for_another() {
        let derive = |namespace, thumbprint, jti| {
            ReplayKey::derive(&Sha2, namespace, &Thumbprint::from_bytes([thumbprint; 32]), jti)
        };
        let key = derive("rs", 1, "abc");
        for other in [derive("rsa", 1, "bc"), derive("r", 1, "sabc"), derive("rs", 2, "abc"), derive("rs", 1, "abcd")] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn every_setting_changes_the_agreement() {
        let agreement = ReplayAgreement::new(&Sha2, false, 60, 10, 60);
        assert_eq!(agreement, ReplayAgreement::new(&Sha2, false, 60, 10, 60));
        assert_eq!(agreement, ReplayAgreement::from_bytes(*agreement.as_bytes()));
        for other in [
            ReplayAgreement::new(&Sha2, true, 60, 10, 60),
            ReplayAgreement::new(&Sha2, false, 61, 10, 60),
            ReplayAgreement::new(&Sha2, false, 60, 11, 60),
            ReplayAgreement::new(&Sha2, false, 60, 10, 61),
        ] {
            assert_ne!(agreement, other);
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ReplayKey::from_bytes([7; 16])), "ReplayKey(..)");
    }
}
