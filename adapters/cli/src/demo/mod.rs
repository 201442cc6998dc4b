//! `keybound demo`: the whole story on loopback: a login, calls, and a thief who has the token.

mod network;
mod step;
mod story;

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::output::{BAD, GOOD, Output, styled};
use step::Step;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keybound demo
  keybound demo --format json

It listens on a port of 127.0.0.1 that the system chooses, talks to nobody else, and ends by itself.
The exit code is 1 if anything goes otherwise than told.")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, output: &Output) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::undecided(format!("cannot start the demonstration: {error}")))?;
    let steps = runtime.block_on(story::tell(|step, number| show(step, number, output)));
    runtime.shutdown_background();
    let steps = steps?;
    let ok = steps.iter().all(|step| step.ok);
    if output.is_json() {
        output.json(&steps.iter().map(Step::to_json).collect::<Value>())?;
    } else if ok {
        let line = "The thief has the token, and it is worth nothing: every attempt was refused.";
        output.line(styled(GOOD, line))?;
    } else {
        output.line(styled(BAD, "Something went otherwise than told; please report this with the output above."))?;
    }
    Ok(if ok { Outcome::Accepted } else { Outcome::Refused })
}

fn show(step: &Step, number: usize, output: &Output) -> Result<(), Failure> {
    if output.is_json() { Ok(()) } else { output.line(step.to_text(number)) }
}
