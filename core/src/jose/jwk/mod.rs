//! Public keys as JSON Web Keys (RFC 7517), in exactly one encoding each.

pub(crate) mod raw;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::base64url;
use crate::crypto::Digest;
use crate::jose::algorithm::KeyType;
use crate::jose::thumbprint::Thumbprint;
use raw::RawJwk;

/// The longest JWK that is read, in bytes.
pub const MAX_JWK_LEN: usize = 8 * 1024;

/// A public key that can verify proofs.
///
/// It is known to be canonical (RFC 7518 section 6: coordinates of full length, RSA integers in the fewest
/// bytes), to be no point of small order and to have a modulus within the bounds of [`RsaBounds`]. Whether an elliptic
/// curve point lies on its curve is checked where a [`Crypto`](crate::Crypto) is at hand.
///
/// ```
/// use keybound::jose::jwk::PublicJwk;
/// let jwk = PublicJwk::parse(
///     r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
/// )?;
/// assert_eq!(jwk.ed25519().map(|x| x.len()), Some(32));
/// # Ok::<(), keybound::jose::jwk::JwkError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicJwk(Key);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    P256([u8; 65]),
    P384([u8; 97]),
    P521([u8; 133]),
    Ed25519([u8; 32]),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    MlDsa(KeyType, Vec<u8>),
}

/// Why a JSON text is no public key we take.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkError {
    /// Not a JSON object with unique names.
    Malformed,
    /// The member of this name is missing or of the wrong type.
    Member(&'static str),
    /// It holds a private member (`d`, `p`, `q`, `dp`, `dq`, `qi`, `oth`, `k` or `priv`).
    Private,
    /// A symmetric key (`kty` is `oct`).
    Symmetric,
    /// A key type or curve that cannot sign proofs here.
    Unsupported,
    /// Not the one permitted encoding: padding, wrong length, leading zeros, unused bits, a non-canonical point.
    NonCanonical,
    /// `use` or `key_ops` says that the key is not for verifying signatures.
    NotForSignatures,
    /// An RSA modulus shorter than 2048 bits (RFC 7518 section 3.3).
    RsaTooSmall,
    /// An RSA modulus longer than permitted.
    RsaTooLarge,
    /// An even RSA modulus, or an exponent that is even, below 65537 or not below 2^33.
    RsaInvalid,
    /// An Ed25519 point of small order, for which signatures prove nothing.
    SmallOrder,
}

impl JwkError {
    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "not a JSON Web Key: not one JSON object with unique names",
            Self::Member(_) => "not a JSON Web Key: a member is missing or of the wrong type",
            Self::Private => "the key holds private members; give the public part only",
            Self::Symmetric => "a symmetric key cannot prove possession to others; use an asymmetric one",
            Self::Unsupported => {
                "this key type or curve is not supported; use P-256, P-384, P-521, Ed25519, RSA or ML-DSA"
            }
            Self::NonCanonical => {
                "the key is not in its canonical encoding (RFC 7518 section 6, base64url without padding)"
            }
            Self::NotForSignatures => "the key's use or key_ops does not permit verifying signatures",
            Self::RsaTooSmall => "the RSA modulus is shorter than 2048 bits",
            Self::RsaTooLarge => "the RSA modulus is longer than permitted",
            Self::RsaInvalid => "the RSA modulus is even or the exponent is even, below 65537 or not below 2^33",
            Self::SmallOrder => "the Ed25519 point is of small order",
        }
    }
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::Member(name) => write!(f, " ({name})"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for JwkError {}
debug_as_text!(JwkError);

/// The longest RSA modulus taken, in bits. The shortest is always 2048.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RsaBounds {
    /// Up to 4096 bits: the default.
    Up4096,
    /// Up to 8192 bits: a choice, since verification takes four times as long.
    Up8192,
}

impl RsaBounds {
    const fn max_bits(self) -> usize {
        match self {
            Self::Up4096 => 4096,
            Self::Up8192 => 8192,
        }
    }

    /// Whether `key`, if it is an RSA key, is short enough.
    #[cfg(all(feature = "dpop", feature = "std"))]
    pub(crate) fn permit(self, key: &PublicJwk) -> bool {
        key.rsa_modulus_len().is_none_or(|length| length <= self.max_bits() / 8)
    }
}

