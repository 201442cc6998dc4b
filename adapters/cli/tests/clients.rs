//! The forms of the client over reqwest, against `keybound serve`: asynchronous, blocking, middleware.

use keybound::json::Value;
use keybound::oauth::{Client as OAuth, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
use keybound_cli::serve::{Options, Running, start};
use keybound_reqwest::{Bound, Client, Memory, Needs, blocking};
use reqwest::Method;
use reqwest::header::LOCATION;

fn oauth() -> OAuth {
    OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "Forms"))
        .allow_loopback()
        .build()
        .expect("a client")
}

async fn logged_in(running: &Running) -> (Client, Session) {
    let client = Client::new(oauth(), Memory::new()).expect("a client");
    let found = client.discover(&running.resource).await.expect("metadata");
    let authorization = client.authorize(SessionRequest::new("work", &found).scope("read")).await.expect("a login");
    let page = client.request(Method::GET, &authorization.url).send().await.expect("a page");
    let callback = page.headers()[LOCATION].to_str().expect("a URL").to_owned();
    let session = client.exchange(&callback).await.expect("a session");
    (client, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn asynchronous() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, session) = logged_in(&running).await;
    let answer = client.get(&session, &running.resource).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let refused = client.get(&session, &format!("{}/admin", running.resource)).await.expect("an answer");
    assert_eq!(refused.status(), 403);
    assert!(refused.extensions().get::<Needs>().is_some(), "it says which scope would help");
    // A stream can be sent once: its nonce is asked for first.
    let stream = reqwest::Body::wrap(String::from("streamed"));
    let answer = client.call(&session, client.request(Method::POST, &running.resource).body(stream)).await;
    assert!(answer.expect("an answer").text().await.expect("text").contains("body_sha256"));
    client.end(&session).await.expect("the end");
    assert!(client.get(&session, &running.resource).await.expect_err("no session").needs_login());
}

#[tokio::test(flavor = "multi_thread")]
async fn middleware() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, session) = logged_in(&running).await;
    let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(Bound::new(client, session)).build();
    for _ in 0..2 {
        let answer = http.get(&running.resource).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    let outside = http.get("https://example.com/").send().await.expect_err("the token stays at home");
    assert!(outside.to_string().contains("outside the session's resource"), "{outside}");
}

#[test]
fn blocking_calls() {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let running = runtime.block_on(start(Options::default())).expect("loopback");
    let client = blocking::Client::new(oauth(), Memory::new()).expect("a client");
    let found = client.discover(&running.resource).expect("metadata");
    let authorization = client.authorize(SessionRequest::new("work", &found)).expect("a login");
    let page = client.request(Method::GET, &authorization.url).send().expect("a page");
    let session = client.exchange(page.headers()[LOCATION].to_str().expect("a URL")).expect("a session");
    assert_eq!(client.get(&session, &running.resource).expect("an answer").status(), 200);
    let sent = client.call(&session, client.request(Method::PUT, &running.resource).body("again and again"));
    assert!(sent.expect("an answer").text().expect("text").contains("body_sha256"));
    let stream = reqwest::blocking::Body::new(std::io::Cursor::new(b"once".to_vec()));
    let sent = client.call(&session, client.request(Method::POST, &running.resource).body(stream));
    assert!(sent.expect("an answer").text().expect("text").contains("body_sha256"));
}
