//! A session: tokens, whom they are from and for, and the key they are bound to.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use spin::Mutex;

#[cfg(feature = "dpop")]
use super::binding::Binding;
use super::client::{Client, Inner};
use super::credentials::Credentials;
use super::error::{FlowError, StoredDefect};
use super::flow::{Flow, Io};
use super::grant::settle;
use super::members::Subject;
use super::renew::forget;
use super::secret::Secret;
use super::state::State;
use super::step::{Saved, Saving, Slot, Step};
#[cfg(feature = "dpop")]
use crate::jose::thumbprint::Thumbprint;
use crate::json::Value;
#[cfg(feature = "dpop")]
use crate::key::KeyProtection;
use crate::{Misuse, SecurityLevel, UnixTime};

/// The result of a login or grant, by which requests are sent. Clones are the same session.
///
/// It holds tokens and no private key, and hides the tokens in `Debug`. What it stores through [`Save`](super::step::Save)
/// steps is a secret.
#[derive(Clone)]
pub struct Session(pub(super) Arc<SessionParts>);

pub(super) struct SessionParts {
    pub(super) name: String,
    pub(super) credentials: Credentials,
    /// The client that made or opened it, in whose store it is.
    owner: Arc<()>,
    pub(super) live: Mutex<Live>,
}

pub(super) struct Live {
    pub(super) state: State,
    /// The version under which the state is stored; `None` if it is not.
    pub(super) version: Option<u64>,
    /// Whether the last attempt to store the state failed.
    pub(super) unsaved: bool,
    /// Whether state and key were deleted.
    pub(super) forgotten: bool,
    /// Whether a refusal without a reason used the refresh token, and no request has succeeded since.
    pub(super) doubted: bool,
    /// Whether it is stored only once it is kept.
    pub(super) provisional: bool,
}

/// How often storing is tried when others store at the same time.
pub(super) const MAX_CONFLICTS: u8 = 4;

impl Client {
    /// Opens a stored session.
    ///
    /// It must be what this client would make: of a server it accepts, of this client, not below its level, with an intent at
    /// [`SecurityLevel::Maximum`], and bound to a key of an algorithm and in a place that client and level permit. One whose
    /// intent has ended is deleted with its key.
    ///
    /// # Errors
    /// [`FlowError::NoSession`], [`FlowError::Stored`], [`FlowError::Downgrade`], [`FlowError::LoginRequired`] if its intent
    /// has ended, and what the host answers.
    pub fn open(&self, name: &str, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let (client, name) = (self.0.clone(), String::from(name));
        Flow::start(now, |io| async move { open(&io, &client, &name).await })
    }

    /// This client and a session of it, for a flow.
    ///
    /// A session is used by the client that made or opened it, and by no other: that client's rules admitted it, and its store holds
    /// it. In another store its name may be that of another session, which would be mixed with it, overwritten or deleted.
    pub(super) fn own(&self, session: &Session) -> Result<(Arc<Inner>, Session), Misuse> {
        if Arc::ptr_eq(&session.0.owner, &self.0.identity) {
            Ok((self.0.clone(), session.clone()))
        } else {
            Err(Misuse::ForeignSession)
        }
    }

    /// Stores what was learned since the session was stored, the resource's nonce above all, so that whoever opens it next
    /// begins with that. Nothing is stored if another process has stored it meanwhile.
    ///
    /// Useful where a program lives shortly, or has many instances, after a call that needed a second attempt.
    ///
    /// A [`provisional`](super::SessionRequest::provisional) session is stored by this for the first time. It replaces the one
    /// of its name, whose key is deleted.
    ///
    /// # Errors
    /// [`FlowError`]: the host's, which the session survives.
    pub fn keep(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = self.own(session)?;
        Flow::start(now, |io| async move { keep(&io, &client, &session).await })
    }

