//! What the program `keybound` does, as a library so that tests can run it.
#![forbid(unsafe_code)]

mod args;
pub mod bench;
mod completions;
mod curl;
mod demo;
mod explain;
mod failure;
mod input;
mod key;
mod output;
mod policy;
mod proof;
mod request;
pub mod vectors;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use failure::{Failure, Outcome};
use output::{Format, Output};

/// Runs the program with the arguments of this process.
///
/// The exit code is 0 if the proof was accepted or the work done, 1 if it was refused or failed, 2 for wrong usage
/// and 3 if nothing could be decided.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return without_command(&error, Format::guess(&arguments)),
    };
    let output = Output::new(cli.format);
    match dispatch(cli.command, &output) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.into()
        }
    }
}

fn dispatch(command: Command, output: &Output) -> Result<Outcome, Failure> {
    match command {
        Command::Demo(args) => demo::run(&args, output),
        Command::Key(args) => key::run(args, output),
        Command::Proof(args) => proof::run(&args, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Explain(args) => explain::run(&args, output),
        Command::Vectors(args) => vectors::command::run(&args, output),
        Command::Bench(args) => bench::command::run(&args, output),
        Command::Completions(args) => completions::run(&args, output),
    }
}

/// Help, version and usage errors, in the form that was asked for.
fn without_command(error: &clap::Error, format: Format) -> ExitCode {
    let usage = !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if usage && format == Format::Json {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let failure =
            Failure::usage(first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" "));
        Output::new(format).failure(&failure);
        return failure.into();
    }
    // Nothing is left to do if the terminal is gone.
    let _ = error.print();
    if usage { Failure::usage("").into() } else { ExitCode::SUCCESS }
}
