//! Keys on a token: by thumbprint, by label, or all of them.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keybound::jose::algorithm;
use keybound::jose::jwk::PublicJwk;
use keybound::{Algorithm, RUSTCRYPTO, Thumbprint};

use crate::error::Error;
use crate::marker::Marker;
use crate::{public, signer};

/// Private keys that are looked through. More are more than a client has.
const MOST: usize = 4096;

/// A private key with its public part.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) private: ObjectHandle,
    pub(crate) id: Vec<u8>,
    pub(crate) label: Vec<u8>,
    pub(crate) public_key: PublicJwk,
    pub(crate) thumbprint: Thumbprint,
    /// The one in the marker, else what keys of this type usually sign with.
    pub(crate) algorithm: Algorithm,
    pub(crate) marker: Option<Marker>,
}

/// The key with this thumbprint: its `CKA_ID` is the thumbprint's bytes, or its public part has that thumbprint.
pub(crate) fn by_thumbprint(session: &Session, thumbprint: Thumbprint) -> Result<Found, Error> {
    let id = thumbprint.as_bytes().to_vec();
    let named = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id)])?;
    let named = match named.as_slice() {
        [] => {
            let all = all(session)?.into_iter().filter_map(|seen| seen.key.ok());
            all.filter(|found| found.thumbprint == thumbprint).map(|found| found.private).collect()
        }
        _ => named,
    };
    let found = one_key(session, &named, || format!("of the id {thumbprint}"))?.ok_or(Error::KeyGone(thumbprint))?;
    if found.thumbprint == thumbprint { Ok(found) } else { Err(Error::KeyChanged(thumbprint)) }
}

/// The key whose private half has this `CKA_LABEL`.
pub(crate) fn by_label(session: &Session, label: &str) -> Result<Option<Found>, Error> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.into())];
    let named = session.find_objects(&template)?;
    one_key(session, &named, || format!("labelled \"{label}\""))
}

/// The one key that these private halves are, if there are any. Of two keys, which is taken would be chance.
///
/// SoftHSM 2.6 lists an object twice where processes make keys at once. Two that sign for one public key, and are both kept as keys
/// must be, are one.
fn one_key(session: &Session, halves: &[ObjectHandle], named: impl Fn() -> String) -> Result<Option<Found>, Error> {
    let Some((first, others)) = halves.split_first() else { return Ok(None) };
    let first = read(session, *first)?;
    if others.is_empty() {
        return Ok(Some(first));
    }
    for half in halves {
        let found = read(session, *half)?;
        let is_same = found.public_key == first.public_key
            && check_protected(session, &found).is_ok()
            && signer::signs(session, &found)?;
        if !is_same {
            return Err(Error::TwoKeys(named()));
        }
    }
    Ok(Some(first))
}

/// A private key that signs.
pub(crate) struct Seen {
    pub(crate) id: Vec<u8>,
    pub(crate) marker: Option<Marker>,
    /// With its public part, or why that cannot be read.
    pub(crate) key: Result<Found, Error>,
}

/// What was found, if it is not too much: a list with gaps would make keys look lost.
fn bounded<T>(found: Vec<T>) -> Result<Vec<T>, Error> {
    if found.len() > MOST { Err(Error::TooManyKeys { most: MOST }) } else { Ok(found) }
}

/// Every private key that signs.
pub(crate) fn all(session: &Session) -> Result<Vec<Seen>, Error> {
    let handles = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)])?;
    let mut all = Vec::new();
    for private in bounded(handles)? {
        match seen(session, private) {
            // It was deleted since.
            Err(error) if error.is_code("CKR_OBJECT_HANDLE_INVALID") => {}
            seen => all.push(seen?),
        }
    }
    Ok(all)
}

