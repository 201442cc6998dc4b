//! Steps of a flow with their result erased: what is wanted as a plain value, what comes back as another.

use std::sync::{Arc, Mutex, PoisonError};

use keybound::flow::step;
#[cfg(feature = "grants")]
use keybound::oauth::DeviceAuthorization;
#[cfg(feature = "client")]
use keybound::oauth::{Discovered, Outcome, Session};
#[cfg(feature = "servers")]
use keybound::server::authorization::Admitted;
#[cfg(feature = "servers")]
use keybound::server::resource::Unconsumed;
use keybound::{Spelling, UnixTime, json::Value};

#[cfg(feature = "servers")]
use crate::admission::Principal;
#[cfg(feature = "servers")]
use crate::audit::{self, Slot};
use crate::error::Error;
use crate::replay::Entry;
#[cfg(feature = "servers")]
use crate::verify::Refusal;

mod reply;
mod shown;

pub use reply::Reply;
use reply::answered;
use shown::{came, wanted};

/// What a flow came to, as far as later operations refer to it.
#[derive(Clone, Debug)]
pub enum Handle {
    #[cfg(feature = "client")]
    /// What protects a target.
    Discovered(Discovered),
    #[cfg(feature = "client")]
    /// A session.
    Session(Session),
    #[cfg(feature = "client")]
    /// A login on another device, to be polled.
    Device(Arc<Device>),
    #[cfg(feature = "servers")]
    /// Whom an admitted request may be attributed to.
    Principal(Arc<Principal>),
}

impl Handle {
    #[cfg(feature = "client")]
    /// What protects a target, if it is that.
    pub fn discovered(self) -> Option<Discovered> {
        match self {
            Self::Discovered(discovered) => Some(discovered),
            #[allow(unreachable_patterns, reason = "a build may have one kind alone")]
            _ => None,
        }
    }

    #[cfg(feature = "client")]
    /// A session, if it is that.
    pub fn session(self) -> Option<Session> {
        match self {
            Self::Session(session) => Some(session),
            #[allow(unreachable_patterns, reason = "a build may have one kind alone")]
            _ => None,
        }
    }

    #[cfg(feature = "client")]
    /// A login on another device, if it is that.
    pub fn device(self) -> Option<Arc<Device>> {
        match self {
            Self::Device(device) => Some(device),
            #[allow(unreachable_patterns, reason = "a build may have one kind alone")]
            _ => None,
        }
    }

    #[cfg(feature = "servers")]
    /// Whom a request may be attributed to, if it is that.
    pub fn principal(self) -> Option<Arc<Principal>> {
        match self {
            Self::Principal(principal) => Some(principal),
            #[allow(unreachable_patterns, reason = "a build may have one kind alone")]
            _ => None,
        }
    }
}

/// A login on another device. Polling uses it up.
#[cfg(feature = "client")]
#[derive(Debug)]
pub struct Device(#[cfg(feature = "grants")] Mutex<Option<DeviceAuthorization>>);

#[cfg(feature = "grants")]
impl Device {
    /// A login to be polled once.
    pub fn new(device: DeviceAuthorization) -> Self {
        Self(Mutex::new(Some(device)))
    }

    /// The login itself.
    ///
    /// # Errors
    /// `already_used` a second time.
    pub fn take(&self) -> Result<DeviceAuthorization, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(Error::already_used)
    }
}

/// A flow: what it wants, and what it is given.
pub struct Flow(Mutex<State>);

struct State {
    step: Option<Next>,
    handle: Option<Handle>,
    /// Where the end is recorded, if records are wanted.
    #[cfg(feature = "servers")]
    slot: Option<Slot>,
}

type Next = step::Step<Came>;

