//! A protected resource with all that stands behind it: keys, store, nonces, clock.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::request::Parts;
use keybound::intent::Intent;
use keybound::json::Value;
use keybound::replay::StoreEpoch;
use keybound::server::resource::{Access, IncomingRequest, ResourcePolicy, ResourceServer};
use keybound::server::source::TargetSource;
use keybound::{Misuse, Refusal, UnixTime};

use crate::builder::Builder;
use crate::introspection::Introspector;
use crate::keys::IssuerKeys;
use crate::layer::Protect;
use crate::principal::Principal;
use crate::replay::Replay;
use crate::request::{self, ClientCertificate};

/// Decides about the requests to one protected resource. Clones share their parts.
#[derive(Clone, Debug)]
pub struct Protection(Arc<Setup>);

pub(crate) struct Setup {
    pub(crate) policy: ResourcePolicy,
    pub(crate) targets: TargetSource,
    pub(crate) keys: Vec<(String, IssuerKeys)>,
    pub(crate) introspection: Option<Introspector>,
    pub(crate) replay: Option<Replay>,
    pub(crate) clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
    /// Makes the server for one life of the store, whose nonces name it.
    pub(crate) make_server: Box<dyn Fn(StoreEpoch) -> ResourceServer + Send + Sync>,
    pub(crate) server: RwLock<(StoreEpoch, ResourceServer)>,
}

impl Protection {
    /// Begins to describe the protection of the resource with this identifier, the URL that clients know it by:
    /// `https`, or `http` on loopback. Its origin is that of all targets.
    ///
    /// # Errors
    /// [`Misuse`] if it is no such URL.
    pub fn of(resource: &str) -> Result<Builder, Misuse> {
        Builder::new(ResourcePolicy::new(resource)?)
    }

    /// The same for a resource with rules of your own. Give its issuers to the builder, with their keys.
    ///
    /// # Errors
    /// [`Misuse`] if the resource has no usable origin.
    pub fn with_policy(policy: ResourcePolicy) -> Result<Builder, Misuse> {
        Builder::new(policy)
    }

    pub(crate) fn new(parts: Setup) -> Self {
        Self(Arc::new(parts))
    }

    /// The layer to lay around services and routers.
    pub fn layer(&self) -> Protect {
        Protect(self.clone())
    }

    /// The metadata document (RFC 9728).
    pub fn metadata(&self) -> Value {
        self.server().metadata()
    }

    /// The path that the metadata is to be served at.
    pub fn metadata_path(&self) -> String {
        self.0.policy.metadata_path()
    }

    /// Decides about one request, for servers that are built otherwise than of tower's layers.
    ///
    /// # Errors
    /// The refusal to send.
    pub async fn admit(&self, parts: &Parts) -> Result<Principal, Box<Refusal>> {
        let judged = self.judge(parts).await;
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
        let all = &*self.0;
        let server = self.server();
        let fields = request::fields(parts);
        let target = match request::target(&all.targets, parts, &fields) {
            Ok(target) => target,
            Err(error) => {
                tracing::warn!(target: "keybound", %error, "a request has no target that a proof could be for");
                return Err(Box::new(server.refuse_target()));
            }
        };
        let mut incoming = IncomingRequest::new(parts.method.as_str(), &target, &fields);
        incoming.client_certificate = parts.extensions.get().map(|ClientCertificate(hash)| *hash);
        let mut access = server.receive(&incoming, self.now());
        loop {
            access = match access {
                Access::NeedsKeys(needs) => match self.keys(needs.issuer()) {
                    Some(keys) => match keys.answer(&needs, self.now()).await {
                        Some(keys) => needs.resume(&keys, self.now()),
                        None => return Err(Box::new(needs.unavailable())),
                    },
                    None => return Err(Box::new(needs.unavailable())),
                },
                Access::NeedsIntrospection(needs) => {
                    let answer = match &all.introspection {
                        Some(introspector) => introspector.answer(needs.token(), self.now()).await,
                        None => None,
                    };
                    match answer {
                        Some(answer) => needs.resume(&answer, self.now()),
                        None => return Err(Box::new(needs.unavailable())),
                    }
                }
                Access::Pending(pending) => {
                    let settled = match &all.replay {
                        Some(store) => {
                            let insertion = store.insert(pending.replay_entry(), self.now()).await;
                            pending.settle(insertion, self.now())
                        }
                        // The user said `danger_no_replay_store`.
                        None => Ok(pending.danger_skip_replay_check()),
                    };
                    return settled.map(|known| Principal::new(known, server)).map_err(Box::new);
                }
                Access::Granted(known) => return Ok(Principal::new(*known, server)),
                Access::Refused(refusal) => return Err(Box::new(refusal)),
            }
        }
    }

    /// Carries out the intent of an admitted request's token, once: compares the request with its details, body included, and uses
    /// the token up in the replay store. `url` is the whole URL, query included.
    ///
    /// For handlers at the paths of [`Builder::intents_at`]: elsewhere no such token comes.
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
        let server = self.server();
        let pending = server.carry_out(principal, method, url, body, self.now()).map_err(Box::new)?;
        let Some(store) = &self.0.replay else { return Err(Box::new(pending.unavailable())) };
        let insertion = store.insert(pending.replay_entry(), self.now()).await;
        pending.settle(insertion, self.now()).map_err(Box::new)
    }

    fn keys(&self, issuer: &str) -> Option<&IssuerKeys> {
        self.0.keys.iter().find(|(known, _)| known == issuer).map(|(_, keys)| keys)
    }

    fn now(&self) -> UnixTime {
        (self.0.clock)()
    }

    /// The server of the store's present life.
    fn server(&self) -> ResourceServer {
        let epoch = epoch(self.0.replay.as_ref());
        let (known, server) = self.0.server.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known == epoch {
            return server;
        }
        let server = (self.0.make_server)(epoch);
        *self.0.server.write().unwrap_or_else(PoisonError::into_inner) = (epoch, server.clone());
        server
    }
}

/// The present life of the store. Without a store there is one for ever.
pub(crate) fn epoch(replay: Option<&Replay>) -> StoreEpoch {
    replay.map_or(StoreEpoch::from_u64(0), Replay::epoch)
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection")
            .field("policy", &self.policy)
            .field("targets", &self.targets)
            .field("keys", &self.keys)
            .field("introspection", &self.introspection)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
