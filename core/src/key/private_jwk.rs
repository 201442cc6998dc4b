//! Private keys as JWK (RFC 7518 section 6, RFC 8037, RFC 9964), read and written.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};
use pkcs8::der::{Decode, Encode, asn1::UintRef};
use zeroize::Zeroizing;

use super::private::SecretText;
use crate::Misuse;
use crate::crypto::PrivateKey;
use crate::jose::algorithm::{Algorithm, KeyType};
use crate::jose::jwk::raw::RawJwk;
use crate::jose::jwk::{JwkError, PublicJwk, RsaBounds};
use crate::json::{self, Member, Text};

/// What a private JWK says: the secret, the public key beside it, and the algorithm if it names one.
pub(super) struct ParsedKey {
    pub(super) private: PrivateKey,
    pub(super) public: PublicJwk,
    pub(super) algorithm: Option<Algorithm>,
}

/// The private members of an RSA key, in the order of RFC 8017 after `n` and `e`.
const RSA_MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

pub(super) fn parse(jwk: &str) -> Result<ParsedKey, Misuse> {
    if !jwk.trim_ascii_start().starts_with('{') {
        return Err(Misuse::PrivateKeyForm(
            "it is not a JWK, which is a JSON object; if it is the path of a file, read the file and give what is in it",
        ));
    }
    let mut public = RawJwk::default();
    let mut secrets: [Member<Text<'_>>; 6] = [Member::Absent; 6];
    let mut seed = Member::Absent;
    let mut multi_prime = false;
    json::read_object(jwk.as_bytes(), |reader, name| {
        if name.is("priv") {
            seed = reader.text()?;
        } else if name.is("oth") {
            multi_prime = true;
            reader.skip()?;
        } else if let Some(slot) =
            RSA_MEMBERS.iter().position(|member| name.is(member)).and_then(|i| secrets.get_mut(i))
        {
            *slot = reader.text()?;
        } else {
            return public.member(reader, name);
        }
        Ok(())
    })
    .map_err(|_| Misuse::Key(JwkError::Malformed))?;
    public.check_public()?;
    let key_type = public.key_type()?;
    let key = public.decode(key_type, RsaBounds::Up8192)?;
    let is_absent = |member: &Member<Text<'_>>| matches!(member, Member::Absent);
    let needed = match key_type {
        KeyType::Rsa => RSA_MEMBERS.iter().zip(&secrets).find(|(_, member)| is_absent(member)).map(|(name, _)| *name),
        KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => is_absent(&seed).then_some("priv"),
        _ => secrets.first().is_some_and(is_absent).then_some("d"),
    };
    if let Some(name) = needed {
        return Err(Misuse::JwkMember(name));
    }
    let [d, ..] = secrets;
    let bytes = match key_type {
        KeyType::Rsa if multi_prime => return Err(Misuse::PrivateKey),
        KeyType::Rsa => {
            let parts = secrets.map(decode);
            if parts.iter().any(Result::is_err) {
                return Err(Misuse::PrivateKey);
            }
            rsa_to_pkcs1(&key, &parts.map(Result::unwrap_or_default)).ok_or(Misuse::PrivateKey)?
        }
        KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => decode(seed)?.to_vec(),
        _ => decode(d)?.to_vec(),
    };
    let algorithm = match public.algorithm_name() {
        None => None,
        Some(name) => Some(Algorithm::from_name(&name).ok_or(Misuse::Key(JwkError::Unsupported))?),
    };
    Ok(ParsedKey { private: PrivateKey::new(key_type, bytes).ok_or(Misuse::PrivateKey)?, public: key, algorithm })
}

/// Decodes a secret in constant time; escapes are refused, for undoing them would leave copies behind.
fn decode(member: Member<Text<'_>>) -> Result<Zeroizing<Vec<u8>>, Misuse> {
    let text = member.value().and_then(Text::plain).ok_or(Misuse::PrivateKey)?;
    Base64UrlUnpadded::decode_vec(text).map(Zeroizing::new).map_err(|_| Misuse::PrivateKey)
}

fn rsa_to_pkcs1(public: &PublicJwk, [d, p, q, dp, dq, qi]: &[Zeroizing<Vec<u8>>; 6]) -> Option<Vec<u8>> {
    let (n, e) = public.rsa()?;
    let integer = |bytes| UintRef::new(bytes).ok();
    pkcs1::RsaPrivateKey {
        modulus: integer(n)?,
        public_exponent: integer(e)?,
        private_exponent: integer(d)?,
        prime1: integer(p)?,
        prime2: integer(q)?,
        exponent1: integer(dp)?,
        exponent2: integer(dq)?,
        coefficient: integer(qi)?,
        other_prime_infos: None,
    }
    .to_der()
    .ok()
}

/// The private key as a JWK, with `alg`.
pub(super) fn write(private: &PrivateKey, public: &PublicJwk, algorithm: Algorithm) -> Result<SecretText, Misuse> {
    let mut json = public.to_json();
    // Room for everything at once, so that growing leaves no copy of the secret behind.
    let secret_room = private.expose_bytes().len().saturating_mul(2).saturating_add(128);
    json.reserve_exact(secret_room);
    json.pop();
    let mut member = |name: &str, secret: &[u8]| {
        let text = Zeroizing::new(Base64UrlUnpadded::encode_string(secret));
        push_member(&mut json, name, &text);
    };
    match private.key_type() {
        KeyType::Rsa => {
            let key = pkcs1::RsaPrivateKeyRef::from_der(private.expose_bytes()).map_err(|_| Misuse::PrivateKey)?;
            let values = [key.private_exponent, key.prime1, key.prime2, key.exponent1, key.exponent2, key.coefficient];
            for (name, value) in RSA_MEMBERS.iter().zip(values) {
                member(name, value.as_bytes());
            }
        }
        KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => member("priv", private.expose_bytes()),
        _ => member("d", private.expose_bytes()),
    }
    if private.key_type() != algorithm.key_type() {
        return Err(Misuse::AlgorithmKey(algorithm));
    }
    if !matches!(algorithm, Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87) {
        push_member(&mut json, "alg", algorithm.name());
    }
    json.push('}');
    Ok(SecretText::new(json))
}

fn push_member(json: &mut String, name: &str, value: &str) {
    json.push_str(",\"");
    json.push_str(name);
    json.push_str("\":\"");
    json.push_str(value);
    json.push('"');
}
