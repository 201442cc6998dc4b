//! A thousand refreshes at once, in several processes: one redemption, and no session lost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keybound::json::Value;
use keybound::{RUSTCRYPTO, SecurityLevel, oauth};
use keybound_cli::serve::{Options, Running, start};
use keybound_reqwest::{Client, Files};
use reqwest::header::LOCATION;

const PROCESSES: usize = 8;
const TASKS: usize = 125;
const SESSION: &str = "shared";

fn client(folder: &Path, issuer: &str) -> Client {
    let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "A thousand refreshes"))
        .accept_issuer(issuer)
        .allow_loopback()
        .build()
        .expect("a client");
    Client::new(oauth, Files::open(folder).expect("a folder")).expect("a client")
}

async fn log_in(client: &Client, running: &Running) {
    let found = client.discover(&running.resource).await.expect("metadata");
    let request = oauth::SessionRequest::new(SESSION, &found);
    let authorization = client.authorize(request).await.expect("an authorization");
    let answer = client.request(reqwest::Method::GET, &authorization.url).send().await.expect("a page");
    let callback = answer.headers()[LOCATION].to_str().expect("a URL").to_owned();
    client.exchange(&callback).await.expect("a session");
}

#[test]
fn tasks_that_wait_do_not_keep_the_one_that_works_from_its_threads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(2).build().expect("threads");
    let servers = tokio::runtime::Runtime::new().expect("threads");
    let running = servers.block_on(start(Options::default())).expect("loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let own = client(&folder.path().join("home"), &running.issuer);
    runtime.block_on(async {
        log_in(&own, &running).await;
        let session = own.open(SESSION).await.expect("the session");
        running.revoke_access_tokens();
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let (own, session, url) = (own.clone(), session.clone(), running.resource.clone());
                tokio::spawn(async move { own.get(&session, &url).await.expect("an answer").status().as_u16() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.expect("a task"), 200);
        }
    });
    assert_eq!(running.redeemed(), 1);
}

/// What each process does, when it is started as one: opens the session many times, waits for the word, and calls at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_one_of_several_processes() {
    let (Ok(folder), Ok(issuer), Ok(url)) = (
        std::env::var("KEYBOUND_TEST_FOLDER"),
        std::env::var("KEYBOUND_TEST_ISSUER"),
        std::env::var("KEYBOUND_TEST_URL"),
    ) else {
        // Started by the test runner itself: the other test starts it again with something to do.
        return;
    };
    let client = client(folder.as_ref(), &issuer);
    let mut sessions = Vec::new();
    for _ in 0..TASKS {
        sessions.push(client.open(SESSION).await.expect("the session"));
    }
    println!("ready");
    let mut word = String::new();
    std::io::stdin().read_line(&mut word).expect("the word");
    let calls = sessions.into_iter().map(|session| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move { client.get(&session, &url).await.expect("an answer").status().as_u16() })
    });
    let mut served = 0;
    for call in calls.collect::<Vec<_>>() {
        served += usize::from(call.await.expect("a task") == 200);
    }
    println!("served {served}");
}

fn process(folder: &Path, running: &Running) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["as_one_of_several_processes", "--exact", "--nocapture", "--test-threads=1"])
        .env("KEYBOUND_TEST_FOLDER", folder)
        .env("KEYBOUND_TEST_ISSUER", &running.issuer)
        .env("KEYBOUND_TEST_URL", &running.resource)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

#[test]
fn a_thousand_refreshes_redeem_one_token() {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let running = runtime.block_on(start(Options::default())).expect("loopback");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("home");
    let own = client(&folder, &running.issuer);
    runtime.block_on(log_in(&own, &running));

    let mut processes: Vec<_> = (0..PROCESSES).map(|_| process(&folder, &running)).collect();
    let mut lines: Vec<_> = processes
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text")))
        .collect();
    for lines in &mut lines {
        lines.find(|line| line.ends_with("ready")).expect("a process that is ready");
    }
    // Now every session of every process holds a token that is refused.
    running.revoke_access_tokens();
    for child in &mut processes {
        writeln!(child.stdin.take().expect("a pipe"), "go").expect("a process that listens");
    }
    let mut served = 0;
    for lines in &mut lines {
        let line = lines.find(|line| line.contains("served ")).expect("a result");
        served += line.rsplit(' ').next().and_then(|count| count.parse::<usize>().ok()).expect("a number");
    }
    for mut child in processes {
        assert!(child.wait().expect("an end").success());
    }
    assert_eq!(served, PROCESSES * TASKS, "every call was served");
    assert_eq!(running.redeemed(), 1, "the refresh token was redeemed once");
    // The session goes on.
    runtime.block_on(async {
        let session = own.open(SESSION).await.expect("the session");
        running.revoke_access_tokens();
        assert_eq!(own.get(&session, &running.resource).await.expect("an answer").status(), 200);
    });
    assert_eq!(running.redeemed(), 2);
}
