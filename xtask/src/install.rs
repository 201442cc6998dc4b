//! Getting the tools that checks need: from crates.io, and from Debian where this program runs as root.

use std::path::Path;

use crate::run::{self, Failure};

/// Cargo tools and the versions seen working. Any version already present is taken.
const CARGO_TOOLS: &[(&str, &str)] = &[("cargo-deny", "0.20.2"), ("cargo-hack", "0.6.46")];

/// Makes sure that the cargo tool `name` can be run.
///
/// `why` is said when something is installed.
pub(crate) fn ensure_cargo_tool(name: &str, why: &str) -> Result<(), Failure> {
    let subcommand = name.strip_prefix("cargo-").unwrap_or(name);
    if run::output(run::cargo().args([subcommand, "--version"])).is_some() {
        return Ok(());
    }
    let (_, version) = CARGO_TOOLS
        .iter()
        .find(|(tool, _)| *tool == name)
        .ok_or_else(|| format!("{name} has no pinned version in xtask/src/install.rs"))?;
    println!("    installing {name} {version} with cargo: {why}");
    // Built in a directory of its own: the workspace's target directory stays what the workspace made.
    run::run(
        run::cargo()
            .args(["install", "--quiet", "--locked", name, "--version", version])
            .env_remove("CARGO_TARGET_DIR"),
    )
    .map_err(|failure| format!("{failure}; to install it by hand: cargo install --locked {name} --version {version}"))
}

/// Makes sure that the Debian `packages` are installed.
///
/// `otherwise` says what somebody on another system, or without root, should install.
pub(crate) fn ensure_debian(packages: &[&str], why: &str, otherwise: &str) -> Result<(), Failure> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| debian_version(package).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() {
        return Err(format!("not installed here: {why}; {otherwise}"));
    }
    let list = missing.join(" ");
    if run::output(run::command("id").arg("-u")).as_deref() != Some("0") {
        return Err(format!("not installed here: {why}; {otherwise}, or as root: apt-get install {list}"));
    }
    println!("    installing {list} with apt-get: {why}");
    let apt = || {
        let mut apt = run::command("apt-get");
        apt.args(["-qq", "-o=Dpkg::Use-Pty=0", "-o=Acquire::Retries=3"]).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    // The lists may be old and still serve; only a failed installation counts.
    let _ = run::output(apt().arg("update"));
    run::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
}

/// The version of an installed Debian package.
pub(crate) fn debian_version(package: &str) -> Option<String> {
    let shown = run::output(run::command("dpkg-query").args(["-W", "-f=${db:Status-Abbrev}${Version}", package]))?;
    shown.strip_prefix("ii ").map(|version| version.trim().to_owned())
}
