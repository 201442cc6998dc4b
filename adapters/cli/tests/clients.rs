//! The forms of the client over reqwest, against `keybound serve`: asynchronous, blocking, middleware.

use keybound::json::Value;
use keybound::oauth::{Client as OAuth, Credentials, Secret, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
use keybound_cli::serve::{ClientSecret, Options, Running, start};
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

#[tokio::test(flavor = "multi_thread")]
async fn the_five_lines_of_the_readme_go_on_where_the_login_ended() {
    let running = start(Options::default()).await.expect("loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("sessions");
    let files = || keybound_reqwest::Files::open(&home).expect("a folder");
    // The login, once; the browser is a thread that follows the link.
    let loopback = keybound_reqwest::Loopback::bind().expect("a port");
    let builder = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).redirect_uri(&loopback.redirect_uri());
    let builder = builder.register(Value::object().with("client_name", "My program")).allow_loopback();
    let client = Client::new(builder.build().expect("a client"), files()).expect("a client");
    let discovered = client.discover(&running.resource).await.expect("metadata");
    let request = SessionRequest::new("work", &discovered);
    let browser = |url: &str| {
        let url = url.to_owned();
        std::thread::spawn(move || reqwest::blocking::get(url).expect("the browser comes back"));
    };
    client.login(request, loopback, browser).await.expect("a session");

    // Another run of the program, which only calls.
    let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).allow_loopback().build().expect("a client");
    let client = Client::new(oauth, files()).expect("a client");
    let session = client.open("work").await.expect("the session");
    let response = client.get(&session, &running.resource).await.expect("an answer");
    assert_eq!(response.status(), 200);
}

/// An API that hangs up on the first request and answers the second. It gives the proofs it was sent.
fn flaky() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("a connection")).lines().map_while(Result::ok);
            for line in lines.take_while(|line| !line.is_empty()) {
                if let Some(proof) = line.to_lowercase().strip_prefix("dpop: ") {
                    tell.send(proof.to_owned()).expect("a test that listens");
                }
            }
            if number > 0 {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .expect("a client");
            }
        }
    });
    (origin, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_lost_is_sent_again_with_a_new_proof() {
    // R9449-7.3-1.
    let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("secret") };
    let running = start(Options { clients: vec![secret], ..Options::default() }).await.expect("loopback");
    let credentials = Credentials::secret("service", Secret::new("secret"));
    for (method, expected) in [(Method::GET, 2), (Method::POST, 1)] {
        let (origin, told) = flaky();
        let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
            .credentials(&running.issuer, credentials.clone())
            .also_origin(&origin)
            .allow_loopback()
            .build()
            .expect("a client");
        let client = Client::new(oauth, Memory::new()).expect("a client");
        let step = client.oauth().discover_issuer(&running.issuer, keybound::UnixTime::now());
        let found = client.run(step).await.expect("metadata");
        let session = client.client_credentials(SessionRequest::new("work", &found)).await.expect("a session");
        let answer = client.call(&session, client.request(method.clone(), &format!("{origin}/items"))).await;
        // What may have happened already is not done twice.
        assert_eq!(answer.is_ok(), method == Method::GET, "{method}");
        let proofs: std::collections::HashSet<String> = told.try_iter().collect();
        assert_eq!(proofs.len(), expected, "{method}: each attempt has a proof of its own");
    }
}
