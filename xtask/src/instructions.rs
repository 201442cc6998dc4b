//! `cargo xtask instructions`: what making, verifying and refusing a proof execute, counted by callgrind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::install;
use crate::run::{self, Failure};

/// What the program in `adapters/cli/benches/instructions.rs` can do.
const OPERATIONS: &[&str] = &["verify", "refuse", "make", "admit"];
/// How often: what comes before the first is in both counts and cancels out.
const TIMES: [u64; 2] = [10, 40];
/// Parts in a thousand that a count may have grown.
const TOLERANCE: u64 = 20;

pub(crate) fn command(arguments: &[&str]) -> ExitCode {
    let write = match arguments {
        [] => false,
        ["--write"] => true,
        _ => return run::usage_error("usage: cargo xtask instructions [--write]"),
    };
    match counted(write) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn record() -> PathBuf {
    run::root().join("adapters/cli/benches/instructions.txt")
}

/// Counts each operation, and fails if one has grown; or records the counts. Other compilers and libraries of C execute other
/// instructions: counts compare on one machine.
fn counted(write: bool) -> Result<(), Failure> {
    install::ensure_debian(&["valgrind"], "it counts instructions", "install valgrind")?;
    let program = program()?;
    let known = fs::read_to_string(record()).unwrap_or_default();
    let known = |operation: &str| -> Option<u64> {
        known.lines().find_map(|line| line.strip_suffix(operation)?.trim().parse().ok())
    };
    let (mut lines, mut grown) = (String::new(), Vec::new());
    for operation in OPERATIONS {
        let [few, many] = TIMES.map(|times| instructions(&program, operation, times));
        let count = (many?.saturating_sub(few?)) / (TIMES[1] - TIMES[0]);
        let recorded = known(operation);
        let shown = recorded.map_or("nothing".to_owned(), |count| count.to_string());
        println!("    {count:>9}  {operation} (recorded: {shown})");
        lines.push_str(&format!("{count:>9}  {operation}\n"));
        if recorded.is_some_and(|recorded| count > recorded + recorded * TOLERANCE / 1000) {
            grown.push(*operation);
        }
    }
    if write {
        return fs::write(record(), lines).map_err(|error| format!("cannot write {}: {error}", record().display()));
    }
    match grown.as_slice() {
        [] => Ok(()),
        grown => {
            Err(format!("{} grew; make it cheaper, or record it: cargo xtask instructions --write", grown.join(", ")))
        }
    }
}

/// The program to count in, as it is released.
fn program() -> Result<PathBuf, Failure> {
    let mut cargo = run::cargo();
    cargo.args(["bench", "--quiet", "--locked", "--package", "keybound-cli", "--bench", "instructions", "--no-run"]);
    let built = run::output(cargo.arg("--message-format=json")).ok_or("`cargo bench --bench instructions` failed")?;
    let executable = |line: &str| Some(line.split_once("\"executable\":\"")?.1.split_once('"')?.0.to_owned());
    let found = built.lines().filter(|line| line.contains("\"name\":\"instructions\"")).find_map(executable);
    found.map(PathBuf::from).ok_or("cargo does not say where the program is".to_owned())
}

/// All instructions of one run.
fn instructions(program: &Path, operation: &str, times: u64) -> Result<u64, Failure> {
    let place = run::target_dir().join("callgrind.out");
    let mut valgrind = run::command("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", place.display()));
    run::run(valgrind.arg(program).args([operation, &times.to_string()]))?;
    let profile = fs::read_to_string(&place).map_err(|error| format!("cannot read {}: {error}", place.display()))?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or(format!("{} has no total", place.display()))
}
