//! The client that blocks.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use keybound::http::message::{Body, Response};
use keybound::oauth::host::Host;
use keybound::oauth::step::{Fetch, FetchFailed};
use keybound::oauth::{self, Authorization, DeviceAuthorization, Discovered, FlowError, Session, SessionRequest, Step};

use crate::drive::{Locks, Pause, advance};
use crate::error::{Error, IgnoredChallenge, Needs};
use crate::loopback::Loopback;
use crate::message;
use crate::settings::{Settings, configure};

/// Drives an OAuth client over reqwest's blocking client. Not for use inside an asynchronous program.
#[derive(Clone)]
pub struct Client {
    oauth: oauth::Client,
    http: reqwest::blocking::Client,
    host: Arc<dyn Host>,
    settings: Settings,
}

/// What the caller's request keeps while the core asks for attempts: its body, and the last answer.
#[derive(Default)]
struct Exchange {
    body: Option<reqwest::blocking::Body>,
    again: Option<Vec<u8>>,
    answer: Option<reqwest::blocking::Response>,
}

impl Client {
    /// A client with default [`Settings`].
    ///
    /// # Errors
    /// [`Error::Http`] if the HTTP client cannot be made.
    pub fn new(oauth: oauth::Client, host: impl Host) -> Result<Self, Error> {
        Self::with_settings(oauth, host, Settings::default())
    }

    /// A client with these settings.
    ///
    /// # Errors
    /// [`Error::Http`] if the HTTP client cannot be made.
    pub fn with_settings(oauth: oauth::Client, host: impl Host, settings: Settings) -> Result<Self, Error> {
        let http = configure!(reqwest::blocking::Client::builder(), &settings).timeout(None).build()?;
        settings.audit.begin(&oauth);
        Ok(Self { oauth, http, host: Arc::new(host), settings })
    }

    /// The OAuth client, whose flows [`run`](Self::run) drives.
    pub const fn oauth(&self) -> &oauth::Client {
        &self.oauth
    }

    /// Finds out what protects `url`, from its answer to a request without a token.
    ///
    /// # Errors
    /// [`Error`].
    pub fn discover(&self, url: &str) -> Result<Discovered, Error> {
        self.discover_with(url, None)
    }

