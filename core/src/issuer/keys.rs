//! The keys of one issuer: where they are, how long they count, and that one request asks for them while the others wait.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use spin::Mutex;

use super::{JwkSet, fetch_set};
use crate::crypto::SecureRandom;
use crate::flow::step::{Asking, Question, SHARED_TIMEOUT, Sharing};
use crate::flow::{Flow, Io};
use crate::jose::algorithm::Algorithm;
use crate::oauth::metadata::UrlRule;
use crate::oauth::{AnswerDefect, Endpoint, FlowError, Secret, find_server};
use crate::{Misuse, UnixTime};

#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests;

/// How old keys may be before they are fetched again, in seconds.
const MAX_AGE: u64 = 600;
/// How old keys may be if they cannot be fetched again, in seconds: a day.
const MAX_STALE: u64 = 86_400;
/// The shortest time between two fetches, in seconds: anyone can name a key that no one has.
const MIN_INTERVAL: u64 = 10;
/// How many requests wait for a fetch. More are refused with 503.
const MAX_WAITING: usize = 1024;

/// Where the keys of an issuer come from.
///
/// They are fetched when they are needed first, and again when they are ten minutes old or a token names a key that is not among
/// them, but never twice within ten seconds. If they cannot be fetched, those that are known count for a day.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// From the `jwks_uri` of the issuer's metadata, which is looked for at the places of RFC 8414 and OpenID Connect Discovery.
    Metadata,
    /// From this URL: `https`, or `http` on loopback.
    At(String),
    /// These, for ever.
    Given(JwkSet),
    /// From the host, by an [`Ask`](crate::flow::step::Ask) step with [`Question::Keys`].
    Host,
}

/// The keys of one issuer, and who fetches them.
pub(crate) struct IssuerKeys {
    issuer: String,
    source: KeySource,
    /// The set that was given, shared by all requests.
    given: Option<Arc<JwkSet>>,
    random: &'static dyn SecureRandom,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<JwkSet>, UnixTime)>,
    tried_at: Option<UnixTime>,
    is_underway: bool,
    waiting: usize,
}

/// What a token says about the key it is signed with.
#[derive(Clone, Copy)]
pub(crate) struct WantedKey<'a> {
    pub(crate) kid: Option<&'a str>,
    pub(crate) algorithm: Algorithm,
}

/// The keys cannot be had now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeysUnavailable;

/// What there is for a token.
enum Found {
    /// These keys are to judge it.
    Keys(Arc<JwkSet>),
    /// Newer ones are on their way, or to be fetched by the flow that has the turn.
    Wait(Seat, Option<Turn>),
    /// Too many wait.
    Crowded,
}

/// A place among those who wait. Given back when a flow ends or is given up.
struct Seat(Arc<IssuerKeys>);

/// The right to fetch. Given back when the fetch has ended or is given up.
struct Turn(Arc<IssuerKeys>);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state.lock().is_underway = false;
    }
}

