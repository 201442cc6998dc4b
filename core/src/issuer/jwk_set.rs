//! JWK Sets (RFC 7517 section 5): the keys that an issuer signs its tokens with.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Algorithm;
use crate::jose::jwk::raw::RawJwk;
use crate::jose::jwk::{JwkError, PublicJwk, RsaBounds};
use crate::json::Value;

/// The public keys of one issuer.
///
/// ```
/// use keybound::Algorithm;
/// use keybound::issuer::JwkSet;
/// let set = JwkSet::parse(
///     br#"{"keys":[
///         {"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
///         {"kid":"b","kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}
///     ]}"#,
/// )?;
/// assert_eq!(set.len(), 1);
/// assert!(set.has_key_for(Some("a"), Algorithm::Ed25519) && !set.has_key_for(Some("c"), Algorithm::Ed25519));
/// # Ok::<(), keybound::issuer::NotJwkSet>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JwkSet {
    keys: Vec<Member>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Member {
    kid: Option<String>,
    /// The one algorithm the key is for, if it says so.
    alg: Option<String>,
    key: PublicJwk,
}

/// The bytes are no JWK Set within the limits: not a JSON object with an array `keys`, or too long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotJwkSet;

impl fmt::Display for NotJwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a JWK Set: a JSON object with an array `keys` of at most 128 keys, 256 KiB in all")
    }
}

impl core::error::Error for NotJwkSet {}
debug_as_text!(NotJwkSet);

impl JwkSet {
    /// The longest set that is read, in bytes.
    pub const MAX_LEN: usize = 256 * 1024;
    /// How many keys a set may have.
    pub const MAX_KEYS: usize = 128;

    /// Reads a set. Keys that cannot verify signatures here are left out (RFC 7517 section 5): symmetric ones, those for
    /// encryption, of unknown types, out of bounds, and those that show their private part.
    ///
    /// # Errors
    /// [`NotJwkSet`].
    pub fn parse(json: &[u8]) -> Result<Self, NotJwkSet> {
        if json.len() > Self::MAX_LEN {
            return Err(NotJwkSet);
        }
        let document = Value::parse_object(json).map_err(|_| NotJwkSet)?;
        let keys = document.array("keys").ok_or(NotJwkSet)?;
        if keys.len() > Self::MAX_KEYS {
            return Err(NotJwkSet);
        }
        Ok(Self { keys: keys.iter().filter_map(|key| read(key).ok()).collect() })
    }

    /// The set with one more key, for sets that are put together in the program.
    #[must_use]
    pub fn with_key(mut self, kid: Option<&str>, key: PublicJwk) -> Self {
        self.keys.push(Member { kid: kid.map(ToOwned::to_owned), alg: None, key });
        self
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether it has the key for a token with this `kid`, if it has one, and algorithm. If not, the set may be older than the key.
    pub fn has_key_for(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        self.key_for(kid, algorithm).is_some()
    }

    /// The key a token is signed with: the one of its `kid`, or the only one of the set, that fits its algorithm.
    ///
    /// None where several fit, as with a token that names no key while its issuer publishes two (OpenID Connect Core section 10.1
    /// asks for a `kid` then): each try costs a signature, and anyone can send a token. A `kid` may occur more than once
    /// (RFC 7517 section 4.5) if types or algorithms tell the keys apart.
    pub(crate) fn key_for(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&PublicJwk> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|member| kid.is_none() || member.kid.as_deref() == kid)
            .filter(|member| member.key.key_type() == algorithm.key_type())
            .filter(|member| member.alg.as_deref().is_none_or(|alg| algorithm.is_called(alg)))
            .map(|member| &member.key);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only),
            // The same key may be listed twice, for example once for each of two purposes.
            (Some(first), Some(second)) if first == second && fitting.all(|other| other == first) => Some(first),
            _ => None,
        }
    }
}

fn read(key: &Value) -> Result<Member, JwkError> {
    let json = key.to_json();
    let raw = RawJwk::from_json(json.as_bytes()).map_err(|_| JwkError::Malformed)?;
    raw.check_public()?;
    raw.check_use()?;
    let decoded = raw.decode(raw.key_type()?, RsaBounds::Up8192)?;
    let text = |name| key.text(name).map(ToOwned::to_owned);
    // A `kid` or `alg` of another type names nothing: the key is for tokens that name none either.
    Ok(Member { kid: text("kid"), alg: text("alg"), key: decoded })
}

#[cfg(test)]
mod tests {
    use super::{JwkSet, NotJwkSet};
    use crate::Algorithm::{Ed25519, EdDsa, Es256};
    use alloc::format;
    use alloc::string::String;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: &str) -> JwkSet {
        JwkSet::parse(format!("{{\"keys\":[{keys}]}}").as_bytes()).unwrap()
    }

    fn ed25519(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}"{more}}}"#)
    }

    #[test]
    fn kid_and_alg_choose() {
        let es256 = ed25519(r#","kid":"d","alg":"ES256""#);
        let set =
            set(&[ed25519(r#","kid":"a""#), ed25519(r#","kid":"b","alg":"EdDSA""#), ed25519(""), es256].join(","));
        let found = |kid, alg| set.has_key_for(kid, alg);
        assert_eq!((found(Some("a"), Ed25519), found(Some("a"), EdDsa), found(Some("a"), Es256)), (true, true, false));
        // Two names of one algorithm (RFC 9864 section 2.2).
        assert_eq!((found(Some("b"), Ed25519), found(Some("b"), EdDsa)), (true, true));
        assert_eq!((found(Some("d"), Ed25519), found(Some("d"), EdDsa)), (false, false));
        assert_eq!((found(None, Ed25519), found(Some("c"), EdDsa)), (true, false));
    }

    #[test]
    fn a_token_costs_one_verification_however_many_keys_fit() {
        let other = r#"{"kty":"OKP","crv":"Ed25519","x":"dPGkWMh1Yk6PwFDrwuOoDHPFaPFzYQgRzzFSNCKNrZs","kid":"a"}"#;
        let set = set(&[ed25519(r#","kid":"a""#), other.into(), ed25519(r#","kid":"b""#)].join(","));
        assert_eq!(set.len(), 3);
        let found = |kid| set.has_key_for(kid, Ed25519);
        assert_eq!((found(Some("a")), found(Some("b")), found(None)), (false, true, false));
    }

    #[test]
    fn keys_that_cannot_verify_here_are_left_out() {
        for key in [
            ed25519(r#","use":"enc""#),
            ed25519(r#","key_ops":["sign"]"#),
            ed25519(r#","d":"AAAA""#),
            String::from(r#"{"kty":"oct","k":"AAAA"}"#),
            String::from(r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#),
            String::from(r#"{"kty":"OKP","crv":"Ed25519"}"#),
            String::from("1"),
        ] {
            assert_eq!(set(&format!("{key},{}", ed25519(""))).len(), 1, "{key}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let wide = format!("{{\"keys\":[{}1]}}", "1,".repeat(128));
        let long = format!("{{\"keys\":[]{}}}", " ".repeat(JwkSet::MAX_LEN));
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, &wide, &long] {
            assert_eq!(JwkSet::parse(text.as_bytes()), Err(NotJwkSet), "{text:.20}");
        }
        assert!(JwkSet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    }
}
