//! A protected resource with all that stands behind it: keys, store, nonces, clock.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use keybound::Refusal;
use keybound::flow::step::Step;
use keybound::intent::Intent;
use keybound::json::Value;
use keybound::nonce::issuer::NonceIssuer;
use keybound::oauth::FlowError;
use keybound::server::Arrival;
use keybound::server::cors::Cors;
use keybound::server::resource::{Difference, IncomingRequest, ResourceServer};
use keybound::server::source::TargetSource;

use crate::audit::Writers;
use crate::drive::Driver;
use crate::principal::Principal;
use crate::request::{self, ClientCertificate};
use crate::watch::Watch;

/// Decides about the requests to one protected resource. Clones share their parts.
#[derive(Clone, Debug)]
pub struct Protection(Arc<Setup>);

pub(crate) struct Setup {
    pub(crate) targets: TargetSource,
    pub(crate) driver: Arc<Driver>,
    pub(crate) server: ResourceServer,
    pub(crate) watch: Watch,
    pub(crate) cors: Option<Cors>,
}

impl Protection {
    pub(crate) fn new(parts: Setup) -> Self {
        Self(Arc::new(parts))
    }

    /// The metadata document (RFC 9728).
    pub fn metadata(&self) -> Value {
        self.0.server.metadata()
    }

    /// The path that the metadata is to be served at.
    pub fn metadata_path(&self) -> String {
        self.0.server.policy().metadata_path()
    }

    /// The issuer of nonces, if nonces are asked for. Its keys can be [rotated](NonceIssuer::rotate) while the server serves.
    pub fn nonces(&self) -> Option<&NonceIssuer> {
        self.0.server.verifier().nonces()
    }

    /// What the [option](crate::Builder::cors) says about a request of a page of another origin, before anything else is decided: the
    /// fields of its answer, which replace those of the same name, except for `Vary`, which is a list. None without the option.
    ///
    /// # Errors
    /// The answer to a preflight.
    pub fn cors(&self, parts: &Parts) -> Result<Vec<(&'static str, String)>, Box<Refusal>> {
        let Some(cors) = &self.0.cors else { return Ok(Vec::new()) };
        let fields = request::fields(parts);
        match cors.preflight(parts.method.as_str(), &fields) {
            Some(answer) => Err(Box::new(answer)),
            None => Ok(cors.fields(&fields)),
        }
    }

    /// Decides about one request, for servers that are built otherwise than of tower's layers.
    ///
    /// # Errors
    /// The refusal to send.
    pub async fn admit(&self, parts: &Parts) -> Result<Principal, Box<Refusal>> {
        let Setup { watch, driver, .. } = &*self.0;
        let begun = watch.begin();
        let judged = self.judge(parts).await;
        let admission = judged.as_ref().map(|principal| &**principal).map_err(|refusal| &**refusal);
        watch.admission(parts, admission, begun, || driver.now());
        watch.meter.breaker(|| self.0.server.breaker_state(driver.ticks(), driver.now()));
        match &judged {
            Ok(principal) => {
                tracing::debug!(target: "keybound", thumbprint = ?principal.thumbprint(), "admitted");
            }
            Err(refusal) if refusal.status() == 503 => {
                tracing::error!(target: "keybound", reason = refusal.reason(), "could not decide about a request");
            }
            Err(refusal) => {
                let (status, reason) = (refusal.status(), refusal.reason());
                tracing::info!(target: "keybound", status, reason, error = refusal.error(), "refused");
            }
        }
        judged
    }

    async fn judge(&self, parts: &Parts) -> Result<Principal, Box<Refusal>> {
        let Setup { targets, driver, server, .. } = &*self.0;
        let fields = request::fields(parts);
        let peer = request::client(targets, parts, &fields);
        let arrival = Arrival { epoch: driver.epoch(), peer, ticks: driver.ticks() };
        let target = match request::target(targets, parts, &fields) {
            Ok(target) => target,
            Err(error) => {
                tracing::warn!(target: "keybound", %error, "a request has no target that a proof could be for");
                return Err(Box::new(server.refuse_target_of(&arrival, driver.now())));
            }
        };
        let mut incoming = IncomingRequest::new(parts.method.as_str(), &target, &fields);
        incoming.client_certificate = parts.extensions.get().map(|ClientCertificate(hash)| *hash);
        incoming.arrival = arrival;
        let admission = self.finish(server.admit(&incoming, driver.now())).await;
        if let Err(refusal) = &admission {
            self.tell_difference(refusal, &incoming);
        }
        admission.map(|known| Principal::new(*known, server.clone()))
    }

    /// Says at DEBUG which request was refused and what differed in it. Of its target neither query nor fragment is told.
    fn tell_difference(&self, refusal: &Refusal, incoming: &IncomingRequest<'_>) {
        if !tracing::enabled!(target: "keybound", tracing::Level::DEBUG) {
            return;
        }
        let (method, target, reason) = (incoming.method, incoming.target.as_str(), refusal.reason());
        match self.0.server.difference(reason, incoming, self.0.driver.now()) {
            Some(Difference { expected, found, .. }) => {
                tracing::debug!(target: "keybound", method, url = target, reason, expected, found, "what differed");
            }
            None => tracing::debug!(target: "keybound", method, url = target, reason, "refused this request"),
        }
    }

    /// Carries out a flow whose result is an answer or a refusal.
    async fn finish<T>(&self, begun: Result<Step<Result<T, Box<Refusal>>>, FlowError>) -> Result<T, Box<Refusal>> {
        let finished = match begun {
            Ok(Step::Done(result)) => return result,
            Ok(step) => self.0.driver.run(step).await,
            Err(error) => Err(error),
        };
        finished.unwrap_or_else(|error| {
            tracing::error!(target: "keybound", %error, "a flow of the server ended without a result");
            Err(Box::new(Refusal::undecided()))
        })
    }

    /// Carries out the intent of an admitted request's token, once: compares the request with its details, body included, and uses
    /// the token up in the replay store. `url` is the whole URL, query included.
    ///
    /// For handlers at the paths of [`Builder::intents_at`](crate::Builder::intents_at): elsewhere no such token comes.
    ///
    /// # Errors
    /// The refusal to send: 403 if the request is another one or the intent was carried out before, 503 if the store cannot tell
    /// or there is none.
    pub async fn carry_out(
        &self,
        principal: &Principal,
        method: &str,
        url: &str,
        body: &[u8],
    ) -> Result<Intent, Box<Refusal>> {
        let Setup { driver, server, watch, .. } = &*self.0;
        let begun = watch.begin();
        let carried_out = self.finish(server.carry_out(principal, method, url, body, driver.now())).await;
        watch.intent(carried_out.as_ref().err().map(|refusal| &**refusal), principal.facts(), begun, || driver.now());
        carried_out
    }

    /// Lets the sinks of audit records begin anew, after their files were moved away: a log rotation's `postrotate`, or a handler of `SIGHUP`.
    /// Returns at once. Without an audit log it does nothing.
    pub fn reopen_audit(&self) {
        if let Some(writers) = &self.0.watch.audit {
            writers.reopen();
        }
    }

    /// How many audit records were lost so far, all sinks together: their sinks failed or were too slow.
    pub fn lost_audit_records(&self) -> u64 {
        self.0.watch.audit.as_ref().map_or(0, Writers::lost)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection")
            .field("server", &self.server)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
