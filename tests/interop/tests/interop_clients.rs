//! Clients that others wrote, against `keybound serve`.

use keybound_interop::{Peers, Serve};

/// Runs a client against a server with these faults; it says the last of its steps.
fn run(client: &str, algorithm: &str, faults: &[&str], last: &str) {
    let Some(peers) = Peers::here() else { return };
    let serve = Serve::start(faults);
    let mut about = serve.about();
    about["algorithm"] = algorithm.into();
    let steps = peers.run(&format!("peers/{client}"), &about);
    assert_eq!(steps.last().map(String::as_str), Some(last), "{steps:?}");
}

#[test]
fn oauth4webapi() {
    for algorithm in ["ES256", "Ed25519"] {
        run("client-oauth4webapi.mjs", algorithm, &[], "introspection and revocation");
    }
}

#[test]
fn oauth4webapi_when_every_answer_brings_a_nonce() {
    run("client-oauth4webapi.mjs", "ES256", &["new-nonce-each-call"], "introspection and revocation");
}

#[test]
fn openid_client() {
    for algorithm in ["ES256", "Ed25519"] {
        run("client-openid-client.mjs", algorithm, &[], "device");
    }
}

#[test]
fn openid_client_when_every_answer_brings_a_nonce() {
    run("client-openid-client.mjs", "ES256", &["new-nonce-each-call"], "device");
}

#[test]
fn dpop() {
    for algorithm in ["ES256", "Ed25519", "PS256"] {
        run("client-dpop.mjs", algorithm, &[], "refresh");
    }
}

#[test]
fn dpop_when_every_answer_brings_a_nonce() {
    run("client-dpop.mjs", "ES256", &["new-nonce-each-call"], "refresh");
}

#[test]
fn requests_oauth2client() {
    for algorithm in ["ES256", "PS256"] {
        run("client_requests_oauth2client.py", algorithm, &[], "client credentials");
    }
}
