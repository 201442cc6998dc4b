//! Running vector files: each entry is a proof, the request it comes with, and the outcome it must have.

pub(crate) mod command;
mod compare;
mod present;

use std::fmt;

use keybound::{AlgorithmSet, Crypto, Misuse, Policy, Rejection, base64url};
use serde_json::{Map, Value};

use compare::compare;
use present::{Presented, present};

/// How entries are judged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How old a proof may be, in seconds, unless an entry says otherwise.
    pub max_age: u64,
    /// How far ahead a proof may be dated, in seconds, unless an entry says otherwise.
    pub max_ahead: u64,
    /// The permitted algorithms. Reasons are compared only when it is every one: they are recorded for that.
    pub algorithms: AlgorithmSet,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_age: 60, max_ahead: 10, algorithms: AlgorithmSet::ALL }
    }
}

/// What became of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The outcome is the expected one.
    Passed,
    /// It is not; the text says how.
    Failed(String),
    /// It needs an algorithm that this build lacks or these settings leave out; the text says which.
    Skipped(String),
}

/// One entry and what became of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The entry's name.
    pub id: String,
    /// Whether it was as expected.
    pub verdict: Verdict,
    /// Why the proof was refused, if it was.
    pub rejection: Option<Rejection>,
}

/// A file is no vector file; the text says why.
#[derive(Debug)]
pub struct NotVectors(String);

impl fmt::Display for NotVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a vector file: {}", self.0)
    }
}

impl std::error::Error for NotVectors {}

/// Reads the text of a vector file: a JSON array of objects.
///
/// # Errors
/// [`NotVectors`].
pub fn parse(text: &str) -> Result<Vec<Map<String, Value>>, NotVectors> {
    let entries: Vec<Value> = serde_json::from_str(text).map_err(|error| NotVectors(error.to_string()))?;
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| match entry {
            Value::Object(entry) => Ok(entry),
            _ => Err(NotVectors(format!("entry {index} is not an object"))),
        })
        .collect()
}

/// Judges every entry with `crypto`.
///
/// # Errors
/// [`Misuse`] if the settings are outside the bounds of a policy.
pub fn run(entries: &[Map<String, Value>], crypto: &Crypto, settings: &Settings) -> Result<Vec<Outcome>, Misuse> {
    // Settings that no policy permits are the caller's mistake; those of an entry make that entry fail.
    Policy::default().with_max_age(settings.max_age)?.with_max_ahead(settings.max_ahead)?;
    Ok(entries.iter().enumerate().map(|(index, entry)| judge(index, entry, crypto, settings)).collect())
}

fn judge(index: usize, entry: &Map<String, Value>, crypto: &Crypto, settings: &Settings) -> Outcome {
    let id = text(entry, "id").map_or_else(|| format!("entry {index}"), str::to_owned);
    let presented = present(entry, crypto, settings);
    let verdict = compare(entry, presented, settings);
    let rejection = match presented {
        Presented::Refused(rejection) => Some(rejection),
        Presented::Accepted | Presented::Undecided(_) => None,
    };
    Outcome { id, verdict, rejection }
}

fn segment_of(proof: &[u8], index: usize) -> Option<Map<String, Value>> {
    let segment = proof.split(|byte| *byte == b'.').nth(index)?;
    serde_json::from_slice(&base64url::decode(segment).ok()?).ok()
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn number(object: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = object.get(name)?;
    // Fractions are rounded down, as the core does with claims; what does not fit is not a time.
    value.as_i64().or_else(|| value.as_f64().map(f64::floor).filter(|time| time.abs() < 9e15).map(|time| time as i64))
}