    /// As [`discover`](Self::discover), with an authorization server's identifier for a resource that publishes none: see
    /// [`oauth::Client::discover_with`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn discover_with(&self, url: &str, issuer: Option<&str>) -> Result<Discovered, Error> {
        self.run(self.oauth.discover_with(url, None, issuer, self.host.now()))
    }

    /// Opens a stored session.
    ///
    /// # Errors
    /// [`Error::needs_login`] if there is none that can be used.
    pub fn open(&self, name: &str) -> Result<Session, Error> {
        self.run(self.oauth.open(name, self.host.now()))
    }

    /// Logs in with the user's browser: `browser` is given the URL to open, and the answer is received on loopback.
    ///
    /// The client's redirect URI is that of `loopback`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn login(
        &self,
        request: SessionRequest,
        loopback: Loopback,
        browser: impl FnOnce(&str),
    ) -> Result<Session, Error> {
        let authorization = self.authorize(request)?;
        browser(&authorization.url);
        let callback = loopback.wait(&authorization).map_err(Error::Loopback)?;
        self.exchange(&callback)
    }

    /// Begins a login; the caller brings the browser to the URL and what comes back to [`exchange`](Self::exchange).
    ///
    /// # Errors
    /// [`Error`].
    pub fn authorize(&self, request: SessionRequest) -> Result<Authorization, Error> {
        self.run(self.oauth.authorize(request, self.host.now()))
    }

    /// Completes a login with the URL that the browser came back to.
    ///
    /// # Errors
    /// [`Error`].
    pub fn exchange(&self, callback: &str) -> Result<Session, Error> {
        self.run(self.oauth.exchange(callback, self.host.now()))
    }

    /// Logs in on another device: `show` is given what the user has to see.
    ///
    /// # Errors
    /// [`Error`].
    pub fn device(&self, request: SessionRequest, show: impl FnOnce(&DeviceAuthorization)) -> Result<Session, Error> {
        let device = self.run(self.oauth.device(request, self.host.now()))?;
        show(&device);
        self.run(self.oauth.poll_device(device, self.host.now()))
    }

    /// A session in the client's own name.
    ///
    /// # Errors
    /// [`Error`].
    pub fn client_credentials(&self, request: SessionRequest) -> Result<Session, Error> {
        self.run(self.oauth.client_credentials(request, self.host.now()))
    }

    /// Stores a [provisional](SessionRequest::provisional) session, or the nonces that another one learned since it was stored.
    ///
    /// # Errors
    /// [`Error`].
    pub fn keep(&self, session: &Session) -> Result<(), Error> {
        self.run(self.oauth.keep(session, self.host.now()))
    }

    /// Binds the session's tokens to a new key of the host, for client credentials and confidential clients: see
    /// [`oauth::Client::rekey`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn rekey(&self, session: &Session) -> Result<(), Error> {
        self.run(self.oauth.rekey(session, self.host.now()))
    }

    /// Revokes the session's tokens and deletes it and its key. `false` if the server has no revocation: see [`oauth::Client::end`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn end(&self, session: &Session) -> Result<bool, Error> {
        self.run(self.oauth.end(session, self.host.now()))
    }

    /// A request to build; send it with [`call`](Self::call).
    pub fn request(&self, method: reqwest::Method, url: &str) -> reqwest::blocking::RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a `GET` request with the session's token.
    ///
    /// # Errors
    /// [`Error`]; see [`call`](Self::call).
    pub fn get(&self, session: &Session, url: &str) -> Result<reqwest::blocking::Response, Error> {
        self.call(session, self.http.get(url))
    }

    /// Sends a request with the session's token and a proof, by the rules of [`oauth::Client::call`].
    ///
    /// The answer has any status. Where it is a refusal that a login or more scope would help, [`Needs`] is in its extensions.
    /// Where a malformed challenge was ignored, [`IgnoredChallenge`] is.
    ///
    /// # Errors
    /// [`Error`].
    pub fn call(
        &self,
        session: &Session,
        request: reqwest::blocking::RequestBuilder,
    ) -> Result<reqwest::blocking::Response, Error> {
        let mut request = request.build()?;
        let body = request.body_mut().take();
        let again = body.as_ref().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        let kind = message::body(body.is_some(), again.is_some());
        let head = message::head(request.method(), request.url().as_str(), request.headers(), kind);
        let mut exchange = Exchange { body, again, answer: None };
        let answer = self.drive(self.oauth.call(session, head, self.host.now()), &mut exchange)?;
        if message::wants_resend(&answer) {
            return Err(Error::Resend);
        }
        let mut response = exchange.answer.take().ok_or(FlowError::Interrupted)?;
        if let Some(error) = answer.ignored_challenge {
            response.extensions_mut().insert(IgnoredChallenge(error));
        }
        if let Some(demand) = answer.demand {
            response.extensions_mut().insert(Needs(demand));
        }
        Ok(response)
    }

    /// Drives any flow of [`oauth`](Self::oauth) to its end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run<T>(&self, step: Result<Step<T>, FlowError>) -> Result<T, Error> {
        self.drive(step, &mut Exchange::default())
    }

    fn drive<T>(&self, step: Result<Step<T>, FlowError>, exchange: &mut Exchange) -> Result<T, Error> {
        let outcome = self.to_its_end(step, exchange);
        self.settings.audit.tell(&self.oauth);
        outcome
    }

    fn to_its_end<T>(&self, step: Result<Step<T>, FlowError>, exchange: &mut Exchange) -> Result<T, Error> {
        let mut step = step?;
        let mut locks = Locks::default();
        loop {
            step = match advance(&*self.host, &mut locks, step)? {
                Pause::Done(result) => return Ok(result),
                Pause::Fetch(fetch) => {
                    let response = self.fetch(&fetch, exchange);
                    fetch.resume(response, self.host.now())?
                }
                Pause::Lock(lock) => {
                    let held = self.host.lock(lock.lock(), lock.lease());
                    let kept = locks.keep(lock.lock(), held);
                    lock.resume(kept, self.host.now())?
                }
                Pause::Wait(wait) => {
                    std::thread::sleep(Duration::from_millis(wait.milliseconds()));
                    wait.resume((), self.host.now())?
                }
            };
        }
    }

    fn fetch<T>(&self, fetch: &Fetch<T>, exchange: &mut Exchange) -> Result<Response, FetchFailed> {
        let request = fetch.request();
        let (method, headers) = message::method_and_fields(request)?;
        let mut builder = self.http.request(method, &request.url).headers(headers);
        builder = match (&request.body, &exchange.again) {
            (Body::Empty, _) => builder,
            (Body::Bytes(bytes), _) => builder.body(bytes.clone()),
            (Body::Repeatable, Some(bytes)) => builder.body(bytes.clone()),
            (Body::Repeatable, None) => return Err("there is no body".into()),
            (Body::OneShot, _) => builder.body(exchange.body.take().ok_or("the body was sent already")?),
        };
        let timeout =
            fetch.timeout().map_or(self.settings.answer, |most| Duration::from_secs(most).min(self.settings.answer));
        let response = builder.timeout(timeout).send().map_err(message::failed)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let Some(limit) = fetch.max_body() else {
            exchange.answer = Some(response);
            return Ok(message::response(status, &headers, Vec::new()));
        };
        if limit == 0 {
            return Ok(message::response(status, &headers, Vec::new()));
        }
        let mut body = Vec::new();
        response.take(u64::try_from(limit)?.saturating_add(1)).read_to_end(&mut body)?;
        if body.len() > limit {
            return Err(message::too_long(limit).into());
        }
        Ok(message::response(status, &headers, body))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("oauth", &self.oauth).finish_non_exhaustive()
    }
}
