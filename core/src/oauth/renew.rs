//! The next token of a session: one refresh at a time, across tasks and processes.

use super::audit::Deed;
use super::client::{Client, Inner};
use super::details::within;
use super::error::FlowError;
use super::flow::{Flow, Io};
use super::id_token::Login;
use super::post::Post;
use super::registration;
use super::request::describe;
use super::secret::Secret;
use super::session::{MAX_CONFLICTS, Session, slot};
use super::state::{Renewal, State};
use super::step::{Saving, Step};
use super::switches::Switches;
use super::token::{Issued, Wanted};
use crate::http::form::Form;
use crate::{Misuse, UnixTime};

/// For how long one process may hold the lock of a session, in seconds: above all timeouts of the requests under it.
pub(super) const LEASE: u64 = 90;
/// How long before its end a token is not used any more, in seconds.
pub(super) const EXPIRY_MARGIN: u64 = 5;

impl Client {
    /// Gets the session a new token although the one it has may still be good.
    ///
    /// Whoever comes while a refresh is under way waits for it and takes its result, in this process and in others.
    ///
    /// # Errors
    /// [`FlowError::LoginRequired`] if the session cannot be renewed; [`FlowError`].
    pub fn refresh(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = self.own(session)?;
        Flow::start(now, |io| async move { refresh(&io, &client, &session).await })
    }
}

pub(super) async fn refresh(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    if session.state().intent_has_ended(io.now()) {
        forget(io, client, session).await?;
        return Err(FlowError::LoginRequired);
    }
    let used = session.danger_access_token();
    renew(io, client, session, used.as_ref(), None).await
}

/// Gets a token that is another than `refused`, for `scope` if the session is to be widened.
pub(super) async fn renew(
    io: &Io,
    client: &Inner,
    session: &Session,
    refused: Option<&Secret>,
    scope: Option<(alloc::string::String, u8)>,
) -> Result<(), FlowError> {
    {
        let live = session.0.live.lock();
        if live.provisional {
            let has_ended = live.state.token.is_none();
            return Err(if has_ended { FlowError::LoginRequired } else { Misuse::Provisional.into() });
        }
    }
    let lock = slot(session.name());
    io.lock(lock.as_str(), LEASE).await?;
    let (who, mut has_asked) = (client.of_session(session), false);
    let outcome = renew_locked(io, client, session, refused, scope, &mut has_asked).await;
    if has_asked {
        client.note(who.as_ref(), Deed::Refresh, outcome.as_ref().err().map(FlowError::reason), io.now());
    }
    let unlocked = io.unlock(lock.as_str()).await;
    outcome?;
    unlocked
}

async fn renew_locked(
    io: &Io,
    client: &Inner,
    session: &Session,
    refused: Option<&Secret>,
    scope: Option<(alloc::string::String, u8)>,
    has_asked: &mut bool,
) -> Result<(), FlowError> {
    let widens = scope.is_some();
    catch_up(io, client, session).await?;
    let mut state = session.state();
    if let Some((scope, step_ups)) = scope {
        // The attempt counts even if it fails; the scope only once it is granted, or no later renewal would be.
        session.0.live.lock().state.step_ups = step_ups;
        state.scope = Some(scope);
    }
    let is_good =
        |token: &super::token::Token| Some(&token.access) != refused && !token.is_over(io.now(), EXPIRY_MARGIN);
    if !widens && state.token.as_ref().is_some_and(is_good) {
        return if session.0.live.lock().unsaved { session.save(io, client).await } else { Ok(()) };
    }
    let Some(form) = form(&state) else {
        return Err(FlowError::LoginRequired);
    };
    *has_asked = true;
    let issued = match issued(io, client, session, &state, &form).await {
        Ok(issued) => issued,
        Err(FlowError::Denied(denial)) if denial.is_final("invalid_grant") => {
            // The server has ended it: revoked, expired, or used by another party.
            session.0.live.lock().state.drop_tokens();
            session.save(io, client).await?;
            return Err(FlowError::LoginRequired);
        }
        // So it is if the server lost the client that this session belongs to. What is stored says so to other tasks and processes.
        Err(error)
            if error.is_unknown_client()
                && registration::forget(
                    io,
                    client,
                    &state.server,
                    client.level.max(state.level),
                    Some(&state.client_id),
                )
                .await? =>
        {
            session.0.live.lock().state.drop_tokens();
            session.save(io, client).await?;
            return Err(FlowError::LoginRequired);
        }
        Err(error) => return Err(error),
    };
    take(session, &state, issued, widens);
    session.save(io, client).await
}

