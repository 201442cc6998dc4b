//! Many proofs at once.

use pyo3::prelude::*;

use crate::requests::Presented;
use crate::values::{NativeError, SPELLING, Shown};
use crate::{MemoryStore, Verifier};

/// Verdicts in the order of the requests, each what `Verifier.verify` returns or raises. Other threads run meanwhile.
#[pyfunction]
fn verify_many<'py>(
    py: Python<'py>,
    verifier: &Verifier,
    requests: Vec<Presented>,
    now: i64,
    store: &MemoryStore,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let judge = |request: &Presented| request.show(|presented| verifier.0.verify(presented, &store.0, now));
    let judged: Vec<_> = py.detach(|| requests.iter().map(judge).collect());
    let shown = judged.into_iter().map(|verdict| match verdict {
        Ok(proof) => proof.shown().into_pyobject(py).map(Bound::into_any),
        Err(error) => Ok(NativeError::new_err(error.to_json(SPELLING)).value(py).clone().into_any()),
    });
    shown.collect()
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(verify_many, module)?)
}
