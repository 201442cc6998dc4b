//! Steps of a flow with their result erased: what is wanted as a plain value, what comes back as another.

use std::sync::{Arc, Mutex, PoisonError};

use keybound::http::message::{Body, Response};
use keybound::json::Value;
use keybound::key::Protection;
#[cfg(feature = "grants")]
use keybound::oauth::DeviceAuthorization;
use keybound::oauth::step::{self, CreatedKey, FetchFailed, HostError, KeyFault, KeyUse, Question, Saved, Stored};
use keybound::oauth::{Demand, Discovered, FlowError, Outcome, Session};
use keybound::replay::Inserted;
use keybound::server::resource::Unconsumed;
use keybound::{Algorithm, UnixTime};

use crate::admission::{self, Principal};
use crate::client::describe;
use crate::error::Error;
use crate::key::public_key;
use crate::plain::{Options, algorithm, byte_string, bytes, one_of, pairs};
use crate::proof::decode_signature;
use crate::replay::Entry;
use crate::verify::{Refusal, epoch_of, insertion_of};

/// What a flow came to, as far as later operations refer to it.
#[derive(Clone, Debug)]
pub enum Handle {
    /// What protects a target.
    Discovered(Discovered),
    /// A session.
    Session(Session),
    /// A login on another device, to be polled.
    Device(Arc<Device>),
    /// Whom an admitted request may be attributed to.
    Principal(Arc<Principal>),
}

impl Handle {
    /// What protects a target, if it is that.
    pub fn discovered(self) -> Option<Discovered> {
        if let Self::Discovered(discovered) = self { Some(discovered) } else { None }
    }

    /// A session, if it is that.
    pub fn session(self) -> Option<Session> {
        if let Self::Session(session) = self { Some(session) } else { None }
    }

    /// A login on another device, if it is that.
    pub fn device(self) -> Option<Arc<Device>> {
        if let Self::Device(device) = self { Some(device) } else { None }
    }

    /// Whom a request may be attributed to, if it is that.
    pub fn principal(self) -> Option<Arc<Principal>> {
        if let Self::Principal(principal) = self { Some(principal) } else { None }
    }
}

/// A login on another device. Polling uses it up.
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
}

type Next = step::Step<Came>;

/// What a flow came to.
pub enum Came {
    /// That of a client's flow.
    Client(Outcome),
    /// An admitted request.
    Admitted(Arc<Principal>),
    /// A request that passed every check but replay.
    Unconsumed(Unconsumed),
    /// An intent was carried out.
    CarriedOut,
    /// A request is refused: send this.
    Refused(Refusal),
    /// An intent was not carried out: send this.
    NotCarriedOut(Refusal),
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

/// What the host answers.
pub enum Reply {
    /// A key was made.
    Key(CreatedKey),
    /// A signature: its bytes, and `raw` or `der`.
    Signature(Vec<u8>, String),
    /// A response.
    Response(Response),
    /// What is stored, if anything is.
    Stored(Option<Stored>),
    /// Whether a value was stored; false says that another version is there.
    Saved(bool),
    /// What a source of the host's own says: keys, or what a token is.
    Told(Vec<u8>),
    /// The replay store's answer.
    Inserted(Inserted),
    /// It is done: for `lock`, `unlock`, `delete_key`, `wait` and `share`.
    Ok,
    /// The host failed. Its own error stays with the host. For `fetch`: the request may have arrived.
    Failed(String),
    /// For `fetch`: the network failed, and no byte of the request left.
    NotSent(String),
    /// There is no such key any more.
    KeyMissing,
    /// There is another key under its name.
    KeyChanged,
    /// The key cannot be used now.
    KeyUnreadable(String),
}

impl Flow {
    pub(crate) fn new(step: Next) -> Self {
        Self(Mutex::new(State { step: Some(step), handle: None }))
    }