impl IssuerKeys {
    /// The keys of `issuer`, from `source`.
    ///
    /// # Errors
    /// [`Misuse`] if a URL cannot be used.
    pub(crate) fn new(issuer: &str, source: KeySource, random: &'static dyn SecureRandom) -> Result<Arc<Self>, Misuse> {
        // An issuer that is asked without encryption is on this machine, and so may its keys be.
        let rule = UrlRule::of_issuer(issuer);
        if let KeySource::At(url) = &source {
            rule.given(url)?;
        }
        let given = match &source {
            KeySource::Given(keys) => Some(Arc::new(keys.clone())),
            _ => None,
        };
        Ok(Arc::new(Self { issuer: issuer.into(), source, given, random, state: Mutex::default() }))
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys to judge a token with: known ones, or those that a fetch brings which all flows share.
    pub(crate) async fn find(self: &Arc<Self>, io: &Io, wanted: WantedKey<'_>) -> Result<Arc<JwkSet>, KeysUnavailable> {
        if let Some(keys) = &self.given {
            return Ok(Arc::clone(keys));
        }
        let (_seat, turn) = match self.look(wanted, io.now()) {
            Found::Keys(keys) => return Ok(keys),
            Found::Wait(seat, turn) => (seat, turn),
            Found::Crowded => return Err(KeysUnavailable),
        };
        let began = io.now();
        let mut wanted = self.sharing(turn);
        loop {
            io.share(wanted).await.map_err(|_| KeysUnavailable)?;
            let now = io.now();
            let state = self.state.lock();
            if !state.is_underway || now.since(began) >= SHARED_TIMEOUT {
                return state.at_all(now).ok_or(KeysUnavailable);
            }
            wanted = self.sharing(None);
        }
    }

    fn look(self: &Arc<Self>, wanted: WantedKey<'_>, now: UnixTime) -> Found {
        let mut state = self.state.lock();
        if let Some(keys) = state.enough(wanted, now) {
            return Found::Keys(keys);
        }
        if state.waiting >= MAX_WAITING {
            return Found::Crowded;
        }
        state.waiting = state.waiting.saturating_add(1);
        let begins = !state.is_underway && state.may_fetch(now);
        if begins {
            state.is_underway = true;
            state.tried_at = Some(now);
        }
        drop(state);
        Found::Wait(Seat(Arc::clone(self)), begins.then(|| Turn(Arc::clone(self))))
    }

    fn sharing(self: &Arc<Self>, turn: Option<Turn>) -> Sharing {
        let name = ["keys ", &self.issuer].concat();
        let task = turn.map(|turn| {
            let keys = Arc::clone(self);
            let task: crate::flow::step::Task = alloc::boxed::Box::new(move |now| {
                Flow::start(now, |io| async move {
                    // Given back at the end, whatever that is.
                    let _turn = turn;
                    let fetched = keys.fetch(&io).await?;
                    keys.state.lock().keys = Some((Arc::new(fetched), now));
                    Ok(())
                })
            });
            task
        });
        Sharing { name, task }
    }

    /// Fetches the set.
    pub(crate) async fn fetch(&self, io: &Io) -> Result<JwkSet, FlowError> {
        const AT: Endpoint = Endpoint::Keys;
        let rule = UrlRule::of_issuer(&self.issuer);
        let url = match &self.source {
            KeySource::Given(keys) => return Ok(keys.clone()),
            KeySource::Host => {
                let asked = Asking { question: Question::Keys, subject: Secret::new(self.issuer.as_str()) };
                let set = io.ask_host(asked).await?;
                return JwkSet::parse(&set).map_err(|_| FlowError::Answer(AT, AnswerDefect::NotJson));
            }
            KeySource::At(url) => rule.given(url)?,
            KeySource::Metadata => {
                let server = find_server(io, self.random, rule, &self.issuer).await?;
                server.require(AT, rule)?
            }
        };
        fetch_set(io, self.random, &url, SHARED_TIMEOUT).await
    }
}

impl State {
    /// The keys, if they are fresh and have the one that is needed, or if nothing newer can be had yet.
    fn enough(&self, wanted: WantedKey<'_>, now: UnixTime) -> Option<Arc<JwkSet>> {
        let (keys, fetched_at) = self.keys.as_ref()?;
        // A clock that was set back says nothing about their age.
        let is_fresh = *fetched_at <= now && now.since(*fetched_at) < MAX_AGE;
        let is_good = is_fresh && keys.has_key_for(wanted.kid, wanted.algorithm);
        if is_good || !(self.is_underway || self.may_fetch(now)) { self.at_all(now) } else { None }
    }

    /// The keys, however old, within reason.
    fn at_all(&self, now: UnixTime) -> Option<Arc<JwkSet>> {
        let (keys, fetched_at) = self.keys.as_ref()?;
        (now.since(*fetched_at) < MAX_STALE).then(|| Arc::clone(keys))
    }

    fn may_fetch(&self, now: UnixTime) -> bool {
        self.tried_at.is_none_or(|tried_at| tried_at > now || now.since(tried_at) >= MIN_INTERVAL)
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKeys").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
