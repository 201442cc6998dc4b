//! The conformance suite of the Model Context Protocol, with the example client: every scenario about authorization.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use keybound_interop::{Peers, Serve, example, visit};
use serde_json::Value;

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
/// The version of the protocol without a handshake.
const STATELESS: &str = "2026-07-28";

/// The command for the example client, which is built once. The suite hands it to a shell.
static CLIENT: LazyLock<String> = LazyLock::new(|| format!("'{}'", example("keybound-example-mcp-client").display()));

/// Runs a scenario; every check must have passed.
fn run(scenario: &str, version: Option<&str>) {
    let Some(peers) = Peers::here() else { return };
    let results = tempfile::tempdir().expect("a folder");
    let mut suite = peers.command(SUITE);
    suite.args(["client", "--force", "--scenario", &format!("auth/{scenario}"), "--command", CLIENT.as_str()]);
    suite.arg("--output-dir").arg(results.path());
    if let Some(version) = version {
        suite.args(["--spec-version", version]);
    }
    let said = said(&mut suite);
    let checks = checks(results.path());
    let failed: Vec<&Value> = checks.iter().filter(|check| !matches!(status(check), "SUCCESS" | "INFO")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let passed = checks.iter().filter(|check| status(check) == "SUCCESS").count();
    assert!(passed >= 2, "only {passed} checks:\n{said}");
}

fn status(check: &Value) -> &str {
    check["status"].as_str().unwrap_or_default()
}

/// Runs the suite, which succeeds, and gives what it said.
fn said(suite: &mut Command) -> String {
    let output = suite.output().expect("the suite runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    said
}

/// The checks that the suite wrote, somewhere below `folder`.
fn checks(folder: &Path) -> Vec<Value> {
    let file = folder.join("checks.json");
    if let Ok(text) = std::fs::read_to_string(file) {
        return serde_json::from_str(&text).expect("a list");
    }
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_dir()).flat_map(|path| checks(&path)).collect()
}

/// One test for each scenario: in the version it is made for, and in others it applies to.
macro_rules! scenarios {
    ($($test:ident: $scenario:literal $(, $version:expr)*;)*) => {
        $(#[test] fn $test() {
            run($scenario, None);
            $(run($scenario, Some($version));)*
        })*

        /// No scenario of the suite is left out.
        #[test]
        fn all_scenarios_are_here() {
            let Some(peers) = Peers::here() else { return };
            let listed = said(peers.command(SUITE).args(["list", "--client"]));
            let listed = listed.lines().filter_map(|line| line.trim().strip_prefix("- auth/")?.split(' ').next());
            let mut listed: Vec<&str> = listed.collect();
            let mut here = [$($scenario),*];
            listed.sort_unstable();
            here.sort_unstable();
            assert_eq!(listed, here);
        }
    };
}

scenarios! {
    metadata_default: "metadata-default", STATELESS;
    metadata_without_hint: "metadata-var1", STATELESS;
    metadata_at_the_root: "metadata-var2", STATELESS;
    metadata_elsewhere: "metadata-var3", STATELESS;
    client_metadata_document: "basic-cimd", STATELESS;
    scope_of_the_challenge: "scope-from-www-authenticate", STATELESS;
    scope_of_the_metadata: "scope-from-scopes-supported", STATELESS;
    scope_omitted: "scope-omitted-when-undefined", STATELESS;
    scope_step_up: "scope-step-up", STATELESS;
    scope_retry_limit: "scope-retry-limit", STATELESS;
    client_secret_basic: "token-endpoint-auth-basic", STATELESS;
    client_secret_post: "token-endpoint-auth-post", STATELESS;
    public_client: "token-endpoint-auth-none", STATELESS;
    pre_registration: "pre-registration", STATELESS;
    without_resource_metadata: "2025-03-26-oauth-metadata-backcompat", "2025-03-26";
    without_any_metadata: "2025-03-26-oauth-endpoint-fallback", "2025-03-26";
    resource_mismatch: "resource-mismatch";
    offline_access: "offline-access-scope";
    offline_access_not_supported: "offline-access-not-supported";
    authorization_server_migration: "authorization-server-migration";
    iss_supported: "iss-supported";
    iss_not_advertised: "iss-not-advertised";
    iss_missing: "iss-supported-missing";
    iss_wrong: "iss-wrong-issuer";
    iss_unexpected: "iss-unexpected";
    iss_normalized: "iss-normalized";
    metadata_issuer_mismatch: "metadata-issuer-mismatch";
    client_credentials_by_key: "client-credentials-jwt", STATELESS;
    client_credentials_by_secret: "client-credentials-basic", STATELESS;
    enterprise_managed_authorization: "enterprise-managed-authorization", STATELESS;
    workload_identity: "wif-jwt-bearer", STATELESS;
    dpop: "dpop", STATELESS;
    dpop_with_nonces: "dpop-nonce", STATELESS;
}

/// What the suite checks of an authorization server: the metadata, and a login with a code, whose page we visit.
#[test]
fn keybound_serve_as_authorization_server() {
    let Some(peers) = Peers::here() else { return };
    let serve = Serve::start(&[]);
    let results = tempfile::tempdir().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let mut suite = peers.command(SUITE);
    suite.args(["authorization", "--url", serve.issuer(), "--client-id", "keybound-demo", "--port", &port.to_string()]);
    let mut suite =
        suite.arg("--output-dir").arg(results.path()).stdout(Stdio::piped()).spawn().expect("the suite runs");
    for line in BufReader::new(suite.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
        if line.starts_with(&format!("{}/authorize?", serve.issuer())) {
            let back = visit(&line, &format!("http://127.0.0.1:{port}/callback"));
            assert_eq!(reqwest::blocking::get(back).expect("an answer").status(), 200);
        }
    }
    assert!(suite.wait().expect("an end").success());
    let checks = checks(results.path());
    let passed: Vec<_> = checks.iter().filter(|check| status(check) == "SUCCESS").map(|check| &check["id"]).collect();
    assert_eq!(passed.len(), checks.len(), "{checks:#?}");
    assert!(passed.iter().any(|id| *id == "authorization-code-grant"), "{passed:?}");
}
