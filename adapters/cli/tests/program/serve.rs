//! `keybound serve`: what it says when it starts, and what it refuses to start with.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::keybound;

/// A started server, which ends with this.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn first_line(arguments: &[&str]) -> (Started, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keybound"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Started(child), line)
}

#[test]
fn it_tells_programs_where_it_listens() {
    let (_started, line) = first_line(&["--format", "json", "--client-secret", "known"]);
    let told: Value = serde_json::from_str(&line).unwrap();
    let issuer = told["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("http://127.0.0.1:"), "{line}");
    assert_eq!(told["resource"], format!("{issuer}/api"));
    assert_eq!((told["client_id"].as_str(), told["client_secret"].as_str()), (Some("keybound-service"), Some("known")));
    std::net::TcpStream::connect(issuer.trim_start_matches("http://")).expect("it listens");
}

#[test]
fn it_tells_people_what_to_try() {
    let (_started, line) = first_line(&[]);
    assert!(line.contains("http://127.0.0.1:"), "{line}");
}

#[test]
fn localhost_is_an_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = keybound(&["serve", "--listen", &format!("localhost:{}", taken.local_addr().unwrap().port())]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let ran = keybound(&["serve", "--listen", "9551"]);
    assert!(ran.code == Some(2) && ran.err.contains("127.0.0.1:9449"), "{}", ran.err);
}

#[test]
fn it_does_not_start_with_what_it_cannot_do() {
    for arguments in [
        &["--listen", "0.0.0.0:0"][..],
        &["--fault", "made-up"],
        &["--resource", "ftp://api.example.com"],
        &["--resource", ""],
        &["--fault", "slow=soon"],
        &["--level", "most"],
        &["--level", "maximum", "--no-nonces"],
        &["--token-lifetime", "0"],
        &["--scope", "openid"],
        &["--scope", "a\"b"],
    ] {
        let ran = keybound(&[&["serve"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = keybound(&["serve", "--listen", &address]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("--listen"), "{}", ran.err);
}
