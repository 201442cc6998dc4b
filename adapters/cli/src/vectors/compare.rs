//! Whether what became of an entry is what it expects.

use keybound::{Algorithm, AlgorithmSet, Rejection};
use serde_json::{Map, Value};

use super::present::Presented;
use super::{Settings, Verdict, segment_of, text};

pub(super) fn compare(entry: &Map<String, Value>, presented: Presented, settings: &Settings) -> Verdict {
    let expect = text(entry, "expect").unwrap_or("either");
    match (expect, presented) {
        (_, Presented::Undecided(why)) => Verdict::Failed(why.to_owned()),
        ("either", _) | ("accept", Presented::Accepted) => Verdict::Passed,
        ("accept", Presented::Refused(rejection)) => match lacking(entry, rejection, settings) {
            Some(name) => Verdict::Skipped(format!("this build or these settings lack {name}")),
            None => Verdict::Failed(format!("to accept, but refused: {}", rejection.reason())),
        },
        ("reject", Presented::Accepted) => Verdict::Failed("to reject, but accepted".to_owned()),
        ("reject", Presented::Refused(rejection)) => match text(entry, "rejection") {
            Some(reason) if settings.algorithms == AlgorithmSet::ALL && reason != rejection.reason() => {
                Verdict::Failed(format!("to reject as {reason}, but refused: {}", rejection.reason()))
            }
            _ => Verdict::Passed,
        },
        (other, _) => Verdict::Failed(format!("expect is {other:?}; it must be accept, reject or either")),
    }
}

/// The algorithm for want of which an entry to accept was refused, if that is why.
fn lacking(entry: &Map<String, Value>, rejection: Rejection, settings: &Settings) -> Option<String> {
    let header = text(entry, "proof").and_then(|proof| segment_of(proof.as_bytes(), 0))?;
    let algorithm = text(&header, "alg")?;
    let left_out = || Algorithm::from_name(algorithm).is_none_or(|known| !settings.algorithms.contains(known));
    let curve = header.get("jwk").and_then(|jwk| jwk.get("crv")).and_then(Value::as_str);
    match rejection {
        Rejection::AlgUnknown | Rejection::AlgUnavailable => Some(algorithm.to_owned()),
        Rejection::AlgNotPermitted if left_out() => Some(algorithm.to_owned()),
        Rejection::JwkUnsupported if curve == Some("Ed448") => Some("Ed448".to_owned()),
        _ => None,
    }
}
