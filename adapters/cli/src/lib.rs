//! What the program `keybound` does, as a library so that tests can run it.
#![forbid(unsafe_code)]

pub mod bench;
pub mod vectors;

/// Runs the program.
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
