//! The Keycloak server.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::peers::pass_on;

/// Where Keycloak is installed.
const INSTALLED: &str = "KEYBOUND_KEYCLOAK";
/// The realm as it is imported, with this text where the API's identifier belongs.
const REALM: &str = include_str!("../peers/keycloak-realm.json");
const API: &str = "https://api.example.com";
/// Starts a command, and ends it when standard input ends: it never outlives the test, however that ends.
const ENDS_WITH_INPUT: &str = r#"exec 3<&0; "$@" </dev/null & server=$!; read -r line <&3; kill $server; wait $server"#;

/// A server with the realm `interop`, until the test program ends.
#[derive(Debug)]
pub struct Keycloak {
    _server: Child,
    _home: TempDir,
    /// The issuer identifier.
    pub issuer: String,
}

impl Keycloak {
    /// Starts the server, whose tokens are for the API `audience`, if it is installed. `None` comes with a reason on standard error,
    /// and means that a test cannot be run.
    ///
    /// # Panics
    /// If it is not installed in the gate, where `CI` is set, or does not begin to serve.
    pub fn start(audience: &str) -> Option<Self> {
        let Some(installed) = std::env::var_os(INSTALLED).map(PathBuf::from) else {
            let text = format!("{INSTALLED} does not say where Keycloak is; run: cargo xtask test --only interop");
            assert!(std::env::var_os("CI").is_none(), "{text}");
            eprintln!("skipped: {text}");
            return None;
        };
        let home = home(&installed, &REALM.replace(API, audience));
        let mut command = Command::new("sh");
        command.args(["-c", ENDS_WITH_INPUT, "sh", "sh"]).arg(home.path().join("bin/kc.sh"));
        // The port is chosen by the system; users and sessions are in memory, and no other server is looked for.
        command.args(["start", "--optimized", "--cache=local", "--import-realm", "--http-enabled=true"]);
        command.args(["--hostname-strict=false", "--http-host=127.0.0.1", "--http-port=0"]);
        command.env("JAVA_OPTS_APPEND", "-XX:TieredStopAtLevel=1");
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut output = BufReader::new(server.stdout.take().expect("a pipe"));
        let origin = loop {
            let mut line = String::new();
            let length = output.read_line(&mut line).expect("text");
            assert!(length > 0, "Keycloak ended and did not begin to serve");
            print!("{line}");
            if let Some((_, origin)) = line.split_once("Listening on: ") {
                break origin.trim().to_owned();
            }
        };
        pass_on(output);
        Some(Self { _server: server, _home: home, issuer: format!("{origin}/realms/interop") })
    }
}

/// A home with the parts of the installed one and its own data, so that several servers can run.
fn home(installed: &Path, realm: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    for folder in ["bin", "data/import"] {
        std::fs::create_dir_all(home.path().join(folder)).expect("a folder");
    }
    // The script looks for the rest beside itself.
    std::fs::copy(installed.join("bin/kc.sh"), home.path().join("bin/kc.sh")).expect("Keycloak's script");
    for part in ["conf", "lib", "providers", "themes", "version.txt"] {
        link(installed.join(part), home.path().join(part)).expect("a link");
    }
    std::fs::write(home.path().join("data/import/interop-realm.json"), realm).expect("a file");
    home
}

#[cfg(unix)]
use std::os::unix::fs::symlink as link;
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
