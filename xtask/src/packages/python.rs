//! The wheel of the Python package, and the environments it is built and tested in.

use std::fs;
use std::path::{Path, PathBuf};

use super::output;
use crate::install;
use crate::run::{self, Failure};

/// The folder of the package.
const PACKAGE: &str = "pkg/python";

/// Builds the wheel and gives its path.
pub(crate) fn wheel() -> Result<PathBuf, Failure> {
    let tools =
        environment("build", "xtask/python/requirements.txt", "it brings maturin, which packs Rust for Python")?;
    let folder = output()?;
    for old in wheels(&folder) {
        let _ = fs::remove_file(old);
    }
    let mut maturin = run::command(interpreter(&tools));
    maturin.current_dir(run::root().join(PACKAGE)).env("CARGO_TARGET_DIR", run::target_dir());
    maturin.args(["-m", "maturin", "build", "--quiet", "--release", "--locked", "--out"]);
    run::run(maturin.arg(&folder))?;
    wheels(&folder).pop().ok_or_else(|| format!("maturin left no wheel in {}", folder.display()))
}

fn wheels(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).collect()
}

/// A virtual environment below the target directory with the packages of `requirements`.
pub(crate) fn environment(name: &str, requirements: &str, why: &str) -> Result<PathBuf, Failure> {
    let folder = run::target_dir().join("python").join(name);
    install::ensure_environment(&folder, &run::root().join(requirements), why)?;
    Ok(folder)
}

/// The interpreter of a virtual environment.
pub(crate) fn interpreter(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python")
}
