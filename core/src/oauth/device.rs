//! Login on another device (RFC 8628).

use alloc::string::String;
use core::fmt;

use super::audit::Deed;
use super::client::{Client, Inner};
use super::error::{AnswerDefect, Endpoint, FlowError};
use super::flow::{Flow, Io};
use super::grant::{Grant, User, concluded};
use super::pkce;
use super::post::{Post, accepted, is_passing, object, retry_after, text};
use super::registration;
use super::request::SessionRequest;
use super::secret::Secret;
use super::session::Session;
use super::state::Renewal;
use super::step::Step;
use super::token::seconds;
use crate::http::form::Form;
use crate::{SecurityLevel, UnixTime};

/// The pause between two questions unless the server says otherwise, in seconds (RFC 8628 section 3.2).
const INTERVAL: u64 = 5;
/// By how much a server's `slow_down` lengthens it, in seconds (RFC 8628 section 3.5).
const SLOWER: u64 = 5;
/// The longest pause, in seconds.
const MAX_INTERVAL: u64 = 300;
/// The longest a device login may take, in seconds.
const MAX_LIFETIME: u64 = 3_600;

/// What to show the user, and what the client waits with.
pub struct DeviceAuthorization {
    grant: Grant,
    device_code: Secret,
    verifier: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    interval: u64,
    expires: UnixTime,
}

impl DeviceAuthorization {
    /// The code that the user enters.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user enters it.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same with the code in it, for a link or a QR code.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// Until when the user may do so.
    pub const fn expires_at(&self) -> UnixTime {
        self.expires
    }
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("expires_at", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a login on another device. The request names the key that will ask for the token.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn device(&self, request: SessionRequest, now: UnixTime) -> Result<Step<DeviceAuthorization>, FlowError> {
        let client = self.0.clone();
        Flow::start(now, |io| async move { device(&io, &client, &request).await })
    }

    /// Waits until the user has decided, by [`Wait`](super::step::Wait) steps between the questions.
    ///
    /// # Errors
    /// [`FlowError::Denied`] with `access_denied` or `expired_token`, and the others.
    pub fn poll_device(&self, authorization: DeviceAuthorization, now: UnixTime) -> Result<Step<Session>, FlowError> {
        let client = self.0.clone();
        Flow::start(now, |io| async move { poll_device(&io, &client, authorization).await })
    }
}

pub(super) async fn device(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
) -> Result<DeviceAuthorization, FlowError> {
    let level = request.checked(client)?;
    request.server.require(Endpoint::DeviceAuthorization, client.rule)?;
    let mut outcome = ask(io, client, request, level).await;
    // A server that lost its clients is registered with anew, once.
    if let Err(error) = &outcome
        && error.is_unknown_client()
        && registration::forget(io, client, &request.server, level, None).await?
    {
        outcome = ask(io, client, request, level).await;
    }
    outcome
}

pub(super) async fn poll_device(
    io: &Io,
    client: &Inner,
    authorization: DeviceAuthorization,
) -> Result<Session, FlowError> {
    let binding = authorization.grant.binding.clone();
    let who = client.asks(&authorization.grant.credentials, binding.as_ref());
    let outcome = poll(io, client, authorization).await;
    client.note(who.as_ref(), Deed::Issue, outcome.as_ref().err().map(FlowError::reason), io.now());
    concluded(io, binding.as_ref(), outcome).await
}

async fn ask(
    io: &Io,
    client: &Inner,
    request: &SessionRequest,
    level: SecurityLevel,
) -> Result<DeviceAuthorization, FlowError> {
    let grant = Grant::prepare(io, client, request, level).await?;
    let binding = grant.binding.clone();
    let outcome = begin(io, client, grant).await;
    concluded(io, binding.as_ref(), outcome).await
}

async fn begin(io: &Io, client: &Inner, grant: Grant) -> Result<DeviceAuthorization, FlowError> {
    const AT: Endpoint = Endpoint::DeviceAuthorization;
    let mut form = Form::new();
    form.push("client_id", grant.credentials.client_id());
    // Keycloak demands PKCE here, too, of the clients it demands it of. Other servers ignore what they do not know (RFC 6749 section 3.1).
    let verifier = pkce::verifier(&client.crypto)?;
    pkce::announce(&verifier, &mut form, client.crypto.digest);
    grant.request.describe(&mut form);
    let proof = grant.binding.as_ref().filter(|_| client.pushes_proof);
    if let (Some(binding), None) = (&grant.binding, &proof) {
        binding.announce(&mut form);
    }
    let post = Post {
        server: &grant.request.server,
        endpoint: AT,
        credentials: &grant.credentials,
        binding: proof,
        requires_nonce: false,
    };
    let response = post.form(io, client, &form).await?;
    let document = object(AT, &response)?;
    let verification_uri = String::from(text(AT, &document, "verification_uri")?);
    client.rule.published(&verification_uri, "verification_uri")?;
    // A convenience: one that cannot be used is left out.
    let complete = document.text("verification_uri_complete");
    let complete = complete.filter(|url| client.rule.published(url, "verification_uri_complete").is_ok());
    Ok(DeviceAuthorization {
        device_code: Secret::new(text(AT, &document, "device_code")?),
        verifier,
        user_code: text(AT, &document, "user_code")?.into(),
        verification_uri,
        verification_uri_complete: complete.map(String::from),
        interval: seconds(&document, "interval").unwrap_or(INTERVAL).clamp(1, MAX_INTERVAL),
        expires: io.now().saturating_add(seconds(&document, "expires_in").unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME)),
        grant,
    })
}

async fn poll(io: &Io, client: &Inner, authorization: DeviceAuthorization) -> Result<Session, FlowError> {
    let DeviceAuthorization { grant, device_code, verifier, mut interval, expires, .. } = authorization;
    let mut form = Form::new();
    form.push("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    form.push("device_code", device_code.expose());
    form.push("code_verifier", verifier.expose());
    form.push_some("resource", grant.request.resource_parameter());
    let mut pause = interval;
    loop {
        io.wait(pause.saturating_mul(1_000)).await?;
        let (answer, asked) = match grant.token_request().answer(io, client, &form).await {
            Ok(response) => {
                let asked = retry_after(&response, io.now());
                (accepted(Endpoint::Token, response), asked)
            }
            Err(error) => (Err(error), 0),
        };
        let error = match answer {
            Ok(response) => {
                return grant.establish(io, client, &response, Renewal::RefreshToken, Some(User { nonce: None })).await;
            }
            Err(error) => error,
        };
        if io.now() >= expires {
            return Err(error);
        }
        pause = match &error {
            FlowError::Denied(denial) if denial.error == "authorization_pending" => interval,
            FlowError::Denied(denial) if denial.error == "slow_down" => {
                interval = interval.saturating_add(SLOWER).min(MAX_INTERVAL);
                interval
            }
            // A question whose answer was lost, or that the server could not look at, is asked again, later each time (RFC 8628
            // section 3.5): nothing came of it.
            FlowError::Host(_) => pause.saturating_mul(2),
            FlowError::Denied(denial) if is_passing(denial.status) => pause.saturating_mul(2),
            FlowError::Answer(_, AnswerDefect::Status(status)) if is_passing(*status) => pause.saturating_mul(2),
            _ => return Err(error),
        };
        // Not beyond the code's end, when the last question is asked.
        pause = pause.max(asked).min(MAX_INTERVAL).min(expires.since(io.now()));
    }
}
