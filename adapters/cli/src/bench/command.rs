//! `keybound bench`: measures the project's own figures and holds them against their targets.

use crate::failure::{Failure, Outcome};
use crate::output::Output;

#[derive(clap::Args)]
#[command(after_help = "\
Ratios of thread CPU time in one run: absolute times vary from machine to machine, ratios hardly. Build with
--release, and let nothing else keep the processor busy. Exit code 1 if a target is missed.

Examples:
  keybound bench
  keybound bench --only T1
  keybound bench --format json")]
pub(crate) struct Args {
    /// Measure this figure alone: T1, T2, T3, T5, T6, T8 or T14.
    #[arg(long, value_name = "ID")]
    only: Option<String>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<Outcome, Failure> {
    if cfg!(debug_assertions) {
        output.note("this is a debug build; its ratios mean nothing. Build with --release");
    }
    let figures = super::run(args.only.as_deref()).map_err(|error| Failure::usage(error.to_string()))?;
    if output.is_json() {
        output.json(&super::to_json(&figures))?;
    } else {
        for figure in &figures {
            output.line(figure)?;
        }
    }
    Ok(if figures.iter().all(super::Figure::is_met) { Outcome::Accepted } else { Outcome::Refused })
}
