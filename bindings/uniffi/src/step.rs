//! What a flow asks of its host, and what the host answers.

use keybound::http::message::{Body, Request, Response};
use keybound::key;
use keybound::oauth::step::{self, KeyUse};
use keybound_ffi as ffi;

use crate::error::{Header, KeyboundError};
use crate::key::Signature;
use crate::outcome::Outcome;
use crate::plain::{field_bytes, shown, signed, unsigned};

/// What the host has to do next. Each case names the reply that answers it; any but `Done` and `Wait` also takes `Reply::Failed`.
#[derive(Clone, Debug, uniffi::Enum)]
#[uniffi::export(Display)]
pub enum Step {
    /// Make a key and keep it under its thumbprint: `KeyCreated`.
    CreateKey {
        /// The algorithms that will do, best first, as JOSE names them.
        algorithms: Vec<String>,
        /// The places that will do, in no order.
        protections: Vec<Protection>,
    },
    /// Delete a key; one that is gone already is no error: `Completed`.
    DeleteKey {
        /// Which.
        thumbprint: String,
    },
    /// Sign: `Signed`, or `KeyMissing`, `KeyChanged`, `KeyUnreadable`.
    Sign {
        /// What, and by which key.
        request: SigningRequest,
    },
    /// Send a request exactly as it is, without following redirects: `Answered`.
    Fetch {
        /// The request.
        request: HttpRequest,
    },
    /// Take a lock, waiting for other tasks and processes: `Completed`.
    Lock {
        /// Its name.
        name: String,
        /// For how many seconds it is waited for at most; its holder is done by then.
        lease: i64,
    },
    /// Give a lock back: `Completed`.
    Unlock {
        /// Its name.
        name: String,
    },
    /// Read what is stored: `Loaded`.
    Load {
        /// Under which name: `session/…`, `login/…` or `registration/…`.
        slot: String,
    },
    /// Store a value, durably, if what is there has the expected version: `Saved`.
    Save {
        /// Under which name.
        slot: String,
        /// The version that has to be there; nothing, if there is none.
        expected: Option<i64>,
        /// The version to store with it.
        version: i64,
        /// The value, a secret; nothing to delete what is there.
        value: Option<String>,
    },
    /// Wait: `Completed`.
    Wait {
        /// For how many milliseconds.
        milliseconds: i64,
    },
    /// The flow is at its end. It comes once.
    Done {
        /// What it came to.
        outcome: Outcome,
    },
}

/// What is to be signed, and by which key.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct SigningRequest {
    /// Which key: its SHA-256 thumbprint (RFC 7638).
    pub thumbprint: String,
    /// What for.
    pub purpose: KeyPurpose,
    /// How, as JOSE names it.
    pub algorithm: String,
    /// The message.
    pub message: Vec<u8>,
    /// The message's digest by the algorithm's own hash, for signers that want that; none for Ed25519 and ML-DSA.
    pub digest: Option<Vec<u8>>,
}

/// What a signature is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum KeyPurpose {
    /// A DPoP proof.
    Proof,
    /// An assertion by which a client authenticates (RFC 7523).
    ClientAssertion,
}

/// A request to send exactly as it is, without following redirects.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The URL, byte for byte.
    pub url: String,
    /// Its fields; secrets among them.
    pub headers: Vec<Header>,
    /// Its body.
    pub body: HttpBody,
    /// How many bytes of the answer are read; a longer one is a failure. None: the body is the caller's to read.
    pub max_body: Option<i64>,
    /// For how many seconds the whole answer is waited for.
    pub timeout: Option<i64>,
}

shown!(HttpRequest { method, url, max_body, timeout });

/// The body of a request.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
#[uniffi::export(Display)]
pub enum HttpBody {
    /// There is none.
    Empty,
    /// These bytes; secrets among them.
    Bytes {
        /// The bytes.
        content: Vec<u8>,
    },
    /// The caller's, which can be sent again.
    Repeatable,
    /// The caller's, which can be sent once.
    OneShot,
}

/// Where a key lives, as its host says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, uniffi::Enum)]
pub enum Protection {
    /// In the memory or a file of the process.
    Software,
    /// In a store of the operating system, from which it could be read: a Keychain item.
    OsStore,
    /// In a browser that does not show it.
    BrowserNonExtractable,
    /// In a trusted execution environment: Android's Keystore.
    Tee,
    /// In Android's StrongBox.
    StrongBox,
    /// In Apple's Secure Enclave.
    SecureEnclave,
    /// In a hardware security module.
    Hsm,
    /// In a key service.
    RemoteKms,
}

