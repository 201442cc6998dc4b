//! `cargo xtask check`: what every change must pass.

use std::process::ExitCode;

use crate::install::ensure_cargo_tool;
use crate::links;
use crate::pages;
use crate::requirements;
use crate::run::{self, Failure, Outcome};
use crate::toolchain;

/// One check, which can be run alone by its name.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    work: fn() -> Result<Outcome, Failure>,
}

/// All checks, cheap ones first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "every file is formatted", work: fmt },
    Step { name: "requirements", about: "each requirement has a test or vector that exists", work: requirements::step },
    Step { name: "links", about: "links between pages lead somewhere", work: links::step },
    Step { name: "deny", about: "licences, banned crates and sources of dependencies", work: deny },
    Step { name: "advisories", about: "known vulnerabilities of dependencies (needs network)", work: advisories },
    Step { name: "clippy", about: "lints, in every target with every feature", work: clippy },
    Step { name: "pages", about: "examples of README and crates compile when pasted", work: pages::step },
    Step { name: "features", about: "lints of the core with every set of features", work: features },
    Step { name: "doc", about: "documentation builds without a warning", work: doc },
    Step { name: "no-std", about: "the core builds for bare metal", work: no_std },
    Step { name: "wasm", about: "the core builds for WebAssembly", work: wasm },
];

/// The sets of features that must work without a standard library.
const NO_STD_FEATURES: &[&str] = &["dpop,oauth,rustcrypto", "dpop,ml-dsa", "oauth"];

pub(crate) fn command(names: &[&str]) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        return run::usage_error(&format!("there is no step '{unknown}'; the steps are {}", known.join(", ")));
    }
    let chosen = STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name));
    for step in chosen {
        let result = run::announced(step.name, step.about, step.work, |outcome| match outcome {
            Outcome::Passed => run::paint(&format!("{} passed", step.name), "32"),
            Outcome::Skipped(reason) => run::paint(&format!("{} skipped: {reason}", step.name), "33"),
        });
        if result.is_err() {
            println!("to run this step alone: cargo xtask check {}", step.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn fmt() -> Result<Outcome, Failure> {
    run::run(toolchain::cargo_with("fmt")?.args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn deny() -> Result<Outcome, Failure> {
    ensure_cargo_tool("cargo-deny", "it judges dependencies by deny.toml")?;
    run::run(run::cargo().args(["deny", "--locked", "check", "bans", "sources", "licenses"]))?;
    Ok(Outcome::Passed)
}

fn advisories() -> Result<Outcome, Failure> {
    ensure_cargo_tool("cargo-deny", "it looks dependencies up in the advisory database")?;
    // Fetched apart from judging: want of network is no defect of a change, an advisory is.
    if run::output(run::cargo().args(["deny", "fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0")).is_none() {
        return Ok(Outcome::Skipped("no network".to_owned()));
    }
    run::run(run::cargo().args(["deny", "--locked", "check", "--disable-fetch", "advisories"]))?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome, Failure> {
    let mut cargo = toolchain::cargo_with("clippy")?;
    cargo.args(["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--all-features"]);
    run::run(cargo.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

/// Clippy rather than `cargo check`, so that what is unused under one set of features is an error too.
///
/// Without `--no-dev-deps`, which rewrites manifests while it runs: dependencies of tests do not lend their
/// features to a library since resolver 2.
fn features() -> Result<Outcome, Failure> {
    ensure_cargo_tool("cargo-hack", "it tries every set of features")?;
    let mut cargo = toolchain::cargo_with("clippy")?;
    cargo.args(["hack", "clippy", "--quiet", "--locked", "--feature-powerset", "--package", "keybound"]);
    run::run(cargo.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn doc() -> Result<Outcome, Failure> {
    let mut cargo = run::cargo();
    // Libraries only: the program `keybound` would write over the pages of the crate of that name.
    cargo.args(["doc", "--quiet", "--locked", "--workspace", "--lib", "--no-deps", "--all-features"]);
    run::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

fn no_std() -> Result<Outcome, Failure> {
    toolchain::build_core("thumbv7em-none-eabihf", NO_STD_FEATURES)?;
    Ok(Outcome::Passed)
}

fn wasm() -> Result<Outcome, Failure> {
    toolchain::build_core("wasm32-unknown-unknown", NO_STD_FEATURES)?;
    Ok(Outcome::Passed)
}