/// Public halves of ours whose private half is not there, by id: the pair's making or destroying was cut off.
///
/// Without a login no private half is seen: the caller checks that there is one.
pub(crate) fn lone(session: &Session, is_wanted: impl Fn(&Marker) -> bool) -> Result<Vec<(Vec<u8>, Marker)>, Error> {
    let handles = session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Token(true)])?;
    let mut lone: Vec<(Vec<u8>, Marker)> = Vec::new();
    for public in bounded(handles)? {
        let Names { id, label, .. } = match names(session, public) {
            // It was deleted since.
            Err(error) if error.is_code("CKR_OBJECT_HANDLE_INVALID") => continue,
            names => names?,
        };
        let Some(marker) = Marker::parse(&label).filter(&is_wanted) else { continue };
        if lone.iter().any(|(other, _)| *other == id) {
            continue;
        }
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.clone())];
        if session.find_objects(&template)?.is_empty() {
            lone.push((id, marker));
        }
    }
    Ok(lone)
}

fn seen(session: &Session, private: ObjectHandle) -> Result<Seen, Error> {
    let Names { id, label, .. } = names(session, private)?;
    match read(session, private) {
        Err(error) if error.may_pass() => Err(error),
        key => Ok(Seen { id, marker: Marker::parse(&label), key }),
    }
}

struct Names {
    id: Vec<u8>,
    label: Vec<u8>,
    key_type: Option<KeyType>,
}

fn names(session: &Session, private: ObjectHandle) -> Result<Names, Error> {
    const WANTED: &[AttributeType] = &[AttributeType::Id, AttributeType::Label, AttributeType::KeyType];
    let mut names = Names { id: Vec::new(), label: Vec::new(), key_type: None };
    for attribute in session.get_attributes(private, WANTED)? {
        match attribute {
            Attribute::Id(bytes) => names.id = bytes,
            Attribute::Label(bytes) => names.label = bytes,
            Attribute::KeyType(found) => names.key_type = Some(found),
            _ => {}
        }
    }
    Ok(names)
}

/// Reads a private key's public part and what identifies it.
pub(crate) fn read(session: &Session, private: ObjectHandle) -> Result<Found, Error> {
    let Names { id, label, key_type } = names(session, private)?;
    let unreadable = |why| Error::PublicKey { key: shown(&id), why };
    let key_type = key_type.ok_or_else(|| unreadable("its type is not told"))?;
    let public_key = public_key(session, private, &id, key_type)?.map_err(unreadable)?;
    let marker = Marker::parse(&label).filter(|marker| marker.algorithm.key_type() == public_key.key_type());
    let algorithm = match &marker {
        Some(marker) => marker.algorithm,
        None => usual(&public_key).ok_or_else(|| unreadable("no algorithm uses such a key"))?,
    };
    let thumbprint = public_key.thumbprint(RUSTCRYPTO.digest);
    Ok(Found { private, id, label, public_key, thumbprint, algorithm, marker })
}

/// The public half of the key with this id. For RSA the private half says it too.
fn public_key(
    session: &Session,
    private: ObjectHandle,
    id: &[u8],
    key_type: KeyType,
) -> Result<Result<PublicJwk, &'static str>, Error> {
    let template =
        [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(key_type), Attribute::Id(id.to_vec())];
    let halves = if id.is_empty() { Vec::new() } else { session.find_objects(&template)? };
    let Some((first, others)) = halves.split_first() else {
        if key_type == KeyType::RSA {
            return rsa(session, private);
        }
        return Ok(Err("the token has no public key of the same id; make one, or make a new pair"));
    };
    let key = public_half(session, *first, key_type)?;
    for other in others {
        if public_half(session, *other, key_type)? != key {
            return Err(Error::TwoKeys(format!("of the id {}", shown(id))));
        }
    }
    Ok(key)
}

fn public_half(
    session: &Session,
    public: ObjectHandle,
    key_type: KeyType,
) -> Result<Result<PublicJwk, &'static str>, Error> {
    if key_type == KeyType::RSA {
        return rsa(session, public);
    }
    let (mut params, mut point) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        match attribute {
            Attribute::EcParams(bytes) => params = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            _ => {}
        }
    }
    Ok(public::from_ec(&params, &point))
}

fn rsa(session: &Session, key: ObjectHandle) -> Result<Result<PublicJwk, &'static str>, Error> {
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(key, &[AttributeType::Modulus, AttributeType::PublicExponent])? {
        match attribute {
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) => exponent = bytes,
            _ => {}
        }
    }
    Ok(public::from_rsa(&modulus, &exponent))
}

