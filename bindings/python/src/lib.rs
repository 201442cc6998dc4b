//! `keybound._keybound`: the facade as Python classes. It translates and decides nothing; what people use is in `pkg/python`.
//!
//! Nearly all of it is made from the tables of the facade (`bindings/shared/src/table.rs`), and so are its types
//! (`pkg/python/src/keybound/_keybound.pyi`). Errors are `NativeError` with one argument, the JSON of the facade's error; byte strings
//! and JSON are as `keybound-ffi` has them. Times are whole seconds.

mod files;
#[macro_use]
mod rows;
mod batch;
mod requests;
mod values;

use keybound_aws_lc::AWS_LC as CRYPTO;
use keybound_ffi as ffi;
use pyo3::prelude::*;

use crate::requests::{Incoming, Presented};
use crate::values::{
    Bytes, Given, Number, OptionalBytes, OptionalNumber, OptionalText, Refusal, SPELLING, Shown, Text, Texts, Verified,
    answered,
};

ffi::thumbprints!(table);
ffi::proofs!(table);
ffi::key_files!(table);
ffi::stored_keys!(table);
ffi::flows!(table);
ffi::client!(table);
ffi::grants!(table);
ffi::advice!(table);
ffi::redis!(table);
ffi::servers!(table);

#[pymodule]
fn _keybound(module: &Bound<'_, PyModule>) -> PyResult<()> {
    /// What a row adds to the module.
    macro_rules! added {
        ($(#[$doc:meta])* class $class:ident $($rest:tt)*) => {
            module.add_class::<$class>()?;
        };
        (fn $name:ident $($rest:tt)*) => {
            module.add_function(wrap_pyfunction!($name, module)?)?;
        };
        (extend $($rest:tt)*) => {};
    }

    module.add("NativeError", module.py().get_type::<values::NativeError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    ffi::thumbprints!(added);
    ffi::proofs!(added);
    ffi::key_files!(added);
    ffi::stored_keys!(added);
    ffi::flows!(added);
    ffi::client!(added);
    ffi::grants!(added);
    ffi::advice!(added);
    ffi::redis!(added);
    ffi::servers!(added);
    module.add_function(wrap_pyfunction!(issuer_metadata_places, module)?)?;
    batch::add(module)?;
    files::add(module)
}

/// For test issuers, which answer where servers look for their metadata.
#[pyfunction]
fn issuer_metadata_places(issuer: &str) -> PyResult<Vec<String>> {
    ffi::issuer_metadata_places(issuer).map_err(values::raised)
}
