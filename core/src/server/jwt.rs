//! Signed JWTs other than proofs, read strictly: access tokens.

use alloc::string::String;
use alloc::vec::Vec;

use super::jwk_set::JwkSet;
use crate::base64url;
use crate::crypto::Crypto;
use crate::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::jose::compact::Compact;
use crate::jose::header::Header;
use crate::json::{Member, Text, Value};

/// The longest `kid` that is looked for, in bytes.
const MAX_KID_LEN: usize = 512;

/// A JWT, decoded, before any of it is believed.
pub(super) struct UnverifiedJwt {
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) claims: Value,
    signature: Vec<u8>,
    /// How much of the text the signature covers.
    signed_len: usize,
}

/// Why a text is no JWT that is read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum JwtDefect {
    /// Not three segments of base64url with two JSON objects.
    Malformed,
    /// `alg` is `none`, a MAC, unknown or not permitted.
    Algorithm,
    /// `crit` or `b64` ask for what is not understood.
    Extension,
}

/// Why a signature does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SignatureDefect {
    /// No key fits.
    NoKey,
    /// No key that fits verifies it.
    Invalid,
}

impl UnverifiedJwt {
    /// Reads a JWT whose algorithm is one of `permitted`; the caller has bounded its length.
    pub(super) fn read(text: &str, permitted: AlgorithmSet) -> Result<Self, JwtDefect> {
        let compact = Compact::split(text.as_bytes()).ok_or(JwtDefect::Malformed)?;
        let decode = |segment| base64url::decode(segment).map_err(|_| JwtDefect::Malformed);
        let header = decode(compact.header)?;
        let header = Header::read(&header).map_err(|_| JwtDefect::Malformed)?;
        if header.crit || header.unencoded {
            return Err(JwtDefect::Extension);
        }
        let algorithm = header.alg.value().ok_or(JwtDefect::Algorithm)?;
        let algorithm = Algorithm::from_name(&algorithm.to_cow()).ok_or(JwtDefect::Algorithm)?;
        if !permitted.contains(algorithm) {
            return Err(JwtDefect::Algorithm);
        }
        let claims = Value::parse_object(&decode(compact.payload)?).map_err(|_| JwtDefect::Malformed)?;
        Ok(Self {
            typ: optional(header.typ)?,
            kid: optional(header.kid)?.filter(|kid| kid.len() <= MAX_KID_LEN),
            algorithm,
            claims,
            signature: decode(compact.signature)?,
            signed_len: compact.signing_input.len(),
        })
    }

    /// Whether `typ` is `expected`, with or without `application/` before it (RFC 7515 section 4.1.9).
    pub(super) fn is_typed(&self, expected: &str) -> bool {
        let Some(typ) = &self.typ else { return false };
        let prefix = "application/";
        let bare = match typ.split_at_checked(prefix.len()) {
            Some((head, tail)) if head.eq_ignore_ascii_case(prefix) => tail,
            _ => typ,
        };
        bare.eq_ignore_ascii_case(expected)
    }

    /// Checks the signature with the keys of `keys` that fit. `text` is what this was read from.
    pub(super) fn verify(&self, text: &str, keys: &JwkSet, crypto: &Crypto) -> Result<(), SignatureDefect> {
        let verifier = crypto.verifier(self.algorithm).ok_or(SignatureDefect::NoKey)?;
        let message = text.as_bytes().get(..self.signed_len).unwrap_or_default();
        let mut candidates = keys.candidates(self.kid.as_deref(), self.algorithm).peekable();
        if candidates.peek().is_none() {
            return Err(SignatureDefect::NoKey);
        }
        let fits = |key: &crate::jose::jwk::PublicJwk| {
            let expected = self.algorithm.signature_len().or(key.rsa_modulus_len());
            expected == Some(self.signature.len()) && verifier.verify(key, message, &self.signature).is_ok()
        };
        if candidates.any(fits) { Ok(()) } else { Err(SignatureDefect::Invalid) }
    }
}

fn optional(member: Member<Text<'_>>) -> Result<Option<String>, JwtDefect> {
    match member {
        Member::Absent => Ok(None),
        Member::Wrong => Err(JwtDefect::Malformed),
        Member::Is(text) => Ok(Some(text.to_cow().into_owned())),
    }
}
