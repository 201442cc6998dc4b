//! Requests to an authorization server: authenticated, proved where they must be, and tried again where that helps.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::binding::{Again, Binding, NonceTries, Role, SCHEME};
use super::client::Inner;
use super::credentials::Credentials;
use super::error::{AnswerDefect, Denial, Downgrade, Endpoint, FlowError};
use super::flow::Io;
use super::flow::repeat::{After, Attempts};
use super::metadata::AuthorizationServer;
use super::step::Fetching;
use crate::crypto::SecureRandom;
use crate::http::challenge::{Challenge, Challenges};
use crate::http::date;
use crate::http::form::Form;
use crate::http::message::{Body, Request, Response};
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

/// How long an authorization server has for its answer, in seconds: below the lease of the lock around a refresh.
pub(super) const TIMEOUT: u64 = 20;
/// How much of an authorization server's answer is read, in bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// A request to one endpoint.
pub(super) struct Post<'a> {
    pub(super) server: &'a AuthorizationServer,
    pub(super) endpoint: Endpoint,
    /// Who asks.
    pub(super) credentials: &'a Credentials,
    /// The key to prove possession of, if the request carries a proof.
    pub(super) binding: Option<&'a Binding>,
    /// Whether an answer counts only if its proof carried a nonce of the server.
    pub(super) requires_nonce: bool,
}

impl<'a> Post<'a> {
    /// A request for tokens, bound to the key of `binding` if there is one.
    pub(super) fn for_tokens(
        server: &'a AuthorizationServer,
        credentials: &'a Credentials,
        binding: Option<&'a Binding>,
        level: SecurityLevel,
    ) -> Self {
        let requires_nonce = level == SecurityLevel::Maximum;
        Self { server, endpoint: Endpoint::Token, credentials, binding, requires_nonce }
    }

    /// A request that says who asks and proves no key.
    pub(super) fn without_proof(
        server: &'a AuthorizationServer,
        endpoint: Endpoint,
        credentials: &'a Credentials,
    ) -> Self {
        Self { server, endpoint, credentials, binding: None, requires_nonce: false }
    }

    /// Sends a form and gives the answer, which is a success.
    pub(super) async fn form(&self, io: &Io, client: &Inner, form: &Form) -> Result<Response, FlowError> {
        accepted(self.endpoint, self.answer(io, client, form).await?)
    }

    /// Sends a form and gives the answer, whatever it says.
    ///
    /// At most two attempts more with new nonces, and one by the server's clock; each has a new proof and a new assertion. So has each
    /// after the network failed: a question about a token is repeated, anything else only if it was not sent.
    pub(super) async fn answer(&self, io: &Io, client: &Inner, form: &Form) -> Result<Response, FlowError> {
        let mut nonces = NonceTries::new();
        let outcome = self.attempts(io, client, form, &mut nonces).await;
        nonces.end(io).await;
        outcome
    }

    async fn attempts(
        &self,
        io: &Io,
        client: &Inner,
        form: &Form,
        nonces: &mut NonceTries,
    ) -> Result<Response, FlowError> {
        let mut fields = Vec::new();
        field(&mut fields, "Accept", "application/json");
        field(&mut fields, "Content-Type", "application/x-www-form-urlencoded");
        let url = String::from(self.server.require(self.endpoint, client.rule)?.as_str());
        let mut corrected_clock = false;
        let is_question = self.endpoint == Endpoint::Introspection;
        let mut attempts = Attempts::new(io, if is_question { After::AnyFailure } else { After::NotSent });
        loop {
            let place = || self.binding.and_then(|binding| binding.place(&url, Role::AuthorizationServer));
            let under_way = nonces.begin(io, client, place()).await?;
            let (mut form, mut fields) = (form.clone(), fields.clone());
            self.credentials.attach(io, client, (self.server, &url), &mut form, &mut fields).await?;
            let body = Body::Bytes(form.encode().into_bytes());
            let mut request = Request { method: "POST".into(), url: url.clone(), fields, body };
            let mut proof = None;
            if let Some(binding) = self.binding {
                proof = Some((binding, binding.prove(io, client, &mut request, None, nonces.own()).await?));
            }
            let response = match io.fetch(reading(request.clone())).await? {
                Ok(response) => response,
                Err(failed) => {
                    under_way.end();
                    io.wait(attempts.pause(io, client.crypto.random, failed)?).await?;
                    continue;
                }
            };
            let document = parsed(&response.body);
            let error = document.as_ref().and_then(error_of);
            let is_success = matches!(response.status, 200..=299) && error.is_none();
            let again = match &proof {
                Some((binding, proved)) => {
                    // Some servers leave their demand to a gateway, which knows challenges alone.
                    let demanded = || demanded(response.status, &challenges(&response).list);
                    binding
                        .answered(client, &request, proved, &response, error.as_deref().or_else(demanded), io.now())
                        .map_err(|defect| FlowError::Answer(self.endpoint, defect))?
                }
                None => Again::No,
            };
            under_way.end();
            if !matches!(again, Again::WithNonce(_)) {
                nonces.end(io).await;
            }
            let with_nonce = proof.is_some_and(|(_, proved)| proved.has_nonce());
            // An assertion that has expired, or was made in the future, by the server's clock.
            let mistimed = || error.as_deref() == Some("invalid_client") && self.credentials.is_timed();
            match again {
                Again::WithNonce(nonce) => {
                    if !nonces.challenged(client, place().as_ref(), nonce, io.now()) {
                        return Err(FlowError::Answer(self.endpoint, AnswerDefect::NonceLoop));
                    }
                }
                Again::WithClock if !corrected_clock => corrected_clock = true,
                Again::No if !corrected_clock && mistimed() && client.learn_clock(&url, &response, io.now()) => {
                    corrected_clock = true;
                }
                _ if is_success && self.requires_nonce && self.binding.is_some() && !with_nonce => {
                    return Err(Downgrade::NoServerNonce.into());
                }
                _ => return Ok(response),
            }
        }
    }
}

