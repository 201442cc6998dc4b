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
    let wrong = || ffi::Error::own(ffi::Own::WrongType, format!("`{name}` cannot be below zero"));
    u64::try_from(number).map_err(|_| wrong().into())
}

/// The bytes of a field value: Latin-1, as HTTP stacks give it, or UTF-8 where it has other characters.
pub(crate) fn field_bytes(value: &str) -> Vec<u8> {
    value.chars().map(u8::try_from).collect::<Result<_, _>>().unwrap_or_else(|_| value.as_bytes().to_vec())
}

/// A JSON text that a caller gave.
pub(crate) fn json(name: &str, text: &str) -> Result<Value, KeyboundError> {
    let wrong = || ffi::Error::own(ffi::Own::NotJson, format!("`{name}` is a JSON text, and this is none"));
    Value::parse(text.as_bytes()).map_err(|_| wrong().into())
}

/// What a member of a record is in the record's text; nothing, if the member is not set.
pub(crate) trait Shown {
    fn shown(&self) -> Option<String>;
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Option<String> {
        self.as_ref().and_then(Shown::shown)
    }
}

/// Has values of these types shown as `Debug` writes them.
macro_rules! shown_as_debug {
    ($($type:ty),*) => {
        $(impl $crate::plain::Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(format!("{self:?}"))
            }
        })*
    };
}

shown_as_debug!(String, bool, i32, i64);

/// A record's text: `Name(member: value)`, with the names that members have in Swift and Kotlin.
pub(crate) fn shown_record(name: &str, members: &[(&str, Option<String>)]) -> String {
    let set = members.iter().filter_map(|(name, value)| Some(format!("{}: {}", camel_case(name), value.as_ref()?)));
    format!("{name}({})", set.collect::<Vec<_>>().join(", "))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// Has `Display` show these members and no others, in Swift and Kotlin too: the rest holds secrets.
macro_rules! shown {
    ($type:ident $(. $inner:tt)? { $($member:ident),* }) => {
        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let of = &self$(.$inner)?;
                let members = [$((stringify!($member), $crate::plain::Shown::shown(&of.$member))),*];
                f.write_str(&$crate::plain::shown_record(stringify!($type), &members))
            }
        }
    };
}

/// The same for objects, which have methods in place of members.
macro_rules! shown_by_methods {
    ($type:ident { $($method:ident),* }) => {
        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let members = [$((stringify!($method), $crate::plain::Shown::shown(&self.$method()))),*];
                f.write_str(&$crate::plain::shown_record(stringify!($type), &members))
            }
        }
    };
}

pub(crate) use {shown, shown_as_debug, shown_by_methods};
