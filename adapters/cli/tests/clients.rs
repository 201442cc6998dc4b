//! The forms of the client over reqwest, against `keybound serve`: asynchronous, blocking, middleware.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keybound::json::Value;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault};
use keybound::oauth::{Client as OAuth, Credentials, Secret, Session, SessionRequest};
use keybound::{AlgorithmSet, RUSTCRYPTO, SecurityLevel, Thumbprint};
use keybound_cli::serve::{ClientSecret, Options, Running, start};
use keybound_reqwest::{Bound, Client, HeldKey, Host, KeyFor, KeyHost, Memory, Needs, Split, blocking};
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

/// An API that hangs up on every request, and counts them.
fn flaky() -> (String, Arc<AtomicUsize>) {
    use std::io::{BufRead as _, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            if lines.take_while(|line| !line.is_empty()).count() > 0 {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (origin, count)
}

/// A place where nothing listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Counts the proofs that are signed.
struct Counting(Memory, Arc<AtomicUsize>);

impl KeyHost for Counting {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        self.0.create_key(algorithms, protections, wanted_for)
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.signer(thumbprint)
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.0.delete_key(thumbprint)
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.0.keys()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_sent_again_with_a_new_proof_and_what_was_lost_is_not() {
    // R9449-7.3-1.
    let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("secret") };
    let running = start(Options { clients: vec![secret], ..Options::default() }).await.expect("loopback");
    let (flaky, arrived) = flaky();
    let closed = closed();
    let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .credentials(&running.issuer, Credentials::secret("service", Secret::new("secret")))
        .also_origin(&flaky)
        .also_origin(&closed)
        .allow_loopback()
        .build()
        .expect("a client");
    let signed = Arc::new(AtomicUsize::new(0));
    let host = Split { keys: Counting(Memory::new(), signed.clone()), sessions: Memory::new() };
    let client = Client::new(oauth, host).expect("a client");
    let found = client.run(client.oauth().discover_issuer(&running.issuer, keybound::UnixTime::now())).await;
    let found = found.expect("metadata");
    let session = client.client_credentials(SessionRequest::new("work", &found)).await.expect("a session");
    // What may have happened already is not done twice, whatever the method says.
    for (origin, method, proofs) in [(&flaky, Method::GET, 1), (&flaky, Method::POST, 1), (&closed, Method::POST, 3)] {
        let before = signed.load(Ordering::SeqCst);
        let answer = client.call(&session, client.request(method.clone(), &format!("{origin}/items"))).await;
        assert_eq!(answer.expect_err("no answer").reason(), "host", "{method} {origin}");
        assert_eq!(signed.load(Ordering::SeqCst) - before, proofs, "{method} {origin}");
    }
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
}

/// A confidential client of the server, over a host.
fn service(running: &Running, host: impl Host) -> Client {
    let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .credentials(&running.issuer, Credentials::secret("service", Secret::new("secret")))
        .allow_loopback()
        .build()
        .expect("a client");
    Client::new(oauth, host).expect("a client")
}

async fn with_service() -> Running {
    let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("secret") };
    start(Options { clients: vec![secret], ..Options::default() }).await.expect("loopback")
}

/// Whom the server says that the session's token is bound to.
async fn bound_to(running: &Running, client: &Client, session: &Session) -> String {
    let answer = client.get(session, &running.resource).await.expect("an answer");
    let said = Value::parse(&answer.bytes().await.expect("a body")).expect("JSON");
    said.text("bound_to").expect("a thumbprint").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_confidential_clients_get_new_keys() {
    // R9449-5-10.
    let (running, memory) = (with_service().await, Memory::new());
    let client = service(&running, memory.clone());
    let found = client.discover(&running.resource).await.expect("metadata");
    let authorization = client.authorize(SessionRequest::new("user", &found).scope("read")).await.expect("a login");
    let page = client.request(Method::GET, &authorization.url).send().await.expect("a page");
    let user = client.exchange(page.headers()[LOCATION].to_str().expect("a URL")).await.expect("a session");
    let own = client.client_credentials(SessionRequest::new("own", &found).scope("read")).await.expect("a session");
    for session in [&user, &own] {
        let old = session.thumbprint().expect("a key");
        assert_eq!(bound_to(&running, &client, session).await, old.to_string());
        client.rekey(session).await.expect("a new key");
        let new = session.thumbprint().expect("a key");
        assert_ne!(new, old);
        assert_eq!(bound_to(&running, &client, session).await, new.to_string());
        assert!(memory.signer(old).is_err(), "the key before is deleted");
        // Another run of the program, which renews with the new key.
        let client = service(&running, memory.clone());
        let opened = client.open(session.name()).await.expect("the session");
        client.run(client.oauth().refresh(&opened, keybound::UnixTime::now())).await.expect("a refresh");
        assert_eq!(bound_to(&running, &client, &opened).await, new.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_is_told_to_log_in_again_for_a_new_key() {
    let running = start(Options::default()).await.expect("loopback");
    let (client, session) = logged_in(&running).await;
    let error = client.rekey(&session).await.expect_err("a public client");
    assert!(error.to_string().contains("log in again"), "{error}");
    assert_eq!(client.get(&session, &running.resource).await.expect("an answer").status(), 200);
}