/// What the host answers to a step.
#[derive(Clone, Debug, uniffi::Enum)]
#[uniffi::export(Display)]
pub enum Reply {
    /// A key was made.
    KeyCreated {
        /// The key.
        key: CreatedKey,
    },
    /// A signature.
    Signed {
        /// The signature.
        signature: Signature,
    },
    /// What a server answered.
    Answered {
        /// The response.
        response: HttpResponse,
    },
    /// What is stored.
    Loaded {
        /// The value; nothing, if there is none.
        value: Option<StoredValue>,
    },
    /// Whether a value was stored.
    Saved {
        /// False says that another version is there.
        stored: bool,
    },
    /// It is done.
    Completed,
    /// The host failed. Its own error stays with the host. For a `Fetch`: the request may have arrived.
    Failed {
        /// What happened, for people. No secrets.
        detail: String,
    },
    /// For a `Fetch`: the network failed, and no byte of the request left. The core sends it again.
    NotSent {
        /// What happened, for people. No secrets.
        detail: String,
    },
    /// There is no such key any more.
    KeyMissing,
    /// There is another key under its name.
    KeyChanged,
    /// The key cannot be used now.
    KeyUnreadable {
        /// Why, for people.
        detail: String,
    },
}

/// A key that the host made.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct CreatedKey {
    /// Its public part: a JWK (RFC 7517) with its required members.
    pub public_jwk: String,
    /// What it signs with: one of those that were asked for.
    pub algorithm: String,
    /// Where it lives.
    pub protection: Protection,
    /// Whether it belongs to the host, as the active key of a key ring does: other sessions may use it, and no flow asks for its deletion.
    #[uniffi(default)]
    pub shared: bool,
}

/// What a server answered.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct HttpResponse {
    /// The status.
    pub status: i32,
    /// Its fields.
    pub headers: Vec<Header>,
    /// At most `max_body` bytes, or nothing where the body is the caller's.
    pub body: Vec<u8>,
}

shown!(HttpResponse { status });

/// A stored value: a secret.
#[derive(Clone, Debug, uniffi::Record)]
#[uniffi::export(Display)]
pub struct StoredValue {
    /// The version it was saved with, at most 2^53.
    pub version: i64,
    /// The value.
    pub value: String,
}

shown!(StoredValue { version });

const PROTECTIONS: [(Protection, key::KeyProtection); 8] = [
    (Protection::Software, key::KeyProtection::Software),
    (Protection::OsStore, key::KeyProtection::OsStore),
    (Protection::BrowserNonExtractable, key::KeyProtection::BrowserNonExtractable),
    (Protection::Tee, key::KeyProtection::Tee),
    (Protection::StrongBox, key::KeyProtection::StrongBox),
    (Protection::SecureEnclave, key::KeyProtection::SecureEnclave),
    (Protection::Hsm, key::KeyProtection::Hsm),
    (Protection::RemoteKms, key::KeyProtection::RemoteKms),
];

impl Protection {
    pub(crate) fn core(self) -> key::KeyProtection {
        PROTECTIONS.iter().find(|(own, _)| *own == self).map_or(key::KeyProtection::Software, |(_, core)| *core)
    }

    pub(crate) fn of(place: key::KeyProtection) -> Self {
        PROTECTIONS.iter().find(|(_, core)| *core == place).map_or(Self::Software, |(own, _)| *own)
    }
}

impl core::fmt::Display for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::CreateKey { .. } => f.write_str("create_key"),
            Self::DeleteKey { thumbprint } => write!(f, "delete_key {thumbprint}"),
            Self::Sign { request } => write!(f, "sign by {}", request.thumbprint),
            Self::Fetch { request } => write!(f, "fetch {} {}", request.method, request.url),
            Self::Lock { name, .. } => write!(f, "lock {name}"),
            Self::Unlock { name } => write!(f, "unlock {name}"),
            // A login's slot is named by its `state`.
            Self::Load { .. } => f.write_str("load"),
            Self::Save { .. } => f.write_str("save"),
            Self::Wait { milliseconds } => write!(f, "wait {milliseconds}"),
            Self::Done { .. } => f.write_str("done"),
        }
    }
}

impl core::fmt::Display for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::KeyCreated { key } => write!(f, "key_created {}", key.algorithm),
            Self::Signed { .. } => f.write_str("signed"),
            Self::Answered { response } => write!(f, "answered {}", response.status),
            Self::Loaded { value } => write!(f, "loaded {}", if value.is_some() { "a value" } else { "nothing" }),
            Self::Saved { stored } => write!(f, "saved {stored}"),
            Self::Completed => f.write_str("completed"),
            Self::Failed { detail } => write!(f, "failed: {detail}"),
            Self::NotSent { detail } => write!(f, "not_sent: {detail}"),
            Self::KeyMissing => f.write_str("key_missing"),
            Self::KeyChanged => f.write_str("key_changed"),
            Self::KeyUnreadable { detail } => write!(f, "key_unreadable: {detail}"),
        }
    }
}

