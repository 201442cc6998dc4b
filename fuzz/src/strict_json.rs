//! The rules of Keybound's reader of JSON, once more, on top of `serde_json`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

const MAX_DEPTH: u8 = 8;
const MAX_MEMBERS: usize = 64;

/// Whether `json` is an object without duplicate names, not too deep and not too large; none where `serde_json` cannot
/// tell because a number is too large for its floats.
pub(crate) fn is_strict_object(json: &[u8]) -> Option<bool> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let read = Value { depth: 0, object_only: true }.deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

#[derive(Clone, Copy)]
struct Value {
    depth: u8,
    object_only: bool,
}

impl Value {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1, object_only: false })
        } else {
            Err(E::custom("too deep"))
        }
    }

    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.object_only { Err(E::custom("no object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.scalar::<A::Error>()?;
        let inner = self.inner()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = HashSet::new();
        while let Some(Name(name)) = members.next_key()? {
            if !names.insert(name) || names.len() > MAX_MEMBERS {
                return Err(A::Error::custom("a duplicate name or too many"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}