/// A request whose answer the core reads.
pub(super) const fn reading(request: Request) -> Fetching {
    Fetching { request, max_body: Some(MAX_ANSWER), timeout: Some(TIMEOUT) }
}

/// Sends a request without a proof, again where the network failed and `after` permits it.
pub(crate) async fn send(
    io: &Io,
    random: &'static dyn SecureRandom,
    wanted: Fetching,
    after: After,
) -> Result<Response, FlowError> {
    let mut attempts = Attempts::new(io, after);
    loop {
        match io.fetch(wanted.clone()).await? {
            Ok(response) => return Ok(response),
            Err(failed) => io.wait(attempts.pause(io, random, failed)?).await?,
        }
    }
}

/// The challenges of an answer.
pub(super) fn challenges(response: &Response) -> Challenges {
    let fields: Vec<&[u8]> = response.all("www-authenticate").collect();
    Challenge::parse_fields(&fields)
}

/// Whether a challenge is of a scheme that tokens are sent with.
pub(super) fn is_ours(challenge: &Challenge) -> bool {
    challenge.is(SCHEME) || challenge.is("Bearer")
}

/// What a challenge demands of the next proof: with 401 or 400, and of either scheme, because servers that take both name the
/// wrong one.
pub(super) fn demanded(status: u16, challenges: &[Challenge]) -> Option<&'static str> {
    let names = |error: &&str| challenges.iter().any(|own| is_ours(own) && own.param("error") == Some(error));
    ["use_dpop_nonce", "invalid_dpop_proof"].into_iter().find(names).filter(|_| matches!(status, 400 | 401))
}

/// The answer, if it is a success: some servers say `error` with status 200.
pub(super) fn accepted(endpoint: Endpoint, response: Response) -> Result<Response, FlowError> {
    let document = parsed(&response.body);
    if matches!(response.status, 200..=299) && document.as_ref().and_then(error_of).is_none() {
        return Ok(response);
    }
    Err(refused(endpoint, &response, document.as_ref()))
}

/// The error that an answer names (RFC 6749 section 5.2): a text, or the object that some servers put there instead.
pub(super) fn error_of(document: &Value) -> Option<Cow<'_, str>> {
    match document.member("error")? {
        Value::Text(error) if !error.is_empty() => Some(error.as_str().into()),
        object @ Value::Object(_) => Some(object.to_json().into()),
        _ => None,
    }
}

/// Whether a status says nothing about the request but that it can be sent later.
pub(super) const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// How long a server asks to be left alone, in seconds (RFC 9110 section 10.2.3).
pub(super) fn retry_after(response: &Response, now: UnixTime) -> u64 {
    let asked = response.text("retry-after").unwrap_or_default();
    let until = || date::parse(asked).map(|time| if time > now { time.since(now) } else { 0 });
    asked.parse().ok().or_else(until).unwrap_or(0)
}

/// What an answer without success says.
pub(super) fn refused(endpoint: Endpoint, response: &Response, document: Option<&Value>) -> FlowError {
    let denied = |error: &str, description: Option<&str>| {
        FlowError::Denied(Box::new(Denial::new(endpoint, response.status, error, description)))
    };
    let challenges = challenges(response).list;
    let challenged = challenges.iter().find_map(|one| Some((one.param("error")?, one.param("error_description"))));
    match document.and_then(|document| error_of(document).map(|error| (document, error))) {
        Some((document, error)) => denied(&error, document.text("error_description")),
        None => match challenged {
            // A gateway before the server says its reason there alone (RFC 6750 section 3).
            Some((error, description)) => denied(error, description),
            None if matches!(response.status, 300..=399) => FlowError::Answer(endpoint, AnswerDefect::Redirect),
            None => FlowError::Answer(endpoint, AnswerDefect::Status(response.status)),
        },
    }
}

/// The JSON object in a body, if that is what it is. Some servers put a byte order mark before it (RFC 8259 section 8.1).
pub(super) fn parsed(body: &[u8]) -> Option<Value> {
    Value::parse_object(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

/// The JSON object of an answer.
pub(super) fn object(endpoint: Endpoint, response: &Response) -> Result<Value, FlowError> {
    parsed(&response.body).ok_or(FlowError::Answer(endpoint, AnswerDefect::NotJson))
}

/// A member that must be there and not be empty.
pub(super) fn text<'v>(endpoint: Endpoint, document: &'v Value, name: &'static str) -> Result<&'v str, FlowError> {
    let missing = FlowError::Answer(endpoint, AnswerDefect::Missing(name));
    document.text(name).filter(|text| !text.is_empty()).ok_or(missing)
}

pub(super) fn field(fields: &mut Vec<(String, String)>, name: &str, value: &str) {
    fields.push((name.into(), value.into()));
}
