//! The end of a session: revocation (RFC 7009), and what a server says of a token (RFC 7662).

use super::client::{Client, Inner};
use super::discovery::Discovered;
use super::error::{Endpoint, FlowError};
use super::flow::{Flow, Io};
use super::metadata::AuthorizationServer;
use super::post::{Post, object};
use super::registration;
use super::renew::forget;
use super::secret::Secret;
use super::session::Session;
use super::step::Step;
use crate::UnixTime;
use crate::http::form::Form;
use crate::json::Value;

impl Client {
    /// Revokes the session's tokens at the server. The session and its key stay stored; [`end`](Self::end) deletes them as well.
    /// Those of an intent are deleted at once: without its token it is over.
    ///
    /// # Errors
    /// [`FlowError::Discovery`] if the server has no revocation; [`FlowError`].
    pub fn revoke(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = (self.0.clone(), session.clone());
        Flow::start(now, |io| async move { revoke(&io, &client, &session).await })
    }

    /// Ends the session: its tokens are revoked where the server can, and state and key are deleted whatever the server says.
    ///
    /// # Errors
    /// [`FlowError`]: the revocation's, if everything else succeeded.
    pub fn end(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = (self.0.clone(), session.clone());
        Flow::start(now, |io| async move { end(&io, &client, &session).await })
    }

    /// Asks an authorization server about a token (RFC 7662 section 2). No proof goes with it (RFC 9449 section 6.2).
    ///
    /// The answer is the server's: `active`, and `cnf` with `jkt` for a bound token.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn introspect(&self, at: &Discovered, token: Secret, now: UnixTime) -> Result<Step<Value>, FlowError> {
        let (client, server) = (self.0.clone(), at.server.clone());
        Flow::start(now, |io| async move { introspect(&io, &client, &server, &token).await })
    }
}

pub(super) async fn end(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let can_revoke = session.state().server.endpoint(Endpoint::Revocation).is_some();
    let revoked = if can_revoke { revoke(io, client, session).await } else { Ok(()) };
    forget(io, client, session).await?;
    revoked
}

pub(super) async fn introspect(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    token: &Secret,
) -> Result<Value, FlowError> {
    server.require(Endpoint::Introspection, client.rule)?;
    let credentials = registration::credentials(io, client, server, client.level).await?;
    let mut form = Form::new();
    form.push("token", token.expose());
    let post = Post::without_proof(server, Endpoint::Introspection, &credentials);
    let response = post.form(io, client, &form).await?;
    object(Endpoint::Introspection, &response)
}

/// Revokes the refresh token, with which the server revokes the access tokens made of it, and the access token.
pub(super) async fn revoke(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let state = session.state();
    state.server.require(Endpoint::Revocation, client.rule)?;
    let refresh = state.refresh.map(|token| ("refresh_token", token));
    let access = state.token.map(|token| ("access_token", token.access));
    for (hint, token) in [refresh, access].into_iter().flatten() {
        let mut form = Form::new();
        form.push("token", token.expose());
        form.push("token_type_hint", hint);
        let post = Post::without_proof(&state.server, Endpoint::Revocation, &session.0.credentials);
        match post.form(io, client, &form).await {
            // Some servers revoke refresh tokens alone (RFC 7009 section 2.2.1).
            Err(FlowError::Denied(denial)) if denial.error == "unsupported_token_type" => {}
            outcome => drop(outcome?),
        }
    }
    if state.intent.is_some() {
        return forget(io, client, session).await;
    }
    let saved = {
        let mut live = session.0.live.lock();
        live.state.drop_tokens();
        live.version.is_some()
    };
    if saved { session.save(io, client).await } else { Ok(()) }
}
