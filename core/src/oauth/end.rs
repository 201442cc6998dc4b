//! The end of a session: revocation (RFC 7009), and what a server says of a token (RFC 7662).

use super::client::{Client, Inner};
use super::discovery::Discovered;
use super::error::{AnswerDefect, Endpoint, FlowError};
use super::flow::{Flow, Io};
use super::metadata::AuthorizationServer;
use super::post::{Post, accepted, object};
use super::registration;
use super::renew::forget;
use super::secret::Secret;
use super::session::Session;
use super::state::State;
use super::step::Step;
use crate::UnixTime;
use crate::http::form::Form;
use crate::json::Value;

impl Client {
    /// Revokes the session's tokens at the server. The session and its key stay stored; [`end`](Self::end) deletes them as well.
    /// Those of an intent are deleted at once: without its token it is over. A bound session's request carries a proof.
    ///
    /// It succeeds only if the server says so: with status 200 or 204, no `error`, and no page for people in the body.
    ///
    /// # Errors
    /// [`FlowError::Discovery`] if the server has no revocation; [`FlowError`]: the tokens may still be good.
    pub fn revoke(&self, session: &Session, now: UnixTime) -> Result<Step<()>, FlowError> {
        let (client, session) = self.own(session)?;
        Flow::start(now, |io| async move { revoke(&io, &client, &session).await })
    }

    /// Ends the session: its tokens are revoked where the server can, and state and key are deleted whatever the server says.
    ///
    /// Gives `false` if the server has no revocation: the access token is good until it ends, and a refresh token can
    /// still be used by its holder.
    ///
    /// # Errors
    /// [`FlowError`]: the revocation's, if everything else succeeded; the tokens may still be good.
    pub fn end(&self, session: &Session, now: UnixTime) -> Result<Step<bool>, FlowError> {
        let (client, session) = self.own(session)?;
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

pub(super) async fn end(io: &Io, client: &Inner, session: &Session) -> Result<bool, FlowError> {
    let state = session.state();
    let has_none = state.refresh.is_none() && state.token.is_none();
    let revoked = match state.server.endpoint(Endpoint::Revocation) {
        Some(_) if !has_none => revoke(io, client, session).await.map(|()| true),
        _ => Ok(has_none),
    };
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

/// Revokes the refresh token, with which the server revokes the access tokens made of it, and the access token. Both are tried.
pub(super) async fn revoke(io: &Io, client: &Inner, session: &Session) -> Result<(), FlowError> {
    let state = session.state();
    state.server.require(Endpoint::Revocation, client.rule)?;
    let mut outcome = Ok(());
    let mut has_refresh = false;
    if let Some(token) = &state.refresh {
        has_refresh = true;
        outcome = revoke_token(io, client, session, &state, ("refresh_token", token)).await;
    }
    if let Some(token) = &state.token {
        match revoke_token(io, client, session, &state, ("access_token", &token.access)).await {
            // Some servers revoke refresh tokens alone (RFC 7009 section 2.2.1).
            Err(FlowError::Denied(denial)) if has_refresh && denial.is_final("unsupported_token_type") => {}
            revoked => outcome = outcome.and(revoked),
        }
    }
    outcome?;
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

/// Revokes one token; a success only if the answer is one that a revocation endpoint gives.
async fn revoke_token(
    io: &Io,
    client: &Inner,
    session: &Session,
    state: &State,
    (hint, token): (&str, &Secret),
) -> Result<(), FlowError> {
    const AT: Endpoint = Endpoint::Revocation;
    let mut form = Form::new();
    form.push("token", token.expose());
    form.push("token_type_hint", hint);
    // RFC 9449 does not ask for a proof here. A server that binds refresh tokens may, and others do not look at it.
    let (server, credentials) = (&*state.server, &session.0.credentials);
    let mut post = Post { binding: state.binding.as_ref(), ..Post::without_proof(server, AT, credentials) };
    let mut answer = post.answer(io, client, &form).await;
    if let Err(FlowError::KeyMissing | FlowError::KeyChanged | FlowError::KeyUnreadable(_)) = &answer {
        // A session whose key is lost has tokens to revoke all the same.
        post.binding = None;
        answer = post.answer(io, client, &form).await;
    }
    let response = match accepted(AT, answer?) {
        // A token that has ended is as good as revoked. Keycloak says so with 200, of the access token of a revoked refresh token.
        Err(FlowError::Denied(denial)) if denial.error == "invalid_token" && matches!(denial.status, 200 | 400) => {
            return Ok(());
        }
        accepted => accepted?,
    };
    // The page of a login or of a web application comes from someone who has revoked nothing.
    let is_page = response.body.trim_ascii_start().starts_with(b"<");
    match response.status {
        200 | 204 if !is_page => Ok(()),
        200 | 204 => Err(FlowError::Answer(AT, AnswerDefect::NotJson)),
        status => Err(FlowError::Answer(AT, AnswerDefect::Status(status))),
    }
}

/// Asks what a token is, as a resource does (RFC 7662 section 2.1); gives the body of the answer, whose status was 200.
#[cfg(feature = "dpop")]
pub(crate) async fn ask_about(
    io: &Io,
    client: &Client,
    server: &AuthorizationServer,
    credentials: &super::Credentials,
    token: &str,
) -> Result<alloc::vec::Vec<u8>, FlowError> {
    use super::flow::repeat::{After, Attempts};
    use super::step::{Fetching, SHARED_TIMEOUT};
    use crate::http::message::{Body, Request};
    use crate::server::resource::MAX_ANSWER_LEN;

    const AT: Endpoint = Endpoint::Introspection;
    let url = server.require(AT, super::metadata::UrlRule::of_issuer(server.issuer()))?;
    // Asking twice changes nothing. An assertion is good for one request, so that each has its own.
    let mut attempts = Attempts::new(io, After::AnyFailure);
    loop {
        let mut form = Form::new();
        form.push("token", token);
        form.push("token_type_hint", "access_token");
        let mut fields = alloc::vec::Vec::new();
        super::post::field(&mut fields, "Accept", "application/json");
        super::post::field(&mut fields, "Content-Type", "application/x-www-form-urlencoded");
        credentials.attach(io, &client.0, (server, url.as_str()), &mut form, &mut fields).await?;
        let body = Body::Bytes(form.encode().into_bytes());
        let request = Request { method: "POST".into(), url: url.as_str().into(), fields, body };
        let wanted = Fetching { request, max_body: Some(MAX_ANSWER_LEN), timeout: Some(SHARED_TIMEOUT) };
        match io.fetch(wanted).await? {
            Ok(mut response) if response.status == 200 => return Ok(core::mem::take(&mut response.body)),
            Ok(response) => return Err(FlowError::Answer(AT, AnswerDefect::Status(response.status))),
            Err(failed) => io.wait(attempts.pause(io, client.0.crypto.random, failed)?).await?,
        }
    }
}
