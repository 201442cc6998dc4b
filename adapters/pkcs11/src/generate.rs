//! A new pair, made in the token, read back and checked.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO};

use crate::error::Error;
use crate::find::{self, Found};
use crate::marker::Marker;
use crate::public::{ED25519, P256, P384, P521};
use crate::signer;

/// The algorithms that keys are made for, the one that most servers know first.
const PREFERRED: [Algorithm; 8] = [
    Algorithm::Es256,
    Algorithm::Ed25519,
    Algorithm::EdDsa,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// Bits of a new RSA modulus.
const RSA_BITS: Ulong = Ulong::new(2048);

/// The first of `algorithms` that the token has mechanisms for.
pub(crate) fn choose(algorithms: AlgorithmSet, mechanisms: &[MechanismType]) -> Result<Algorithm, Error> {
    let offers = |algorithm: &Algorithm| {
        let (generate, sign) = needed(*algorithm);
        mechanisms.contains(&generate) && mechanisms.contains(&sign)
    };
    let permitted = PREFERRED.into_iter().filter(|algorithm| algorithms.contains(*algorithm));
    permitted.filter(offers).find(|algorithm| RUSTCRYPTO.verifier(*algorithm).is_some()).ok_or(Error::Algorithm)
}

/// The mechanisms that make a key for `algorithm` and sign with it.
fn needed(algorithm: Algorithm) -> (MechanismType, MechanismType) {
    match algorithm {
        Algorithm::Ed25519 | Algorithm::EdDsa => (MechanismType::ECC_EDWARDS_KEY_PAIR_GEN, MechanismType::EDDSA),
        Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
            (MechanismType::RSA_PKCS_KEY_PAIR_GEN, MechanismType::RSA_PKCS_PSS)
        }
        _ => (MechanismType::ECC_KEY_PAIR_GEN, MechanismType::ECDSA),
    }
}

/// Makes a pair. `provisional` is its `CKA_ID` until its thumbprint is known; unique, so that a pair whose making was cut off can be
/// [destroyed](destroy_by_id) by it.
///
/// What was made is destroyed when anything after that fails.
pub(crate) fn pair(session: &Session, marker: &Marker, provisional: &[u8]) -> Result<Found, Error> {
    let (label, algorithm) = (marker.to_string(), marker.algorithm);
    let common = [Attribute::Token(true), Attribute::Id(provisional.to_vec()), Attribute::Label(label.clone().into())];
    let (mechanism, kind) = match algorithm {
        Algorithm::Ed25519 | Algorithm::EdDsa => {
            (Mechanism::EccEdwardsKeyPairGen, vec![Attribute::EcParams(ED25519.into())])
        }
        Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![Attribute::ModulusBits(RSA_BITS), Attribute::PublicExponent(vec![1, 0, 1])],
        ),
        Algorithm::Es384 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P384.into())]),
        Algorithm::Es512 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P521.into())]),
        _ => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P256.into())]),
    };
    let public: Vec<Attribute> =
        common.iter().cloned().chain([Attribute::Private(false), Attribute::Verify(true)]).chain(kind).collect();
    let private: Vec<Attribute> = common
        .into_iter()
        .chain([
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ])
        .collect();
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
    finish(session, public, private).map_err(|cause| {
        // The private half is what matters: it is destroyed first, and the other one whatever became of that.
        let destroyed = [private, public].map(|half| session.destroy_object(half));
        match destroyed.into_iter().collect::<Result<Vec<()>, _>>() {
            Ok(_) => cause,
            // Another connection may destroy it.
            Err(_) if cause.may_pass() => cause,
            Err(_) => Error::LeftBehind { label, cause: Box::new(cause) },
        }
    })
}

/// Reads the pair back, names both halves by their thumbprint, and checks what it is and that it signs.
fn finish(session: &Session, public: ObjectHandle, private: ObjectHandle) -> Result<Found, Error> {
    let thumbprint = find::read(session, private)?.thumbprint;
    let id = thumbprint.as_bytes().to_vec();
    for half in [public, private] {
        session.update_attributes(half, &[Attribute::Id(id.clone())])?;
    }
    let found = find::by_thumbprint(session, thumbprint)?;
    if found.marker.is_none() {
        return Err(Error::PublicKey { key: thumbprint.to_string(), why: "the token changed its label or its type" });
    }
    find::check_born_protected(session, &found)?;
    if !signer::signs(session, &found)? {
        return Err(Error::Signature(keybound::Misuse::SignatureDoesNotVerify));
    }
    Ok(found)
}

/// Destroys both halves of all pairs of this id that carry a marker of ours. Says whether there was one.
pub(crate) fn destroy_by_id(session: &Session, id: &[u8]) -> Result<bool, Error> {
    let mut any = false;
    for half in session.find_objects(&[Attribute::Id(id.to_vec()), Attribute::Token(true)])? {
        let label = session.get_attributes(half, &[cryptoki::object::AttributeType::Label])?;
        let is_ours =
            label.iter().any(|label| matches!(label, Attribute::Label(label) if Marker::parse(label).is_some()));
        if is_ours {
            match session.destroy_object(half).map_err(Error::from) {
                // Listed twice, as SoftHSM 2.6 does, and gone with the first.
                Err(error) if any && error.may_pass() => {}
                destroyed => destroyed?,
            }
            any = true;
        }
    }
    Ok(any)
}
