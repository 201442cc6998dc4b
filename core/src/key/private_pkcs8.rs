//! Private keys as PKCS #8 (RFC 5958), read and written.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{AnyRef, Decode, Encode, Tag, TagNumber};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::private::SecretBytes;
use crate::Misuse;
use crate::crypto::PrivateKey;
use crate::jose::algorithm::KeyType;
use crate::jose::jwk::PublicJwk;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const CURVES: [(KeyType, ObjectIdentifier); 3] = [
    (KeyType::P256, ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
    (KeyType::P384, ObjectIdentifier::new_unwrap("1.3.132.0.34")),
    (KeyType::P521, ObjectIdentifier::new_unwrap("1.3.132.0.35")),
];
const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");
/// Kinds of keys that sign no proofs, for messages (RFC 8410 section 3, RFC 4055 section 3.1, RFC 3279 sections 2.3.2 and 2.3.3).
const OTHERS: [(&str, ObjectIdentifier); 6] = [
    ("a key of X25519", ObjectIdentifier::new_unwrap("1.3.101.110")),
    ("a key of X448", ObjectIdentifier::new_unwrap("1.3.101.111")),
    ("a key of Ed448", ObjectIdentifier::new_unwrap("1.3.101.113")),
    ("an RSA key for PSS alone", ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10")),
    ("a DSA key", ObjectIdentifier::new_unwrap("1.2.840.10040.4.1")),
    ("a Diffie-Hellman key", ObjectIdentifier::new_unwrap("1.2.840.10046.2.1")),
];
const ML_DSA: [(KeyType, ObjectIdentifier); 3] = [
    (KeyType::MlDsa44, ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17")),
    (KeyType::MlDsa65, ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18")),
    (KeyType::MlDsa87, ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19")),
];

impl PrivateKey {
    /// Reads a PKCS #8 `PrivateKeyInfo` in DER; `None` if it is malformed or holds no kind of key that signs proofs.
    pub fn from_pkcs8_der(der: &[u8]) -> Option<Self> {
        parse(der).ok().map(|(private, _)| private)
    }
}

/// The private key and, where the file carries one, the encoded public key beside it.
pub(super) fn parse(der: &[u8]) -> Result<(PrivateKey, Option<Vec<u8>>), Misuse> {
    if der.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return Err(Misuse::PrivateKeyForm("it is PEM, a text, and DER was expected; read it as PEM"));
    }
    parse_opt(der).ok_or_else(|| unsupported(der).map_or(Misuse::PrivateKey, Misuse::PrivateKeyKind))
}

/// The kind of a key that proofs are not signed with, for a message.
fn unsupported(der: &[u8]) -> Option<&'static str> {
    let info = PrivateKeyInfoRef::from_der(der).ok()?;
    let oid = info.algorithm.oid;
    if oid == EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters_oid().ok()?;
        let is_known = CURVES.iter().any(|(_, oid)| *oid == curve);
        return (!is_known).then_some(if curve == SECP256K1 { "a key of secp256k1" } else { "a key of another curve" });
    }
    if oid == RSA_ENCRYPTION {
        return None;
    }
    let named = OTHERS.iter().find(|(_, other)| *other == oid).map(|(kind, _)| *kind);
    let is_known = oid == ED25519 || ML_DSA.iter().any(|(_, known)| *known == oid);
    named.or((!is_known).then_some("a key of another algorithm"))
}

/// An RSA key whose modulus is too short or too long for proofs, for a message.
pub(super) fn unsupported_rsa(private: &PrivateKey) -> Option<&'static str> {
    if private.key_type() != KeyType::Rsa {
        return None;
    }
    let length = pkcs1::RsaPrivateKeyRef::from_der(private.expose_bytes()).ok()?.modulus.as_bytes().len();
    if length < 256 {
        Some("an RSA key of less than 2,048 bits")
    } else {
        (length > 1024).then_some("an RSA key of more than 8,192 bits")
    }
}

fn parse_opt(der: &[u8]) -> Option<(PrivateKey, Option<Vec<u8>>)> {
    let info = PrivateKeyInfoRef::from_der(der).ok()?;
    let secret = info.private_key.as_bytes();
    let outer_public = info.public_key.as_ref().and_then(|bits| bits.as_bytes()).map(ToOwned::to_owned);
    let oid = info.algorithm.oid;
    if oid == EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters_oid().ok()?;
        let key_type = CURVES.iter().find(|(_, oid)| *oid == curve)?.0;
        let inner = sec1::EcPrivateKey::from_der(secret).ok()?;
        let public = inner.public_key.map(ToOwned::to_owned).or(outer_public);
        Some((PrivateKey::new(key_type, inner.private_key.to_vec())?, public))
    } else if oid == ED25519 {
        let seed = <&OctetStringRef>::from_der(secret).ok()?;
        Some((PrivateKey::new(KeyType::Ed25519, seed.as_bytes().to_vec())?, outer_public))
    } else if oid == RSA_ENCRYPTION {
        pkcs1::RsaPrivateKeyRef::from_der(secret).ok()?;
        Some((PrivateKey::new(KeyType::Rsa, secret.to_vec())?, None))
    } else {
        let key_type = ML_DSA.iter().find(|(_, known)| *known == oid)?.0;
        // RFC 9881: the seed alone is [0] IMPLICIT OCTET STRING.
        let seed = AnyRef::from_der(secret).ok()?;
        let seed_tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
        if pkcs8::der::Tagged::tag(&seed) != seed_tag {
            return None;
        }
        Some((PrivateKey::new(key_type, seed.value().to_vec())?, outer_public))
    }
}

/// The key as a `PrivateKeyInfo` in DER.
pub(super) fn write(private: &PrivateKey, public: &PublicJwk) -> Result<SecretBytes, Misuse> {
    write_opt(private, public).map(SecretBytes::new).ok_or(Misuse::PrivateKey)
}

fn write_opt(private: &PrivateKey, public: &PublicJwk) -> Option<Vec<u8>> {
    let secret = private.expose_bytes();
    let key_type = private.key_type();
    let curve = CURVES.iter().find(|(known, _)| *known == key_type).map(|(_, oid)| oid);
    let (oid, parameters, inner) = match key_type {
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            let inner = sec1::EcPrivateKey { private_key: secret, parameters: None, public_key: public.ec_point() };
            (EC_PUBLIC_KEY, curve.map(AnyRef::from), inner.to_der().ok()?)
        }
        KeyType::Ed25519 => (ED25519, None, OctetStringRef::new(secret).ok()?.to_der().ok()?),
        KeyType::Rsa => (RSA_ENCRYPTION, Some(AnyRef::NULL), secret.to_vec()),
        _ => {
            let oid = ML_DSA.iter().find(|(known, _)| *known == key_type)?.1;
            let tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
            (oid, None, AnyRef::new(tag, secret).ok()?.to_der().ok()?)
        }
    };
    let inner = Zeroizing::new(inner);
    let algorithm = AlgorithmIdentifierRef { oid, parameters };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner).ok()?).to_der().ok()
}
