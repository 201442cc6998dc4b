//! What a client tells its program of: tokens, keys and refusals, and no secret.

use std::sync::{Arc, Mutex};

use keybound::audit::{AuditRecord, Operation, Verdict};
use keybound::json::Value;
use keybound::{RUSTCRYPTO, SecurityLevel, oauth};
use keybound_cli::serve::{Options, Running, start};
use keybound_reqwest::{Client, Memory, Settings};
use reqwest::header::LOCATION;

type Records = Arc<Mutex<Vec<AuditRecord>>>;

fn client(issuer: &str, records: &Records) -> Client {
    let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "An audited program"))
        .accept_issuer(issuer)
        .allow_loopback()
        .build()
        .expect("a client");
    let own = records.clone();
    let settings = Settings::default().audit(move |record| own.lock().expect("a list").push(record.clone()));
    Client::with_settings(oauth, Memory::new(), settings).expect("a client")
}

async fn log_in(client: &Client, running: &Running) -> oauth::Session {
    let found = client.discover(&running.resource).await.expect("metadata");
    let authorization = client.authorize(oauth::SessionRequest::new("work", &found)).await.expect("an authorization");
    let answer = client.request(reqwest::Method::GET, &authorization.url).send().await.expect("a page");
    client.exchange(answer.headers()[LOCATION].to_str().expect("a URL")).await.expect("a session")
}

/// What was told since the last look.
fn told(records: &Records) -> Vec<(Operation, Verdict, Option<&'static str>)> {
    let records = std::mem::take(&mut *records.lock().expect("a list"));
    records.iter().map(|record| (record.operation, record.verdict, record.reason)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_tells_of_tokens_keys_and_refusals() {
    let running = start(Options::default()).await.expect("loopback");
    let records = Records::default();
    let client = client(&running.issuer, &records);

    let session = log_in(&client, &running).await;
    let first = records.lock().expect("a list").clone();
    let token = session.danger_access_token().expect("a token");
    for record in &first {
        let line = record.to_json();
        assert!(record.thumbprint.is_some() && record.client.is_some() && record.token.is_none(), "{line}");
        assert!(!line.contains(token.expose()) && !line.contains("http"), "{line}");
    }
    assert_eq!(told(&records), [(Operation::Issue, Verdict::Admitted, None)]);

    assert_eq!(client.get(&session, &running.resource).await.expect("an answer").status(), 200);
    assert_eq!(told(&records), [], "what goes well is the server's to tell");
    running.revoke_access_tokens();
    assert_eq!(client.get(&session, &running.resource).await.expect("an answer").status(), 200);
    assert_eq!(told(&records), [(Operation::Refresh, Verdict::Admitted, None)]);

    // A new login has a new key, and the old one is deleted.
    let again = log_in(&client, &running).await;
    assert_eq!(
        told(&records),
        [(Operation::Rotation, Verdict::Admitted, None), (Operation::Issue, Verdict::Admitted, None)]
    );
    client.end(&again).await.expect("the end");
    client.get(&again, &running.resource).await.expect_err("it has ended");
    assert_eq!(told(&records), [(Operation::Request, Verdict::Refused, Some("login_required"))]);
}
