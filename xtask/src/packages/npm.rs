//! The npm package: the addon of this platform, the WASM builds, and what the TypeScript compiler makes.

use std::fs;
use std::path::PathBuf;

use super::{copy, output, wasm};
use crate::install;
use crate::run::{self, Failure};

/// The folder of the package, and of what is built in it.
pub(crate) const PACKAGE: &str = "pkg/npm";
pub(super) const DIST: &str = "pkg/npm/dist";
/// Where the addon lies, below [`DIST`].
const ADDON_FOLDER: &str = "native";

/// Builds everything the package has.
pub(crate) fn npm() -> Result<(), Failure> {
    ensure_modules()?;
    addon()?;
    wasm::build()?;
    run::run(run::command("npm").args(["run", "--silent", "build", "--prefix", PACKAGE]))
}

/// The packages that building and testing need.
pub(crate) fn ensure_modules() -> Result<(), Failure> {
    install::ensure_npm(
        PACKAGE,
        "it brings the compiler of TypeScript, binaryen, and libraries of others to test against",
    )
}

fn addon() -> Result<(), Failure> {
    println!("    addon");
    run::run(run::cargo().args(["build", "--quiet", "--locked", "--release", "--package", "keybound-node"]))?;
    let release = run::target_dir().join("release");
    let built =
        [("libkeybound_node.so", "linux"), ("libkeybound_node.dylib", "darwin"), ("keybound_node.dll", "win32")];
    let (library, system) = built
        .into_iter()
        .find(|(name, _)| release.join(name).exists())
        .ok_or("cargo built no library that Node can load on this system")?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let flavour = match system {
        "linux" if cfg!(target_env = "musl") => "-musl",
        "linux" => "-gnu",
        "win32" => "-msvc",
        _ => "",
    };
    let name = format!("keybound.{system}-{architecture}{flavour}.node");
    copy(&release.join(library), &run::root().join(DIST).join(ADDON_FOLDER).join(name))
}

/// The package as the registry would receive it, with the addon of this platform in it.
pub(crate) fn pack() -> Result<PathBuf, Failure> {
    let folder = output()?;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".tgz") {
            let _ = fs::remove_file(entry.path());
        }
    }
    let mut npm = run::command("npm");
    npm.current_dir(run::root().join(PACKAGE)).args(["pack", "--silent", "--pack-destination"]).arg(&folder);
    let name = run::output(&mut npm).ok_or("npm pack failed; run it in pkg/npm to see why")?;
    Ok(folder.join(name.lines().last().unwrap_or_default()))
}
