//! What crosses the boundary in another shape than in the facade: times, numbers, bytes in texts, JSON in texts.

use std::time::{SystemTime, UNIX_EPOCH};

use keybound::json::Value;
use keybound_ffi as ffi;

use crate::error::KeyboundError;

/// `now`, or the system's clock.
pub(crate) fn clock(now: Option<i64>) -> i64 {
    now.unwrap_or_else(|| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
        signed(seconds)
    })
}

/// A number of the core's for languages without unsigned ones.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that the core wants unsigned.
pub(crate) fn unsigned(name: &str, number: i64) -> Result<u64, KeyboundError> {
    let wrong = || ffi::Error::misuse("wrong_type", format!("`{name}` cannot be below zero"));
    u64::try_from(number).map_err(|_| wrong().into())
}

/// The bytes of a field value: Latin-1, as HTTP stacks give it, or UTF-8 where it has other characters.
pub(crate) fn field_bytes(value: &str) -> Vec<u8> {
    value.chars().map(u8::try_from).collect::<Result<_, _>>().unwrap_or_else(|_| value.as_bytes().to_vec())
}

/// A JSON text that a caller gave.
pub(crate) fn json(name: &str, text: &str) -> Result<Value, KeyboundError> {
    let wrong = || ffi::Error::misuse("not_json", format!("`{name}` is a JSON text, and this is none"));
    Value::parse(text.as_bytes()).map_err(|_| wrong().into())
}

/// Has `Display` show these members and no others, in Swift and Kotlin too: the rest holds secrets.
macro_rules! shown {
    ($type:ident { $($member:ident),* }) => {
        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($member), &self.$member))*.finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use shown;
