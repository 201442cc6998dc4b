//! The rules of Keybound's reader of JSON, once more, on top of `serde_json`.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

const MAX_DEPTH: u8 = 8;
const MAX_MEMBERS: usize = 64;
const MAX_VALUES: usize = 256;
const MAX_NUMBER_LEN: usize = 256;

/// Whether `json` is an object without duplicate names, not too deep and not too large; none where `serde_json` cannot
/// tell because a number is too large for its floats, or may be too long for ours.
pub(crate) fn is_strict_object(json: &[u8]) -> Option<bool> {
    let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if json.split(|byte| !number(byte)).any(|part| part.len() > MAX_NUMBER_LEN) {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    // The object itself is not one of its values.
    let values = Cell::new(MAX_VALUES + 1);
    let whole = Value { depth: 0, object_only: true, values: &values };
    let read = whole.deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

#[derive(Clone, Copy)]
struct Value<'v> {
    depth: u8,
    object_only: bool,
    /// How many more there may be.
    values: &'v Cell<usize>,
}

impl Value<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1, object_only: false, ..self })
        } else {
            Err(E::custom("too deep"))
        }
    }

    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.object_only { Err(E::custom("no object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let left = self.values.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.values.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
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
