//! Requests to the protected resource (RFC 9449 section 7).

use alloc::string::String;
use alloc::vec::Vec;

use super::audit::Deed;
use super::binding::{Again, ELSEWHERE, NonceTries, Proved, Role, UnderWay, provable};
use super::client::{Client, Inner};
use super::error::{AnswerDefect, Downgrade, Endpoint, FlowError};
use super::flow::repeat::{After, Attempts};
use super::flow::{Flow, Io};
use super::login::widened;
use super::post::{challenges, demanded, is_ours};
use super::renew::{EXPIRY_MARGIN, catch_up, forget, renew};
use super::secret::Secret;
use super::session::Session;
use super::state::{Renewal, State};
use super::step::{Fetching, Step};
use crate::http::challenge::{Challenge, ChallengeError};
use crate::http::message::{Body, Request, Response};
use crate::http::url::Url;
use crate::{Misuse, SecurityLevel, UnixTime};

/// How many redirects are followed, all within one origin.
const MAX_REDIRECTS: u8 = 5;

/// The resource's answer: status and fields. The body belongs to the host that received it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where the answer came from, after redirects.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// Names and values, one element for each field line.
    pub fields: Vec<(String, Vec<u8>)>,
    /// What the caller can do where the resource refused and the session could not help itself.
    pub demand: Option<Demand>,
    /// Why a line of the answer's `WWW-Authenticate` fields was ignored, if one was: it is malformed, and what it demands is
    /// unknown. The other lines count.
    pub ignored_challenge: Option<ChallengeError>,
}

/// What a refused request needs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Demand {
    /// A new login; the challenges of the answer lead to it by [`Client::discover`].
    Login(Vec<Challenge>),
    /// A login with this scope added: [`Client::step_up`].
    StepUp(String),
    /// The same request once more, with its body, which could be sent only once.
    Resend,
}

impl Demand {
    /// What the resource said, by the code of RFC 6750 section 3.1; none if it may accept the same request yet.
    const fn error(&self) -> Option<&'static str> {
        match self {
            Self::Login(_) => Some("invalid_token"),
            Self::StepUp(_) => Some("insufficient_scope"),
            Self::Resend => None,
        }
    }
}

impl Client {
    /// Sends a request with the session's token and a fresh proof.
    ///
    /// `request` carries neither `Authorization` nor `DPoP`. A nonce that the resource demands is answered by one more attempt. If that
    /// one is challenged for another nonce, by a third: then the client's requests to this resource take turns for a minute, because it
    /// may accept no nonce but its newest. The same nonce twice is [`AnswerDefect::NonceLoop`]. A
    /// token that it calls invalid by one refresh and one more attempt, a proof it calls invalid by one attempt by its clock;
    /// each has a new proof. A demand stands in a challenge of the scheme DPoP or Bearer, with status 401 or 400; a body demands
    /// nothing. A 401 with such a challenge and without a reason (no `error`) is answered by one refresh as well, but only once
    /// until a request of the session succeeds. Redirects are followed within the origin alone and with new proofs; one to elsewhere is the
    /// answer. A body that can be sent once is sent once: the nonce is asked for before, by a `HEAD` request. A WebSocket
    /// handshake is a `GET` to a `wss` URL.
    ///
    /// A request that was not sent, as the host says ([`FetchFailed::NotSent`](super::step::FetchFailed::NotSent)), is sent up to twice
    /// more, with a new proof each. One whose answer was lost is not, whatever its method: the resource may have carried it out.
    ///
    /// An intent ends with the answer to the request that carries it out (status 101 or 2xx), or with one that calls its token
    /// invalid: its session and key are deleted before this flow is done, and the next call is
    /// [`FlowError::LoginRequired`].
    ///
    /// # Errors
    /// [`Misuse::OutsideResource`] if the target must not get the token; [`FlowError::LoginRequired`] if there is no token to
    /// send; [`FlowError`]. An answer with any status is no error.
    pub fn call(&self, session: &Session, request: Request, now: UnixTime) -> Result<Step<Answer>, FlowError> {
        let (client, session) = self.own(session)?;
        Flow::start(now, |io| async move { call(&io, &client, &session, request).await })
    }
}

