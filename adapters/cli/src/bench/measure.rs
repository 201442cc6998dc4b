//! Timing candidates against each other: in turns, by thread CPU time.

use std::time::Duration;

use cpu_time::ThreadTime;

/// How long one slice lasts.
const SLICE: Duration = Duration::from_millis(4);
/// How many slices each candidate gets.
const ROUNDS: usize = 120;

/// Something to time: called with a running number, so that it can rotate its inputs.
pub(super) struct Candidate<'a>(pub(super) Box<dyn FnMut(usize) + 'a>);

impl<'a> Candidate<'a> {
    pub(super) fn new(operation: impl FnMut(usize) + 'a) -> Self {
        Self(Box::new(operation))
    }
}

/// What one operation of a candidate took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// In the fastest slice.
    pub(super) min: f64,
    /// In the middle one.
    pub(super) median: f64,
}

impl Timing {
    /// How many times `base` this takes, by the fastest slices.
    pub(super) fn ratio_to(self, base: Self) -> f64 {
        self.min / base.min
    }
}

/// Times the candidates in turns.
pub(super) fn time(candidates: &mut [Candidate<'_>]) -> Vec<Timing> {
    let mut counters = vec![0; candidates.len()];
    let counts: Vec<usize> =
        candidates.iter_mut().zip(&mut counters).map(|(candidate, counter)| calibrate(candidate, counter)).collect();
    let mut slices = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for (index, candidate) in candidates.iter_mut().enumerate() {
            let elapsed = slice(candidate, &mut counters[index], counts[index]);
            slices[index].push(elapsed.as_nanos() as f64 / counts[index] as f64);
        }
    }
    slices.into_iter().map(summary).collect()
}

/// The fastest of a few runs: enough to find out which of many operations is the dearest.
pub(super) fn fastest(mut operation: impl FnMut()) -> Duration {
    let run = |_| {
        let start = ThreadTime::now();
        (0..8).for_each(|_| operation());
        start.elapsed()
    };
    (0..6).map(run).min().unwrap_or_default()
}

fn slice(candidate: &mut Candidate<'_>, counter: &mut usize, count: usize) -> Duration {
    let start = ThreadTime::now();
    for _ in 0..count {
        (candidate.0)(*counter);
        *counter += 1;
    }
    start.elapsed()
}

/// How many operations fill a slice.
fn calibrate(candidate: &mut Candidate<'_>, counter: &mut usize) -> usize {
    let mut count = 1;
    loop {
        let elapsed = slice(candidate, counter, count);
        if elapsed >= SLICE {
            return count;
        }
        let factor = SLICE.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        count = (count as f64 * factor.clamp(1.1, 10.0)).ceil() as usize;
    }
}

pub(super) fn summary(mut slices: Vec<f64>) -> Timing {
    slices.sort_by(f64::total_cmp);
    Timing { min: slices[0], median: slices[slices.len() / 2] }
}

/// Both times in words.
pub(super) fn micros(timing: Timing, base: Timing) -> String {
    format!(
        "{:.2} µs (median {:.2}) against {:.2} µs (median {:.2})",
        timing.min / 1e3,
        timing.median / 1e3,
        base.min / 1e3,
        base.median / 1e3
    )
}
