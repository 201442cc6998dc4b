//! Carries out the steps of a server's flows: the replay store, requests to authorization servers, and work that requests share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keybound::flow::step::{FetchFailed, HostError, KeyFault, Question, Share, Step};
use keybound::http::message::{Request, Response};
use keybound::key::Signer;
use keybound::oauth::{FlowError, Secret};
use keybound::replay::{BoxFuture, Inserted, ReplayEntry, StoreEpoch};
use keybound::{Thumbprint, UnixTime};
use tokio::sync::watch;

use crate::metrics::Meter;
use crate::sources::{AnyStore, FetchKeys, Introspect};
use crate::transport::Transport;

/// How long a flow waits that came between another's turn and the start of its task.
const A_MOMENT: Duration = Duration::from_millis(5);

/// What the flows of one protection are carried out with.
pub(crate) struct Driver {
    pub(crate) clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
    /// When it was made; none where the clock is one for tests.
    pub(crate) started: Option<Instant>,
    /// There unless the server was given a store of this process, or none.
    pub(crate) store: Option<Box<dyn AnyStore>>,
    pub(crate) keys: Vec<(String, Box<dyn FetchKeys>)>,
    pub(crate) introspection: Option<Box<dyn Introspect>>,
    /// The resource's own key, if it authenticates with one.
    pub(crate) signer: Option<(Thumbprint, Arc<dyn Signer + Send + Sync>)>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// The work under way, by name. Each ends with its sender.
    pub(crate) shared: Mutex<HashMap<String, watch::Receiver<()>>>,
    pub(crate) meter: Meter,
    /// The life that the store last answered in.
    pub(crate) epoch: Mutex<Option<StoreEpoch>>,
}

impl Driver {
    pub(crate) fn now(&self) -> UnixTime {
        (self.clock)()
    }

    /// A clock that cannot be set, in milliseconds.
    pub(crate) fn ticks(&self) -> Option<u64> {
        self.started.map(|started| u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The life of the store as far as it is known.
    pub(crate) fn epoch(&self) -> StoreEpoch {
        self.store.as_ref().map_or(StoreEpoch::from_u64(0), |store| store.epoch_now())
    }

    /// Carries out a flow to its end.
    pub(crate) async fn run<T>(self: &Arc<Self>, mut step: Step<T>) -> Result<T, FlowError> {
        loop {
            step = match step {
                Step::Done(result) => return Ok(result),
                Step::Insert(insert) => {
                    let entry = *insert.entry();
                    let inserted = self.insert(&entry).await;
                    insert.resume(inserted, self.now())?
                }
                Step::Share(mut share) => {
                    let limit = Duration::from_secs(share.timeout());
                    match self.underway(&mut share, limit) {
                        Some(mut end) => drop(tokio::time::timeout(limit, end.changed()).await),
                        None => tokio::time::sleep(A_MOMENT).await,
                    }
                    share.resume((), self.now())?
                }
                Step::Fetch(fetch) => {
                    // A step is not shared between threads, so nothing of it is borrowed while its answer is awaited.
                    let (request, limit, timeout) = (fetch.request().clone(), fetch.max_body(), fetch.timeout());
                    let response = self.fetch(&request, limit.unwrap_or_default(), timeout).await;
                    fetch.resume(response.map_err(FetchFailed::Lost), self.now())?
                }
                Step::Ask(ask) => {
                    let (question, subject, timeout) = (ask.question(), Secret::new(ask.subject()), ask.timeout());
                    let answer = self.ask(question, subject.expose(), timeout).await;
                    ask.resume(answer, self.now())?
                }
                Step::Sign(sign) => match &self.signer {
                    Some((thumbprint, signer)) if *thumbprint == sign.thumbprint() => {
                        sign.resume_with(&**signer, self.now())?
                    }
                    _ => sign.resume(Err(KeyFault::Missing), self.now())?,
                },
                Step::Wait(wait) => {
                    tokio::time::sleep(Duration::from_millis(wait.milliseconds())).await;
                    wait.resume((), self.now())?
                }
                // Sessions and keys for proofs are a client's.
                Step::CreateKey(_)
                | Step::DeleteKey(_)
                | Step::Lock(_)
                | Step::Unlock(_)
                | Step::Load(_)
                | Step::Save(_) => return Err(FlowError::Interrupted),
            };
        }
    }

    /// Asks the store, and counts what it does.
    async fn insert(&self, entry: &ReplayEntry) -> Inserted {
        let Some(store) = &self.store else { return crate::sources::unavailable(self.epoch()) };
        let begun = self.meter.is_on().then(Instant::now);
        let inserted = store.insert_one(entry, self.now(), self.meter).await;
        let Some(begun) = begun else { return inserted };
        self.meter.answered(inserted.insertion, begun.elapsed());
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch.replace(inserted.epoch).is_some_and(|before| before != inserted.epoch) {
            self.meter.store_lives();
        }
        inserted
    }

    /// The end of shared work, which is begun if that is this flow's turn. It goes on if the request is given up, or else its client
    /// could keep it from ever ending.
    fn underway<T>(self: &Arc<Self>, share: &mut Share<T>, limit: Duration) -> Option<watch::Receiver<()>> {
        match share.take_task(self.now()) {
            Some(Ok(task)) => Some(self.begin(share.name(), task, limit)),
            Some(Err(error)) => {
                tracing::warn!(target: "keybound", %error, "a question to an authorization server failed");
                None
            }
            None => self.shared().get(share.name()).cloned(),
        }
    }

    fn begin(self: &Arc<Self>, name: &str, task: Step<()>, limit: Duration) -> watch::Receiver<()> {
        let (sender, end) = watch::channel(());
        self.shared().insert(name.to_owned(), end.clone());
        let (driver, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            // On the heap: what runs a task may begin others.
            let run: BoxFuture<'_, _> = Box::pin(driver.run(task));
            match tokio::time::timeout(limit, run).await {
                Ok(Ok(())) => tracing::debug!(target: "keybound", "an authorization server answered"),
                // The name of a question is a hash; texts of servers in the error are made visible by the core.
                Ok(Err(error)) => {
                    tracing::warn!(target: "keybound", %error, "a question to an authorization server failed")
                }
                Err(_) => tracing::warn!(target: "keybound", "a question to an authorization server took too long"),
            }
            let mut underway = driver.shared();
            // Another task of this name may have begun since this one's end.
            if underway.get(&name).is_some_and(|known| known.same_channel(&sender.subscribe())) {
                underway.remove(&name);
            }
            drop(underway);
            drop(sender);
        });
        end
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Receiver<()>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, request: &Request, limit: usize, timeout: Option<u64>) -> Result<Response, HostError> {
        let Some(transport) = &self.transport else {
            return Err("nothing fetches here: switch the feature `fetch` on, or give Builder::transport".into());
        };
        let sent = transport.send(request, limit);
        match timeout {
            Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), sent).await?,
            None => sent.await,
        }
    }

    async fn ask(&self, question: Question, subject: &str, timeout: u64) -> Result<Vec<u8>, HostError> {
        let answer = match question {
            Question::Keys => self.keys.iter().find(|(issuer, _)| issuer == subject).map(|(_, keys)| keys.fetch()),
            Question::Token => self.introspection.as_ref().map(|source| source.introspect(subject)),
            _ => None,
        };
        let answer = answer.ok_or("no source was given for this")?;
        tokio::time::timeout(Duration::from_secs(timeout), answer).await?
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("store", &self.store.is_some()).finish_non_exhaustive()
    }
}
