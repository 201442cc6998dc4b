//! The asynchronous client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use keybound::http::message::{Body, Request, Response};
use keybound::oauth::host::Host;
use keybound::oauth::step::{FetchFailed, HostError};
use keybound::oauth::{self, Authorization, DeviceAuthorization, Discovered, FlowError, Session, SessionRequest, Step};
use keybound_files::LockTimeout;

use crate::audit::Audit;
use crate::drive::{Locks, Pause, advance};
use crate::error::{Error, IgnoredChallenge, Needs};
use crate::loopback::Loopback;
use crate::message;
use crate::settings::{Settings, configure};

/// Drives an OAuth client ([`keybound::oauth::Client`]) over reqwest. Cloning it shares connections and sessions' nonces.
#[derive(Clone)]
pub struct Client {
    oauth: oauth::Client,
    http: reqwest::Client,
    host: Arc<dyn Host>,
    turns: Arc<Turns>,
    audit: Audit,
}

/// Who may wait for a lock of the host, by its name.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Weak<Turn>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    fn of(&self, name: &str) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(name.into(), Arc::downgrade(&turn));
        turn
    }
}

/// What the caller's request keeps while the core asks for attempts: its body, and the last answer's.
#[derive(Default)]
struct Exchange {
    body: Mutex<Option<reqwest::Body>>,
    again: Option<Vec<u8>>,
    answer: Mutex<Option<reqwest::Response>>,
}