/// What a flow came to.
pub enum Came {
    #[cfg(feature = "client")]
    /// That of a client's flow.
    Client(Outcome),
    #[cfg(feature = "servers")]
    /// An admitted request to a protected resource.
    Admitted(Arc<Principal>),
    #[cfg(feature = "servers")]
    /// An admitted request to an authorization server.
    Bound(Admitted),
    #[cfg(feature = "servers")]
    /// A request that passed every check but replay.
    Unconsumed(Unconsumed),
    #[cfg(feature = "servers")]
    /// An intent was carried out.
    CarriedOut,
    #[cfg(feature = "servers")]
    /// A request is refused: send this.
    Refused(Refusal),
    #[cfg(feature = "servers")]
    /// A request or an intent is refused: send this. The error that goes with it is shown besides.
    RefusedWithError(Refusal),
    /// Work that many flows share has ended.
    Shared,
}

/// A step as the core has it, for bindings with types of their own.
pub enum Seen<'a> {
    /// What the host has to do.
    Wanted(&'a step::Step<Came>),
    /// What the flow came to.
    Done(Came),
}

/// What the host has to do next, as JSON; the members are listed at [`Flow::step`].
pub type Step = String;

impl Flow {
    pub(crate) fn new(step: Next) -> Self {
        Self(Mutex::new(State {
            step: Some(step),
            handle: None,
            #[cfg(feature = "servers")]
            slot: None,
        }))
    }

    /// The same, whose end is recorded.
    #[cfg(feature = "servers")]
    pub(crate) fn noted(step: Next, slot: Option<Slot>) -> Self {
        let flow = Self::new(step);
        flow.lock().slot = slot;
        flow
    }

    /// The audit record of what a server's flow came to: a line of JSON (see [`AuditRecord::to_json`](keybound::audit::AuditRecord::to_json)),
    /// once, after `done`. None unless the server has the option `audit`. `route` is the template of the route, never the request's path;
    /// `microseconds` below zero were not measured.
    #[cfg(feature = "servers")]
    pub fn record(&self, route: Option<&str>, microseconds: i64, now: i64) -> Option<String> {
        let slot = self.lock().slot.clone()?;
        audit::written(&slot, route, microseconds, now)
    }

    /// What the host has to do: an object with `step` and
    ///
    /// | `step` | members | reply |
    /// |---|---|---|
    /// | `create_key` | `algorithms`, `protections` | `key`: `public_jwk`, `algorithm`, `protection`; `shared` (true), if it is the host's and no flow deletes it |
    /// | `delete_key` | `thumbprint` | `ok` |
    /// | `sign` | `thumbprint`, `for` (`proof`, `client_assertion`), `algorithm`, `message`, `digest` (byte strings) | `signature`, `encoding`; `key_missing`, `key_changed`, `key_unreadable` |
    /// | `fetch` | `method`, `url`, `headers` (pairs), `body` (`empty`, `bytes`, `repeatable`, `one_shot`), `content`, `max_body`, `timeout` | `response`: `status`, `headers` (pairs), `body` |
    /// | `lock` | `lock`, `lease` (seconds) | `ok` |
    /// | `unlock` | `lock` | `ok` |
    /// | `load` | `slot` | `stored`: `version`, `value`, or null |
    /// | `save` | `slot`, `expected`, `version`, `value` (null deletes) | `saved`: true, or false on a conflict |
    /// | `wait` | `milliseconds` | `ok` |
    /// | `share` | `name`, `timeout` (seconds) | `ok`, when the work of this name has ended; see [`task`](Self::task) |
    /// | `ask` | `question` (`keys`, `token`), `subject` (an issuer, a token), `timeout` (seconds) | `told`, a byte string |
    /// | `insert` | `entry`, see [`Entry::to_json`] | `inserted`: `insertion`, `epoch` |
    /// | `done` | `result`, an object with `kind` | none |
    ///
    /// Each but `done` and `wait` also takes `failed`, a text. A `fetch` takes `not_sent` instead, a text too, if no byte of the request
    /// left: then it is sent again. A host that does not know says `failed`. See `keybound::oauth::step` for what each asks of the host.
    ///
    /// `done` comes once; what later operations refer to is kept as [`handle`](Self::handle).
    ///
    /// Sentences have the names of options in the spelling of the language.
    ///
    /// # Errors
    /// Misuse after the flow has failed or `done` was given.
    pub fn step(&self, spelling: Spelling) -> Result<Step, Error> {
        self.lock().show(spelling)
    }