pub(super) async fn call(io: &Io, client: &Inner, session: &Session, request: Request) -> Result<Answer, FlowError> {
    let reserved = |name: &str| name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("dpop");
    if request.fields.iter().any(|(name, _)| reserved(name)) {
        return Err(Misuse::ReservedField.into());
    }
    let target = client.rule.given(&provable(&request.url))?;
    if !client.may_receive(session.resource().as_deref(), &target) {
        return Err(Misuse::OutsideResource.into());
    }
    let mut call = Call { io, client, session, tries: Tries::default(), nonces: NonceTries::new(), ignored: None };
    let outcome = call.run(request).await;
    call.nonces.end(io).await;
    let refused = match &outcome {
        Ok(answer) => answer.demand.as_ref().and_then(Demand::error),
        Err(error) => Some(error.reason()),
    };
    if refused.is_some() {
        client.note(client.of_session(session).as_ref(), Deed::Request, refused, io.now());
    }
    outcome
}

/// What was tried already, each once.
#[derive(Default)]
struct Tries {
    clock: bool,
    renewal: bool,
    key: bool,
    wider: bool,
    redirects: u8,
}

struct Call<'a> {
    io: &'a Io,
    client: &'a Inner,
    session: &'a Session,
    tries: Tries,
    nonces: NonceTries,
    /// Why a challenge of the last answer was ignored.
    ignored: Option<ChallengeError>,
}

/// What follows from an answer.
enum Next {
    Return(Option<Demand>),
    Retry,
    Follow(Request),
}

