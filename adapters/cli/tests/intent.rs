//! One payment, agreed to once: an intent from the client through PAR to the API, which takes it once.

use keybound::intent::request_detail;
use keybound::json::Value;
use keybound::oauth::{Client as OAuth, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
use keybound_cli::serve::{Options, Running, start};
use keybound_reqwest::{Client, Memory};
use reqwest::Method;
use reqwest::header::LOCATION;

const BODY: &str = r#"{"to":"bob","eur":"10.00"}"#;

async fn agreed(running: &Running) -> (Client, Session, String) {
    let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "Intent"))
        .allow_loopback()
        .build()
        .expect("a client");
    let client = Client::new(oauth, Memory::new()).expect("a client");
    let url = format!("{}/intent", running.resource);
    let detail = request_detail("POST", &url, Some(BODY.as_bytes()), RUSTCRYPTO.digest);
    let found = client.discover(&running.resource).await.expect("metadata");
    let request = SessionRequest::new("payment", &found).intent(Value::from(vec![detail]));
    let authorization = client.authorize(request).await.expect("a pushed request");
    let page = client.request(Method::GET, &authorization.url).send().await.expect("a page");
    let callback = page.headers()[LOCATION].to_str().expect("a URL").to_owned();
    let session = client.exchange(&callback).await.expect("a session");
    (client, session, url)
}

async fn post(client: &Client, session: &Session, url: &str, body: &'static str) -> (u16, String) {
    let answer = client.call(session, client.request(Method::POST, url).body(body)).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_to_happens_once_and_nothing_else_does() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, session, url) = agreed(&running).await;
    assert!(session.authorization_details().is_some());

    let (status, text) = post(&client, &session, &url, r#"{"to":"mallory","eur":"10.00"}"#).await;
    assert_eq!(status, 403, "another body: {text}");
    let elsewhere = format!("{url}?to=mallory");
    assert_eq!(post(&client, &session, &elsewhere, BODY).await.0, 403, "another URL");
    let answer = client.get(&session, &url).await.expect("an answer");
    assert_eq!(answer.status(), 403, "another method");

    let (status, text) = post(&client, &session, &url, BODY).await;
    assert_eq!(status, 200, "{text}");
    // It is spent: nothing is left of it to be sent a second time.
    let again = client.call(&session, client.request(Method::POST, &url).body(BODY)).await;
    assert!(again.is_err_and(|error| error.to_string().contains("log in again")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intents_token_is_good_for_nothing_else() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, session, url) = agreed(&running).await;
    assert_eq!(session.scope(), None, "the resource publishes scopes, and none is asked for");
    for path in ["", "/write", "/admin", "/intent/other"] {
        for _ in 0..3 {
            let answer = client.get(&session, &format!("{}{path}", running.resource)).await.expect("an answer");
            assert_eq!(answer.status(), 403, "{path}");
            let challenge = answer.headers()["www-authenticate"].to_str().expect("text").to_owned();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
        }
    }
    assert_eq!(post(&client, &session, &url, BODY).await.0, 200, "it is still good for what was agreed to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_intent_carries_nothing_out() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, _, url) = agreed(&running).await;
    let found = client.discover(&running.resource).await.expect("metadata");
    let authorization = client.authorize(SessionRequest::new("plain", &found)).await.expect("a pushed request");
    let page = client.request(Method::GET, &authorization.url).send().await.expect("a page");
    let callback = page.headers()[LOCATION].to_str().expect("a URL").to_owned();
    let session = client.exchange(&callback).await.expect("a session");
    let (status, text) = post(&client, &session, &url, BODY).await;
    assert_eq!(status, 403);
    assert!(text.contains("no_intent"), "{text}");
}
