//! The header of a proof and the key in it.

use super::Verifier;
#[cfg(feature = "std")]
use super::headers::RememberedKey;
use super::rejection::Rejection;
use crate::jose::algorithm::Algorithm;
use crate::jose::compact::Compact;
use crate::jose::header::Header;
use crate::jose::jwk::raw::RawJwk;
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::jose::thumbprint::Thumbprint;
use crate::json::{JsonError, Member, Text};
use crate::proof::TYP;

/// The header of a proof: read, or recognised as one that was verified before.
#[allow(clippy::large_enum_variant, reason = "it lives on the stack until its key is read")]
pub(super) enum Head<'a> {
    Read(Header<'a>),
    #[cfg(feature = "std")]
    Remembered(alloc::sync::Arc<RememberedKey>),
}

impl<'a> Head<'a> {
    /// Reads a header that asks for nothing which is not understood.
    #[cfg_attr(not(feature = "std"), expect(unused_variables, reason = "the header memory needs locks"))]
    #[inline(always)]
    pub(super) fn read(verifier: &Verifier, compact: &Compact<'_>, json: &'a [u8]) -> Result<Self, Rejection> {
        #[cfg(feature = "std")]
        if let Some(known) = verifier.headers.as_ref().and_then(|memory| memory.recall(compact.header)) {
            return Ok(Self::Remembered(known));
        }
        let header = Header::read(json).map_err(|error| match error {
            JsonError::Syntax => Rejection::HeaderMalformed,
            JsonError::Duplicate => Rejection::HeaderDuplicate,
            JsonError::TooComplex => Rejection::HeaderTooComplex,
        })?;
        if header.crit {
            return Err(Rejection::CritUnsupported);
        }
        if header.unencoded {
            return Err(Rejection::PayloadUnencoded);
        }
        Ok(Self::Read(header))
    }

    #[inline(always)]
    pub(super) fn check_type(&self) -> Result<(), Rejection> {
        match self {
            Self::Read(header) => match header.typ {
                Member::Absent => Err(Rejection::TypMissing),
                Member::Is(typ) if typ.is(TYP) => Ok(()),
                _ => Err(Rejection::TypMismatch),
            },
            #[cfg(feature = "std")]
            Self::Remembered(_) => Ok(()),
        }
    }

    /// The algorithm, if the policy permits it: memory holds facts about the header, and what the policy makes of them is asked every
    /// time.
    #[inline(always)]
    pub(super) fn check_algorithm(&self, verifier: &Verifier) -> Result<Algorithm, Rejection> {
        let algorithm = match self {
            Self::Read(header) => read_algorithm(header.alg)?,
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.algorithm,
        };
        permit(verifier, algorithm)?;
        Ok(algorithm)
    }

    #[inline(always)]
    pub(super) fn check_key(self, verifier: &Verifier, algorithm: Algorithm) -> Result<Key, Rejection> {
        match self {
            Self::Read(header) => match &header.jwk {
                Member::Absent => Err(Rejection::JwkMissing),
                Member::Wrong => Err(Rejection::JwkMalformed),
                Member::Is(jwk) => Ok(Key::Read { algorithm, jwk: read_key(verifier, jwk, algorithm)? }),
            },
            #[cfg(feature = "std")]
            Self::Remembered(known) if verifier.policy.rsa_bounds().permit(&known.jwk) => Ok(Key::Remembered(known)),
            #[cfg(feature = "std")]
            Self::Remembered(_) => Err(Rejection::RsaTooLarge),
        }
    }
}

/// The key of a proof, from its header or from memory.
pub(super) enum Key {
    Read {
        algorithm: Algorithm,
        jwk: PublicJwk,
    },
    #[cfg(feature = "std")]
    Remembered(alloc::sync::Arc<RememberedKey>),
}

