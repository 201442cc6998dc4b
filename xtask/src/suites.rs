//! The tests of other languages: what they need is built and installed, their own runners run them, and their sums are read.

use std::fs;
use std::path::PathBuf;

use crate::install;
use crate::packages::{self, NPM_PACKAGE};
use crate::run::{self, Failure};
use crate::servers;
use crate::test::Counts;

/// Where the bundlers and runtimes are installed, and their tests are.
const BUNDLERS: &str = "pkg/npm/test/bundlers";
/// Where Next.js is, which is larger than all of them.
const NEXT: &str = "pkg/npm/test/bundlers/next";

/// What the wheel's tests need, or why they cannot run here.
pub(crate) fn python_parts() -> Result<(), Failure> {
    python_environment().map(drop)
}

fn python_environment() -> Result<PathBuf, Failure> {
    let why = "it brings pytest, mypy, and the frameworks and libraries that the package works with";
    packages::environment("test", "pkg/python/tests/requirements.txt", why)
}

/// The interpreter of an environment in which the wheel is installed.
fn python_with_wheel() -> Result<PathBuf, Failure> {
    let python = packages::interpreter(&python_environment()?);
    let wheel = packages::wheel()?;
    let mut pip = run::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]);
    run::run(pip.arg("--force-reinstall").arg(wheel))?;
    Ok(python)
}

/// The wheel, installed into an environment of its own, and everything the package's tests say of it.
pub(crate) fn python() -> Result<Counts, Failure> {
    servers::ensure_or_skip()?;
    let python = python_with_wheel()?;
    let mut counts = Counts::default();
    let module = ["-m", "mypy.stubtest", "keybound._keybound"];
    counts += one(run::command(&python).args(module).env("MYPYPATH", ""));
    let strict = ["-m", "mypy", "--strict", "--package", "keybound"];
    counts += one(run::command(&python).args(strict).env("MYPYPATH", ""));
    let mut pytest = run::command(&python);
    pytest.current_dir(run::root().join("pkg/python")).args(["-m", "pytest", "--color=no", "tests"]);
    pytest.env("KEYBOUND_PROGRAM", program()?).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut summed = None;
    let succeeded = run::watch(&mut pytest, |line| summed = pytest_sum(line).or(summed))?;
    let sum = summed.ok_or("pytest ended without its sum")?;
    if !succeeded && sum.is_clean() {
        return Err("pytest failed although no test did".to_owned());
    }
    counts += sum;
    Ok(counts)
}

/// What the npm package's tests need, or why they cannot run here.
pub(crate) fn node_parts() -> Result<(), Failure> {
    packages::ensure_modules()
}

/// The npm package over the addon and over WASM, what it weighs, and its archive in an empty folder.
pub(crate) fn node() -> Result<Counts, Failure> {
    servers::ensure_or_skip()?;
    packages::npm()?;
    let mut counts = Counts::default();
    println!("    sizes");
    counts += counted(packages::sizes::compare());
    println!("    the package in an empty folder");
    counts += counted(installed());
    counts += node_test("test", &programs_of_other_languages()?)?;
    Ok(counts)
}

/// What browser tests need, or why they cannot run here.
pub(crate) fn browser_parts() -> Result<(), Failure> {
    packages::ensure_modules()?;
    if std::env::var_os("KEYBOUND_CHROMIUM").is_some() {
        return Ok(());
    }
    install::ensure_debian(
        &["chromium"],
        "the client is tested in a real browser",
        "install Chromium, and say where it is: KEYBOUND_CHROMIUM=/path/to/chromium",
    )
}

pub(crate) fn browser() -> Result<Counts, Failure> {
    packages::npm()?;
    node_test("test/browser", &[])
}

/// What tests of bundlers and runtimes need, or why they cannot run here.
pub(crate) fn bundlers_parts() -> Result<(), Failure> {
    browser_parts()?;
    install::ensure_npm(BUNDLERS, "it brings the bundlers and runtimes that the package is tested in")
}

pub(crate) fn bundlers() -> Result<Counts, Failure> {
    packed_into(BUNDLERS)?;
    node_test("test/bundlers", &[])
}

/// What the tests in Next.js need, or why they cannot run here.
pub(crate) fn next_parts() -> Result<(), Failure> {
    browser_parts()?;
    install::ensure_npm(NEXT, "it brings Next.js, which the package is tested in")
}

pub(crate) fn next() -> Result<Counts, Failure> {
    packed_into(NEXT)?;
    node_test("test/bundlers/next", &[])
}

/// Puts the packed package among the installed ones of `folder`, as an application has it.
fn packed_into(folder: &str) -> Result<(), Failure> {
    packages::npm()?;
    let archive = packages::pack()?;
    let place = run::root().join(folder).join("node_modules/keybound");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    let mut tar = run::command("tar");
    run::run(tar.args(["-x", "--strip-components=1", "-f"]).arg(archive).arg("-C").arg(place))
}

/// What uses proofs up in Redis together with Node: an example in Rust, and the wheel's interpreter.
fn programs_of_other_languages() -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let python = match python_with_wheel() {
        Ok(python) => python,
        Err(reason) if run::in_ci() => return Err(reason),
        Err(reason) => {
            println!("    without the test of three languages: {reason}");
            return Ok(Vec::new());
        }
    };
    Ok(vec![("KEYBOUND_PYTHON", python), ("KEYBOUND_REDIS_ONCE", built("--example", "once", "debug/examples")?)])
}

