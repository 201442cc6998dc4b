//! The example MCP client and server, with an authorization server that others wrote between them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use keybound_interop::{Peers, Running, example, visit};
use serde_json::{Value, json};

/// What is stopped when the test ends.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The MCP server and the URL of its endpoint.
fn mcp_server(issuer: &str) -> (Stopped, String) {
    let mut command = Command::new(example("mcp-server"));
    command.env("MCP_ISSUER", issuer).env("MCP_LISTEN", "127.0.0.1:0").stdout(Stdio::piped());
    let mut child = command.spawn().expect("a program");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let url = line.rsplit(' ').next().expect("a URL").trim().to_owned();
    (Stopped(child), url)
}

fn mcp_client(url: &str) -> Command {
    let mut command = Command::new(example("keybound-example-mcp-client"));
    command.arg(url).stdout(Stdio::piped());
    command
}

fn provider(peers: &Peers) -> Running {
    peers.start("peers/oidc-provider.mjs", &Value::Null)
}

#[test]
fn a_login_with_the_browser() {
    let Some(peers) = Peers::here() else { return };
    let provider = provider(&peers);
    let (_server, url) = mcp_server(provider.text("issuer"));
    let mut client = Stopped(mcp_client(&url).spawn().expect("a program"));
    let mut said = BufReader::new(client.0.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));

    let page = said.next().expect("a line");
    let page = page.strip_prefix("open ").expect("a page to open");
    let back = visit(page, "http://127.0.0.1:9450/callback");
    assert_eq!(reqwest::blocking::get(back).expect("an answer").status(), 200);

    let said: Vec<String> = said.collect();
    assert!(client.0.wait().expect("an end").success(), "{said:?}");
    assert!(said.iter().any(|line| line.contains("whoami") && line.contains("alice")), "{said:?}");
}

#[test]
fn a_service_without_a_user() {
    let Some(peers) = Peers::here() else { return };
    let provider = provider(&peers);
    let (_server, url) = mcp_server(provider.text("issuer"));
    let context = json!({ "client_id": "service", "client_secret": provider.text("client_secret") });
    let mut client = mcp_client(&url);
    client.env("MCP_CONFORMANCE_SCENARIO", "auth/client-credentials-basic");
    let output = client.env("MCP_CONFORMANCE_CONTEXT", context.to_string()).output().expect("a program");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("whoami"), "{said}");
}
