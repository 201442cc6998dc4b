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
/// The longest `typ` or `alg` that is looked at, in bytes.
const MAX_TYP_LEN: usize = 64;
/// How many values the claims that are kept before the signature is checked may hold: lists of audiences are short.
const MAX_KEPT: usize = 64;

/// A JWT, decoded, before any of it is believed.
pub(crate) struct UnverifiedJwt {
    pub(crate) typ: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    /// Decoded, and known to be one object within the limits of what strangers send.
    payload: Vec<u8>,
    signature: Vec<u8>,
    /// How much of the text the signature covers.
    signed_len: usize,
}

/// Why a text is no JWT that is read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JwtDefect {
    /// Not three segments of base64url with two JSON objects.
    Malformed,
    /// `alg` is `none`, a MAC, unknown or not permitted.
    Algorithm,
    /// `crit` or `b64` ask for what is not understood.
    Extension,
}

/// Why a signature does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SignatureDefect {
    /// No key fits.
    NoKey,
    /// No key that fits verifies it.
    Invalid,
}

impl UnverifiedJwt {
    /// Reads a JWT whose algorithm is one of `permitted`; the caller has bounded its length. Gives its claims called `names` along.
    ///
    /// All claims are looked at, and no others are kept: anyone can send a token without a valid signature, and values cost memory.
    pub(crate) fn read(text: &str, permitted: AlgorithmSet, names: &[&str]) -> Result<(Self, Value), JwtDefect> {
        let compact = Compact::split(text.as_bytes()).ok_or(JwtDefect::Malformed)?;
        let decode = |segment| base64url::decode(segment).map_err(|_| JwtDefect::Malformed);
        let header = decode(compact.header)?;
        let header = Header::read(&header).map_err(|_| JwtDefect::Malformed)?;
        if header.crit || header.unencoded {
            return Err(JwtDefect::Extension);
        }
        let algorithm = header.alg.value().ok_or(JwtDefect::Algorithm)?;
        let algorithm = core::str::from_utf8(&algorithm.among_known(MAX_TYP_LEN)).ok().and_then(Algorithm::from_name);
        let algorithm = algorithm.ok_or(JwtDefect::Algorithm)?;
        if !permitted.contains(algorithm) {
            return Err(JwtDefect::Algorithm);
        }
        let payload = decode(compact.payload)?;
        let claims = Value::parse_members(&payload, names, MAX_KEPT).map_err(|_| JwtDefect::Malformed)?;
        let jwt = Self {
            typ: match header.typ {
                Member::Absent => None,
                // One that is too long to be known is still one, and none that is permitted.
                typ => Some(optional(typ, MAX_TYP_LEN)?.unwrap_or_default()),
            },
            kid: optional(header.kid, MAX_KID_LEN)?,
            algorithm,
            payload,
            signature: decode(compact.signature)?,
            signed_len: compact.signing_input.len(),
        };
        Ok((jwt, claims))
    }

    /// All claims: to be asked for once the signature is known to be good.
    pub(crate) fn claims(&self) -> Result<Value, JwtDefect> {
        match Value::parse_claims(&self.payload) {
            Ok(claims @ Value::Object(_)) => Ok(claims),
            _ => Err(JwtDefect::Malformed),
        }
    }

    /// Whether the header has a `typ`, whatever it says.
    pub(crate) const fn has_typ(&self) -> bool {
        self.typ.is_some()
    }

    /// Whether `typ` is `expected`, with or without `application/` before it (RFC 7515 section 4.1.9).
    pub(crate) fn is_typed(&self, expected: &str) -> bool {
        let Some(typ) = &self.typ else { return false };
        let prefix = "application/";
        let bare = match typ.split_at_checked(prefix.len()) {
            Some((head, tail)) if head.eq_ignore_ascii_case(prefix) => tail,
            _ => typ,
        };
        bare.eq_ignore_ascii_case(expected)
    }

    /// Checks the signature with the key of `keys` that fits: one, whatever the token says. `text` is what this was read from.
    pub(crate) fn verify(&self, text: &str, keys: &JwkSet, crypto: &Crypto) -> Result<(), SignatureDefect> {
        let verifier = crypto.verifier(self.algorithm).ok_or(SignatureDefect::NoKey)?;
        let message = text.as_bytes().get(..self.signed_len).unwrap_or_default();
        let key = keys.key_for(self.kid.as_deref(), self.algorithm).ok_or(SignatureDefect::NoKey)?;
        let expected = self.algorithm.signature_len().or(key.rsa_modulus_len());
        if expected != Some(self.signature.len()) {
            return Err(SignatureDefect::Invalid);
        }
        verifier.verify(key, message, &self.signature).map_err(|_| SignatureDefect::Invalid)
    }
}

/// A text of `longest` bytes at most; a longer one counts as none, since nothing it could name is looked for.
fn optional(member: Member<Text<'_>>, longest: usize) -> Result<Option<String>, JwtDefect> {
    match member {
        Member::Absent => Ok(None),
        Member::Wrong => Err(JwtDefect::Malformed),
        Member::Is(text) if !text.may_be(longest) => Ok(None),
        Member::Is(text) => Ok(Some(text.to_cow().into_owned()).filter(|text| text.len() <= longest)),
    }
}
