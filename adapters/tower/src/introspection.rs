//! Introspection (RFC 7662): tokens that only the authorization server understands.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use keybound::json::Value;
use keybound::replay::BoxFuture;
use keybound::{Crypto, UnixTime};
use tokio::sync::{OnceCell, Semaphore};

use crate::HostError;

/// Asks the authorization server about a token.
pub trait Introspection: Send + Sync + 'static {
    /// The body of the answer to the introspection request, whose status must have been 200. Requests about one token that
    /// come at the same time share an answer.
    ///
    /// The token is a secret: it belongs into the body of a request over TLS, and into no log.
    fn introspect<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HostError>>;
}

/// For how long a token that is not active is remembered, in seconds.
const NEGATIVE_AGE: u64 = 10;
/// How many such tokens are remembered.
const NEGATIVE_CAPACITY: usize = 4096;
/// How many questions are asked at a time.
const AT_A_TIME: usize = 64;
/// How many requests wait for an answer, those about one token included. More are refused with 503: their
/// senders have shown nothing yet.
const MAX_WAITING: usize = 1024;
/// The longest that a request waits, its turn included.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

type Digest = [u8; 32];
type Answer = Arc<[u8]>;

/// Shares answers that are on their way and remembers for a short while which tokens are not active. Active tokens are asked
/// about each time, so that a revocation counts at once.
pub(crate) struct Introspector {
    source: Box<dyn Introspection>,
    crypto: Crypto,
    permits: Semaphore,
    waiting: Semaphore,
    state: Mutex<State>,
}

/// A request that waits for an answer. It stops waiting when this is dropped, which a broken connection does too; a question that
/// no request waits for is forgotten.
struct Waiting<'i> {
    introspector: &'i Introspector,
    digest: Digest,
    answer: Arc<OnceCell<Answer>>,
}

#[derive(Default)]
struct State {
    underway: HashMap<Digest, Question>,
    inactive: HashMap<Digest, (Answer, UnixTime)>,
}

/// A question under way, and how many requests wait for its answer.
#[derive(Default)]
struct Question {
    answer: Arc<OnceCell<Answer>>,
    waiting: usize,
}

impl Introspector {
    pub(crate) fn new(source: Box<dyn Introspection>, crypto: &Crypto) -> Self {
        let (permits, waiting) = (Semaphore::new(AT_A_TIME), Semaphore::new(MAX_WAITING));
        Self { source, crypto: *crypto, permits, waiting, state: Mutex::default() }
    }

    /// The answer about `token`; none if it cannot be had.
    pub(crate) async fn answer(&self, token: &str, now: UnixTime) -> Option<Answer> {
        let digest = self.crypto.digest.sha256(&[token.as_bytes()]);
        if let Some(answer) = self.state().inactive_answer(&digest, now) {
            return Some(answer);
        }
        let Ok(_seat) = self.waiting.try_acquire() else {
            tracing::warn!(target: "keybound", "too many requests wait for introspection");
            return None;
        };
        let waiting = self.wait(digest);
        let answer = waiting.answer.get_or_try_init(|| self.ask(token));
        match tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(answer) => {
                if !is_active(answer) {
                    self.state().remember_inactive(digest, Arc::clone(answer), now);
                }
                Some(Arc::clone(answer))
            }
            Err(error) => {
                tracing::warn!(target: "keybound", %error, "a token cannot be introspected");
                None
            }
        }
    }

    fn wait(&self, digest: Digest) -> Waiting<'_> {
        let mut state = self.state();
        let question = state.underway.entry(digest).or_default();
        question.waiting += 1;
        Waiting { introspector: self, digest, answer: Arc::clone(&question.answer) }
    }

    async fn ask(&self, token: &str) -> Result<Answer, HostError> {
        let _permit = self.permits.acquire().await?;
        Ok(self.source.introspect(token).await?.into())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.introspector.state();
        // Once it is answered, the next request about this token asks anew.
        if let Some(question) = state.underway.get_mut(&self.digest)
            && Arc::ptr_eq(&question.answer, &self.answer)
        {
            question.waiting -= 1;
            if question.waiting == 0 || self.answer.initialized() {
                state.underway.remove(&self.digest);
            }
        }
    }
}

impl State {
    fn inactive_answer(&self, digest: &Digest, now: UnixTime) -> Option<Answer> {
        self.inactive.get(digest).filter(|(_, until)| now < *until).map(|(answer, _)| Arc::clone(answer))
    }

    fn remember_inactive(&mut self, digest: Digest, answer: Answer, now: UnixTime) {
        if self.inactive.len() >= NEGATIVE_CAPACITY {
            self.inactive.retain(|_, (_, until)| now < *until);
        }
        // Full of tokens sent a moment ago: forgetting costs a question, no more.
        if self.inactive.len() < NEGATIVE_CAPACITY && answer.len() <= 1024 {
            self.inactive.insert(digest, (answer, now.saturating_add(NEGATIVE_AGE)));
        }
    }
}

fn is_active(answer: &[u8]) -> bool {
    Value::parse_object(answer).is_ok_and(|answer| answer.boolean("active") == Some(true))
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let underway = self.state().underway.len();
        f.debug_struct("Introspector").field("underway", &underway).finish_non_exhaustive()
    }
}
