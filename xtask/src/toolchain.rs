//! Which compiler does what: the one that runs this program, or Debian's where that one lacks a part.
//!
//! Debian's `rustc-web` comes with the sources of its standard library (`rust-web-src`) and can therefore build
//! `core` and `alloc` for any target. The sources serve that very version only. Each compiler has a target
//! directory of its own, else they would throw away each other's work.

use std::path::{Path, PathBuf};
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

/// Compiles the core without the standard library for `target`, once with each of `features`; no machine code is made of it.
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
        cargo.args(["check", "--quiet", "--locked", "--package", "keybound", "--target", target]);
        cargo.args(["--no-default-features", "--features", features]);
        if !here {
            cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=core,alloc"]);
        }
        run::run(&mut cargo)?;
    }
    Ok(())
}

/// The flags of WASM builds: a panic is a trap without words, which saves the words; and SHA-256 that is small, not unrolled.
const WASM_FLAGS: &str = "--cfg sha2_backend=\"soft\" --cfg sha2_backend_soft=\"compact\"";
const WASM_FLAGS_PINNED: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none";

/// Builds `package` with `features` for browsers in the profile `wasm`. Gives the module, and whether the compiler is the pinned one.
pub(crate) fn build_wasm(package: &str, features: &str) -> Result<(PathBuf, bool), Failure> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let ensured = install::ensure_debian(
        &["rustc-web", "cargo-web", "rust-web-src"],
        "it builds the standard library for WASM, as small as can be",
        &format!("install the target: rustup target add {TARGET}"),
    );
    let pinned = ensured.is_ok();
    let folder = run::target_dir().join(if pinned { "rustc-web-wasm" } else { "wasm-release" });
    let mut cargo = if pinned {
        same_version("rustc-web", "rust-web-src")?;
        let mut cargo = debian_cargo();
        cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?);
        cargo.env("RUSTFLAGS", format!("{WASM_FLAGS_PINNED} {WASM_FLAGS}"));
        cargo
    } else if has_target(TARGET) {
        let mut cargo = run::cargo();
        cargo.env("RUSTFLAGS", WASM_FLAGS);
        cargo
    } else {
        return ensured.map(|()| (PathBuf::new(), false));
    };
    cargo.env("CARGO_TARGET_DIR", &folder);
    cargo.args(["build", "--quiet", "--locked", "--package", package, "--profile", "wasm", "--target", TARGET]);
    cargo.args(["--no-default-features", "--features", features]);
    if pinned {
        cargo.args(["-Z", "build-std=std,panic_abort", "-Z", "build-std-features=optimize_for_size"]);
    }
    run::run(&mut cargo)?;
    Ok((folder.join(TARGET).join("wasm").join(package.replace('-', "_")).with_extension("wasm"), pinned))
}

/// A linker for WASM: rustup's compiler has one, Debian a package.
fn linker() -> Result<PathBuf, Failure> {
    if let Some(root) = run::output(run::command("rustc").args(["--print", "sysroot"])) {
        let host = run::output(run::command("rustc").arg("-vV")).unwrap_or_default();
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        let bundled = Path::new(&root).join("lib/rustlib").join(host).join("bin/rust-lld");
        if bundled.exists() {
            return Ok(bundled);
        }
    }
    install::ensure_debian(&["lld-19"], "a linker for WASM is missing", "install LLVM's lld 19")?;
    Ok(PathBuf::from("wasm-ld-19"))
}

/// Debian's cargo with Debian's compiler, whatever else is first in the path.
fn debian_cargo() -> Command {
    let mut cargo = run::command("/usr/bin/cargo");
    let path = std::env::var("PATH").unwrap_or_default();
    cargo
        .env("PATH", format!("/usr/bin:{path}"))
        .env("CARGO", "/usr/bin/cargo")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_DIR", run::target_dir().join("rustc-web"));
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
