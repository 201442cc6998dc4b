//! What the program `keybound` does, as a library so that tests can run it.
#![forbid(unsafe_code)]

mod args;
pub mod bench;
mod completions;
mod curl;
mod demo;
mod explain;
mod failure;
#[cfg(feature = "pkcs11")]
mod hsm;
mod input;
mod key;
mod man;
mod output;
mod policy;
mod proof;
mod reasons;
mod request;
mod sent;
pub mod serve;
mod session;
pub mod vectors;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

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
        Command::Login(args) => session::login::run(&args, output),
        Command::Call(args) => session::call::run(&args, output),
        Command::Logout(args) => session::logout::run(&args, output),
        Command::Serve(args) => serve::command::run(args, output),
        Command::Bench(args) => bench::command::run(&args, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Man(args) => man::run(&args, output),
        Command::Reasons(args) => reasons::run(&args, output),
    }
}

/// Help, version and usage errors, in the form that was asked for.
fn without_command(error: &clap::Error, format: Format) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nothing is left to do if the terminal is gone.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let failure = if is_stray(error) {
        Failure::usage("an argument too many; put quotes around values that contain spaces")
    } else if format == Format::Json {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        Failure::usage(first.split_whitespace().collect::<Vec<_>>().join(" "))
    } else {
        let _ = error.print();
        Failure::usage("")
    };
    Output::new(format).failure(&failure);
    failure.into()
}

/// Whether an argument is neither option nor value. It may be half of a token pasted without quotes, so it is not shown.
fn is_stray(error: &clap::Error) -> bool {
    let stray = |value: &ContextValue| matches!(value, ContextValue::String(text) if !text.starts_with('-'));
    error.kind() == ErrorKind::UnknownArgument && error.get(ContextKind::InvalidArg).is_some_and(stray)
}
