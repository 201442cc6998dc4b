//! The kinds of values that the facade's tables speak of, as Python has them.

use keybound_ffi as ffi;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pyo3::create_exception!(
    _keybound,
    NativeError,
    PyException,
    "What went wrong, as JSON: kind, reason, detail, code, status, section, refusal, needs_login."
);

/// How this language writes the names of options in messages.
pub(crate) const SPELLING: ffi::Spelling = ffi::Spelling::Snake;

pub(crate) type Text = String;
pub(crate) type Texts = Vec<String>;
pub(crate) type Bytes = Vec<u8>;
pub(crate) type Number = i64;
pub(crate) type OptionalText = Option<String>;
pub(crate) type OptionalBytes = Option<Vec<u8>>;
pub(crate) type OptionalNumber = Option<i64>;
/// Thumbprint, algorithm, `iat`, next nonce.
pub(crate) type Verified = (String, &'static str, i64, Option<String>);
/// JSON.
pub(crate) type Refusal = String;

/// The facade's error as Python's.
pub(crate) fn raised(error: ffi::Error) -> PyErr {
    NativeError::new_err(error.to_json(SPELLING))
}

/// Calls the facade. Other threads run meanwhile.
pub(crate) fn answered<T: Shown + Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, ffi::Error> + Send,
) -> PyResult<T::Py> {
    py.detach(call).map(Shown::shown).map_err(raised)
}

/// What Python gives, as the facade takes it.
pub(crate) trait Given {
    type Plain;
    fn plain(self) -> Self::Plain;
}

/// What the facade gives, as Python takes it.
pub(crate) trait Shown {
    type Py;
    fn shown(self) -> Self::Py;
}

macro_rules! given {
    ($($kind:ty),*) => {
        $(impl Given for $kind {
            type Plain = Self;
            fn plain(self) -> Self {
                self
            }
        })*
    };
}

macro_rules! shown {
    ($($plain:ty => $py:ty: |$value:ident| $convert:expr;)*) => {
        $(impl Shown for $plain {
            type Py = $py;
            fn shown(self) -> $py {
                let $value = self;
                $convert
            }
        })*
    };
}

given!(String, Vec<String>, Vec<u8>, i64, crate::Incoming, crate::Presented);

shown! {
    String => String: |text| text;
    Vec<String> => Vec<String>: |texts| texts;
    Vec<u8> => Vec<u8>: |bytes| bytes;
    bool => bool: |flag| flag;
    () => (): |nothing| nothing;
    i64 => i64: |number| number;
    u64 => i64: |number| i64::try_from(number).unwrap_or(i64::MAX);
    usize => i64: |number| i64::try_from(number).unwrap_or(i64::MAX);
    ffi::Verified => Verified: |proof| (proof.thumbprint, proof.algorithm, proof.issued_at, proof.next_nonce);
    ffi::Refusal => String: |refusal| refusal.to_json();
}

impl<T: Given> Given for Option<T> {
    type Plain = Option<T::Plain>;
    fn plain(self) -> Self::Plain {
        self.map(Given::plain)
    }
}

impl<T: Shown> Shown for Option<T> {
    type Py = Option<T::Py>;
    fn shown(self) -> Self::Py {
        self.map(Shown::shown)
    }
}