impl PublicJwk {
    /// Reads a JWK.
    ///
    /// Members that are not needed for the key are ignored, `alg` among them except for ML-DSA. At most 8 KiB are read.
    ///
    /// # Errors
    /// [`JwkError`] names what is wrong, a private key among them.
    pub fn parse(json: &str) -> Result<Self, JwkError> {
        if json.len() > MAX_JWK_LEN {
            return Err(JwkError::Malformed);
        }
        let raw = RawJwk::from_json(json.as_bytes()).map_err(|_| JwkError::Malformed)?;
        raw.check_public()?;
        raw.check_use()?;
        raw.decode(raw.key_type()?, RsaBounds::Up8192)
    }

    /// A key from a point in uncompressed SEC 1 form: `04`, X and Y (65, 97 or 133 bytes).
    pub fn from_ec_point(point: &[u8]) -> Option<Self> {
        if point.first() != Some(&4) {
            return None;
        }
        let key = match point.len() {
            65 => Key::P256(point.try_into().ok()?),
            97 => Key::P384(point.try_into().ok()?),
            133 => Key::P521(point.try_into().ok()?),
            _ => return None,
        };
        Some(Self(key))
    }

    /// A key from the 32 bytes of an Ed25519 public key (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`JwkError::NonCanonical`] and [`JwkError::SmallOrder`].
    pub fn from_ed25519(x: [u8; 32]) -> Result<Self, JwkError> {
        check_ed25519(&x)?;
        Ok(Self(Key::Ed25519(x)))
    }

    /// A key from an RSA modulus and exponent, big-endian without leading zeros.
    ///
    /// # Errors
    /// [`JwkError::NonCanonical`] and the errors about RSA.
    pub fn from_rsa(n: &[u8], e: &[u8], bounds: RsaBounds) -> Result<Self, JwkError> {
        check_rsa(n, e, bounds)?;
        Ok(Self(Key::Rsa { n: n.to_owned(), e: e.to_owned() }))
    }

    /// A key from an encoded ML-DSA public key (FIPS 204): 1312, 1952 or 2592 bytes.
    pub fn from_ml_dsa(key: &[u8]) -> Option<Self> {
        let key_type = match key.len() {
            1312 => KeyType::MlDsa44,
            1952 => KeyType::MlDsa65,
            2592 => KeyType::MlDsa87,
            _ => return None,
        };
        Some(Self(Key::MlDsa(key_type, key.to_owned())))
    }

    /// What kind of key this is.
    pub const fn key_type(&self) -> KeyType {
        match &self.0 {
            Key::P256(_) => KeyType::P256,
            Key::P384(_) => KeyType::P384,
            Key::P521(_) => KeyType::P521,
            Key::Ed25519(_) => KeyType::Ed25519,
            Key::Rsa { .. } => KeyType::Rsa,
            Key::MlDsa(key_type, _) => *key_type,
        }
    }

    /// The point in uncompressed SEC 1 form, if this is an elliptic curve key: `04`, X and Y.
    pub fn ec_point(&self) -> Option<&[u8]> {
        match &self.0 {
            Key::P256(point) => Some(point),
            Key::P384(point) => Some(point),
            Key::P521(point) => Some(point),
            _ => None,
        }
    }

    /// The 32 bytes of an Ed25519 key.
    pub const fn ed25519(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Key::Ed25519(x) => Some(x),
            _ => None,
        }
    }

    /// Modulus and exponent of an RSA key, big-endian without leading zeros.
    pub fn rsa(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Key::Rsa { n, e } => Some((n, e)),
            _ => None,
        }
    }

    /// The encoded ML-DSA public key.
    pub fn ml_dsa(&self) -> Option<&[u8]> {
        match &self.0 {
            Key::MlDsa(_, key) => Some(key),
            _ => None,
        }
    }

    /// The length in bytes of this key's signatures under any algorithm it can be used with.
    #[cfg(any(feature = "dpop", feature = "oauth"))]
    pub(crate) fn rsa_modulus_len(&self) -> Option<usize> {
        self.rsa().map(|(n, _)| n.len())
    }

    /// The thumbprint (RFC 7638): SHA-256 over the required members in lexicographic order.
    pub fn thumbprint(&self, digest: &dyn Digest) -> Thumbprint {
        let mut members = self.members();
        members.sort_unstable_by_key(|member| member.map(|(name, _)| name));
        let mut json = String::with_capacity(self.json_capacity());
        write_members(members, &mut json);
        Thumbprint::from_bytes(digest.sha256(&[json.as_bytes()]))
    }

    /// The key as JSON: the required members alone, `kty` first, without white space.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.json_capacity());
        self.write_json(&mut json);
        json
    }

    /// Appends what [`to_json`](Self::to_json) gives.
    pub(crate) fn write_json(&self, json: &mut String) {
        write_members(self.members(), json);
    }

    /// The required members, `kty` first.
    fn members(&self) -> Members<'_> {
        let key_type = self.key_type();
        let kty = |name| Some(("kty", Value::Name(name)));
        let bytes = |name, bytes| Some((name, Value::Bytes(bytes)));
        match &self.0 {
            Key::P256(_) | Key::P384(_) | Key::P521(_) => {
                let coordinates = self.ec_point().and_then(|point| point.get(1..)).unwrap_or_default();
                let (x, y) = coordinates.split_at_checked(coordinates.len() / 2).unwrap_or_default();
                [kty("EC"), Some(("crv", Value::Name(curve_name(key_type)))), bytes("x", x), bytes("y", y)]
            }
            Key::Ed25519(x) => [kty("OKP"), Some(("crv", Value::Name("Ed25519"))), bytes("x", x), None],
            Key::Rsa { n, e } => [kty("RSA"), bytes("n", n), bytes("e", e), None],
            Key::MlDsa(_, key) => {
                [kty("AKP"), Some(("alg", Value::Name(ml_dsa_name(key_type)))), bytes("pub", key), None]
            }
        }
    }

    /// Room enough for the key as JSON.
    pub(crate) fn json_capacity(&self) -> usize {
        let bytes = match &self.0 {
            Key::P256(_) => 65,
            Key::P384(_) => 97,
            Key::P521(_) => 133,
            Key::Ed25519(_) => 32,
            Key::Rsa { n, e } => n.len().saturating_add(e.len()),
            Key::MlDsa(_, key) => key.len(),
        };
        base64url::encoded_len(bytes).saturating_add(64)
    }
}