/// Takes what others stored meanwhile, which is newer than what is known here.
///
/// # Errors
/// [`FlowError::LoginRequired`] if the session was ended, or is no longer the one it was.
pub(super) async fn catch_up(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let stored = io.load(slot(session.name())).await?;
    let (version, unsaved) = {
        let live = session.0.live.lock();
        (live.version, live.unsaved)
    };
    match stored {
        // It was ended elsewhere.
        None if version.is_some() => {
            let mut live = session.0.live.lock();
            live.state.drop_tokens();
            live.version = None;
            return Err(FlowError::LoginRequired);
        }
        Some(stored) if Some(stored.version) != version && !unsaved => {
            let mut theirs = State::read(&stored.value, client, io.now())?;
            let ours = session.state();
            if theirs.server.issuer() != ours.server.issuer() || theirs.client_id != ours.client_id {
                return Err(FlowError::LoginRequired);
            }
            // A login with another account does not make this session that account's. An earlier version names no subject.
            if theirs.members.check(ours.members.sub.as_deref(), ours.switches.has(Switches::EXPECTS_SUBJECT)).is_err()
            {
                return Err(FlowError::LoginRequired);
            }
            theirs.members = theirs.members.after(&ours.members);
            let mut live = session.0.live.lock();
            live.state = theirs;
            live.version = Some(stored.version);
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Asks for the next tokens and checks that they are of the same session. Nothing of it is changed.
pub(super) async fn issued(
    io: &Io,
    client: &Inner,
    session: &Session,
    state: &State,
    form: &Form,
) -> Result<Issued, FlowError> {
    let post = Post::for_tokens(&state.server, &session.0.credentials, state.binding.as_ref(), state.level);
    let response = post.form(io, client, form).await?;
    // A session that began bound stays bound.
    let wanted = if state.binding.is_some() { Wanted::Bound } else { Wanted::Bearer };
    let mut issued = Issued::read(&response, wanted, io.now())?;
    if state.switches.has(Switches::IDENTIFIED) {
        let login = Login { server: &state.server, credentials: &session.0.credentials, nonce: None };
        login.check_renewed(client, &response, &mut issued, io.now())?;
    }
    issued.members.check(state.members.sub.as_deref(), state.switches.has(Switches::EXPECTS_SUBJECT))?;
    // A renewal gives no more than there was: the details that were granted, else those that were asked for.
    let before = state.token.as_ref().and_then(|token| token.details.as_ref()).or(state.details.as_ref());
    if let (Some(details), Some(before)) = (&issued.details, before)
        && !within(details, before)
    {
        return Err(FlowError::IntentExceeded);
    }
    Ok(issued)
}

/// Makes these the session's tokens. `state` is what was asked with.
pub(super) fn take(session: &Session, state: &State, issued: Issued, widens: bool) {
    let mut live = session.0.live.lock();
    let mut token = issued.token();
    // A server that leaves the scope out means the one there was (OAuth 2.1 section 4.3.2).
    if !widens && token.scope.is_none() {
        token.scope = live.state.token.as_ref().and_then(|old| old.scope.clone());
    }
    if token.details.is_none() {
        token.details = live.state.token.as_ref().and_then(|old| old.details.clone());
    }
    live.state.token = Some(token);
    live.state.scope = state.scope.clone();
    live.state.binding = state.binding.clone();
    live.state.members = issued.members.after(&state.members);
    if issued.refresh.is_some() {
        live.state.refresh = issued.refresh;
    }
}

/// The request for the next token; `None` if only a new login helps.
pub(super) fn form(state: &State) -> Option<Form> {
    if !state.can_renew() {
        return None;
    }
    let mut form = Form::new();
    match state.renewal {
        Renewal::RefreshToken => {
            form.push("grant_type", "refresh_token");
            form.push("refresh_token", state.refresh.as_ref()?.expose());
        }
        Renewal::ClientCredentials => {
            form.push("grant_type", "client_credentials");
            let (scope, resource) = (state.scope.as_deref(), state.resource_parameter());
            describe(&mut form, scope, resource, state.details.as_ref(), &state.parameters);
            return Some(form);
        }
    }
    if state.switches.has(Switches::SCOPE_ON_REFRESH) {
        form.push_some("scope", state.scope.as_deref());
    }
    form.push_some("resource", state.resource_parameter());
    Some(form)
}

/// Deletes what a session has, once: its stored state, then its key. What fails is tried again by the next attempt.
pub(super) async fn forget(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let (mut version, binding) = {
        let mut live = session.0.live.lock();
        live.state.drop_tokens();
        // What failed to be stored before must not be stored by a later call.
        live.unsaved = false;
        (live.version, live.state.binding.clone().filter(|_| !live.forgotten))
    };
    for _ in 0..MAX_CONFLICTS {
        let Some(expected) = version else { break };
        let saving = Saving::new(&client.crypto, io.now(), slot(session.name()), Some(expected), None)?;
        if io.save(saving).await? == super::step::Saved::Stored {
            break;
        }
        version = io.load(slot(session.name())).await?.map(|stored| stored.version);
    }
    session.0.live.lock().version = None;
    if let Some(binding) = binding {
        binding.delete(io).await?;
        session.0.live.lock().forgotten = true;
    }
    Ok(())
}