impl core::fmt::Display for HttpBody {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Bytes { content } => write!(f, "{} bytes", content.len()),
            Self::Repeatable => f.write_str("repeatable"),
            Self::OneShot => f.write_str("one_shot"),
        }
    }
}

impl Step {
    pub(crate) fn of(seen: ffi::Seen<'_>) -> Self {
        match seen {
            ffi::Seen::Done(ffi::Came::Client(outcome)) => Self::Done { outcome: Outcome::of(outcome) },
            // A client's flow comes to nothing else.
            ffi::Seen::Done(_) => Self::Done { outcome: Outcome::Nothing },
            ffi::Seen::Wanted(step) => wanted(step),
        }
    }
}

fn wanted<T>(step: &step::Step<T>) -> Step {
    match step {
        // The facade gives outcomes away; there is none left to show.
        step::Step::Done(_) => Step::Done { outcome: Outcome::Nothing },
        step::Step::CreateKey(step) => Step::CreateKey {
            algorithms: step.algorithms().iter().map(|algorithm| algorithm.name().into()).collect(),
            protections: step.protections().iter().copied().map(Protection::of).collect(),
        },
        step::Step::DeleteKey(step) => Step::DeleteKey { thumbprint: step.thumbprint().to_string() },
        step::Step::Sign(step) => Step::Sign {
            request: SigningRequest {
                thumbprint: step.thumbprint().to_string(),
                purpose: match step.purpose() {
                    KeyUse::Proof => KeyPurpose::Proof,
                    KeyUse::ClientAssertion => KeyPurpose::ClientAssertion,
                },
                algorithm: step.input().algorithm().name().into(),
                message: step.input().message().to_vec(),
                digest: step.input().digest(),
            },
        },
        step::Step::Fetch(step) => {
            let max_body = step.max_body().map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
            Step::Fetch { request: HttpRequest::of(step.request(), max_body, step.timeout().map(signed)) }
        }
        step::Step::Lock(step) => Step::Lock { name: step.lock().into(), lease: signed(step.lease()) },
        step::Step::Unlock(step) => Step::Unlock { name: step.lock().into() },
        step::Step::Load(step) => Step::Load { slot: step.slot().as_str().into() },
        step::Step::Save(step) => Step::Save {
            slot: step.slot().as_str().into(),
            expected: step.expected().map(signed),
            version: signed(step.version()),
            value: step.value().map(|value| String::from_utf8_lossy(value).into_owned()),
        },
        step::Step::Wait(step) => Step::Wait { milliseconds: signed(step.milliseconds()) },
        // A client's flows have no steps of servers.
        step::Step::Share(_) | step::Step::Ask(_) | step::Step::Insert(_) => Step::Wait { milliseconds: 0 },
    }
}

impl HttpRequest {
    fn of(request: &Request, max_body: Option<i64>, timeout: Option<i64>) -> Self {
        let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
        Self {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.fields.iter().map(header).collect(),
            body: match &request.body {
                Body::Empty => HttpBody::Empty,
                Body::Bytes(bytes) => HttpBody::Bytes { content: bytes.to_vec() },
                Body::Repeatable => HttpBody::Repeatable,
                Body::OneShot => HttpBody::OneShot,
            },
            max_body,
            timeout,
        }
    }
}

impl Reply {
    pub(crate) fn read(self) -> Result<ffi::Reply, KeyboundError> {
        Ok(match self {
            Self::KeyCreated { key } => {
                ffi::Reply::key(&key.public_jwk, &key.algorithm, key.protection.core().name(), key.shared)?
            }
            Self::Signed { signature } => ffi::Reply::Signature(signature.bytes, signature.encoding.name().into()),
            Self::Answered { response } => {
                let status = u16::try_from(response.status);
                let status =
                    status.map_err(|_| ffi::Error::own(ffi::Own::ReplyMismatch, "a status has three digits"))?;
                let field = |header: Header| (header.name, field_bytes(&header.value));
                let fields = response.headers.into_iter().map(field).collect();
                ffi::Reply::Response(Response { status, fields, body: response.body })
            }
            Self::Loaded { value: None } => ffi::Reply::Stored(None),
            Self::Loaded { value: Some(value) } => ffi::Reply::Stored(Some(step::Stored {
                version: unsigned("version", value.version)?,
                value: value.value.into_bytes(),
            })),
            Self::Saved { stored } => ffi::Reply::Saved(stored),
            Self::Completed => ffi::Reply::Ok,
            Self::Failed { detail } => ffi::Reply::Failed(detail),
            Self::NotSent { detail } => ffi::Reply::NotSent(detail),
            Self::KeyMissing => ffi::Reply::KeyMissing,
            Self::KeyChanged => ffi::Reply::KeyChanged,
            Self::KeyUnreadable { detail } => ffi::Reply::KeyUnreadable(detail),
        })
    }
}