/// Up to four members, by name.
type Members<'a> = [Option<(&'static str, Value<'a>)>; 4];

#[derive(Clone, Copy)]
enum Value<'a> {
    Name(&'static str),
    Bytes(&'a [u8]),
}

fn write_members(members: Members<'_>, json: &mut String) {
    let mut separator = '{';
    for (name, value) in members.into_iter().flatten() {
        json.push(separator);
        separator = ',';
        json.push('"');
        json.push_str(name);
        json.push_str("\":\"");
        match value {
            Value::Name(name) => json.push_str(name),
            Value::Bytes(bytes) => base64url::encode_into(bytes, json),
        }
        json.push('"');
    }
    json.push('}');
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

const fn curve_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::P384 => "P-384",
        KeyType::P521 => "P-521",
        _ => "P-256",
    }
}

const fn ml_dsa_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::MlDsa65 => "ML-DSA-65",
        KeyType::MlDsa87 => "ML-DSA-87",
        _ => "ML-DSA-44",
    }
}

fn check_rsa(n: &[u8], e: &[u8], bounds: RsaBounds) -> Result<(), JwkError> {
    let (Some((high, _)), Some(low), Some(e_high)) = (n.split_first(), n.last(), e.first()) else {
        return Err(JwkError::NonCanonical);
    };
    if *high == 0 || *e_high == 0 {
        return Err(JwkError::NonCanonical);
    }
    let bits = n.len().saturating_mul(8).saturating_sub(usize::try_from(high.leading_zeros()).unwrap_or(0));
    if bits < 2048 {
        return Err(JwkError::RsaTooSmall);
    }
    if bits > bounds.max_bits() {
        return Err(JwkError::RsaTooLarge);
    }
    let mut exponent = [0; 8];
    let Some(tail) = exponent.len().checked_sub(e.len()).and_then(|start| exponent.get_mut(start..)) else {
        return Err(JwkError::RsaInvalid);
    };
    tail.copy_from_slice(e);
    let exponent = u64::from_be_bytes(exponent);
    if low & 1 == 0 || exponent & 1 == 0 || !(65_537..1 << 33).contains(&exponent) {
        return Err(JwkError::RsaInvalid);
    }
    Ok(())
}

/// Y coordinates of the points of small order (RFC 8032: order 1, 2, 4 and 8), the sign bit cleared.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

fn check_ed25519(x: &[u8; 32]) -> Result<(), JwkError> {
    let [first, middle @ .., last] = x;
    let high = last & 0x7f;
    // The field's prime is 2^255 - 19: values from it upwards spell smaller ones a second time.
    if high == 0x7f && *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) {
        return Err(JwkError::NonCanonical);
    }
    let is_small = |y: &[u8; 32]| {
        let [y_first, y_middle @ .., y_last] = y;
        first == y_first && middle == y_middle && high == *y_last
    };
    if SMALL_ORDER_Y.iter().any(is_small) { Err(JwkError::SmallOrder) } else { Ok(()) }
}
