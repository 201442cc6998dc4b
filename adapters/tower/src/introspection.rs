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
/// The longest that an answer may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

type Digest = [u8; 32];
type Answer = Arc<[u8]>;

/// Shares answers that are on their way and remembers for a short while which tokens are not active. Active tokens are asked
/// about each time, so that a revocation counts at once.
pub(crate) struct Introspector {
    source: Box<dyn Introspection>,
    crypto: Crypto,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    underway: HashMap<Digest, Arc<OnceCell<Answer>>>,
    inactive: HashMap<Digest, (Answer, UnixTime)>,
}

impl Introspector {
    pub(crate) fn new(source: Box<dyn Introspection>, crypto: &Crypto) -> Self {
        let (permits, state) = (Semaphore::new(AT_A_TIME), Mutex::default());
        Self { source, crypto: *crypto, permits, state }
    }

    /// The answer about `token`; none if it cannot be had.
    pub(crate) async fn answer(&self, token: &str, now: UnixTime) -> Option<Answer> {
        let digest = self.crypto.digest.sha256(&[token.as_bytes()]);
        let cell = {
            let mut state = self.state();
            if let Some((answer, until)) = state.inactive.get(&digest)
                && now < *until
            {
                return Some(Arc::clone(answer));
            }
            Arc::clone(state.underway.entry(digest).or_default())
        };
        let answer = cell.get_or_try_init(|| self.ask(token)).await;
        let mut state = self.state();
        if state.underway.get(&digest).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
            state.underway.remove(&digest);
        }
        match answer {
            Ok(answer) => {
                if !is_active(answer) {
                    state.remember_inactive(digest, Arc::clone(answer), now);
                }
                Some(Arc::clone(answer))
            }
            Err(error) => {
                tracing::warn!(target: "keybound", %error, "a token cannot be introspected");
                None
            }
        }
    }

    async fn ask(&self, token: &str) -> Result<Answer, HostError> {
        let _permit = self.permits.acquire().await?;
        Ok(tokio::time::timeout(TIMEOUT, self.source.introspect(token)).await??.into())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
        f.debug_struct("Introspector").finish_non_exhaustive()
    }
}