/// Checks that a private key is kept in the token and cannot leave it.
pub(crate) fn check_protected(session: &Session, found: &Found) -> Result<(), Error> {
    let told = Told::of(session, found.private)?;
    let refuse = |attribute| Err(Error::NotProtected { key: found.thumbprint.to_string(), attribute });
    match told {
        Told { token: Some(true), sensitive: Some(true), extractable: Some(false), asks_each_time, .. } => {
            if asks_each_time == Some(true) {
                return refuse("CKA_ALWAYS_AUTHENTICATE is true: it wants its PIN for each signature");
            }
            Ok(())
        }
        Told { token: Some(true), sensitive: Some(true), .. } => refuse("CKA_EXTRACTABLE is not false"),
        Told { token: Some(true), .. } => refuse("CKA_SENSITIVE is not true"),
        _ => refuse("CKA_TOKEN is not true"),
    }
}

/// Checks besides that it was so from the beginning, where the token tells.
pub(crate) fn check_born_protected(session: &Session, found: &Found) -> Result<(), Error> {
    check_protected(session, found)?;
    let told = Told::of(session, found.private)?;
    let refuse = |attribute| Err(Error::NotProtected { key: found.thumbprint.to_string(), attribute });
    if told.always_sensitive == Some(false) {
        return refuse("CKA_ALWAYS_SENSITIVE is false");
    }
    if told.never_extractable == Some(false) {
        return refuse("CKA_NEVER_EXTRACTABLE is false");
    }
    Ok(())
}

/// What a token tells of how a private key is kept; `None` where it does not.
#[derive(Default)]
struct Told {
    token: Option<bool>,
    sensitive: Option<bool>,
    extractable: Option<bool>,
    always_sensitive: Option<bool>,
    never_extractable: Option<bool>,
    asks_each_time: Option<bool>,
}

impl Told {
    fn of(session: &Session, private: ObjectHandle) -> Result<Self, Error> {
        const WANTED: &[AttributeType] = &[
            AttributeType::Token,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::AlwaysSensitive,
            AttributeType::NeverExtractable,
            AttributeType::AlwaysAuthenticate,
        ];
        let mut told = Self::default();
        for attribute in session.get_attributes(private, WANTED)? {
            match attribute {
                Attribute::Token(is) => told.token = Some(is),
                Attribute::Sensitive(is) => told.sensitive = Some(is),
                Attribute::Extractable(is) => told.extractable = Some(is),
                Attribute::AlwaysSensitive(is) => told.always_sensitive = Some(is),
                Attribute::NeverExtractable(is) => told.never_extractable = Some(is),
                Attribute::AlwaysAuthenticate(is) => told.asks_each_time = Some(is),
                _ => {}
            }
        }
        Ok(told)
    }
}

/// The algorithm of keys that no marker speaks of.
fn usual(key: &PublicJwk) -> Option<Algorithm> {
    Some(match key.key_type() {
        algorithm::KeyType::P256 => Algorithm::Es256,
        algorithm::KeyType::P384 => Algorithm::Es384,
        algorithm::KeyType::P521 => Algorithm::Es512,
        algorithm::KeyType::Ed25519 => Algorithm::Ed25519,
        algorithm::KeyType::Rsa => Algorithm::Ps256,
        _ => return None,
    })
}

/// An id as people write it: the thumbprint where it is one, else hexadecimal.
fn shown(id: &[u8]) -> String {
    match <[u8; 32]>::try_from(id) {
        Ok(bytes) => Thumbprint::from_bytes(bytes).to_string(),
        Err(_) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, bounded};

    #[test]
    fn a_list_has_no_gaps() {
        assert_eq!(bounded(vec![(); MOST]).map(|found| found.len()).ok(), Some(MOST));
        let error = bounded(vec![(); MOST + 1]).unwrap_err();
        assert_eq!(error.reason(), "too_many_keys");
        assert!(!error.may_pass(), "another connection would show as many");
    }
}
