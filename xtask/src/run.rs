//! Running other programs and saying what happens: headings, times, verdicts.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// How a piece of work ended.
pub(crate) enum Outcome {
    /// It was done and all is well.
    Passed,
    /// It could not be done here; the reason.
    Skipped(String),
}

/// Why a piece of work failed, in one line.
pub(crate) type Failure = String;

/// Whether this is the gate, where a part that is missing is a failure.
pub(crate) fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Cargo's target directory of this workspace.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The user's folder for what is large and can be installed again.
pub(crate) fn cache_dir() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_else(target_dir)
}

/// A command in the root of the workspace.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    // `cargo run` names its target folder here, and libraries of it would be loaded in place of those that packages carry.
    command.current_dir(root()).env_remove("LD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH");
    command
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with its output in plain view.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

/// Runs `command` unseen and returns what it wrote to standard output, or `None` if it failed.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `command`, shows its standard output as it comes and hands each line to `line`; true if it succeeded.
pub(crate) fn watch(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        for bytes in BufReader::new(stdout).split(b'\n') {
            let bytes = bytes.map_err(|error| format!("cannot read from `{}`: {error}", shown(command)))?;
            let text = String::from_utf8_lossy(&bytes);
            println!("{text}");
            line(&text);
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for `{}`: {error}", shown(command)))?;
    Ok(status.success())
}

/// Does one named piece of work between a heading and a line with its verdict and time.
///
pub(crate) fn announced<T>(
    name: &str,
    about: &str,
    work: impl FnOnce() -> Result<T, Failure>,
    verdict: impl FnOnce(&T) -> String,
) -> Result<T, Failure> {
    println!("{}", paint(&format!("==> {name}: {about}"), "1;36"));
    let _ = io::stdout().flush();
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(value) => println!("    {} ({seconds:.1} s)", verdict(value)),
        Err(failure) => println!("    {} ({seconds:.1} s): {failure}", paint(&format!("{name} failed"), "1;31")),
    }
    result
}

/// `text` in a colour of ANSI code `code`, on a terminal only.
pub(crate) fn paint(text: &str, code: &str) -> String {
    let plain = !io::stdout().is_terminal() || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

/// Says what was wrong with the command line. Exit code 2.
pub(crate) fn usage_error(text: &str) -> ExitCode {
    eprintln!("xtask: {text}");
    ExitCode::from(2)
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    format!("cannot start `{}`: {error}", command.get_program().to_string_lossy())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    command.get_args().fold(name, |text, argument| text + " " + &argument.to_string_lossy())
}
