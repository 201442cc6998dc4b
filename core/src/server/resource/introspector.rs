//! Asking about tokens: each is asked about once at a time, however many requests bring it, and strangers cause bounded work.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use spin::Mutex;

use super::introspection::{Asked, Introspection, MAX_ANSWER_LEN};
use crate::base64url;
use crate::flow::step::{Asking, Question, SHARED_TIMEOUT, Sharing, Task};
use crate::flow::{Flow, Io};
use crate::json::Value;
use crate::oauth::metadata::{AuthorizationServer, UrlRule};
use crate::oauth::{AnswerDefect, Client, Endpoint, FlowError, Secret, ask_about, find_server};
use crate::{Crypto, Misuse, SecurityLevel, UnixTime};

#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

/// The longest answer that is remembered, in bytes; longer ones are asked for each time.
const MAX_KEPT_LEN: usize = 4096;
/// For how long a token that is not active is remembered, in seconds.
const NEGATIVE_AGE: u64 = 10;
/// How many answers are remembered, of each kind.
const CAPACITY: usize = 4096;
/// How many questions are asked at a time.
const AT_A_TIME: usize = 64;
/// How many requests wait for an answer, those about one token included. More are refused with 503: their senders have shown
/// nothing yet.
const MAX_WAITING: usize = 1024;
/// How old the metadata of a server may be that is asked, in seconds.
const METADATA_AGE: u64 = 600;

/// Names a token without holding it.
type Hash = [u8; 32];
/// The body of an answer.
type Said = Arc<[u8]>;

/// Shares answers that are on their way, and remembers for a short while which tokens are not active.
pub(super) struct Introspector {
    introspection: Introspection,
    client: Client,
    crypto: Crypto,
    state: Mutex<State>,
}

/// No one can say what a token is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unavailable;

#[derive(Default)]
struct State {
    underway: BTreeMap<Hash, Arc<Underway>>,
    inactive: Remembered,
    active: Remembered,
    waiting: usize,
    server: Option<(AuthorizationServer, UnixTime)>,
}

/// A question under way, and its answer when that has come: for those who wait, however late they look.
#[derive(Default)]
struct Underway {
    came: Mutex<(bool, Option<Said>)>,
    /// How many requests were told to wait for its end before they ask.
    behind: AtomicUsize,
}

/// Answers, each until a time.
#[derive(Default)]
struct Remembered(BTreeMap<Hash, (Said, UnixTime)>);

/// A place among those who wait. Given back when a flow ends or is given up.
struct Seat(Arc<Introspector>);

/// The right to ask about a token. Given back when the question has ended or is given up.
struct Turn {
    introspector: Arc<Introspector>,
    hash: Hash,
    underway: Arc<Underway>,
}

/// What there is for a token.
enum Found {
    Said(Said),
    Wait(Arc<Underway>, Option<Turn>),
    /// So many questions are under way that this one waits for the end of the one with this hash. Those who wait are spread over all of
    /// them, so that one that gets no answer holds up few.
    Queue(Hash),
    Crowded,
}

impl Introspector {
    pub(super) fn new(introspection: Introspection, crypto: &Crypto) -> Result<Arc<Self>, Misuse> {
        let client = Client::builder(SecurityLevel::Standard, crypto).build()?;
        Ok(Arc::new(Self { introspection, client, crypto: *crypto, state: Mutex::default() }))
    }

    /// The answer about `token`.
    pub(super) async fn find(self: &Arc<Self>, io: &Io, token: &str) -> Result<Said, Unavailable> {
        let hash = self.crypto.digest.sha256(&[token.as_bytes()]);
        let began = io.now();
        let is_late = || io.now().since(began) >= SHARED_TIMEOUT;
        let mut seat = None;
        loop {
            let (underway, turn) = match self.look(&hash, io.now(), &mut seat) {
                Found::Said(said) => return Ok(said),
                Found::Crowded => return Err(Unavailable),
                Found::Wait(underway, turn) => (underway, turn),
                Found::Queue(_) if is_late() => return Err(Unavailable),
                Found::Queue(other) => {
                    io.share(sharing(&other, None)).await.map_err(|_| Unavailable)?;
                    continue;
                }
            };
            let mut task = turn.map(|turn| turn.task(token));
            loop {
                io.share(sharing(&hash, task.take())).await.map_err(|_| Unavailable)?;
                let (has_ended, said) = underway.came.lock().clone();
                match said {
                    Some(said) => return Ok(said),
                    None if has_ended || is_late() => return Err(Unavailable),
                    None => {}
                }
            }
        }
    }

