//! A JWK as read, before anything is decoded: which members it has and their text.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{JwkError, Key, PublicJwk, RsaBounds, ml_dsa_name};
use crate::base64url::{self, NotBase64Url};
#[cfg(feature = "dpop")]
use crate::jose::algorithm::Algorithm;
use crate::jose::algorithm::KeyType;
use crate::json::{self, JsonError, Member, Reader, Text};

/// The longest RSA exponent that is read, in characters.
const MAX_EXPONENT_LEN: usize = 16;
/// The longest ML-DSA public key, in bytes.
const MAX_ML_DSA_LEN: usize = 2592;
/// The longest of their names, in bytes.
const LONGEST_NAME: usize = 7;

/// The members of a JWK that matter, as written.
#[derive(Default)]
pub(crate) struct RawJwk<'a> {
    kty: Member<Text<'a>>,
    crv: Member<Text<'a>>,
    x: Member<Text<'a>>,
    y: Member<Text<'a>>,
    n: Member<Text<'a>>,
    e: Member<Text<'a>>,
    public: Member<Text<'a>>,
    alg: Member<Text<'a>>,
    usage: Member<Text<'a>>,
    key_ops: Member<KeyOps>,
    private: bool,
}

/// Whether `key_ops` permits verifying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyOps {
    Verify,
    Other,
}

impl<'a> RawJwk<'a> {
    pub(crate) fn from_json(json: &'a [u8]) -> Result<Self, JsonError> {
        let mut jwk = Self::default();
        json::read_object(json, |reader, name| jwk.member(reader, name))?;
        Ok(jwk)
    }

    /// Takes one member; to be called for each member of the object.
    pub(crate) fn member(&mut self, reader: &mut Reader<'a>, name: Text<'a>) -> Result<(), JsonError> {
        let slot = match &*name.among_known(LONGEST_NAME) {
            b"kty" => &mut self.kty,
            b"crv" => &mut self.crv,
            b"x" => &mut self.x,
            b"y" => &mut self.y,
            b"n" => &mut self.n,
            b"e" => &mut self.e,
            b"pub" => &mut self.public,
            b"alg" => &mut self.alg,
            b"use" => &mut self.usage,
            b"key_ops" => {
                let mut permitted = KeyOps::Other;
                let is_array = reader.array_or_skip(|reader| {
                    if reader.text()?.value().is_some_and(|operation| operation.is("verify")) {
                        permitted = KeyOps::Verify;
                    }
                    Ok(())
                })?;
                self.key_ops = is_array.then_some(permitted).into();
                return Ok(());
            }
            // Even null or empty: a program that writes them handles a private key.
            b"d" | b"p" | b"q" | b"dp" | b"dq" | b"qi" | b"oth" | b"k" | b"priv" => {
                self.private = true;
                return reader.skip();
            }
            _ => return reader.skip(),
        };
        *slot = reader.text()?;
        Ok(())
    }

    /// Refuses private and symmetric keys (RFC 9449 section 4.3, check 7).
    pub(crate) fn check_public(&self) -> Result<(), JwkError> {
        if self.kty.value().is_some_and(|kty| kty.is("oct")) {
            return Err(JwkError::Symmetric);
        }
        if self.private { Err(JwkError::Private) } else { Ok(()) }
    }

    /// Refuses keys that are declared for something other than signatures (RFC 7517 sections 4.2 and 4.3).
    pub(crate) fn check_use(&self) -> Result<(), JwkError> {
        let usage_fits = match self.usage {
            Member::Absent => true,
            Member::Wrong => false,
            Member::Is(usage) => usage.is("sig"),
        };
        let operations_fit = matches!(self.key_ops, Member::Absent | Member::Is(KeyOps::Verify));
        if usage_fits && operations_fit { Ok(()) } else { Err(JwkError::NotForSignatures) }
    }

    /// Whether the key's own `alg`, where it has one, names `algorithm` (RFC 7517 section 4.4).
    #[cfg(feature = "dpop")]
    pub(crate) fn permits_algorithm(&self, algorithm: Algorithm) -> bool {
        match self.alg {
            Member::Absent => true,
            Member::Wrong => false,
            Member::Is(own) => own.may_be(Algorithm::LONGEST_NAME) && algorithm.is_called(&own.to_cow()),
        }
    }

