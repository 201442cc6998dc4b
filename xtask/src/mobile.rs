//! The tests of the Swift package and the Kotlin library, by their own compilers and runners.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::packages::{self, kotlin, swift as package};
use crate::run::{self, Failure};
use crate::suites::{counted, program};
use crate::swift;
use crate::test::Counts;

/// What the Swift tests need, or why they cannot run here.
pub(crate) fn swift_parts() -> Result<(), Failure> {
    swift::ensure()
}

/// The package by the compiler: its tests, with stand-ins for Apple's modules, the example app, and what the library weighs.
pub(crate) fn swift() -> Result<Counts, Failure> {
    package::prepare(false)?;
    package::prepare_testing(false)?;
    let mut counts = Counts::default();
    println!("    sizes");
    counts += counted(packages::sizes::compare_library());
    let root = run::root().join(package::PACKAGE);
    let scratch = run::target_dir().join("swift");
    let mut tests = swift::command("swift", &root);
    tests.env("KEYBOUND_PROGRAM", program()?).env("KEYBOUND_TESTS", "1");
    tests.args(["test", "--scratch-path"]).arg(&scratch);
    let (mut sum, mut cases) = (None, 0);
    let succeeded = run::watch(&mut tests, |line| {
        sum = xctest_sum(line).or(sum);
        cases += line.strip_prefix("cases: ").and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    })?;
    let mut sum = sum.ok_or("swift test ended without its sum")?;
    if !succeeded && sum.is_clean() {
        return Err("swift test failed although no test did".to_owned());
    }
    sum.passed += cases;
    counts += sum;
    println!("    the example app for Apple's systems, against stand-ins for their modules");
    let mut app = swift::command("sh", &root);
    app.arg("Tests/Stubs/typecheck.sh").arg(scratch.join("debug/Modules")).arg(run::target_dir());
    counts += counted(run::run(&mut app));
    Ok(counts)
}

/// What the Kotlin tests need, or why they cannot run here.
pub(crate) fn kotlin_parts() -> Result<(), Failure> {
    kotlin::ensure_tools()
}

/// The library by Maven: its tests, and the sources for Android against Android's own classes.
pub(crate) fn kotlin() -> Result<Counts, Failure> {
    kotlin::prepare(false)?;
    kotlin::prepare_testing(false)?;
    let mut counts = Counts::default();
    let library = run::root().join(kotlin::LIBRARY);
    for (name, build, profile, targets) in [
        ("the library and its testing module", "modules.xml", "", &["target", "testing/target"][..]),
        ("the sources for Android", "pom.xml", "-Pandroid", &["target/android"]),
    ] {
        println!("    {name}");
        let reports: Vec<_> = targets.iter().map(|target| library.join(target).join("surefire-reports")).collect();
        for reports in &reports {
            let _ = fs::remove_dir_all(reports);
        }
        let mut maven = kotlin::maven(build, &["test"]);
        maven.args(Some(profile).filter(|profile| !profile.is_empty()));
        let tested = built(maven.env("KEYBOUND_PROGRAM", program()?));
        counts += counted(tested.as_ref().map_or_else(
            |_| Ok(()),
            |warnings| match warnings.as_slice() {
                [] => Ok(()),
                [first, ..] => Err(format!("{} warnings in written code, first: {first}", warnings.len())),
            },
        ));
        let sums: Vec<Counts> = reports.iter().map(|reports| surefire_sum(reports)).collect::<Result<_, _>>()?;
        let has_failed = sums.iter().any(|sum| !sum.is_clean());
        if !has_failed && (sums.contains(&Counts::default()) || tested.is_err()) {
            return Err(format!("{name}: the build failed before all tests had run"));
        }
        sums.into_iter().for_each(|sum| counts += sum);
    }
    Ok(counts)
}

/// Runs Maven, which is quiet about warnings unless all is shown: gives those in code that people wrote.
fn built(maven: &mut Command) -> Result<Vec<String>, Failure> {
    let output = maven.output().map_err(|error| format!("cannot start Maven: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let is_generated = |line: &str| {
        ["/src/generated/", "/examples/", "Duplicate source root"].iter().any(|known| line.contains(known))
    };
    for line in said.lines().filter(|line| line.contains("ERROR") || line.contains("Tests run:")) {
        println!("    {line}");
    }
    if !output.status.success() {
        return Err("Maven failed".to_owned());
    }
    let warnings = said.lines().filter(|line| line.contains("WARNING") && line.contains(".kt:") && !is_generated(line));
    Ok(warnings.map(str::to_owned).collect())
}

/// The counts in a line like `Executed 25 tests, with 1 test skipped and 0 failures (0 unexpected) in 9.8 seconds`.
fn xctest_sum(line: &str) -> Option<Counts> {
    let line = line.trim().strip_prefix("Executed ")?;
    let number = |text: &str| text.split(' ').next()?.parse::<u64>().ok();
    let (all, rest) = (number(line)?, line.split_once(", with ")?.1);
    let skipped = rest.contains(" skipped").then(|| number(rest)).flatten().unwrap_or(0);
    let failed = number(rest.split_once(" and ").map_or(rest, |(_, failures)| failures))?;
    Some(Counts { passed: all.saturating_sub(skipped + failed), failed, skipped })
}

/// The counts of all reports in a folder.
fn surefire_sum(reports: &Path) -> Result<Counts, Failure> {
    let mut sum = Counts::default();
    let Ok(entries) = fs::read_dir(reports) else { return Ok(sum) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "xml") {
            let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            sum += surefire_report(&text).ok_or_else(|| format!("{} is no report", path.display()))?;
        }
    }
    Ok(sum)
}

/// The counts in a report's first element, `<testsuite tests="3" errors="0" skipped="1" failures="0" …>`.
fn surefire_report(text: &str) -> Option<Counts> {
    let (_, suite) = text.split_once("<testsuite ")?;
    let suite = suite.split('>').next()?;
    let number = |name: &str| {
        let (_, rest) = suite.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse::<u64>().ok()
    };
    let (all, skipped) = (number("tests")?, number("skipped")?);
    let failed = number("errors")? + number("failures")?;
    Some(Counts { passed: all.saturating_sub(skipped + failed), failed, skipped })
}

#[cfg(test)]
mod tests {
    use super::{surefire_report, xctest_sum};
    use crate::test::Counts;

    #[test]
    fn reads_the_sums_of_other_runners() {
        let sum = |passed, failed, skipped| Some(Counts { passed, failed, skipped });
        let line = "\t Executed 25 tests, with 0 failures (0 unexpected) in 9.84 (9.84) seconds";
        assert_eq!(xctest_sum(line), sum(25, 0, 0));
        let line = "Executed 3 tests, with 1 test skipped and 1 failure (0 unexpected) in 0.1 (0.1) seconds";
        assert_eq!(xctest_sum(line), sum(1, 1, 1));
        assert_eq!(xctest_sum("Test Suite 'All tests' passed"), None);
        let report = r#"<?xml version="1.0"?><testsuite xmlns:x="y" name="a" time="1" tests="9" errors="1" skipped="2" failures="1">"#;
        assert_eq!(surefire_report(report), sum(5, 2, 2));
        assert_eq!(surefire_report("<html>"), None);
    }
}
