//! Reading options: JSON objects whose members have known names and types.

use keybound::json::Value;
use keybound::{Algorithm, AlgorithmSet, Thumbprint};

use crate::error::{Error, Own};

/// A JSON object with known members. A name that is not known, or a value of another type, is misuse.
pub(crate) struct Options(Value);

impl Options {
    /// Reads `json`, whose members are among `known`.
    pub(crate) fn parse(json: &str, known: &[&str]) -> Result<Self, Error> {
        let value = Value::parse_object(json.as_bytes())
            .map_err(|_| Error::own(Own::NotJson, "options are one JSON object with unique names"))?;
        Self::of(value, known)
    }

    pub(crate) fn of(value: Value, known: &[&str]) -> Result<Self, Error> {
        let Value::Object(members) = &value else {
            return Err(Error::own(Own::WrongType, "an object is wanted here"));
        };
        match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                let known: Vec<_> = known.iter().map(|name| ["`", name, "`"].concat()).collect();
                let detail = ["there is no option `", name, "` here; there are: ", &known.join(", ")].concat();
                Err(Error::own(Own::UnknownOption, detail))
            }
            None => Ok(Self(value)),
        }
    }

    /// A member that is there and not null, whatever its type.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.member(name).filter(|value| !matches!(value, Value::Null))
    }

    fn read<'v, T>(&'v self, name: &str, what: &str, read: fn(&'v Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Error::own(Own::WrongType, ["`", name, "` has to be ", what].concat()))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.read(name, "text", Value::as_text)
    }

    /// A text that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Error> {
        self.text(name)?.ok_or_else(|| Error::missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        let read = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        };
        self.read(name, "true or false", read).map(Option::unwrap_or_default)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        let read = |value: &Value| match value {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        self.read(name, "a whole number, not negative", read)
    }

    /// A whole number that may be negative, for times.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        let read = |value: &Value| match value {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        self.read(name, "a whole number", read)
    }

    pub(crate) fn array(&self, name: &str) -> Result<&[Value], Error> {
        fn read(value: &Value) -> Option<&[Value]> {
            match value {
                Value::Array(elements) => Some(elements),
                _ => None,
            }
        }
        self.read(name, "an array", read).map(Option::unwrap_or_default)
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, Error> {
        let elements = self.array(name)?.iter().map(Value::as_text).collect::<Option<Vec<_>>>();
        elements.ok_or_else(|| Error::own(Own::WrongType, ["`", name, "` has to be an array of texts"].concat()))
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.text(name)?.map(bytes).transpose()
    }

    #[cfg(any(feature = "client", feature = "servers"))]
    pub(crate) fn thumbprint(&self, name: &str) -> Result<Option<Thumbprint>, Error> {
        self.text(name)?.map(parse_thumbprint).transpose()
    }

    pub(crate) fn algorithms(&self, name: &str) -> Result<Option<AlgorithmSet>, Error> {
        if self.value(name).is_none() {
            return Ok(None);
        }
        algorithms(&self.texts(name)?).map(Some)
    }

    /// Names and values of fields: an array of pairs, each value a byte string.
    pub(crate) fn fields(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let pair = |value: &Value| match value {
            Value::Array(pair) => match pair.as_slice() {
                [Value::Text(name), Value::Text(value)] => Some((name.clone(), bytes(value).ok()?)),
                _ => None,
            },
            _ => None,
        };
        let fields = self.array(name)?.iter().map(pair).collect::<Option<Vec<_>>>();
        fields.ok_or_else(|| {
            Error::own(Own::WrongType, ["`", name, "` has to be pairs of name and byte string"].concat())
        })
    }
}

/// The bytes of a byte string.
///
/// # Errors
/// Misuse, if a character is above U+00FF.
pub fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect::<Option<_>>();
    bytes.ok_or_else(|| {
        Error::own(Own::NotBytes, "a byte string has characters up to U+00FF only; give each byte as one")
    })
}

/// The byte string of bytes.
pub fn byte_string(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The algorithms of these names.
///
/// # Errors
/// Misuse, if one is not known.
pub fn algorithms(names: &[impl AsRef<str>]) -> Result<AlgorithmSet, Error> {
    let algorithms = names.iter().map(|name| algorithm(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
    Ok(AlgorithmSet::of(&algorithms))
}

/// The algorithm of this name.
///
/// # Errors
/// Misuse, if it is not known.
pub fn algorithm(name: &str) -> Result<Algorithm, Error> {
    let unknown = || {
        let known = AlgorithmSet::ALL.iter().map(Algorithm::name).collect::<Vec<_>>().join(", ");
        let meant = AlgorithmSet::ALL.iter().map(Algorithm::name).find(|known| known.eq_ignore_ascii_case(name));
        let meant = meant.map_or_else(String::new, |meant| ["did you mean ", meant, "? "].concat());
        Error::own(
            Own::UnknownAlgorithm,
            [&meant, "there is no algorithm of this name for proofs; there are: ", &known].concat(),
        )
    };
    Algorithm::from_name(name).ok_or_else(unknown)
}

/// A thumbprint, as texts have it.
///
/// # Errors
/// Misuse, if it is none.
pub fn parse_thumbprint(text: &str) -> Result<Thumbprint, Error> {
    let wrong = || {
        Error::own(Own::NotAThumbprint, "a thumbprint is 43 base64url characters (RFC 7638); give the token's cnf.jkt")
    };
    Thumbprint::parse(text).ok_or_else(wrong)
}

/// One of the names in a table.
pub(crate) fn one_of<T: Copy>(what: &str, name: &str, table: &[(&str, T)]) -> Result<T, Error> {
    let found = table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known = table.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        Error::own(Own::UnknownValue, [what, " is one of: ", &known].concat())
    })
}

/// The names and values of fields as JSON.
pub(crate) fn pairs<'f>(fields: impl Iterator<Item = (&'f str, &'f str)>) -> Value {
    fields.map(|(name, value)| Value::from_iter([name, value])).collect::<Vec<_>>().into()
}
