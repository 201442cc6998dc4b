//! What tests of keys on a token need: SoftHSM, and OpenSC's tool that makes keys as a user would.

use std::env;

use crate::install;
use crate::run::Failure;
use crate::test::{Counts, cargo_test};

/// Makes sure that `softhsm2-util` and `pkcs11-tool` can be run.
pub(crate) fn ensure() -> Result<(), Failure> {
    let has = |program: &str| {
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    };
    let parts = [("softhsm2-util", "softhsm2"), ("pkcs11-tool", "opensc")];
    let missing: Vec<&str> = parts.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install::ensure_debian(&missing, "tests keep keys in tokens of SoftHSM", "install SoftHSM 2.6 and OpenSC")
}

/// The same. Elsewhere than in the gate, it says what is missing, and the tests that need it skip themselves.
pub(crate) fn ensure_or_skip() -> Result<(), Failure> {
    match ensure() {
        Err(reason) if !crate::run::in_ci() => {
            println!("    without the tests that need SoftHSM: {reason}");
            Ok(())
        }
        ensured => ensured,
    }
}

/// A drill and a measurement, which the gate has no time for. The module with faults is an example.
pub(crate) fn drill() -> Result<Counts, Failure> {
    cargo_test(&["--test", "softhsm", "--examples", "--", "--ignored", "--nocapture"], &[])
}