    /// The key's own `alg`, where it has one.
    pub(crate) fn algorithm_name(&self) -> Option<Cow<'a, str>> {
        self.alg.value().map(Text::to_cow)
    }

    /// The type of key that `kty` with `crv` or `alg` names.
    pub(crate) fn key_type(&self) -> Result<KeyType, JwkError> {
        let kty = self.kty.value().ok_or(JwkError::Member("kty"))?;
        let among = |name, named: Member<Text<'_>>, known: &[(&str, KeyType)]| {
            let named = named.value().ok_or(JwkError::Member(name))?;
            known.iter().find(|(name, _)| named.is(name)).map(|(_, key_type)| *key_type).ok_or(JwkError::Unsupported)
        };
        if kty.is("EC") {
            among("crv", self.crv, &[("P-256", KeyType::P256), ("P-384", KeyType::P384), ("P-521", KeyType::P521)])
        } else if kty.is("OKP") {
            among("crv", self.crv, &[("Ed25519", KeyType::Ed25519)])
        } else if kty.is("RSA") {
            Ok(KeyType::Rsa)
        } else if kty.is("AKP") {
            let ml_dsa = [KeyType::MlDsa44, KeyType::MlDsa65, KeyType::MlDsa87];
            among("alg", self.alg, &ml_dsa.map(|key_type| (ml_dsa_name(key_type), key_type)))
        } else {
            Err(JwkError::Unsupported)
        }
    }

    /// Decodes the key, which is of type `key_type`.
    pub(crate) fn decode(&self, key_type: KeyType, bounds: RsaBounds) -> Result<PublicJwk, JwkError> {
        let key = match key_type {
            KeyType::P256 => Key::P256(self.point()?),
            KeyType::P384 => Key::P384(self.point()?),
            KeyType::P521 => Key::P521(self.point()?),
            KeyType::Ed25519 => {
                let mut x = [0; 32];
                base64url::decode_exact(&required("x", self.x, x.len())?, &mut x)?;
                return PublicJwk::from_ed25519(x);
            }
            KeyType::Rsa => {
                let longest = bounds.max_bits() / 8;
                // The length is looked at before the work of decoding is spent.
                if self.n.value().is_some_and(|n| !n.may_be(base64url::encoded_len(longest))) {
                    return Err(JwkError::RsaTooLarge);
                }
                let n = required("n", self.n, longest)?;
                if base64url::decoded_len(n.len()).is_some_and(|length| length > longest) {
                    return Err(JwkError::RsaTooLarge);
                }
                let n = base64url::decode(&n)?;
                let e = self.e.value().ok_or(JwkError::Member("e"))?;
                if !e.may_be(MAX_EXPONENT_LEN) {
                    return Err(JwkError::RsaInvalid);
                }
                let e = decode_short(&e.to_bytes())?;
                return PublicJwk::from_rsa(&n, &e, bounds);
            }
            KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => {
                let key = PublicJwk::from_ml_dsa(&base64url::decode(&required("pub", self.public, MAX_ML_DSA_LEN)?)?)
                    .ok_or(JwkError::NonCanonical)?;
                return if key.key_type() == key_type { Ok(key) } else { Err(JwkError::NonCanonical) };
            }
        };
        Ok(PublicJwk(key))
    }

    /// `x` and `y` behind the mark of an uncompressed point.
    fn point<const N: usize>(&self) -> Result<[u8; N], JwkError> {
        let mut point = [4; N];
        if let Some((_, coordinates)) = point.split_first_mut() {
            let middle = coordinates.len() / 2;
            if let Some((x, y)) = coordinates.split_at_mut_checked(middle) {
                base64url::decode_exact(&required("x", self.x, x.len())?, x)?;
                base64url::decode_exact(&required("y", self.y, y.len())?, y)?;
            }
        }
        Ok(point)
    }
}

/// The text of a member that stands for `length` bytes at most: of one that cannot nothing, which is no spelling of a key's part.
fn required<'t>(name: &'static str, member: Member<Text<'t>>, length: usize) -> Result<Cow<'t, [u8]>, JwkError> {
    let text = member.value().ok_or(JwkError::Member(name))?;
    if text.may_be(base64url::encoded_len(length)) { Ok(text.to_bytes()) } else { Err(JwkError::NonCanonical) }
}

fn decode_short(text: &[u8]) -> Result<Vec<u8>, JwkError> {
    if text.len() > MAX_EXPONENT_LEN { Err(JwkError::RsaInvalid) } else { Ok(base64url::decode(text)?) }
}

impl From<NotBase64Url> for JwkError {
    fn from(_: NotBase64Url) -> Self {
        Self::NonCanonical
    }
}
