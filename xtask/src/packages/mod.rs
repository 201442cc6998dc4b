//! `cargo xtask build`: what the registries of other languages receive.

pub(crate) mod kotlin;
mod npm;
mod python;
pub(crate) mod sizes;
pub(crate) mod swift;
pub(crate) mod uniffi;
mod wasm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::run::{self, Failure};

pub(crate) use npm::{PACKAGE as NPM_PACKAGE, ensure_modules, npm, pack};
pub(crate) use python::{environment, interpreter, wheel};

/// One package that can be built alone by its name.
struct Target {
    name: &'static str,
    about: &'static str,
    build: fn() -> Result<(), Failure>,
}

const TARGETS: &[Target] = &[
    Target { name: "wasm", about: "the WASM builds of the npm package", build: wasm::build },
    Target { name: "npm", about: "the npm package: addon, WASM and TypeScript", build: npm },
    Target { name: "python", about: "the wheel of the Python package", build: || wheel().map(drop) },
    Target { name: "swift", about: "the Swift package", build: swift::build },
    Target { name: "kotlin", about: "the Kotlin library", build: kotlin::jar },
];

pub(crate) fn command(names: &[&str]) -> ExitCode {
    if names == ["--write-api"] {
        let about = "the public API of Swift and Kotlin";
        let written = || {
            swift::prepare(true)?;
            swift::prepare_testing(true)?;
            kotlin::prepare(true)?;
            kotlin::prepare_testing(true)
        };
        let files = "pkg/swift/api.txt, pkg/swift/api-testing.txt, pkg/kotlin/api.txt, pkg/kotlin/testing/api.txt";
        let written = run::announced("api", about, written, |()| files.to_owned());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(unknown) = names.iter().find(|name| TARGETS.iter().all(|target| target.name != **name)) {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return run::usage_error(&format!("there is no package '{unknown}'; there are {}", known.join(", ")));
    }
    // The npm package has the WASM builds in it.
    let chosen =
        TARGETS.iter().filter(|target| names.contains(&target.name) || (names.is_empty() && target.name != "wasm"));
    for target in chosen {
        let built = run::announced(target.name, target.about, target.build, |()| format!("{} is built", target.name));
        if built.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Where finished packages are put.
pub(crate) fn output() -> Result<PathBuf, Failure> {
    let folder = run::target_dir().join("packages");
    folder_of(&folder.join("archive"))?;
    Ok(folder)
}

/// Makes the folder that `path` lies in.
fn folder_of(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    folder_of(to)?;
    // A file that a running program has loaded is replaced, never written over.
    let _ = fs::remove_file(to);
    fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
