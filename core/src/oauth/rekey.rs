//! A new key for a session that goes on: how key rotation reaches sessions that live long.

use super::audit::Deed;
use super::binding::Binding;
use super::client::{Client, Inner};
use super::error::FlowError;
use super::flow::{Flow, Io};
use super::grant::concluded;
use super::renew::{LEASE, catch_up, form, issued, take};
use super::session::{Session, slot};
use super::state::{Renewal, State};
use super::step::Step;
use crate::{Misuse, UnixTime};

impl Client {
    /// Binds the session's tokens to a new key, which the host is asked for. Its old key is deleted once the session is stored, unless
    /// it is the host's ([`KeyOwner::Host`](super::step::KeyOwner::Host)).
    ///
    /// A session of [client credentials](Self::client_credentials) asks for its next token with a proof of the new key. So does one of a
    /// confidential client with a refresh token: such a token is bound to the client's authentication and not to a key (RFC 9449
    /// section 5). The refresh token of a public client works with its key alone, so that such a session gets a new key by a login only.
    ///
    /// If the host answers with the key that the session has already, such as a key ring that has not rotated, nothing is sent. The same
    /// holds if another task or process replaced the key meanwhile: a session has one new key, that of the first to ask.
    ///
    /// # Errors
    /// [`Misuse::Rekey`] for a session whose key cannot be replaced, which the text explains; [`FlowError::LoginRequired`] if it cannot be
    /// renewed; [`FlowError`]. The session then keeps its key and its tokens, except where the answer to its request was lost or could not
    /// be stored: such a refresh token may be used up.
    pub fn rekey(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = self.own(session)?;
        Flow::start(now, |io| async move { rekey(&io, &client, &session).await })
    }
}

pub(super) async fn rekey(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let old = replaceable(session)?;
    let lock = slot(session.name());
    io.lock(lock.as_str(), LEASE).await?;
    let outcome = rekey_locked(io, client, session, &old).await;
    let unlocked = io.unlock(lock.as_str()).await;
    outcome?;
    unlocked
}

async fn rekey_locked(io: &Io, client: &Inner, session: &Session, old: &Binding) -> Result<(), FlowError> {
    catch_up(io, client, session).await?;
    let mut state = session.state();
    if !state.binding.as_ref().is_some_and(|binding| binding.has_key_of(old)) {
        return Ok(());
    }
    let form = form(&state).ok_or(FlowError::LoginRequired)?;
    let new = Binding::create(io, client, &state.server, &session.0.credentials, state.level).await?;
    if new.has_key_of(old) {
        return Ok(());
    }
    state.binding = Some(new.clone());
    let who = client.asks(&session.0.credentials, Some(&new));
    let outcome = issued(io, client, session, &state, &form).await;
    client.note(who.as_ref(), Deed::Rotation, outcome.as_ref().err().map(FlowError::reason), io.now());
    // Whatever the server said of the new key, the tokens of the old one are as they were.
    let issued = concluded(io, Some(&new), outcome).await?;
    take(session, &state, issued, false);
    session.save(io, client).await?;
    // Tokens of the new key are stored: the session does not fail because the old key cannot be deleted now. A sweep finds it.
    drop(old.delete(io).await);
    Ok(())
}

/// The key of a session that can go on with another one.
fn replaceable(session: &Session) -> Result<Binding, FlowError> {
    let live = session.0.live.lock();
    let State { intent, renewal, binding, .. } = &live.state;
    if live.provisional {
        return Err(Misuse::Provisional.into());
    }
    let Some(binding) = binding else {
        return Err(Misuse::Rekey("its tokens are not bound to a key").into());
    };
    if intent.is_some() {
        return Err(Misuse::Rekey("its key ends with its intent").into());
    }
    if *renewal == Renewal::RefreshToken && !session.0.credentials.is_confidential() {
        let why = "the refresh token of a public client works with its key alone (RFC 9449 section 5); log in again for a new key";
        return Err(Misuse::Rekey(why).into());
    }
    Ok(binding.clone())
}
