//! A key ring that rotates under live sessions, against the servers of `keybound serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keybound::key::ring::{MemoryKeyRing, RotationPolicy};
use keybound::oauth::{Client as OAuth, Credentials, Discovered, Secret, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel, UnixTime};
use keybound_cli::serve::{ClientSecret, Options, Running, start};
use keybound_reqwest::{Client, KeyHost, Memory, RotatingKeys, Split};

/// A new key each day, which signs for an hour more; the server's tokens live for five minutes.
const ROTATE: u64 = 86_400;
const RETIRE: u64 = 3_600;

type Ring = RotatingKeys<Memory, MemoryKeyRing>;

struct Story {
    running: Running,
    ring: Ring,
    sessions: Memory,
    client: Client,
    found: Discovered,
    passed: Arc<AtomicU64>,
}

impl Story {
    async fn begin() -> Self {
        let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("secret") };
        let running = start(Options { clients: vec![secret], ..Options::default() }).await.expect("loopback");
        let passed = Arc::new(AtomicU64::new(0));
        // The ring's clock is the story's; proofs and tokens go by the true one.
        let (begin, clock) = (UnixTime::now(), passed.clone());
        let policy = RotationPolicy::new(ROTATE, RETIRE).expect("a policy");
        let ring = RotatingKeys::builder(Memory::new(), MemoryKeyRing::default(), policy)
            .clock(move || begin.saturating_add(clock.load(Ordering::SeqCst)))
            .open()
            .expect("a ring");
        let oauth = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
            .credentials(&running.issuer, Credentials::secret("service", Secret::new("secret")))
            .allow_loopback()
            .build()
            .expect("a client");
        let sessions = Memory::new();
        let client = Client::new(oauth, Split { keys: ring.clone(), sessions: sessions.clone() }).expect("a client");
        let found = client.discover(&running.resource).await.expect("metadata");
        Self { running, ring, sessions, client, found, passed }
    }

    async fn session(&self, name: &str) -> Session {
        let request = SessionRequest::new(name, &self.found).scope("read");
        self.client.client_credentials(request).await.expect("a session")
    }

    async fn is_taken(&self, session: &Session) -> bool {
        let answer = self.client.get(session, &self.running.resource).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    fn pass(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What the task does when it looks. Nothing fails in this story.
    fn look(&self) {
        self.ring.look(&self.sessions, |rotated| assert!(!format!("{rotated:?}").contains("Failed"), "{rotated:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_old_key_works_until_it_ends() {
    let story = Story::begin().await;
    let old = story.ring.active();
    let (idle, live) = (story.session("idle").await, story.session("live").await);
    assert_eq!([&idle, &live].map(Session::thumbprint), [Some(old); 2]);

    story.pass(ROTATE);
    story.look();
    let new = story.ring.active();
    assert_ne!(new, old);
    // New tokens are bound to the new key, and those of the old one are taken as before.
    assert_eq!(story.session("later").await.thumbprint(), Some(new));
    assert!(story.is_taken(&idle).await && story.is_taken(&live).await);
    story.client.rekey(&live).await.expect("the new key");
    assert_eq!(live.thumbprint(), Some(new));
    assert!(story.is_taken(&live).await);

    // An hour later the old key has retired: its session needs a new login, the others go on.
    story.pass(RETIRE);
    let refused = story.client.get(&idle, &story.running.resource).await.expect_err("a key that has retired");
    assert!(refused.needs_login(), "{refused}");
    assert!(story.is_taken(&live).await);

    // It is kept while a session names it, and deleted in two looks once none does.
    for _ in 0..3 {
        story.look();
        story.pass(3_600);
    }
    assert_eq!(story.ring.keys().expect("a list").len(), 2);
    story.client.end(&idle).await.expect("the end");
    story.look();
    story.pass(3_600);
    story.look();
    let held: Vec<_> = story.ring.keys().expect("a list").iter().map(|key| key.thumbprint).collect();
    assert_eq!(held, [new]);
    assert!(story.is_taken(&live).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flow_takes_the_active_key_away() {
    let story = Story::begin().await;
    let active = story.ring.active();
    // A name used twice, a login that fails, and a session that ends.
    let first = story.session("work").await;
    let second = story.session("work").await;
    assert!(story.is_taken(&first).await && story.is_taken(&second).await);
    let wrong = OAuth::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .credentials(&story.running.issuer, Credentials::secret("service", Secret::new("another")))
        .allow_loopback()
        .build()
        .expect("a client");
    let host = Split { keys: story.ring.clone(), sessions: story.sessions.clone() };
    let wrong = Client::new(wrong, host).expect("a client");
    wrong.client_credentials(SessionRequest::new("other", &story.found)).await.expect_err("a wrong secret");
    let other = story.session("other").await;
    story.client.end(&other).await.expect("the end");
    assert!(story.is_taken(&second).await);
    assert_eq!(story.ring.keys().expect("a list").iter().map(|key| key.thumbprint).collect::<Vec<_>>(), [active]);
}
