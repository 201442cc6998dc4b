//! `cargo xtask test`: the tests of every language, and their sum on the last line.

use std::fmt;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::hsm;
use crate::interop;
use crate::mobile;
use crate::run::{self, Failure};
use crate::servers;
use crate::suites;

/// The tests of one language or host. Another is added by another entry in [`SUITES`] or [`EXTENDED`].
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What is missing for this suite on this machine, if anything: one line that says how to get it.
    ///
    /// Whatever can be installed without a question is installed here. In the gate a missing part is a
    /// failure, elsewhere the suite is skipped.
    missing: fn() -> Option<String>,
    /// Runs the tests with their output in plain view.
    run: fn() -> Result<Counts, Failure>,
}

/// All suites, in the order in which they run.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "rust",
        about: "unit, integration and documentation tests of all crates",
        missing: || None,
        run: rust,
    },
    Suite {
        name: "interop",
        about: "against clients, servers and tests that others wrote (Node, Python, Java)",
        missing: || interop::parts().err(),
        run: interop::run,
    },
    Suite {
        name: "python",
        about: "the wheel in an environment of its own: vectors, flows, frameworks, types",
        missing: || suites::python_parts().err(),
        run: suites::python,
    },
    Suite {
        name: "node",
        about: "the npm package over the addon and over WASM: vectors, flows, frameworks, sizes",
        missing: || suites::node_parts().err(),
        run: suites::node,
    },
    Suite {
        name: "browser",
        about: "the npm package in Chromium: keys, tabs, faults, the playground",
        missing: || suites::browser_parts().err(),
        run: suites::browser,
    },
    Suite {
        name: "bundlers",
        about: "the npm package in Vite, webpack, esbuild, Rollup, Bun, Deno, workerd and Vitest, and its types",
        missing: || suites::bundlers_parts().err(),
        run: suites::bundlers,
    },
    Suite {
        name: "swift",
        about: "the Swift package by Swift's compiler: vectors, flows, keybound serve, sizes",
        missing: || mobile::swift_parts().err(),
        run: mobile::swift,
    },
    Suite {
        name: "kotlin",
        about: "the Kotlin library by Maven: vectors, flows, keybound serve, Java, Android's sources",
        missing: || mobile::kotlin_parts().err(),
        run: mobile::kotlin,
    },
];

/// What takes longer than the gate has time for: run with `--extended`, after the others.
pub(crate) const EXTENDED: &[Suite] = &[
    Suite {
        name: "keycloak",
        about: "the tests with Keycloak once more, against the first version that has DPoP",
        missing: || interop::earlier_keycloak_parts().err(),
        run: interop::earlier_keycloak,
    },
    Suite {
        name: "spring",
        about: "against Spring Authorization Server and an API that Spring protects",
        missing: || interop::spring_parts().err(),
        run: interop::spring,
    },
    Suite {
        name: "next",
        about: "the npm package in Next.js, on its server and in its pages",
        missing: || suites::next_parts().err(),
        run: suites::next,
    },
    Suite {
        name: "model",
        about: "the model of the Redis protocol, deeper: some minutes and gigabytes",
        missing: || None,
        run: || cargo_test(&["--test", "model", "--", "--ignored", "--nocapture"], &[]),
    },
    Suite {
        name: "drill",
        about: "the store in Redis under random faults for longer, and what entries weigh and cost",
        missing: || servers::ensure().err(),
        run: servers::drill,
    },
    Suite {
        name: "hsm",
        about: "eight processes and a token that comes and goes, and what the adapter costs beside the module",
        missing: || hsm::ensure().err(),
        run: hsm::drill,
    },
];

/// How many tests ended how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// A suite that ended without counting its failure, or was skipped as a whole, counts as one test.
    pub(crate) const ONE_FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    const ONE_SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    pub(crate) const ONE_PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };

    /// Whether no test failed.
    pub(crate) fn is_clean(self) -> bool {
        self.failed == 0
    }

    /// A run in which nothing passed has not shown anything.
    fn is_success(self) -> bool {
        self.is_clean() && self.passed > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

pub(crate) fn command(arguments: &[&str]) -> ExitCode {
    let all = || SUITES.iter().chain(EXTENDED);
    let chosen: Vec<&Suite> = match arguments {
        [] => SUITES.iter().collect(),
        ["--extended"] => all().collect(),
        ["--only", name] => all().filter(|suite| suite.name == *name).collect(),
        _ => return run::usage_error("usage: cargo xtask test [--extended | --only NAME]"),
    };
    if chosen.is_empty() {
        let known: Vec<_> = all().map(|suite| suite.name).collect();
        return run::usage_error(&format!("there is no such suite; the suites are {}", known.join(", ")));
    }
    let mut sum = Counts::default();
    for suite in chosen {
        let result =
            run::announced(suite.name, suite.about, || judged(suite), |counts| format!("{}: {counts}", suite.name));
        sum += result.unwrap_or(Counts::ONE_FAILED);
    }
    // The gate reads the last line: nothing is printed after it.
    println!("{sum}");
    if sum.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judged(suite: &Suite) -> Result<Counts, Failure> {
    match (suite.missing)() {
        None => (suite.run)(),
        Some(reason) if run::in_ci() => Err(reason),
        Some(reason) => {
            println!("    skipped: {reason}");
            Ok(Counts::ONE_SKIPPED)
        }
    }
}

fn rust() -> Result<Counts, Failure> {
    servers::ensure_or_skip()?;
    hsm::ensure_or_skip()?;
    cargo_test(&["--exclude", "keybound-interop"], &[])
}

/// Runs tests of the workspace, always with the features of all of it: with others, dependencies would be built again.
///
/// `environment` says where tests find what is installed for them.
pub(crate) fn cargo_test(selection: &[&str], environment: &[(&str, PathBuf)]) -> Result<Counts, Failure> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--locked", "--workspace", "--all-features", "--no-fail-fast"]).args(selection);
    cargo.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut counts = Counts::default();
    let succeeded = run::watch(&mut cargo, |line| counts += libtest_result(line).unwrap_or_default())?;
    if !succeeded && counts.failed == 0 {
        return Err("cargo test ended before all tests had run".to_owned());
    }
    Ok(counts)
}

/// The counts in a line like `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`.
fn libtest_result(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in numbers.split("; ") {
        let Some((number, what)) = part.split_once(' ') else { continue };
        match what {
            "passed" => counts.passed = number.parse().ok()?,
            "failed" => counts.failed = number.parse().ok()?,
            "ignored" => counts.skipped = number.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_sum_of_a_test_program() {
        let line = "test result: FAILED. 12 passed; 2 failed; 3 ignored; 0 measured; 4 filtered out; finished in 0.01s";
        assert_eq!(libtest_result(line), Some(Counts { passed: 12, failed: 2, skipped: 3 }));
        assert_eq!(libtest_result("test reads_the_sum ... ok"), None);
    }

    #[test]
    fn nothing_passed_is_no_success() {
        assert!(!Counts::default().is_success());
        assert!(!Counts { passed: 7, failed: 1, skipped: 0 }.is_success());
        assert!(Counts { passed: 7, failed: 0, skipped: 9 }.is_success());
    }

    #[test]
    fn the_sum_line_has_the_form_that_the_gate_reads() {
        let mut sum = Counts { passed: 3, failed: 0, skipped: 1 };
        sum += Counts::ONE_SKIPPED;
        sum += Counts::ONE_FAILED;
        assert_eq!(sum.to_string(), "3 passed, 1 failed, 2 skipped");
    }
}
