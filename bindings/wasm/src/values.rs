//! The kinds of values that the facade's tables speak of, as this language has them.
#![allow(dead_code, reason = "each build has other rows")]

use keybound_ffi as ffi;
use wasm_bindgen::JsValue;

/// How this language writes the names of options in messages.
pub(crate) const SPELLING: ffi::Spelling = ffi::Spelling::Camel;

pub(crate) type Result<T> = std::result::Result<T, JsValue>;
/// What the facade says.
pub(crate) type Plainly<T> = std::result::Result<T, ffi::Error>;
pub(crate) type Text = String;
pub(crate) type Texts = Vec<String>;
pub(crate) type Bytes = Vec<u8>;
pub(crate) type Number = f64;
pub(crate) type OptionalText = Option<String>;
pub(crate) type OptionalBytes = Option<Vec<u8>>;
pub(crate) type OptionalNumber = Option<f64>;
/// JSON.
pub(crate) type Verified = String;
/// JSON.
pub(crate) type Refusal = String;

/// The error as JavaScript gets it.
pub(crate) fn thrown(error: ffi::Error) -> JsValue {
    JsValue::from_str(&error.to_json(SPELLING))
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
    String => String: |text| Ok(text);
    Vec<String> => Vec<String>: |texts| Ok(texts);
    Vec<u8> => Vec<u8>: |bytes| Ok(bytes);
    f64 => i64: |number| Ok(ffi::number::seconds(number));
}

shown! {
    String => String: |text| text;
    Vec<String> => Vec<String>: |texts| texts;
    Vec<u8> => Vec<u8>: |bytes| bytes;
    bool => bool: |flag| flag;
    () => (): |nothing| nothing;
    i64 => f64: |number| ffi::number::of_seconds(number);
    u64 => f64: |number| ffi::number::of_whole(number);
    usize => f64: |number| ffi::number::of_count(number);
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
