//! Calls beside each other at servers that give a new nonce with each answer.

use std::collections::{HashSet, VecDeque};

use keybound::http::message::{Request, Response};
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, FetchFailed, KeyOwner};
use keybound::oauth::{Answer, Client, FlowError, HeldToken, Secret, Session, Step};
use keybound::{Algorithm, RUSTCRYPTO, SecurityLevel, UnixTime, base64url};
use keybound_conformance::flow::server::with;
use serde_json::Value;

const RESOURCE: &str = "https://api.example.com/v1";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

/// Which nonces a server accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepts {
    /// Any that it gave, once.
    EachOnce,
    /// The same, where each nonce's first request finds no connection.
    EachOnceAtTheSecondAttempt,
    TheNewest,
}

/// A resource that gives a new nonce with each answer.
struct Resource {
    accepts: Accepts,
    given: Vec<String>,
    seen: HashSet<String>,
    /// Nonces whose first request was not sent.
    unreached: HashSet<String>,
    requests: usize,
}

impl Resource {
    fn respond(&mut self, request: &Request) -> Result<Response, FetchFailed> {
        let proof = request.field("dpop").expect("a proof");
        let claims = base64url::decode(proof.split('.').nth(1).expect("claims").as_bytes()).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        let nonce = claims["nonce"].as_str().map(String::from);
        if let (Some(nonce), Accepts::EachOnceAtTheSecondAttempt) = (&nonce, self.accepts)
            && self.unreached.insert(nonce.clone())
        {
            return Err(FetchFailed::NotSent("connection refused".into()));
        }
        self.requests += 1;
        let is_good = match (&nonce, self.accepts) {
            (None, _) => false,
            (Some(nonce), Accepts::EachOnce | Accepts::EachOnceAtTheSecondAttempt) => {
                let known = self.given.iter().position(|given| given == nonce);
                known.map(|at| self.given.remove(at)).is_some()
            }
            (Some(nonce), Accepts::TheNewest) => self.given.last() == Some(nonce),
        };
        assert!(self.seen.insert(claims["jti"].to_string()), "a proof was used twice");
        self.given.push(format!("nonce-{}", self.requests));
        let fresh = self.given.last().expect("just given");
        let response = Response { status: if is_good { 200 } else { 401 }, fields: Vec::new(), body: Vec::new() };
        let response = with(response, "DPoP-Nonce", fresh);
        Ok(if is_good { response } else { with(response, "WWW-Authenticate", "DPoP error=\"use_dpop_nonce\"") })
    }
}

/// A call that waits for its answer or for a lock.
enum Waiting {
    Ready(Result<Step<Answer>, FlowError>),
    /// A request that arrives after this many rounds.
    Sent(keybound::oauth::step::Fetch<Answer>, u8),
    Answer(keybound::oauth::step::Fetch<Answer>, Result<Response, FetchFailed>),
    Lock(keybound::oauth::step::Lock<Answer>),
    Pause(keybound::oauth::step::Wait<Answer>, u8),
}

/// Runs calls beside each other: in each round, each of them takes one step. A request arrives up to four rounds later, so that requests
/// overtake each other.
fn run(
    client: &Client,
    session: &Session,
    key: &SoftKey,
    resource: &mut Resource,
    calls: usize,
) -> Vec<Result<Answer, FlowError>> {
    let begin = || client.call(session, Request::new("GET", &format!("{RESOURCE}/a")), NOW);
    let mut waiting: VecDeque<Waiting> = (0..calls).map(|_| Waiting::Ready(begin())).collect();
    let (mut held, mut latency): (Option<String>, u8) = (None, 0);
    let mut outcomes = Vec::new();
    for _ in 0..10_000 {
        let Some(next) = waiting.pop_front() else { return outcomes };
        let step = match next {
            Waiting::Answer(step, response) => step.resume(response, NOW),
            Waiting::Sent(step, 0) => {
                let response = resource.respond(step.request());
                waiting.push_back(Waiting::Answer(step, response));
                continue;
            }
            Waiting::Sent(step, rounds) => {
                waiting.push_back(Waiting::Sent(step, rounds - 1));
                continue;
            }
            Waiting::Lock(step) if held.is_none() => {
                held = Some(step.lock().into());
                step.resume(Ok(()), NOW)
            }
            Waiting::Lock(step) => {
                waiting.push_back(Waiting::Lock(step));
                continue;
            }
            Waiting::Pause(step, 0) => step.resume((), NOW),
            Waiting::Pause(step, rounds) => {
                waiting.push_back(Waiting::Pause(step, rounds - 1));
                continue;
            }
            Waiting::Ready(step) => step,
        };
        match step {
            Ok(Step::Done(answer)) => outcomes.push(Ok(answer)),
            Err(error) => outcomes.push(Err(error)),
            Ok(Step::Sign(step)) => waiting.push_front(Waiting::Ready(step.resume_with(key, NOW))),
            Ok(Step::Fetch(step)) => {
                latency = (latency + 3) % 5;
                waiting.push_back(Waiting::Sent(step, latency));
            }
            Ok(Step::Lock(step)) => waiting.push_back(Waiting::Lock(step)),
            Ok(Step::Unlock(step)) => {
                assert_eq!(held.take().as_deref(), Some(step.lock()));
                waiting.push_front(Waiting::Ready(step.resume(Ok(()), NOW)));
            }
            Ok(Step::Wait(step)) => waiting.push_back(Waiting::Pause(step, 1)),
            Ok(step) => panic!("{} is not asked for", step.name()),
        }
    }
    panic!("the calls wait for each other");
}

/// How often the resource was asked by ten calls beside each other, so many times, all of which succeed.
fn requests_of_ten_calls<const TIMES: usize>(accepts: Accepts) -> [usize; TIMES] {
    let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).expect("a key");
    let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().expect("a client");
    let session = client.adopt(HeldToken {
        session: "work".into(),
        token: Secret::new("at"),
        resource: RESOURCE.into(),
        key: CreatedKey {
            public_key: key.public_key().clone(),
            algorithm: Algorithm::Es256,
            protection: KeyProtection::Software,
            owner: KeyOwner::Session,
        },
        expires_at: None,
    });
    let session = session.expect("a session");
    let mut resource =
        Resource { accepts, given: Vec::new(), seen: HashSet::new(), unreached: HashSet::new(), requests: 0 };
    [(); TIMES].map(|()| {
        let before = resource.requests;
        let outcomes = run(&client, &session, &key, &mut resource, 10);
        assert_eq!(outcomes.len(), 10);
        for outcome in outcomes {
            assert_eq!(outcome.expect("an answer").status, 200);
        }
        resource.requests - before
    })
}

#[test]
fn each_call_retries_with_the_nonce_of_its_own_answer() {
    // The second time all begin with one nonce, which is good for one of them.
    assert_eq!(requests_of_ten_calls(Accepts::EachOnce), [20, 19]);
}

#[test]
fn a_call_that_is_sent_again_has_the_nonce_of_its_own_answer_still() {
    // Meanwhile the other calls have learned newer ones, of which each is good for one call.
    assert_eq!(requests_of_ten_calls(Accepts::EachOnceAtTheSecondAttempt), [20]);
}

#[test]
fn calls_take_turns_where_only_the_newest_nonce_is_accepted() {
    let [first, second] = requests_of_ten_calls(Accepts::TheNewest);
    assert!(first <= 30, "at most three attempts each: {first}");
    assert_eq!(second, 10, "they take turns from the beginning");
}
