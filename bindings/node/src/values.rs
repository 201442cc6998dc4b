//! The kinds of values that the facade's tables speak of, as this language has them.

use keybound_ffi as ffi;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

/// How this language writes the names of options in messages.
pub(crate) const SPELLING: ffi::Spelling = ffi::Spelling::Camel;

pub(crate) type Result<T> = napi::Result<T>;
/// What the facade says.
pub(crate) type Plainly<T> = std::result::Result<T, ffi::Error>;
pub(crate) type Text = String;
pub(crate) type Texts = Vec<String>;
pub(crate) type Bytes = Uint8Array;
pub(crate) type Number = f64;
pub(crate) type OptionalText = Option<String>;
pub(crate) type OptionalBytes = Option<Uint8Array>;
pub(crate) type OptionalNumber = Option<f64>;
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
    Uint8Array => Vec<u8>: |bytes| Ok(bytes.to_vec());
    f64 => i64: |number| Ok(ffi::number::seconds(number));
    Presented => ffi::OwnedPresented: |presented| presented.owned();
    Incoming => ffi::OwnedIncoming: |incoming| incoming.owned();
}

shown! {
    String => String: |text| text;
    Vec<String> => Vec<String>: |texts| texts;
    Vec<u8> => Uint8Array: |bytes| Uint8Array::new(bytes);
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

/// A proof with what it came with, and the epoch of the store.
#[napi(object, object_to_js = false)]
pub struct Presented {
    pub method: String,
    pub url: String,
    pub proofs: Vec<String>,
    pub access_token: Option<String>,
    pub bound_to: Option<String>,
    pub expected_nonce: Option<String>,
    pub epoch: Option<String>,
}

impl Presented {
    fn owned(self) -> Plainly<ffi::OwnedPresented> {
        let Self { method, url, proofs, access_token, bound_to, expected_nonce, epoch } = self;
        let proofs = ffi::byte_strings(&proofs)?;
        Ok(ffi::OwnedPresented { method, url, proofs, access_token, bound_to, expected_nonce, epoch })
    }
}

/// A request as the host received it: `url`, or the raw `target`, both as of [`ffi::Target`].
#[napi(object, object_to_js = false)]
pub struct Incoming {
    pub method: String,
    pub url: Option<String>,
    pub target: Option<String>,
    pub fields: Vec<String>,
    pub peer: Option<String>,
    pub certificate: Option<Uint8Array>,
    pub epoch: Option<String>,
    pub ticks: Option<f64>,
}

impl Incoming {
    fn owned(self) -> Plainly<ffi::OwnedIncoming> {
        let Self { method, url, target, fields, peer, certificate, epoch, ticks } = self;
        let raw_target = ffi::from_byte_string(target.as_deref().unwrap_or_default())?;
        let (fields, ticks) = (ffi::field_lines(fields)?, ticks.map(ffi::number::whole));
        let client_certificate = certificate.map(|hash| hash.to_vec());
        Ok(ffi::OwnedIncoming { method, url, raw_target, fields, peer, client_certificate, epoch, ticks })
    }
}