    /// Opens a stored session that must be bound to this key.
    ///
    /// # Errors
    /// [`StoredDefect::Key`] if it is bound to another one or to none, else as [`open`](Self::open).
    #[cfg(feature = "dpop")]
    pub fn open_bound_to(&self, name: &str, key: Thumbprint, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let (client, name) = (self.0.clone(), String::from(name));
        Flow::start(now, |io| async move { open_bound_to(&io, &client, &name, key).await })
    }
}

#[cfg(feature = "dpop")]
pub(super) async fn open_bound_to(io: &Io, client: &Inner, name: &str, key: Thumbprint) -> Result<Session, FlowError> {
    let session = open(io, client, name).await?;
    if session.thumbprint() == Some(key) { Ok(session) } else { Err(StoredDefect::Key.into()) }
}

pub(super) async fn open(io: &Io, client: &Inner, name: &str) -> Result<Session, FlowError> {
    let stored = io.load(slot(name)).await?.ok_or(FlowError::NoSession)?;
    let state = State::read(&stored.value, client, io.now())?;
    let registered = client.level.max(state.level);
    let credentials = super::registration::known(io, client, &state.server, registered, &state.client_id).await?;
    // The registration was forgotten with what the session had, if its server did not know the client any more.
    let has_ended = state.token.is_none() && !state.can_renew();
    let unknown = || if has_ended { FlowError::LoginRequired } else { StoredDefect::Client.into() };
    let credentials = credentials.ok_or_else(unknown)?;
    #[cfg(feature = "dpop")]
    if let Some(binding) = &state.binding {
        credentials.differs_from(&binding.thumbprint(), client)?;
    }
    let has_ended = state.intent_has_ended(io.now());
    let session = Session::of(client, name.into(), credentials, state);
    session.0.live.lock().version = Some(stored.version);
    if has_ended {
        forget(io, client, &session).await?;
        return Err(FlowError::LoginRequired);
    }
    Ok(session)
}

pub(super) async fn keep(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let (is_provisional, has_ended) = {
        let live = session.0.live.lock();
        (live.provisional, live.state.token.is_none())
    };
    if is_provisional {
        // One that was given up takes no other session's place.
        return if has_ended { Err(FlowError::LoginRequired) } else { settle(io, client, session).await };
    }
    let (value, expected) = {
        let live = session.0.live.lock();
        let Some(expected) = live.version.filter(|_| !live.unsaved) else { return Ok(()) };
        (live.state.to_value(client).to_json().into_bytes(), expected)
    };
    let saving = Saving::new(&client.crypto, io.now(), slot(session.name()), Some(expected), Some(value))?;
    let next = saving.version;
    if io.save(saving).await? == Saved::Stored {
        let mut live = session.0.live.lock();
        if live.version == Some(expected) {
            live.version = Some(next);
        }
    }
    Ok(())
}

pub(super) fn slot(name: &str) -> Slot {
    Slot(alloc::format!("session/{name}"))
}

impl Session {
    /// A session that is not stored.
    pub(super) fn of(client: &Inner, name: String, credentials: Credentials, state: State) -> Self {
        let live = Live { state, version: None, unsaved: false, forgotten: false, doubted: false, provisional: false };
        let owner = client.identity.clone();
        Self(Arc::new(SessionParts { name, credentials, owner, live: Mutex::new(live) }))
    }

    /// The name it is stored under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its level.
    pub fn level(&self) -> SecurityLevel {
        self.0.live.lock().state.level
    }

    /// The authorization server's issuer identifier.
    pub fn issuer(&self) -> String {
        self.0.live.lock().state.server.issuer().into()
    }

    /// What its tokens are for.
    pub fn resource(&self) -> Option<String> {
        self.0.live.lock().state.resource.clone()
    }

    /// The scope that was granted, or was asked for where the server did not say.
    pub fn scope(&self) -> Option<String> {
        let live = self.0.live.lock();
        let granted = live.state.token.as_ref().and_then(|token| token.scope.clone());
        granted.or_else(|| live.state.scope.clone())
    }

