//! What the host answers to a step.

use keybound::UnixTime;
#[cfg(feature = "client")]
use keybound::flow::step::KeyOwner;
use keybound::flow::step::{self, CreatedKey, FetchFailed, HostError, KeyFault, Saved, Stored};
use keybound::http::message::Response;
use keybound::json::Value;
#[cfg(feature = "client")]
use keybound::key::KeyProtection;
use keybound::oauth::FlowError;
use keybound::replay::Inserted;

use super::Next;
use crate::error::{Error, Own};
#[cfg(feature = "client")]
use crate::key::public_key;
use crate::plain::Options;
#[cfg(feature = "client")]
use crate::plain::{algorithm, one_of};
use crate::proof::decode_signature;
use crate::verify::{epoch_of, insertion_of};

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

impl Reply {
    #[cfg(feature = "client")]
    /// A key was made: its public JWK, and the names of its algorithm and of where it lives. A shared one is the host's: other sessions
    /// may use it, and no flow asks for its deletion.
    ///
    /// # Errors
    /// Misuse.
    pub fn key(public_jwk: &str, algorithm_name: &str, protection: &str, is_shared: bool) -> Result<Self, Error> {
        let places: Vec<_> = KeyProtection::ALL.iter().map(|place| (place.name(), *place)).collect();
        Ok(Self::Key(CreatedKey {
            public_key: public_key(public_jwk)?,
            algorithm: algorithm(algorithm_name)?,
            protection: one_of("a protection", protection, &places)?,
            owner: if is_shared { KeyOwner::Host } else { KeyOwner::Session },
        }))
    }

    /// The replay store's answer: `fresh`, `seen`, `unavailable`, `full`, `share_full` or `before_floor`, and the epoch it was given in.
    ///
    /// # Errors
    /// Misuse.
    pub fn inserted(insertion: &str, epoch: Option<&str>) -> Result<Self, Error> {
        Ok(Self::Inserted(Inserted::new(insertion_of(insertion)?, epoch_of(epoch)?)))
    }

    /// Reads a reply: an object with one of the members listed at [`Flow::step`](super::Flow::step).
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
        #[cfg(feature = "client")]
        if matches!(value.member("stored"), Some(Value::Null)) {
            return Ok(Self::Stored(None));
        }
        let reply = Options::of(value, &kinds)?;
        let part =
            |name: &str, known: &[&str]| reply.value(name).map(|part| Options::of(part.clone(), known)).transpose();
        #[cfg(feature = "client")]
        if let Some(key) = part("key", &["public_jwk", "algorithm", "protection", "shared"])? {
            let jwk = key.value("public_jwk").ok_or_else(|| misfit("a key has a public_jwk"))?;
            let (algorithm, protection) = (key.needed("algorithm")?, key.needed("protection")?);
            return Self::key(&jwk.to_json(), algorithm, protection, key.flag("shared")?);
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
        #[cfg(feature = "client")]
        if let Some(stored) = part("stored", &["version", "value"])? {
            let version = stored.number("version")?.ok_or_else(|| misfit("what is stored has a version"))?;
            return Ok(Self::Stored(Some(Stored { version, value: stored.needed("value")?.as_bytes().to_vec() })));
        }
        if let Some(told) = reply.bytes("told")? {
            return Ok(Self::Told(told));
        }
        #[cfg(feature = "servers")]
        if let Some(inserted) = part("inserted", &["insertion", "epoch"])? {
            return Self::inserted(inserted.needed("insertion")?, inserted.text("epoch")?);
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
    Error::own(Own::ReplyMismatch, detail)
}

/// What follows a reply. One that does not fit gives the step back.
pub(super) type Answered = Result<Result<Next, FlowError>, (Box<Next>, Error)>;

pub(super) fn answered(step: Next, reply: Reply, now: UnixTime) -> Answered {
    use step::Step;
    // `failed` fits every step but `wait`; else each has its own.
    let done = |reply: Reply| match reply {
        Reply::Failed(text) => Err(HostError::from(text)),
        _ => Ok(()),
    };
    Ok(match (step, reply) {
        #[cfg(feature = "client")]
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
