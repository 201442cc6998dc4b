//! The kinds of values that the facade's tables speak of, as this language has them.

use keybound_ffi as ffi;
use napi::ValueType;
use napi::bindgen_prelude::{Either, Uint8Array, Unknown};
use napi_derive::napi;

/// How this language writes the names of options in messages.
pub(crate) const SPELLING: ffi::Spelling = ffi::Spelling::Camel;

pub(crate) type Result<T> = napi::Result<T>;
/// What the facade says.
pub(crate) type Plainly<T> = std::result::Result<T, ffi::Error>;
/// A value of the wanted type, or another one, which is misuse. That napi refuses none by itself matters: its message has the value in it.
pub(crate) type Wanted<T> = Either<T, Unknown<'static>>;
pub(crate) type Text = Wanted<String>;
pub(crate) type Texts = Wanted<Vec<Text>>;
pub(crate) type Bytes = Wanted<Uint8Array>;
pub(crate) type Number = Wanted<f64>;
pub(crate) type OptionalText = Option<Text>;
pub(crate) type OptionalBytes = Option<Bytes>;
pub(crate) type OptionalNumber = Option<Number>;
/// JSON.
pub(crate) type Verified = String;
/// JSON.
pub(crate) type Refusal = String;

/// The error as JavaScript gets it.
pub(crate) fn thrown(error: ffi::Error) -> napi::Error {
    napi::Error::from_reason(error.to_json(SPELLING))
}

/// Calls the facade.
pub(crate) fn answered<T: Shown>(call: impl FnOnce() -> Plainly<T>) -> Result<T::Js> {
    call().map(Shown::shown).map_err(thrown)
}

/// What JavaScript gives, as the facade takes it.
pub(crate) trait Given {
    type Plain;
    fn plain(self) -> Plainly<Self::Plain>;
}

/// What JavaScript gives, where the facade is called later.
pub(crate) fn plain<T: Given>(given: T) -> Result<T::Plain> {
    given.plain().map_err(thrown)
}

/// What the facade gives, as JavaScript takes it.
pub(crate) trait Shown {
    type Js;
    fn shown(self) -> Self::Js;
}

macro_rules! given {
    ($($js:ty => $plain:ty: |$value:ident| $convert:expr;)*) => {
        $(impl Given for $js {
            type Plain = $plain;
            fn plain(self) -> Plainly<$plain> {
                let $value = self;
                $convert
            }
        })*
    };
}

macro_rules! shown {
    ($($plain:ty => $js:ty: |$value:ident| $convert:expr;)*) => {
        $(impl Shown for $plain {
            type Js = $js;
            fn shown(self) -> $js {
                let $value = self;
                $convert
            }
        })*
    };
}

given! {
    Text => String: |text| wanted(text, "a string");
    Texts => Vec<String>: |texts| wanted(texts, "an array")?.into_iter().map(Given::plain).collect();
    Bytes => Vec<u8>: |bytes| wanted(bytes, "a Uint8Array").map(|bytes| bytes.to_vec());
    Number => i64: |number| wanted(number, "a number").map(ffi::number::seconds);
    Presented => ffi::OwnedPresented: |presented| presented.owned();
    Incoming => ffi::OwnedIncoming: |incoming| incoming.owned();
}

/// The value, or misuse that names its type and nothing of its content.
fn wanted<T>(given: Wanted<T>, what: &str) -> Plainly<T> {
    match given {
        Either::A(value) => Ok(value),
        Either::B(other) => {
            let found = match other.get_type() {
                Ok(ValueType::Undefined) => "undefined",
                Ok(ValueType::Null) => "null",
                Ok(ValueType::Boolean) => "a boolean",
                Ok(ValueType::Number) => "a number",
                Ok(ValueType::String) => "a string",
                Ok(ValueType::Function) => "a function",
                _ => "an object of another kind",
            };
            Err(ffi::Error::own(ffi::Own::WrongType, [what, " is wanted here, and this was ", found].concat()))
        }
    }
}

shown! {
    String => Text: |text| Either::A(text);
    Vec<String> => Texts: |texts| Either::A(texts.into_iter().map(Either::A).collect());
    Vec<u8> => Bytes: |bytes| Either::A(Uint8Array::new(bytes));
    bool => bool: |flag| flag;
    () => (): |nothing| nothing;
    i64 => Number: |number| Either::A(ffi::number::of_seconds(number));
    u64 => Number: |number| Either::A(ffi::number::of_whole(number));
    usize => Number: |number| Either::A(ffi::number::of_count(number));
    ffi::Verified => String: |verified| verified.to_json();
    ffi::Refusal => String: |refusal| refusal.to_json();
}

impl<T: Given> Given for Option<T> {
    type Plain = Option<T::Plain>;
    fn plain(self) -> Plainly<Self::Plain> {
        self.map(Given::plain).transpose()
    }
}

impl<T: Shown> Shown for Option<T> {
    type Js = Option<T::Js>;
    fn shown(self) -> Self::Js {
        self.map(Shown::shown)
    }
}

/// A proof with what it came with, and the epoch of the store.
#[napi(object, object_to_js = false)]
pub struct Presented {
    pub method: Text,
    pub url: Text,
    pub proofs: Texts,
    pub access_token: Option<Text>,
    pub bound_to: Option<Text>,
    pub expected_nonce: Option<Text>,
    pub epoch: Option<Text>,
}

impl Presented {
    fn owned(self) -> Plainly<ffi::OwnedPresented> {
        Ok(ffi::OwnedPresented {
            method: self.method.plain()?,
            url: self.url.plain()?,
            proofs: ffi::byte_strings(&self.proofs.plain()?)?,
            access_token: self.access_token.plain()?,
            bound_to: self.bound_to.plain()?,
            expected_nonce: self.expected_nonce.plain()?,
            epoch: self.epoch.plain()?,
        })
    }
}

/// A request as the host received it: `url`, or the raw `target`, both of type [`ffi::Target`].
#[napi(object, object_to_js = false)]
pub struct Incoming {
    pub method: Text,
    pub url: Option<Text>,
    pub target: Option<Text>,
    pub fields: Texts,
    pub peer: Option<Text>,
    pub certificate: Option<Bytes>,
    pub epoch: Option<Text>,
    pub ticks: Option<Number>,
}

impl Incoming {
    fn owned(self) -> Plainly<ffi::OwnedIncoming> {
        Ok(ffi::OwnedIncoming {
            method: self.method.plain()?,
            url: self.url.plain()?,
            raw_target: ffi::from_byte_string(self.target.plain()?.as_deref().unwrap_or_default())?,
            fields: ffi::field_lines(self.fields.plain()?)?,
            peer: self.peer.plain()?,
            client_certificate: self.certificate.plain()?,
            epoch: self.epoch.plain()?,
            ticks: self.ticks.plain()?.map(ffi::number::not_negative),
        })
    }
}
