//! Our client with npm `@atproto/oauth-provider`, the authorization server of Bluesky, which demands PAR and nonces.

use keybound::oauth::{Credentials, Session, SessionRequest};
use keybound_interop::ours::{self, builder, call, refresh_twice};
use keybound_interop::{Peers, Running, visit};
use keybound_reqwest::blocking::Client;
use reqwest::Method;
use serde_json::Value;

const REDIRECT_URI: &str = "http://127.0.0.1:7881/callback";
const SCOPE: &str = "atproto transition:generic";
/// A client that is known by nothing but this: AT Protocol's clients for development.
const LOOPBACK_CLIENT: &str =
    "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto%20transition%3Ageneric";

fn server() -> Option<Running> {
    Some(Peers::here()?.start("peers/atproto.mjs", &Value::Null))
}

fn client(server: &Running, client_id: &str) -> Client {
    let credentials = Credentials::public(client_id);
    ours::client(builder().redirect_uri(REDIRECT_URI).credentials(server.text("issuer"), credentials))
}

fn log_in(client: &Client, server: &Running) -> Session {
    let discovered = client.discover(server.text("api")).expect("the API's metadata");
    ours::log_in(client, SessionRequest::new("bluesky", &discovered).scope(SCOPE), REDIRECT_URI)
}

/// How many tokens are good.
fn tokens(server: &Running) -> usize {
    let answer = reqwest::blocking::get(server.text("tokens")).expect("an answer").text().expect("text");
    serde_json::from_str::<Vec<Value>>(&answer).expect("a list").len()
}

#[test]
fn a_login_calls_and_refresh() {
    let Some(server) = server() else { return };
    for client_id in [LOOPBACK_CLIENT, server.text("document")] {
        let client = client(&server, client_id);
        let session = log_in(&client, &server);
        let thumbprint = session.thumbprint().expect("a key").to_string();
        let answer = call(&client, &session, Method::GET, server.text("api"));
        assert_eq!((answer["did"].as_str(), answer["jkt"].as_str()), (Some(server.text("did")), Some(&*thumbprint)));
        let subject = session.subject().expect("a subject");
        assert_eq!((subject.issuer.as_str(), subject.sub.as_str()), (server.text("issuer"), server.text("did")));
        refresh_twice(&client, &session);
        assert_eq!(call(&client, &session, Method::GET, server.text("api"))["jkt"], thumbprint.as_str());
    }
}

#[test]
fn a_login_of_somebody_else_is_refused() {
    let Some(server) = server() else { return };
    let client = client(&server, LOOPBACK_CLIENT);
    let discovered = client.discover(server.text("api")).expect("the API's metadata");
    let request = SessionRequest::new("bluesky", &discovered).scope(SCOPE).expect_subject("did:plc:somebody-else");
    let authorization = client.authorize(request).expect("a pushed request");
    let error = client.exchange(&visit(&authorization.url, REDIRECT_URI)).expect_err("another subject");
    assert_eq!(error.reason(), "subject_mismatch");
    assert!(client.open("bluesky").expect_err("nothing is stored").needs_login());
}

/// It answers 200 to a revocation without a proof, too, and revokes nothing then.
#[test]
fn the_end_of_a_session_is_the_end_of_its_tokens() {
    let Some(server) = server() else { return };
    let client = client(&server, LOOPBACK_CLIENT);
    let session = log_in(&client, &server);
    assert_eq!(tokens(&server), 1);
    client.end(&session).expect("an end");
    assert_eq!(tokens(&server), 0);
}