/// The program `keybound`, built with the features that the workspace's tests have, so that nothing is built twice.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    built("--bin", "keybound", "debug")
}

fn built(kind: &str, name: &str, folder: &str) -> Result<PathBuf, Failure> {
    let mut cargo = run::cargo();
    run::run(cargo.args(["build", "--quiet", "--locked", "--workspace", "--all-features", kind, name]))?;
    Ok(run::target_dir().join(folder).join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs the `*.test.mjs` files of a folder of the npm package. `environment` says where they find what was built for them.
fn node_test(folder: &str, environment: &[(&str, PathBuf)]) -> Result<Counts, Failure> {
    let package = run::root().join(NPM_PACKAGE);
    let entries = fs::read_dir(package.join(folder)).map_err(|error| format!("cannot read {folder}: {error}"))?;
    let mut files: Vec<String> = entries
        .flatten()
        .map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy()))
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    files.sort();
    let mut node = run::command("node");
    node.current_dir(package).args(["--expose-gc", "--test", "--test-reporter=spec"]).args(&files);
    node.env("KEYBOUND_PROGRAM", program()?).envs(environment.iter().map(|(name, value)| (name, value)));
    let mut counts = Counts::default();
    let succeeded = run::watch(&mut node, |line| counts += node_sum(line).unwrap_or_default())?;
    if !succeeded && counts.is_clean() {
        return Err("node ended before all tests had run".to_owned());
    }
    Ok(counts)
}

/// Installs the packed archive where nothing else is, and makes and judges a proof with it, by the addon and by WASM.
fn installed() -> Result<(), Failure> {
    const FIRST_USE: &str = "
import { Key, MemoryReplayStore, build, proof, verify } from 'keybound';
const key = await Key.generate();
const request = { method: 'GET', url: 'https://api.example.com/items', accessToken: 'token' };
const store = new MemoryReplayStore({ dangerFirstStart: true });
const made = await proof({ key, ...request });
const verdict = await verify({ ...request, proof: made, boundTo: key.thumbprint, store });
if (verdict.thumbprint !== key.thumbprint) throw new Error('another key');
console.log(`    a proof made and judged by ${build()}`);
";
    let archive = packages::pack()?;
    let folder = run::target_dir().join("npm-empty");
    let _ = fs::remove_dir_all(&folder);
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::write(folder.join("package.json"), "{\"type\":\"module\",\"private\":true}\n").map_err(failed)?;
    fs::write(folder.join("first.mjs"), FIRST_USE).map_err(failed)?;
    let mut npm = run::command("npm");
    npm.current_dir(&folder).args(["install", "--silent", "--no-audit", "--no-fund", "--offline"]);
    run::run(npm.arg(archive))?;
    for native in ["addon", "wasm"] {
        run::run(run::command("node").current_dir(&folder).arg("first.mjs").env("KEYBOUND_NATIVE", native))?;
    }
    Ok(())
}

fn one(command: &mut std::process::Command) -> Counts {
    counted(run::run(command))
}

/// A piece of work that counts as one test.
pub(crate) fn counted(outcome: Result<(), Failure>) -> Counts {
    match outcome {
        Ok(()) => Counts::ONE_PASSED,
        Err(failure) => {
            println!("    {}", run::paint(&failure, "1;31"));
            Counts::ONE_FAILED
        }
    }
}

/// The counts in a line like `3 failed, 12 passed, 1 skipped, 2 errors in 4.02s`.
fn pytest_sum(line: &str) -> Option<Counts> {
    let (numbers, _) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    let mut counts = Counts::default();
    for part in numbers.split(", ") {
        let (number, what) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match what {
            "passed" | "xfailed" => counts.passed += number,
            "failed" | "error" | "errors" | "xpassed" => counts.failed += number,
            "skipped" => counts.skipped += number,
            "warning" | "warnings" | "deselected" => {}
            _ => return None,
        }
    }
    Some(counts)
}

/// The counts in a line like `ℹ pass 12`, as Node's reporter ends with.
fn node_sum(line: &str) -> Option<Counts> {
    let (what, number) = line.strip_prefix("ℹ ")?.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match what {
        "pass" => Some(Counts { passed: number, ..Counts::default() }),
        "fail" | "cancelled" => Some(Counts { failed: number, ..Counts::default() }),
        "skipped" | "todo" => Some(Counts { skipped: number, ..Counts::default() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{node_sum, pytest_sum};
    use crate::test::Counts;

    #[test]
    fn reads_the_sums_of_other_runners() {
        let sum = Counts { passed: 12, failed: 5, skipped: 1 };
        assert_eq!(pytest_sum("==== 3 failed, 12 passed, 1 skipped, 4 warnings, 2 errors in 4.02s ===="), Some(sum));
        assert_eq!(pytest_sum("412 passed in 61.20s (0:01:01)"), Some(Counts { passed: 412, failed: 0, skipped: 0 }));
        assert_eq!(pytest_sum("tests/test_keys.py .... in place"), None);
        assert_eq!(node_sum("ℹ pass 12"), Some(Counts { passed: 12, failed: 0, skipped: 0 }));
        assert_eq!(node_sum("ℹ cancelled 1"), Some(Counts { passed: 0, failed: 1, skipped: 0 }));
        assert_eq!(node_sum("ℹ duration_ms 12.5"), None);
    }
}