    /// Shows what the host has to do as the core has it. What [`step`](Self::step) says of `done` holds here too, but that no handle
    /// is kept: the outcome is the caller's.
    ///
    /// # Errors
    /// Misuse after the flow has failed or its outcome was given.
    pub fn look<T>(&self, show: impl FnOnce(Seen<'_>) -> T) -> Result<T, Error> {
        self.lock().look(show)
    }

    /// Goes on with the host's answer, and says what is next, see [`step`](Self::step).
    ///
    /// # Errors
    /// Misuse, if the reply does not fit: the flow then waits for one that does. Any other error ends the flow.
    pub fn resume(&self, reply: Reply, now: i64, spelling: Spelling) -> Result<Step, Error> {
        let mut state = self.lock();
        state.answer(reply, now)?;
        state.show(spelling)
    }

    /// Goes on with the host's answer; [`look`](Self::look) shows what is next.
    ///
    /// # Errors
    /// As of [`resume`](Self::resume).
    pub fn answer(&self, reply: Reply, now: i64) -> Result<(), Error> {
        self.lock().answer(reply, now)
    }

    /// The task that does the work of a `share` step, for the first flow that waits for it; none where it is under way already, or in
    /// another step. Run it beside all requests, to its end or its time-out, even if the request that brought it is given up; then resume
    /// every flow that waits for its name.
    ///
    /// # Errors
    /// Why the work ended at once, for logs: the flow is resumed all the same.
    pub fn task(&self, now: i64) -> Result<Option<Self>, Error> {
        let mut state = self.lock();
        let Some(step::Step::Share(share)) = &mut state.step else { return Ok(None) };
        let task = share.take_task(UnixTime::from_secs(now)).transpose()?;
        Ok(task.map(|task| Self::new(task.map(|()| Came::Shared))))
    }

    /// The entry of an `insert` step, see [`Entry`]; none in another step.
    pub fn entry(&self) -> Option<Entry> {
        match &self.lock().step {
            Some(step::Step::Insert(step)) => Some(Entry::of(step.entry())),
            _ => None,
        }
    }

    /// Gives the flow up, at once and not when the last reference to it goes: for a task whose time is over, so that another can begin.
    pub fn abandon(&self) {
        self.lock().step = None;
    }

    /// What later operations refer to, after `done`.
    pub fn handle(&self) -> Option<Handle> {
        self.lock().handle.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look<T>(&mut self, show: impl FnOnce(Seen<'_>) -> T) -> Result<T, Error> {
        Ok(match self.step.take().ok_or_else(Error::already_used)? {
            step::Step::Done(outcome) => show(Seen::Done(outcome)),
            step => {
                let shown = show(Seen::Wanted(&step));
                self.step = Some(step);
                shown
            }
        })
    }

    fn show(&mut self, spelling: Spelling) -> Result<Step, Error> {
        let (shown, handle) = self.look(|seen| match seen {
            Seen::Wanted(step) => (wanted(step), None),
            Seen::Done(outcome) => {
                let (result, handle) = came(outcome, spelling);
                (Value::object().with("step", "done").with("result", result), handle)
            }
        })?;
        self.handle = handle;
        Ok(shown.to_json())
    }

    fn answer(&mut self, reply: Reply, now: i64) -> Result<(), Error> {
        let step = self.step.take().ok_or_else(Error::already_used)?;
        match answered(step, reply, UnixTime::from_secs(now)) {
            Ok(next) => {
                self.step = Some(next?);
                Ok(())
            }
            Err((step, error)) => {
                self.step = Some(*step);
                Err(error)
            }
        }
    }
}