impl Key {
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Read { algorithm, .. } => *algorithm,
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.algorithm,
        }
    }

    fn jwk(&self) -> &PublicJwk {
        match self {
            Self::Read { jwk, .. } => jwk,
            #[cfg(feature = "std")]
            Self::Remembered(known) => &known.jwk,
        }
    }

    pub(super) fn thumbprint(&self, verifier: &Verifier) -> Thumbprint {
        match self {
            Self::Read { jwk, .. } => jwk.thumbprint(verifier.crypto.digest),
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.thumbprint,
        }
    }

    /// Checks that an elliptic curve point is one. A remembered key has verified a signature, so it is.
    pub(super) fn check_curve(&self, verifier: &Verifier) -> Result<(), Rejection> {
        match self {
            Self::Read { algorithm, jwk } => {
                let capability = verifier.crypto.verifier(*algorithm).ok_or(Rejection::AlgUnavailable)?;
                capability.validate(jwk).map_err(|_| Rejection::KeyOffCurve)
            }
            #[cfg(feature = "std")]
            Self::Remembered(_) => Ok(()),
        }
    }

    pub(super) fn check_signature(
        &self,
        verifier: &Verifier,
        compact: &Compact<'_>,
        signature: &[u8],
    ) -> Result<(), Rejection> {
        let expected = self.algorithm().signature_len().or(self.jwk().rsa_modulus_len());
        if expected != Some(signature.len()) {
            return Err(Rejection::SignatureMalformed);
        }
        match self {
            Self::Read { algorithm, jwk } => verifier
                .crypto
                .verifier(*algorithm)
                .ok_or(Rejection::AlgUnavailable)?
                .verify(jwk, compact.signing_input, signature),
            #[cfg(feature = "std")]
            Self::Remembered(known) => known.prepared.verify(compact.signing_input, signature),
        }
        .map_err(|_| Rejection::SignatureInvalid)
    }

    /// Remembers the header of a proof whose signature verified.
    #[cfg_attr(not(feature = "std"), expect(unused_variables, reason = "the header memory needs locks"))]
    pub(super) fn remember(self: &Key, verifier: &Verifier, compact: &Compact<'_>, thumbprint: &Thumbprint) {
        #[cfg(feature = "std")]
        if let (Some(memory), Self::Read { algorithm, jwk }) = (&verifier.headers, self) {
            let prepared = verifier.crypto.verifier(*algorithm).and_then(|capability| capability.prepare(jwk).ok());
            if let Some(prepared) = prepared {
                let known =
                    RememberedKey { algorithm: *algorithm, jwk: jwk.clone(), thumbprint: *thumbprint, prepared };
                memory.remember(compact.header, known);
            }
        }
    }
}

fn read_algorithm(alg: Member<Text<'_>>) -> Result<Algorithm, Rejection> {
    let name = match alg {
        Member::Absent => return Err(Rejection::AlgMissing),
        Member::Wrong => return Err(Rejection::AlgUnknown),
        Member::Is(name) if !name.may_be(Algorithm::LONGEST_NAME) => return Err(Rejection::AlgUnknown),
        Member::Is(name) => name.to_cow(),
    };
    Algorithm::from_name(&name).ok_or_else(|| {
        let is_mac = matches!(&*name, "HS256" | "HS384" | "HS512");
        if is_mac || name.eq_ignore_ascii_case("none") { Rejection::AlgNotAsymmetric } else { Rejection::AlgUnknown }
    })
}

fn permit(verifier: &Verifier, algorithm: Algorithm) -> Result<(), Rejection> {
    if !verifier.policy.algorithms().contains(algorithm) {
        return Err(Rejection::AlgNotPermitted);
    }
    if verifier.crypto.verifier(algorithm).is_none() { Err(Rejection::AlgUnavailable) } else { Ok(()) }
}

fn read_key(verifier: &Verifier, jwk: &RawJwk<'_>, algorithm: Algorithm) -> Result<PublicJwk, Rejection> {
    jwk.check_public()?;
    let key_type = jwk.key_type()?;
    if key_type != algorithm.key_type() {
        return Err(Rejection::JwkAlgMismatch);
    }
    if !jwk.permits_algorithm(algorithm) {
        return Err(Rejection::JwkAlgConflict);
    }
    jwk.check_use()?;
    Ok(jwk.decode(key_type, verifier.policy.rsa_bounds())?)
}

impl From<JwkError> for Rejection {
    fn from(error: JwkError) -> Self {
        match error {
            JwkError::Malformed | JwkError::Member(_) => Self::JwkMalformed,
            JwkError::Private => Self::JwkPrivate,
            JwkError::Symmetric => Self::JwkSymmetric,
            JwkError::Unsupported => Self::JwkUnsupported,
            JwkError::NonCanonical => Self::JwkNonCanonical,
            JwkError::NotForSignatures => Self::JwkNotForSignatures,
            JwkError::RsaTooSmall => Self::RsaTooSmall,
            JwkError::RsaTooLarge => Self::RsaTooLarge,
            JwkError::RsaInvalid => Self::RsaInvalid,
            JwkError::SmallOrder => Self::KeySmallOrder,
        }
    }
}
