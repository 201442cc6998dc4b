//! The floor of the replay store: does the store know whether the proof was used before?

use alloc::format;

use super::Case;
use crate::replay::{ReplayEntry, StoreFloor};
use crate::verify::explain::Failure;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match &case.unknown {
        Some((entry, floor)) => before_floor(case, entry, floor),
        None => case.general(),
    }
}

/// A proof that the store would refuse because it was made before the store could know of its use.
fn before_floor(case: &Case<'_>, entry: &ReplayEntry, floor: &StoreFloor) -> Failure {
    let (last, timed_at) = (floor.last_unknown(entry.max_ahead()), entry.timed_at());
    let wait = last.since(timed_at).saturating_add(1);
    let failure = case.general().expecting(match case.verifier.nonces() {
        Some(_) => format!("a nonce issued since the store began at {}, or a proof timed after {last}", floor.since()),
        None => format!(
            "a proof timed after {last}: the store began at {}, and proofs may be timed {} s ahead",
            floor.since(),
            entry.max_ahead()
        ),
    });
    match (entry.nonce_epoch(), case.verifier.nonces()) {
        (Some(_), _) => failure
            .finding(format!("a proof timed at {timed_at}, {wait} s too early, with a nonce of an earlier life of the store"))
            .because("The nonce was issued before the server was started, or by another process with the same nonce keys and a store of its own.")
            .fixed_by("Repeat the request with the nonce of the response. Operators: processes that share nonce keys need one store between them, and the verifier has to be given the store's epoch."),
        (None, Some(_)) => failure.finding(format!("a proof timed at {timed_at}, {wait} s too early, and no nonce that this server issued")),
        (None, None) => failure.finding(format!("a proof timed at {timed_at}, {wait} s too early, and a server without nonces")),
    }
}