    fn look(self: &Arc<Self>, hash: &Hash, now: UnixTime, seat: &mut Option<Seat>) -> Found {
        let mut state = self.state.lock();
        if let Some(said) = state.inactive.get(hash, now).or_else(|| state.active.get(hash, now)) {
            return Found::Said(said);
        }
        if seat.is_none() {
            if state.waiting >= MAX_WAITING {
                return Found::Crowded;
            }
            state.waiting = state.waiting.saturating_add(1);
            *seat = Some(Seat(Arc::clone(self)));
        }
        if let Some(underway) = state.underway.get(hash) {
            return Found::Wait(Arc::clone(underway), None);
        }
        let fewest = |(_, underway): &(&Hash, &Arc<Underway>)| underway.behind.load(Relaxed);
        if state.underway.len() >= AT_A_TIME
            && let Some((other, underway)) = state.underway.iter().min_by_key(fewest)
        {
            underway.behind.fetch_add(1, Relaxed);
            return Found::Queue(*other);
        }
        let underway = Arc::<Underway>::default();
        state.underway.insert(*hash, Arc::clone(&underway));
        let turn = Turn { introspector: Arc::clone(self), hash: *hash, underway: Arc::clone(&underway) };
        Found::Wait(underway, Some(turn))
    }

    /// Asks.
    async fn ask(&self, io: &Io, token: &Secret) -> Result<Said, FlowError> {
        let body = match &self.introspection.asked {
            Asked::Host => io.ask_host(Asking { question: Question::Token, subject: token.clone() }).await?,
            Asked::Server(server, credentials) => {
                ask_about(io, &self.client, server, credentials, token.expose()).await?
            }
            Asked::Issuer(issuer, credentials) => {
                let server = self.server(io, issuer).await?;
                ask_about(io, &self.client, &server, credentials, token.expose()).await?
            }
        };
        Ok(body.into())
    }

    async fn server(&self, io: &Io, issuer: &str) -> Result<AuthorizationServer, FlowError> {
        let known = self.state.lock().server.clone();
        if let Some((server, found_at)) = known
            && found_at <= io.now()
            && io.now().since(found_at) < METADATA_AGE
        {
            return Ok(server);
        }
        let server = find_server(io, self.crypto.random, UrlRule::of_issuer(issuer), issuer).await?;
        self.state.lock().server = Some((server.clone(), io.now()));
        Ok(server)
    }

    fn remember(&self, hash: Hash, said: &Said, now: UnixTime) -> Result<(), FlowError> {
        let malformed = |defect| FlowError::Answer(Endpoint::Introspection, defect);
        let answer = Some(said).filter(|said| said.len() <= MAX_ANSWER_LEN);
        let answer = answer.and_then(|said| Value::parse_object(said).ok());
        let answer = answer.ok_or_else(|| malformed(AnswerDefect::NotJson))?;
        let is_active = answer.boolean("active").ok_or_else(|| malformed(AnswerDefect::Missing("active")))?;
        let mut state = self.state.lock();
        if !is_active {
            state.inactive.keep(hash, said, now.saturating_add(NEGATIVE_AGE), now);
        } else if self.introspection.positive_age > 0 {
            let until = now.saturating_add(self.introspection.positive_age);
            let until = answer.time("exp").map_or(until, |end| end.min(until));
            state.active.keep(hash, said, until, now);
        }
        Ok(())
    }
}

impl Turn {
    /// The task that asks.
    fn task(self, token: &str) -> Task {
        let token = Secret::new(token);
        Box::new(move |now| {
            Flow::start(now, |io| async move {
                let turn = self;
                let said = turn.introspector.ask(&io, &token).await?;
                turn.introspector.remember(turn.hash, &said, io.now())?;
                turn.underway.came.lock().1 = Some(said);
                Ok(())
            })
        })
    }
}

impl Drop for Turn {
    /// Once it is answered, the next request about this token asks anew.
    fn drop(&mut self) {
        self.underway.came.lock().0 = true;
        let mut state = self.introspector.state.lock();
        if state.underway.get(&self.hash).is_some_and(|underway| Arc::ptr_eq(underway, &self.underway)) {
            state.underway.remove(&self.hash);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

impl Remembered {
    fn get(&self, hash: &Hash, now: UnixTime) -> Option<Said> {
        self.0.get(hash).filter(|(_, until)| now < *until).map(|(said, _)| Arc::clone(said))
    }

    fn keep(&mut self, hash: Hash, said: &Said, until: UnixTime, now: UnixTime) {
        if said.len() > MAX_KEPT_LEN {
            return;
        }
        if self.0.len() >= CAPACITY {
            self.0.retain(|_, (_, until)| now < *until);
        }
        // Full of tokens sent a moment ago: forgetting costs a question, no more.
        if self.0.len() < CAPACITY {
            self.0.insert(hash, (Arc::clone(said), until));
        }
    }
}

fn sharing(hash: &Hash, task: Option<Task>) -> Sharing {
    Sharing { name: name(hash), task }
}

/// What a question is called, by a hash of its token.
fn name(hash: &Hash) -> String {
    ["token ", &base64url::encode(hash)].concat()
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let underway = self.state.lock().underway.len();
        f.debug_struct("Introspector").field("underway", &underway).finish_non_exhaustive()
    }
}
