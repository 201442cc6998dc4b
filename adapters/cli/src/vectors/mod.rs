//! Running vector files: each entry is a proof, the request it comes with, and the outcome it must have.

pub(crate) mod command;

use std::fmt;

use keybound::verify::policy::Policy;
use keybound::{
    Algorithm, AlgorithmSet, Context, Crypto, Misuse, Presentation, Rejection, TargetUri, Thumbprint, UnixTime,
    Verifier, base64url,
};
use serde_json::{Map, Value};

/// How entries are judged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How old a proof may be, in seconds.
    pub max_age: u64,
    /// How far ahead a proof may be dated, in seconds.
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
    entries.iter().enumerate().map(|(index, entry)| judge(index, entry, crypto, settings)).collect()
}

fn judge(index: usize, entry: &Map<String, Value>, crypto: &Crypto, settings: &Settings) -> Result<Outcome, Misuse> {
    let id = text(entry, "id").map_or_else(|| format!("entry {index}"), str::to_owned);
    let result = present(entry, crypto, settings)?;
    let verdict = compare(entry, result, settings);
    Ok(Outcome { id, verdict, rejection: result.err() })
}

/// Presents the entry's proof. What an entry leaves out is taken from the proof itself, since that is not what it tests.
fn present(entry: &Map<String, Value>, crypto: &Crypto, settings: &Settings) -> Result<Result<(), Rejection>, Misuse> {
    let mut algorithms = settings.algorithms;
    if let Some(names) = entry.get("allowed_algs").and_then(Value::as_array) {
        let named: AlgorithmSet = names.iter().filter_map(Value::as_str).filter_map(Algorithm::from_name).collect();
        algorithms = algorithms.iter().filter(|algorithm| named.contains(*algorithm)).collect();
    }
    let policy = Policy::default().with_max_age(settings.max_age)?.with_max_ahead(settings.max_ahead)?;
    if algorithms.is_empty() {
        return Ok(Err(Rejection::AlgNotPermitted));
    }
    let verifier = Verifier::new(policy.with_algorithms(algorithms)?, crypto);

    let fields: Vec<&[u8]> = match entry.get("proof") {
        Some(Value::String(proof)) => vec![proof.as_bytes()],
        Some(Value::Array(proofs)) => proofs.iter().filter_map(Value::as_str).map(str::as_bytes).collect(),
        _ => Vec::new(),
    };
    let claims = fields.first().and_then(|proof| claims_of(proof)).unwrap_or_default();
    let method = text(entry, "method").or(text(&claims, "htm")).unwrap_or("GET");
    let url = text(entry, "url").or(text(&claims, "htu")).unwrap_or_default();
    let now = number(entry, "now").or(number(&claims, "iat")).map_or_else(UnixTime::now, UnixTime::from_secs);
    let Ok(target) = TargetUri::parse(url) else {
        return Ok(Err(Rejection::TargetMalformed));
    };

    let unbound = Presentation::new(method, &target, &fields, Context::TokenEndpoint { dpop_jkt: None });
    let bound_to = match text(entry, "jkt") {
        // A text that is no thumbprint is that of no key.
        Some(jkt) => Some(Thumbprint::parse(jkt).unwrap_or(Thumbprint::from_bytes([0; 32]))),
        None => verifier.claimed_thumbprint(&unbound),
    };
    let context = match text(entry, "access_token") {
        Some(access_token) => {
            let bound_to = bound_to.unwrap_or(Thumbprint::from_bytes([0; 32]));
            Context::Resource { access_token, bound_to }
        }
        None => Context::TokenEndpoint { dpop_jkt: bound_to },
    };
    let presentation = Presentation { context, nonce: text(entry, "nonce"), ..unbound };
    Ok(verifier.check(&presentation, now).map(drop))
}

fn compare(entry: &Map<String, Value>, result: Result<(), Rejection>, settings: &Settings) -> Verdict {
    let expect = text(entry, "expect").unwrap_or("either");
    match (expect, result) {
        ("either", _) | ("accept", Ok(())) => Verdict::Passed,
        ("accept", Err(rejection)) => match lacking(entry, rejection, settings) {
            Some(name) => Verdict::Skipped(format!("this build or these settings lack {name}")),
            None => Verdict::Failed(format!("to accept, but refused: {}", rejection.reason())),
        },
        ("reject", Ok(())) => Verdict::Failed("to reject, but accepted".to_owned()),
        ("reject", Err(rejection)) => match text(entry, "rejection") {
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
    let left_out = || Algorithm::from_name(algorithm).is_some_and(|known| !settings.algorithms.contains(known));
    let curve = header.get("jwk").and_then(|jwk| jwk.get("crv")).and_then(Value::as_str);
    match rejection {
        Rejection::AlgUnknown | Rejection::AlgUnavailable => Some(algorithm.to_owned()),
        Rejection::AlgNotPermitted if left_out() => Some(algorithm.to_owned()),
        Rejection::JwkUnsupported if curve == Some("Ed448") => Some("Ed448".to_owned()),
        _ => None,
    }
}

fn claims_of(proof: &[u8]) -> Option<Map<String, Value>> {
    segment_of(proof, 1)
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