impl Call<'_> {
    async fn run(&mut self, mut request: Request) -> Result<Answer, FlowError> {
        let unsaved = self.session.0.live.lock().unsaved;
        if unsaved {
            self.session.save(self.io, self.client).await?;
        }
        let mut attempts = Attempts::new(self.io, After::NotSent);
        loop {
            let (mut state, mut token) = self.usable().await?;
            match self.prime(&state, &token, &request).await {
                // Priming may have found the token to be no good.
                Ok(true) => (state, token) = self.usable().await?,
                Err(FlowError::KeyMissing) if self.has_another_key(&state).await? => continue,
                primed => drop(primed?),
            }
            let place = state.binding.as_ref().and_then(|binding| binding.place(&request.url, Role::ResourceServer));
            let under_way = self.nonces.begin(self.io, self.client, place).await?;
            let (attempt, proved) = match self.equip(&state, &token, request.clone()).await {
                Err(FlowError::KeyMissing) if self.has_another_key(&state).await? => continue,
                equipped => equipped?,
            };
            let wanted = Fetching { request: attempt.clone(), max_body: None, timeout: None };
            let response = match self.io.fetch(wanted).await? {
                Ok(response) => response,
                // A body that can be sent once may have been begun, although nothing of it left.
                Err(failed) if request.body == Body::OneShot => return Err(failed.into()),
                Err(failed) => {
                    under_way.end();
                    let pause = attempts.pause(self.io, self.client.crypto.random, failed)?;
                    self.io.wait(pause).await?;
                    continue;
                }
            };
            match self.judge(&state, &token, (&attempt, proved.as_ref(), under_way), &response).await? {
                Next::Return(demand) => {
                    if state.intent.is_some() && is_spent(&response, demand.as_ref()) {
                        // The resource's answer counts, whatever becomes of what is left: a key that cannot be deleted now is
                        // named by nothing any more, and is swept.
                        drop(forget(self.io, self.client, self.session).await);
                    }
                    return Ok(self.answer(&attempt, &response, demand));
                }
                Next::Retry if request.body == Body::OneShot => {
                    return Ok(self.answer(&attempt, &response, Some(Demand::Resend)));
                }
                Next::Retry => {}
                Next::Follow(next) => request = next,
            }
        }
    }

    /// The session's state with a token that has not ended.
    async fn usable(&mut self) -> Result<(State, Secret), FlowError> {
        let state = self.session.state();
        let now = self.io.now();
        if state.intent_has_ended(now) {
            // The key was made for this intent and ends with it.
            forget(self.io, self.client, self.session).await?;
            return Err(FlowError::LoginRequired);
        }
        if state.token.as_ref().is_none_or(|token| token.is_over(now, EXPIRY_MARGIN)) {
            self.tries.renewal = true;
            let old = state.token.map(|token| token.access);
            renew(self.io, self.client, self.session, old.as_ref(), None).await?;
        }
        let state = self.session.state();
        let token = state.token.as_ref().map(|token| token.access.clone()).ok_or(FlowError::LoginRequired)?;
        Ok((state, token))
    }

    /// Whether the session goes on with another key than that of `state`, which is gone: another task or process replaced it, in the
    /// middle of this call or since this session was opened. It is asked once.
    async fn has_another_key(&mut self, state: &State) -> Result<bool, FlowError> {
        if core::mem::replace(&mut self.tries.key, true) {
            return Ok(false);
        }
        let is_another = |session: &Session| {
            let live = session.0.live.lock();
            let both = live.state.binding.as_ref().zip(state.binding.as_ref());
            both.is_some_and(|(now, then)| !now.has_key_of(then))
        };
        if !is_another(self.session) {
            match catch_up(self.io, self.client, self.session).await {
                // It is gone with its key, and the caller is told of the key.
                Err(FlowError::LoginRequired) => return Ok(false),
                caught_up => caught_up?,
            }
        }
        Ok(is_another(self.session))
    }

    /// Learns the resource's nonce by a request without body, where the real one must not be refused for want of it: true if
    /// that was so.
    async fn prime(&mut self, state: &State, token: &Secret, request: &Request) -> Result<bool, FlowError> {
        let Some(binding) = &state.binding else { return Ok(false) };
        let requires_nonce = state.level == SecurityLevel::Maximum;
        let unsure = request.body == Body::OneShot && !binding.is_primed(self.client, &request.url, self.io.now());
        let lacking = requires_nonce && !binding.has_nonce(self.client, &request.url, Role::ResourceServer);
        if !unsure && !lacking {
            return Ok(false);
        }
        let head = Request::new("HEAD", &provable(&request.url));
        let mut attempts = Attempts::new(self.io, After::NotSent);
        let (attempt, proved, response, under_way) = loop {
            let place = binding.place(&head.url, Role::ResourceServer);
            let under_way = self.nonces.begin(self.io, self.client, place).await?;
            let (attempt, proved) = self.equip(state, token, head.clone()).await?;
            let wanted = Fetching { request: attempt.clone(), max_body: Some(0), timeout: Some(super::post::TIMEOUT) };
            match self.io.fetch(wanted).await? {
                Ok(response) => break (attempt, proved, response, under_way),
                Err(failed) => {
                    under_way.end();
                    let pause = attempts.pause(self.io, self.client.crypto.random, failed)?;
                    self.io.wait(pause).await?;
                }
            }
        };
        // Whether it says yes or no, it says which nonce, clock and token it wants.
        if let Next::Return(demand) =
            self.judge(state, token, (&attempt, proved.as_ref(), under_way), &response).await?
            && state.intent.is_some()
            && is_refused(&response, demand.as_ref())
        {
            forget(self.io, self.client, self.session).await?;
            return Err(FlowError::LoginRequired);
        }
        if requires_nonce && !binding.has_nonce(self.client, &request.url, Role::ResourceServer) {
            return Err(Downgrade::NoServerNonce.into());
        }
        self.tries = Tries { clock: false, wider: false, ..self.tries };
        self.nonces.reset();
        Ok(true)
    }

    /// Adds token and proof.
    async fn equip(
        &self,
        state: &State,
        token: &Secret,
        mut request: Request,
    ) -> Result<(Request, Option<Proved>), FlowError> {
        request.fields.push(("Authorization".into(), [state.scheme(), " ", token.expose()].concat()));
        let proved = match &state.binding {
            Some(binding) => {
                let (token, own) = (Some(token.expose()), self.nonces.own());
                Some(binding.prove(self.io, self.client, &mut request, token, own).await?)
            }
            None => None,
        };
        Ok((request, proved))
    }

    async fn judge(
        &mut self,
        state: &State,
        token: &Secret,
        (request, proved, under_way): (&Request, Option<&Proved>, UnderWay<'_>),
        response: &Response,
    ) -> Result<Next, FlowError> {
        let read = challenges(response);
        self.ignored = read.ignored;
        let challenges = read.list;
        let error = demanded(response.status, &challenges);
        let again = match state.binding.as_ref().zip(proved) {
            Some((binding, proved)) => binding
                .answered(self.client, request, proved, response, error, self.io.now())
                .map_err(|defect| FlowError::Answer(Endpoint::Resource, defect))?,
            None => Again::No,
        };
        under_way.end();
        if !matches!(again, Again::WithNonce(_)) {
            self.nonces.end(self.io).await;
        }
        if is_success(response.status) {
            self.session.0.live.lock().doubted = false;
        }
        match again {
            Again::WithNonce(nonce) => {
                let place = state.binding.as_ref().and_then(|own| own.place(&request.url, Role::ResourceServer));
                if !self.nonces.challenged(self.client, place.as_ref(), nonce, self.io.now()) {
                    return Err(FlowError::Answer(Endpoint::Resource, AnswerDefect::NonceLoop));
                }
                return Ok(Next::Retry);
            }
            Again::WithClock if !self.tries.clock => {
                self.tries.clock = true;
                return Ok(Next::Retry);
            }
            Again::WithClock | Again::No => {}
        }
        match response.status {
            401 => {
                // A provisional session is not renewed: the answer is the caller's.
                let is_provisional = self.session.0.live.lock().provisional;
                let may_renew = !self.tries.renewal && !is_provisional && state.can_renew();
                if may_renew && (calls_invalid(&challenges) || (is_unexplained(&challenges) && self.may_doubt(token))) {
                    self.tries.renewal = true;
                    self.nonces.reset();
                    match renew(self.io, self.client, self.session, Some(token), None).await {
                        Ok(()) => return Ok(Next::Retry),
                        Err(FlowError::LoginRequired) => {}
                        Err(error) => return Err(error),
                    }
                }
                let helps = !is_for_another_target(&challenges);
                Ok(Next::Return(helps.then_some(Demand::Login(challenges))))
            }
            403 => self.step_up(state, token, &challenges).await,
            301 | 302 | 303 | 307 | 308 => self.follow(request, response),
            _ => Ok(Next::Return(None)),
        }
    }

    /// Whether a refusal without a reason may be the token's fault: once until a request succeeds. A server that says no more
    /// than "log in" to everything must not use up a refresh token with each request.
    fn may_doubt(&self, token: &Secret) -> bool {
        let mut live = self.session.0.live.lock();
        // The newer token that another call got has not been refused yet.
        if live.state.token.as_ref().is_none_or(|current| current.access != *token) {
            return true;
        }
        !core::mem::replace(&mut live.doubted, true)
    }

    fn answer(&self, request: &Request, response: &Response, demand: Option<Demand>) -> Answer {
        let (url, status, fields) = (request.url.clone(), response.status, response.fields.clone());
        Answer { url, status, fields, demand, ignored_challenge: self.ignored }
    }

    async fn step_up(&mut self, state: &State, token: &Secret, challenges: &[Challenge]) -> Result<Next, FlowError> {
        let lacking = challenges.iter().find(|challenge| challenge.param("error") == Some("insufficient_scope"));
        let Some(scope) = lacking.and_then(|challenge| challenge.param("scope")) else { return Ok(Next::Return(None)) };
        if state.renewal == Renewal::ClientCredentials && state.can_renew() && !self.tries.wider {
            self.tries.wider = true;
            if let Ok(union) = widened(self.session, scope) {
                match renew(self.io, self.client, self.session, Some(token), Some(union)).await {
                    Ok(()) => return Ok(Next::Retry),
                    // The server does not grant that: the resource's answer stands.
                    Err(FlowError::Denied(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Next::Return(Some(Demand::StepUp(scope.into()))))
    }

    /// The request that a redirect asks for, if it may be sent: to the same origin, where the session's tokens may go.
    fn follow(&mut self, request: &Request, response: &Response) -> Result<Next, FlowError> {
        let stay = Ok(Next::Return(None));
        let Ok(from) = Url::parse(&provable(&request.url)) else { return stay };
        let Some(Ok(to)) = response.text("location").map(|location| from.join(location)) else { return stay };
        let resource = self.session.resource();
        if to.origin() != from.origin() || !self.client.may_receive(resource.as_deref(), &to) {
            return stay;
        }
        self.tries.redirects = self.tries.redirects.saturating_add(1);
        if self.tries.redirects > MAX_REDIRECTS {
            return Err(FlowError::TooManyRedirects);
        }
        let mut next = request.clone();
        next.fields
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization") && !name.eq_ignore_ascii_case("dpop"));
        next.url = to.as_str().into();
        let keeps_method = match response.status {
            303 => matches!(&*request.method, "GET" | "HEAD"),
            301 | 302 => request.method != "POST",
            _ => true,
        };
        if !keeps_method {
            next.method = "GET".into();
            next.body = Body::Empty;
            next.fields.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        } else if request.body == Body::OneShot {
            return stay;
        }
        self.nonces.reset();
        Ok(Next::Follow(next))
    }
}

/// Whether an answer is the last that an intent's token gets: the resource carried it out, or does not take the token any more
/// (and nothing renews it). Any other answer leaves open whether it was carried out.
fn is_spent(response: &Response, demand: Option<&Demand>) -> bool {
    is_success(response.status) || is_refused(response, demand)
}

const fn is_success(status: u16) -> bool {
    matches!(status, 101 | 200..=299)
}

/// Whether the token is said to be no good (RFC 6750 section 3.1).
fn calls_invalid(challenges: &[Challenge]) -> bool {
    challenges.iter().any(|challenge| challenge.param("error") == Some("invalid_token"))
}

/// Whether the proof is said to be for another method or URL: the client and the server disagree about the request's target, which a
/// new login does not change.
fn is_for_another_target(challenges: &[Challenge]) -> bool {
    let elsewhere = |said: &str| ELSEWHERE.contains(&said);
    let mut failed = challenges.iter().filter(|challenge| challenge.param("error").is_some()).peekable();
    failed.peek().is_some() && failed.all(|challenge| challenge.param("error_description").is_some_and(elsewhere))
}

/// Whether a token is asked for and nothing is said of the one that was sent, as servers do that see no token in one that has
/// ended.
fn is_unexplained(challenges: &[Challenge]) -> bool {
    let mut ours = challenges.iter().filter(|challenge| is_ours(challenge)).peekable();
    ours.peek().is_some() && ours.all(|challenge| challenge.param("error").is_none())
}

/// Whether the resource does not take the token any more.
fn is_refused(response: &Response, demand: Option<&Demand>) -> bool {
    let Some(Demand::Login(challenges)) = demand else { return false };
    response.status == 401 && calls_invalid(challenges)
}
