//! Figure T4: full verification of ES256 proofs with keys not seen before, against other libraries.
//!
//! `cargo run --release` in this folder prints the ratios; exit code 1 if a target is missed.

#[path = "../../../adapters/cli/src/bench/measure.rs"]
mod measure;
mod peers;
mod proofs;

use std::process::ExitCode;

use keybound::{Policy, Verifier};
use keybound_aws_lc::AWS_LC;
use measure::{Candidate, Timing};
use proofs::Bench;

fn main() -> ExitCode {
    let bench = Bench::new();
    // Other libraries read the clock, so that proofs must live as long as the run takes.
    let policy = Policy::default().with_max_age(300).expect("within the limit");
    let verifier = Verifier::new(policy, &AWS_LC);
    let timings = measure::time(&mut [
        Candidate::new(|index| bench.check(&verifier, index)),
        Candidate::new(peers::turbomcp_dpop(&bench)),
        Candidate::new(peers::dpop_verifier(&bench)),
    ]);
    let micros = |timing: Timing| format!("{:.1} µs (median {:.1})", timing.min / 1e3, timing.median / 1e3);
    println!("T4  full verification of an ES256 proof, new key; keybound with aws-lc: {}", micros(timings[0]));
    let mut met = true;
    for (name, timing, target) in [("turbomcp-dpop 3.6.0", timings[1], 0.42), ("dpop-verifier 4.4.0", timings[2], 0.23)]
    {
        let ratio = timings[0].ratio_to(timing);
        met &= ratio <= target;
        let mark = if ratio <= target { "ok" } else { "MISSED" };
        println!("    / {name:<20} {ratio:>6.3}  target {target}  {mark:<6}  {}", micros(timing));
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
