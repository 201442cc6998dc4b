//! Which compiler does what: the one that runs this program, or Debian's where that one lacks a part.
//!
//! Debian's `rustc-web` comes with the sources of its standard library (`rust-web-src`) and can therefore build
//! `core` and `alloc` for any target. The sources serve that very version only. Each compiler has a target
//! directory of its own, else they would throw away each other's work.

use std::path::Path;
use std::process::Command;

use crate::install;
use crate::run::{self, Failure};

/// A cargo for the host that has the subcommand `fmt` or `clippy`.
pub(crate) fn cargo_with(component: &str) -> Result<Command, Failure> {
    if run::output(run::cargo().args([component, "--version"])).is_some() {
        return Ok(run::cargo());
    }
    let package = if component == "fmt" { "rustfmt-web" } else { "rust-web-clippy" };
    let rustup = if component == "fmt" { "rustfmt" } else { component };
    install::ensure_debian(
        &["rustc-web", "cargo-web", package],
        &format!("this toolchain has no {rustup}"),
        &format!("install it: rustup component add {rustup}"),
    )?;
    Ok(debian_cargo())
}

/// Builds the core without the standard library for `target`, once with each of `features`.
pub(crate) fn build_core(target: &str, features: &[&str]) -> Result<(), Failure> {
    let here = has_target(target);
    if !here {
        install::ensure_debian(
            &["rustc-web", "cargo-web", "rust-web-src"],
            &format!("this toolchain has no {target}"),
            &format!("install it: rustup target add {target}"),
        )?;
        same_version("rustc-web", "rust-web-src")?;
    }
    for features in features {
        println!("    {target}, features {features}");
        let mut cargo = if here { run::cargo() } else { debian_cargo() };
        cargo.args(["build", "--quiet", "--locked", "--package", "keybound", "--target", target]);
        cargo.args(["--no-default-features", "--features", features]);
        if !here {
            cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=core,alloc"]);
        }
        run::run(&mut cargo)?;
    }
    Ok(())
}

/// Debian's cargo with Debian's compiler, whatever else is first in the path.
fn debian_cargo() -> Command {
    let mut cargo = run::command("/usr/bin/cargo");
    let path = std::env::var("PATH").unwrap_or_default();
    cargo
        .env("PATH", format!("/usr/bin:{path}"))
        .env("CARGO", "/usr/bin/cargo")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_DIR", run::target_dir().join("rustc-web"))
        // `cargo run` sets this to the libraries of the compiler that runs this program.
        .env_remove("LD_LIBRARY_PATH");
    cargo
}

/// Whether the compiler in use has a standard library for `target`.
fn has_target(target: &str) -> bool {
    let mut rustc = run::command("rustc");
    let Some(libraries) = run::output(rustc.args(["--print", "target-libdir", "--target", target])) else {
        return false;
    };
    let Ok(entries) = Path::new(&libraries).read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

fn same_version(one: &str, other: &str) -> Result<(), Failure> {
    match (install::debian_version(one), install::debian_version(other)) {
        (Some(a), Some(b)) if a == b => Ok(()),
        (a, b) => {
            Err(format!("{one} ({a:?}) and {other} ({b:?}) must have one version: apt-get install {one} {other}"))
        }
    }
}