/// A request to send, how much of the answer is read, and within how many seconds.
type Wanted = (Request, Option<usize>, Option<u64>);

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
        let http = configure!(reqwest::Client::builder(), &settings).read_timeout(settings.answer).build()?;
        settings.audit.begin(&oauth);
        Ok(Self { oauth, http, host: Arc::new(host), turns: Arc::default(), audit: settings.audit })
    }

    /// The OAuth client, whose flows [`run`](Self::run) drives.
    pub const fn oauth(&self) -> &oauth::Client {
        &self.oauth
    }

    /// Finds out what protects `url`, from its answer to a request without a token.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn discover(&self, url: &str) -> Result<Discovered, Error> {
        self.discover_with(url, None).await
    }

    /// As [`discover`](Self::discover), with an authorization server's identifier for a resource that publishes none: see
    /// [`oauth::Client::discover_with`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn discover_with(&self, url: &str, issuer: Option<&str>) -> Result<Discovered, Error> {
        self.run(self.oauth.discover_with(url, None, issuer, self.host.now())).await
    }

    /// Opens a stored session.
    ///
    /// # Errors
    /// [`Error::needs_login`] if there is none that can be used.
    pub async fn open(&self, name: &str) -> Result<Session, Error> {
        self.run(self.oauth.open(name, self.host.now())).await
    }

    /// Logs in with the user's browser: `browser` is given the URL to open, and the answer is received on loopback.
    ///
    /// The client's redirect URI is that of `loopback`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn login(
        &self,
        request: SessionRequest,
        loopback: Loopback,
        browser: impl FnOnce(&str),
    ) -> Result<Session, Error> {
        let authorization = self.authorize(request).await?;
        browser(&authorization.url);
        let callback = blocking(move || loopback.wait(&authorization)).await?.map_err(Error::Loopback)?;
        self.exchange(&callback).await
    }

    /// Begins a login; the caller brings the browser to the URL and what comes back to [`exchange`](Self::exchange).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn authorize(&self, request: SessionRequest) -> Result<Authorization, Error> {
        self.run(self.oauth.authorize(request, self.host.now())).await
    }

    /// Completes a login with the URL that the browser came back to.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn exchange(&self, callback: &str) -> Result<Session, Error> {
        self.run(self.oauth.exchange(callback, self.host.now())).await
    }

    /// Logs in on another device: `show` is given what the user has to see.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn device(
        &self,
        request: SessionRequest,
        show: impl FnOnce(&DeviceAuthorization),
    ) -> Result<Session, Error> {
        let device = self.run(self.oauth.device(request, self.host.now())).await?;
        show(&device);
        self.run(self.oauth.poll_device(device, self.host.now())).await
    }

    /// A session in the client's own name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn client_credentials(&self, request: SessionRequest) -> Result<Session, Error> {
        self.run(self.oauth.client_credentials(request, self.host.now())).await
    }

    /// Stores a [provisional](SessionRequest::provisional) session, or the nonces that another one learned since it was stored.
    ///
    /// ```no_run
    /// # use keybound::oauth::{Discovered, SessionRequest};
    /// # async fn issuer_of(did: &str) -> Result<String, Box<dyn std::error::Error>> { todo!("{did}") }
    /// # async fn log_in(client: keybound_reqwest::Client, found: Discovered, callback: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// // In the AT Protocol any server can claim any account: its DID says which server speaks for it.
    /// let authorization = client.authorize(SessionRequest::new("bluesky", &found).provisional()).await?;
    /// // … the browser goes to `authorization.url` and comes back with `callback` …
    /// let session = client.exchange(callback).await?;
    /// let subject = session.subject().ok_or("the server names no account")?;
    /// if issuer_of(&subject.sub).await? != subject.issuer {
    ///     client.end(&session).await?;
    ///     return Err("this server does not speak for that account".into());
    /// }
    /// client.keep(&session).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keep(&self, session: &Session) -> Result<(), Error> {
        self.run(self.oauth.keep(session, self.host.now())).await
    }

    /// Binds the session's tokens to a new key of the host, for client credentials and confidential clients: see
    /// [`oauth::Client::rekey`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rekey(&self, session: &Session) -> Result<(), Error> {
        self.run(self.oauth.rekey(session, self.host.now())).await
    }

    /// Revokes the session's tokens and deletes it and its key. `false` if the server has no revocation: see [`oauth::Client::end`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn end(&self, session: &Session) -> Result<bool, Error> {
        self.run(self.oauth.end(session, self.host.now())).await
    }

    /// A request to build; send it with [`call`](Self::call).
    pub fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a `GET` request with the session's token.
    ///
    /// # Errors
    /// [`Error`]; see [`call`](Self::call).
    pub async fn get(&self, session: &Session, url: &str) -> Result<reqwest::Response, Error> {
        self.call(session, self.http.get(url)).await
    }

    /// Sends a request with the session's token and a proof, by the rules of [`oauth::Client::call`].
    ///
    /// The answer has any status. Where it is a refusal that a login or more scope would help, [`Needs`] is in its extensions.
    /// Where a malformed challenge was ignored, [`IgnoredChallenge`] is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call(&self, session: &Session, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Error> {
        self.call_built(session, request.build()?).await
    }

    pub(crate) async fn call_built(
        &self,
        session: &Session,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, Error> {
        let body = request.body_mut().take();
        let url = request.url().as_str().to_owned();
        let again = body.as_ref().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        let kind = message::body(body.is_some(), again.is_some());
        let head = message::head(request.method(), &url, request.headers(), kind);
        let exchange = Exchange { body: Mutex::new(body), again, answer: Mutex::default() };
        let answer = self.drive(self.oauth.call(session, head, self.host.now()), Some(&exchange)).await?;
        if message::wants_resend(&answer) {
            return Err(Error::Resend);
        }
        let response = exchange.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut response = response.ok_or(FlowError::Interrupted)?;
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
    pub async fn run<T: Send + 'static>(&self, step: Result<Step<T>, FlowError>) -> Result<T, Error> {
        self.drive(step, None).await
    }

    async fn drive<T: Send + 'static>(
        &self,
        step: Result<Step<T>, FlowError>,
        exchange: Option<&Exchange>,
    ) -> Result<T, Error> {
        let outcome = self.to_its_end(step, exchange).await;
        self.audit.tell(&self.oauth);
        outcome
    }

    async fn to_its_end<T: Send + 'static>(
        &self,
        step: Result<Step<T>, FlowError>,
        exchange: Option<&Exchange>,
    ) -> Result<T, Error> {
        let mut step = step?;
        let mut locks = Locks::default();
        loop {
            let host = self.host.clone();
            let (advanced, held) = blocking(move || (advance(&*host, &mut locks, step), locks)).await?;
            locks = held;
            step = match advanced? {
                Pause::Done(result) => return Ok(result),
                Pause::Fetch(fetch) => {
                    let wanted = (fetch.request().clone(), fetch.max_body(), fetch.timeout());
                    let response = self.fetch(wanted, exchange).await;
                    fetch.resume(response, self.host.now())?
                }
                Pause::Lock(lock) => {
                    let name = lock.lock().to_owned();
                    let held = self.lock(&name, lock.lease()).await?;
                    let kept = locks.keep(&name, held);
                    lock.resume(kept, self.host.now())?
                }
                Pause::Wait(wait) => {
                    tokio::time::sleep(Duration::from_millis(wait.milliseconds())).await;
                    wait.resume((), self.host.now())?
                }
            };
        }
    }

    /// Takes a lock of the host when it is this task's turn: of all tasks that want one lock, a single one waits in a thread, so
    /// that waiting never takes the threads that whoever holds it needs to go on.
    async fn lock(&self, name: &str, lease: u64) -> Result<Result<Box<dyn Send>, HostError>, Error> {
        let (began, most) = (Instant::now(), Duration::from_secs(lease));
        let Ok(turn) = tokio::time::timeout(most, self.turns.of(name).lock_owned()).await else {
            return Ok(Err(LockTimeout::new(name, most).into()));
        };
        let left = most.saturating_sub(began.elapsed()).as_secs();
        let (host, name) = (self.host.clone(), name.to_owned());
        let held = blocking(move || host.lock(&name, left)).await?;
        // Fields are dropped in order: the host's lock first.
        Ok(held.map(|held| -> Box<dyn Send> { Box::new((held, turn)) }))
    }

    async fn fetch(&self, wanted: Wanted, exchange: Option<&Exchange>) -> Result<Response, FetchFailed> {
        let (request, max_body, timeout) = wanted;
        let (method, headers) = message::method_and_fields(&request)?;
        let mut builder = self.http.request(method, &request.url).headers(headers);
        builder = match (&request.body, exchange) {
            (Body::Empty, _) => builder,
            (Body::Bytes(bytes), _) => builder.body(bytes.clone()),
            (Body::Repeatable, Some(Exchange { again: Some(bytes), .. })) => builder.body(bytes.clone()),
            (Body::OneShot, Some(exchange)) => {
                let body = exchange.body.lock().unwrap_or_else(PoisonError::into_inner).take();
                builder.body(body.ok_or("the body was sent already")?)
            }
            (Body::Repeatable | Body::OneShot, _) => return Err("there is no body".into()),
        };
        if let Some(seconds) = timeout {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        let mut response = builder.send().await.map_err(message::failed)?;
        let status = response.status().as_u16();
        let Some(limit) = max_body else {
            let head = message::response(status, response.headers(), Vec::new());
            if let Some(exchange) = exchange {
                *exchange.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
            }
            return Ok(head);
        };
        if limit == 0 {
            return Ok(message::response(status, response.headers(), Vec::new()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(message::too_long(limit).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(message::response(status, response.headers(), body))
    }
}

/// Runs what may block on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Flow(FlowError::Interrupted))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("oauth", &self.oauth).finish_non_exhaustive()
    }
}