    /// What the host has to do: an object with `step` and
    ///
    /// | `step` | members | reply |
    /// |---|---|---|
    /// | `create_key` | `algorithms`, `protections` | `key`: `public_jwk`, `algorithm`, `protection` |
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
    /// | `insert` | `entry`, as of [`Entry::to_json`] | `inserted`: `insertion`, `epoch` |
    /// | `done` | `result`, an object with `kind` | none |
    ///
    /// Each but `done` and `wait` also takes `failed`, a text. A `fetch` takes `not_sent` instead, a text too, if no byte of the request
    /// left: then it is sent again. A host that does not know says `failed`. See `keybound::oauth::step` for what each asks of the host.
    ///
    /// `done` comes once; what later operations refer to is kept as [`handle`](Self::handle).
    ///
    /// # Errors
    /// Misuse after the flow has failed or `done` was given.
    pub fn step(&self) -> Result<Step, Error> {
        self.lock().show()
    }

    /// Shows what the host has to do as the core has it. What [`step`](Self::step) says of `done` holds here too, but that no handle
    /// is kept: the outcome is the caller's.
    ///
    /// # Errors
    /// Misuse after the flow has failed or its outcome was given.
    pub fn look<T>(&self, show: impl FnOnce(Seen<'_>) -> T) -> Result<T, Error> {
        self.lock().look(show)
    }

    /// Goes on with the host's answer, and says what is next.
    ///
    /// # Errors
    /// Misuse, if the reply does not fit: the flow then waits for one that does. Any other error ends the flow.
    pub fn resume(&self, reply: Reply, now: i64) -> Result<Step, Error> {
        let mut state = self.lock();
        state.answer(reply, now)?;
        state.show()
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

    /// The entry of an `insert` step, as of [`Entry`]; none in another step.
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

    fn show(&mut self) -> Result<Step, Error> {
        let (shown, handle) = self.look(|seen| match seen {
            Seen::Wanted(step) => (wanted(step), None),
            Seen::Done(outcome) => {
                let (result, handle) = came(outcome);
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

impl Reply {
    /// A key was made: its public JWK, and the names of its algorithm and of where it lives.
    ///
    /// # Errors
    /// Misuse.
    pub fn key(public_jwk: &str, algorithm_name: &str, protection: &str) -> Result<Self, Error> {
        let places: Vec<_> = Protection::ALL.iter().map(|place| (place.name(), *place)).collect();
        Ok(Self::Key(CreatedKey {
            public_key: public_key(public_jwk)?,
            algorithm: algorithm(algorithm_name)?,
            protection: one_of("a protection", protection, &places)?,
        }))
    }

    /// Reads a reply: an object with one of the members listed at [`Flow::step`].
    ///
    /// # Errors
    /// Misuse.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let kinds = [
            "key",
            "signature",
            "encoding",
            "response",
            "stored",
            "saved",
            "told",
            "inserted",
            "ok",
            "failed",
            "not_sent",
            "key_missing",
            "key_changed",
            "key_unreadable",
        ];
        let value = Value::parse_object(json.as_bytes()).map_err(|_| misfit("a reply is one JSON object"))?;
        if matches!(value.member("stored"), Some(Value::Null)) {
            return Ok(Self::Stored(None));
        }
        let reply = Options::of(value, &kinds)?;
        let part =
            |name: &str, known: &[&str]| reply.value(name).map(|part| Options::of(part.clone(), known)).transpose();
        if let Some(key) = part("key", &["public_jwk", "algorithm", "protection"])? {
            let jwk = key.value("public_jwk").ok_or_else(|| misfit("a key has a public_jwk"))?;
            return Self::key(&jwk.to_json(), key.needed("algorithm")?, key.needed("protection")?);
        }
        if let Some(signature) = reply.bytes("signature")? {
            return Ok(Self::Signature(signature, reply.needed("encoding")?.into()));
        }
        if let Some(response) = part("response", &["status", "headers", "body"])? {
            let status = response.number("status")?.and_then(|status| u16::try_from(status).ok());
            let status = status.ok_or_else(|| misfit("a response has a status"))?;
            let body = response.bytes("body")?.unwrap_or_default();
            return Ok(Self::Response(Response { status, fields: response.fields("headers")?, body }));
        }
        if let Some(stored) = part("stored", &["version", "value"])? {
            let version = stored.number("version")?.ok_or_else(|| misfit("what is stored has a version"))?;
            return Ok(Self::Stored(Some(Stored { version, value: stored.needed("value")?.as_bytes().to_vec() })));
        }
        if let Some(told) = reply.bytes("told")? {
            return Ok(Self::Told(told));
        }
        if let Some(inserted) = part("inserted", &["insertion", "epoch"])? {
            let epoch = epoch_of(inserted.text("epoch")?)?;
            return Ok(Self::Inserted(Inserted::new(insertion_of(inserted.needed("insertion")?)?, epoch)));
        }
        if reply.value("saved").is_some() {
            return reply.flag("saved").map(Self::Saved);
        }
        for (name, said) in [("ok", Self::Ok), ("key_missing", Self::KeyMissing), ("key_changed", Self::KeyChanged)] {
            if reply.flag(name)? {
                return Ok(said);
            }
        }
        if let Some(text) = reply.text("key_unreadable")? {
            return Ok(Self::KeyUnreadable(text.into()));
        }
        if let Some(text) = reply.text("not_sent")? {
            return Ok(Self::NotSent(text.into()));
        }
        reply.text("failed")?.map(|text| Self::Failed(text.into())).ok_or_else(|| misfit("the reply is empty"))
    }
}

fn misfit(detail: &str) -> Error {
    Error::misuse("reply_mismatch", detail)
}

/// What a step wants, as JSON.
fn wanted(step: &Next) -> Value {
    use step::Step;
    let view = Value::object().with("step", step.name());
    match step {
        Step::Done(_) => view,
        Step::CreateKey(step) => view
            .with("algorithms", step.algorithms().iter().map(Algorithm::name).collect::<Value>())
            .with("protections", step.protections().iter().map(|place| place.name()).collect::<Value>()),
        Step::DeleteKey(step) => view.with("thumbprint", step.thumbprint().to_string()),
        Step::Sign(step) => {
            let purpose = match step.purpose() {
                KeyUse::Proof => "proof",
                KeyUse::ClientAssertion => "client_assertion",
            };
            view.with("thumbprint", step.thumbprint().to_string())
                .with("for", purpose)
                .with("algorithm", step.input().algorithm().name())
                .with("message", byte_string(step.input().message()))
                .with_some("digest", step.input().digest().map(|digest| byte_string(&digest)))
        }
        Step::Fetch(step) => {
            let request = step.request();
            let (kind, content) = match &request.body {
                Body::Empty => ("empty", None),
                Body::Bytes(bytes) => ("bytes", Some(byte_string(bytes))),
                Body::Repeatable => ("repeatable", None),
                Body::OneShot => ("one_shot", None),
            };
            let number = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
            view.with("method", request.method.as_str())
                .with("url", request.url.as_str())
                .with("headers", pairs(request.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
                .with("body", kind)
                .with_some("content", content)
                .with_some("max_body", step.max_body().map(number))
                .with_some("timeout", step.timeout())
        }
        Step::Lock(step) => view.with("lock", step.lock()).with("lease", step.lease()),
        Step::Unlock(step) => view.with("lock", step.lock()),
        Step::Load(step) => view.with("slot", step.slot().as_str()),
        Step::Save(step) => view
            .with("slot", step.slot().as_str())
            .with_some("expected", step.expected())
            .with("version", step.version())
            .with_some("value", step.value().map(|value| String::from_utf8_lossy(value).into_owned())),
        Step::Wait(step) => view.with("milliseconds", step.milliseconds()),
        Step::Share(step) => view.with("name", step.name()).with("timeout", step.timeout()),
        Step::Ask(step) => {
            let question = match step.question() {
                Question::Keys => "keys",
                Question::Token => "token",
                _ => "unknown",
            };
            view.with("question", question).with("subject", step.subject()).with("timeout", step.timeout())
        }
        Step::Insert(step) => view.with("entry", Entry::of(step.entry()).to_value()),
    }
}

/// What follows a reply. One that does not fit gives the step back.
type Answered = Result<Result<Next, FlowError>, (Box<Next>, Error)>;

fn answered(step: Next, reply: Reply, now: UnixTime) -> Answered {
    use step::Step;
    // `failed` fits every step but `wait`; else each has its own.
    let done = |reply: Reply| match reply {
        Reply::Failed(text) => Err(HostError::from(text)),
        _ => Ok(()),
    };
    Ok(match (step, reply) {
        (Step::CreateKey(step), Reply::Key(key)) => step.resume(Ok(key), now),
        (Step::CreateKey(step), Reply::Failed(text)) => step.resume(Err(text.into()), now),
        (Step::Sign(step), Reply::Signature(bytes, encoding)) => {
            match decode_signature(step.input().algorithm(), &bytes, &encoding) {
                Ok(signature) => step.resume(Ok(signature), now),
                Err(error) => return Err((Box::new(Step::Sign(step)), error)),
            }
        }
        (Step::Sign(step), Reply::KeyMissing) => step.resume(Err(KeyFault::Missing), now),
        (Step::Sign(step), Reply::KeyChanged) => step.resume(Err(KeyFault::Changed), now),
        (Step::Sign(step), Reply::KeyUnreadable(text) | Reply::Failed(text)) => {
            step.resume(Err(KeyFault::Unreadable(text.into())), now)
        }
        (Step::Fetch(step), Reply::Response(response)) => step.resume(Ok(response), now),
        (Step::Fetch(step), Reply::Failed(text)) => step.resume(Err(FetchFailed::Lost(text.into())), now),
        (Step::Fetch(step), Reply::NotSent(text)) => step.resume(Err(FetchFailed::NotSent(text.into())), now),
        (Step::Load(step), Reply::Stored(stored)) => step.resume(Ok(stored), now),
        (Step::Load(step), Reply::Failed(text)) => step.resume(Err(text.into()), now),
        (Step::Save(step), Reply::Saved(true)) => step.resume(Ok(Saved::Stored), now),
        (Step::Save(step), Reply::Saved(false)) => step.resume(Ok(Saved::Conflict), now),
        (Step::Save(step), Reply::Failed(text)) => step.resume(Err(text.into()), now),
        (Step::DeleteKey(step), reply @ (Reply::Ok | Reply::Failed(_))) => step.resume(done(reply), now),
        (Step::Lock(step), reply @ (Reply::Ok | Reply::Failed(_))) => step.resume(done(reply), now),
        (Step::Unlock(step), reply @ (Reply::Ok | Reply::Failed(_))) => step.resume(done(reply), now),
        (Step::Wait(step), Reply::Ok) => step.resume((), now),
        (Step::Share(step), Reply::Ok) => step.resume((), now),
        (Step::Ask(step), Reply::Told(bytes)) => step.resume(Ok(bytes), now),
        (Step::Ask(step), Reply::Failed(text)) => step.resume(Err(text.into()), now),
        (Step::Insert(step), Reply::Inserted(inserted)) => step.resume(inserted, now),
        (step, _) => {
            let detail = ["this reply does not answer the step ", step.name()].concat();
            return Err((Box::new(step), misfit(&detail)));
        }
    })
}

/// A result as JSON, `kind` and what can be shown of it, and what is kept of it.
fn came(came: Came) -> (Value, Option<Handle>) {
    let kind = |kind: &str| Value::object().with("kind", kind);
    match came {
        Came::Client(outcome) => finished(outcome),
        Came::Admitted(principal) => {
            let (shown, handle) = admission::admitted(principal);
            (shown, Some(handle))
        }
        Came::Unconsumed(unconsumed) => (admission::unconsumed(unconsumed), None),
        Came::CarriedOut => (kind("carried_out"), None),
        Came::Refused(refusal) => (kind("refused").with("refusal", refusal.to_value()), None),
        Came::NotCarriedOut(refusal) => {
            let shown = kind("refused").with("refusal", refusal.to_value());
            (shown.with("error", refusal.into_error().to_json()), None)
        }
        Came::Shared => (kind("nothing"), None),
    }
}

/// The same of a client's flow.
fn finished(outcome: Outcome) -> (Value, Option<Handle>) {
    let kind = |kind: &str| Value::object().with("kind", kind);
    let shown = match outcome {
        Outcome::Discovered(found) => {
            let shown = kind("discovered")
                .with("issuer", found.server().issuer())
                .with_some("resource", found.resource().map(|resource| resource.resource()))
                .with_some("challenged_scope", found.challenged_scope());
            return (shown, Some(Handle::Discovered(found)));
        }
        Outcome::Session(session) => {
            return (kind("session").with("session", describe(&session)), Some(Handle::Session(session)));
        }
        #[cfg(feature = "grants")]
        Outcome::Device(device) => {
            let shown = kind("device")
                .with("user_code", device.user_code())
                .with("verification_uri", device.verification_uri())
                .with_some("verification_uri_complete", device.verification_uri_complete())
                .with("expires_at", device.expires_at());
            return (shown, Some(Handle::Device(Arc::new(Device::new(*device)))));
        }
        Outcome::Authorization(sent) => kind("authorization")
            .with("url", sent.url.as_str())
            .with("state", sent.state.as_str())
            .with("expires_at", sent.expires_at)
            .with("pushed", sent.pushed),
        Outcome::Answer(answer) => {
            let demand = answer.demand.as_ref().map(|demand| match demand {
                Demand::Login(_) => Value::object().with("do", "login"),
                Demand::StepUp(scope) => Value::object().with("do", "step_up").with("scope", scope.as_str()),
                Demand::Resend => Value::object().with("do", "resend"),
                _ => Value::object().with("do", "unknown"),
            });
            kind("answer")
                .with("url", answer.url.as_str())
                .with("status", u64::from(answer.status))
                .with_some("demand", demand)
                .with_some("ignored_challenge", answer.ignored_challenge.map(|error| error.to_string()))
        }
        #[cfg(feature = "grants")]
        Outcome::Issued(issued) => kind("issued")
            .with("token", issued.token.expose())
            .with("token_type", issued.token_type.as_str())
            .with_some("expires_at", issued.expires_at),
        Outcome::Ended(revoked) => kind("ended").with("revoked", Value::Bool(revoked)),
        #[cfg(feature = "grants")]
        Outcome::Claims(claims) => kind("claims").with("claims", claims),
        _ => kind("nothing"),
    };
    (shown, None)
}

/// What a session shows, as JSON: `name`, `level`, `issuer`, `subject` (`issuer` and `sub`), `resource`, `scope`,
/// `authorization_details`, `expires_at`, `bound`, `thumbprint` and `ended`. No token, and no other member of its responses.
pub fn session_info(session: &Session) -> String {
    describe(session).to_json()
}

/// Another member of a session's token responses: a secret, as the server sent it.
pub fn session_member(session: &Session, name: &str) -> Option<String> {
    session.member(name).map(|value| value.expose().into())
}

/// Bytes of a byte string, for bindings.
///
/// # Errors
/// Misuse, if a character is above U+00FF.
pub fn from_byte_string(text: &str) -> Result<Vec<u8>, Error> {
    bytes(text)
}
