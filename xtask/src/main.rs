//! The project's own commands: `cargo xtask help`.

mod check;
mod hsm;
mod install;
mod instructions;
mod interop;
mod java;
mod links;
mod mobile;
mod packages;
mod pages;
mod requirements;
mod run;
mod servers;
mod size;
mod suites;
mod swift;
mod test;
mod toolchain;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("check") => check::command(&words.collect::<Vec<_>>()),
        Some("test") => test::command(&words.collect::<Vec<_>>()),
        Some("build") => packages::command(&words.collect::<Vec<_>>()),
        Some("instructions") => instructions::command(&words.collect::<Vec<_>>()),
        Some("size") => size::command(&words.collect::<Vec<_>>()),
        Some("sizes") => packages::sizes::command(&words.collect::<Vec<_>>()),
        None | Some("help" | "--help" | "-h") => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        Some(other) => run::usage_error(&format!("there is no command '{other}'; see `cargo xtask help`")),
    }
}

fn help() -> String {
    let mut text = String::from(
        "\
cargo xtask check [STEP...]       everything a change must pass before it is committed, or some steps of it
cargo xtask test [--only NAME]    every test of every language whose parts are here, and their sum
cargo xtask test --extended       the same, and then what takes longer than the gate has time for
cargo xtask build [PACKAGE...]    the packages of other languages: npm, python, swift, kotlin; wasm for the WASM builds alone
cargo xtask build --write-api     records the public API of Swift and Kotlin, after a change that is meant
cargo xtask sizes [--write]       how many bytes browsers and apps load, compared with what is recorded
cargo xtask size [--write]        how many lines the bindings and each language's own code have, compared with what is recorded
cargo xtask instructions [--write]  what verifying, refusing, making and admitting execute, counted by callgrind
cargo xtask help                  this text

Steps of check:
",
    );
    for step in check::STEPS {
        text.push_str(&format!("  {:<12} {}\n", step.name, step.about));
    }
    text.push_str("\nSuites of test:\n");
    for suite in test::SUITES {
        text.push_str(&format!("  {:<12} {}\n", suite.name, suite.about));
    }
    for suite in test::EXTENDED {
        text.push_str(&format!("  {:<12} {} (--extended)\n", suite.name, suite.about));
    }
    text.push_str(&format!("\nWhat `cargo xtask size` counts:\n{}", size::COUNTED));
    text.push_str(
        "
Examples:
  cargo xtask check                  all steps; stops at the first that fails
  cargo xtask check fmt clippy       the two that fail most often
  cargo xtask test --only rust       the tests of one language
  CI=true cargo xtask test           as the gate does: a missing part is a failure, not a skip

Missing tools are installed where that needs no question (cargo install; apt-get as root on Debian).
Elsewhere one line says what to install.
",
    );
    text
}