    /// What was granted in detail (RFC 9396 section 7).
    pub fn authorization_details(&self) -> Option<Value> {
        self.0.live.lock().state.token.as_ref().and_then(|token| token.details.clone())
    }

    /// When the access token ends, if the server said so.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.0.live.lock().state.token.as_ref().and_then(|token| token.expires)
    }

    /// Whether its tokens are bound to a key.
    pub fn is_bound(&self) -> bool {
        self.0.live.lock().state.binding.is_some()
    }

    /// Whether it can go on only after a new login.
    pub fn has_ended(&self) -> bool {
        let live = self.0.live.lock();
        live.state.token.is_none() && !live.state.can_renew()
    }

    /// The key its tokens are bound to. A connection that outlives its handshake, such as a WebSocket, belongs to this key.
    #[cfg(feature = "dpop")]
    pub fn thumbprint(&self) -> Option<Thumbprint> {
        self.0.live.lock().state.binding.as_ref().map(Binding::thumbprint)
    }

    /// Where that key lives, as its host said when it was made.
    #[cfg(feature = "dpop")]
    pub fn protection(&self) -> Option<KeyProtection> {
        self.0.live.lock().state.binding.as_ref().map(Binding::protection)
    }

    /// The account its tokens are for, if the server named it: by an ID token, which the scope `openid` asks for and which was
    /// checked (OpenID Connect Core section 3.1.3.7), or by the `sub` of a token response, which the AT Protocol has. An ID token
    /// that was not asked for does not count.
    ///
    /// # Security
    /// The signature of an ID token is verified at the login, where this build has the algorithm: a browser's has none, and relies
    /// on TLS to the token endpoint, as does each refresh.
    ///
    /// That the server says so means that the account is *its* account. Whether this server may speak for a name that others
    /// have a say in, such as a DID, has to be resolved: see [`provisional`](super::SessionRequest::provisional).
    pub fn subject(&self) -> Option<Subject> {
        let live = self.0.live.lock();
        let sub = live.state.members.sub.clone()?;
        Some(Subject { issuer: live.state.server.issuer().into(), sub })
    }

    /// Another member of the token responses, for example `id_token`, as the server sent it last. Nothing of it was verified, except
    /// what [`subject`](Self::subject) says of an ID token. A text as it is, everything else as JSON. At most 32 members are kept, of 32 KiB in all.
    pub fn member(&self, name: &str) -> Option<Secret> {
        self.0.live.lock().state.members.other(name).cloned()
    }

    /// The access token itself. Without the key a bound token opens nothing; a Bearer token needs no key.
    pub fn danger_access_token(&self) -> Option<Secret> {
        self.0.live.lock().state.token.as_ref().map(|token| token.access.clone())
    }

    pub(super) fn state(&self) -> State {
        self.0.live.lock().state.clone()
    }

    /// Stores the state. A rotated refresh token is durable before anybody uses it.
    pub(super) async fn save(&self, io: &Io, client: &Inner) -> Result<(), FlowError> {
        for _ in 0..MAX_CONFLICTS {
            let (value, expected) = {
                let mut live = self.0.live.lock();
                live.unsaved = true;
                (live.state.to_value(client).to_json().into_bytes(), live.version)
            };
            let saving = Saving::new(&client.crypto, io.now(), slot(&self.0.name), expected, Some(value))?;
            let next = saving.version;
            match io.save(saving).await? {
                Saved::Stored => {
                    let mut live = self.0.live.lock();
                    live.version = Some(next);
                    live.unsaved = false;
                    live.provisional = false;
                    return Ok(());
                }
                // Ours is what the server gave last: a refresh token that is not stored is lost.
                Saved::Conflict => {
                    let version = io.load(slot(&self.0.name)).await?.map(|stored| stored.version);
                    self.0.live.lock().version = version;
                }
            }
        }
        Err(FlowError::Contended)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.0.name)
            .field("level", &self.level())
            .field("issuer", &self.issuer())
            .field("bound", &self.is_bound())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
