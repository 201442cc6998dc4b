//! The project's own figures: ratios measured in one run, each with its target.
//!
//! Candidates take turns in slices of a few milliseconds of thread CPU time, over at least 64 keys and 1,000
//! distinct proofs. A ratio compares the fastest slice of each with that of a named base, which cancels what the
//! machine does meanwhile.

pub mod admission;
pub(crate) mod command;
mod measure;
mod proofs;
mod replay;
mod verification;
pub mod worst;

use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

/// One number of a figure and what it must not exceed.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was measured; empty for a figure's only number.
    pub name: &'static str,
    /// The number: a ratio, a count or bytes.
    pub value: f64,
    /// The most it may be.
    pub target: f64,
    /// How it was measured, in words.
    pub note: String,
}

/// A figure of the performance budget.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name, `T1` to `T14`.
    pub id: &'static str,
    /// What it compares.
    pub title: &'static str,
    /// Its numbers; the first is the figure's own.
    pub readings: Vec<Reading>,
}

type Measure = fn() -> Result<Figure, BenchError>;

/// The figures this program measures, with how to measure each.
const FIGURES: [(&str, Measure); 7] = [
    ("T1", verification::new_key),
    ("T2", verification::repeated_key),
    ("T3", verification::making),
    ("T5", verification::allocations),
    ("T6", replay::insert),
    ("T8", verification::refusing),
    ("T14", admission::admission),
];

/// Nothing could be measured; the text says why.
#[derive(Debug)]
pub struct BenchError(String);

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BenchError {}

impl<E: std::fmt::Debug> From<(&'static str, E)> for BenchError {
    fn from((what, error): (&'static str, E)) -> Self {
        Self(format!("{what}: {error:?}"))
    }
}

/// Measures every figure, or the one named `only`.
///
/// # Errors
/// [`BenchError`] for a name that is none, or if something to be measured does not work.
pub fn run(only: Option<&str>) -> Result<Vec<Figure>, BenchError> {
    let chosen: Vec<_> =
        FIGURES.iter().filter(|(id, _)| only.is_none_or(|only| only.eq_ignore_ascii_case(id))).collect();
    if chosen.is_empty() {
        let known: Vec<_> = FIGURES.iter().map(|(id, _)| *id).collect();
        return Err(BenchError(format!("no such figure; choose one of {}", known.join(", "))));
    }
    let style =
        ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(chosen.len() as u64).with_style(style);
    let figures = chosen.into_iter().map(|(id, measure)| {
        bar.set_message(*id);
        let figure = measure();
        bar.inc(1);
        figure
    });
    let figures = figures.collect();
    bar.finish_and_clear();
    figures
}

impl Figure {
    /// Whether every number is within its target.
    pub fn is_met(&self) -> bool {
        self.readings.iter().all(Reading::is_met)
    }
}

impl Reading {
    fn is_met(&self) -> bool {
        self.value <= self.target
    }
}

/// The figures as one JSON object: `{"T1": {"ratio": 1.05, "target": 1.08, …}, …}`.
pub fn to_json(figures: &[Figure]) -> Value {
    let reading = |reading: &Reading| -> Map<String, Value> {
        let value = (reading.value * 10_000.0).round() / 10_000.0;
        let members = json!({"ratio": value, "target": reading.target, "met": reading.is_met(), "note": reading.note});
        members.as_object().cloned().unwrap_or_default()
    };
    let figure = |figure: &Figure| {
        let mut readings = figure.readings.iter();
        let mut members = Map::new();
        if let Some(first) = readings.next() {
            members = reading(first);
            if !first.name.is_empty() {
                members.insert("measure".to_owned(), first.name.into());
            }
        }
        for other in readings {
            members.insert(other.name.to_owned(), reading(other).into());
        }
        (figure.id.to_owned(), Value::Object(members))
    };
    Value::Object(figures.iter().map(figure).collect())
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.id, self.title)?;
        for reading in &self.readings {
            let mark = if reading.is_met() { "ok" } else { "MISSED" };
            write!(
                f,
                "\n    {:<22} {:>8.3}  target {:<6} {mark:<6}  {}",
                reading.name, reading.value, reading.target, reading.note
            )?;
        }
        Ok(())
    }
}
