//! Requests to a protected resource as flows: one value in, steps, a principal or the answer to send out.

use std::sync::Arc;

use keybound::audit::Operation;
use keybound::flow::step::Step;
use keybound::json::Value;
use keybound::server::Arrival;
use keybound::server::resource::{self, Admission, CarriedOut, IncomingRequest, Unconsumed};
use keybound::server::source::RequestHead;
use keybound::{Crypto, TargetUri, UnixTime};

use crate::audit::Notes;
use crate::cors::Crossing;
use crate::error::{Error, Own};
use crate::flow::{Came, Flow, Handle};
use crate::intent::Intent;
use crate::plain::bytes;
use crate::resource::{ResourceServer, described};
use crate::verify::{Refusal, epoch_of};

/// A request as the host received it.
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// What it is for.
    pub target: Target<'a>,
    /// All header fields, one element for each field line.
    pub fields: &'a [(&'a str, &'a [u8])],
    /// The address of the connection's peer, where it is known: for trusted proxies, and limits by address.
    pub peer: Option<&'a str>,
    /// The SHA-256 hash of the client's certificate (DER), 32 bytes, where TLS asked for one.
    pub client_certificate: Option<&'a [u8]>,
    /// The epoch of a store of the host's own.
    pub epoch: Option<&'a str>,
    /// A clock that never goes back, in milliseconds, which limits and the breaker go by: with every request, or with none.
    pub ticks: Option<u64>,
}

/// What a request is for.
pub enum Target<'a> {
    /// The whole URL, which the host knows.
    Url(&'a str),
    /// The raw request target as received (`/a%2Fb?c`), which never is a decoded path. The origin comes from the options, or from the
    /// trusted proxies they name.
    Raw(&'a [u8]),
}

/// The same, owned by a language that has its texts elsewhere.
#[derive(Clone)]
pub struct OwnedIncoming {
    /// As of [`Incoming::method`].
    pub method: String,
    /// As of [`Target::Url`]; without it, `raw_target` counts.
    pub url: Option<String>,
    /// As of [`Target::Raw`].
    pub raw_target: Vec<u8>,
    /// As of [`Incoming::fields`].
    pub fields: Vec<(String, Vec<u8>)>,
    /// As of [`Incoming::peer`].
    pub peer: Option<String>,
    /// As of [`Incoming::client_certificate`].
    pub client_certificate: Option<Vec<u8>>,
    /// As of [`Incoming::epoch`].
    pub epoch: Option<String>,
    /// As of [`Incoming::ticks`].
    pub ticks: Option<u64>,
}

impl OwnedIncoming {
    /// Lends it for a call.
    pub fn show<T>(&self, judge: impl FnOnce(&Incoming<'_>) -> T) -> T {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        judge(&Incoming {
            method: &self.method,
            target: self.url.as_deref().map_or(Target::Raw(&self.raw_target), Target::Url),
            fields: &fields,
            peer: self.peer.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            epoch: self.epoch.as_deref(),
            ticks: self.ticks,
        })
    }
}

/// Whom a request may be attributed to.
pub struct Principal {
    core: Arc<resource::Principal>,
    server: resource::ResourceServer,
    crypto: Crypto,
    notes: Notes,
    crossing: Crossing,
}

impl ResourceServer {
    /// Judges a request. Its flow ends with `kind` `admitted` and `principal`, which is kept as [`Handle::Principal`], or with `refused`
    /// and `refusal`.
    ///
    /// # Errors
    /// Misuse, if the request is none.
    pub fn admit(&self, incoming: &Incoming<'_>, now: i64) -> Result<Flow, Error> {
        if let Some(answer) = self.preflight(incoming) {
            return Ok(Flow::new(Step::Done(Came::Refused(Refusal::of(&answer)))));
        }
        let (server, crypto, notes) = (self.core.clone(), self.crypto, self.notes.clone());
        let crossing = self.crossing(incoming);
        let step = self.begin(incoming, now, |request| match request {
            Ok(request) => self.core.admit(&request, UnixTime::from_secs(now)),
            Err(refusal) => Ok(Step::Done(Err(Box::new(refusal)))),
        })?;
        let come = move |admission| Came::of_admission(admission, server, crypto, notes, crossing);
        Ok(self.notes.flow(Operation::Admission, step, |principal| principal.facts().cloned(), come))
    }

    /// Makes every check but replay, for a gateway in front of the service that uses the proof up. The flow ends with `kind`
    /// `unconsumed` and `thumbprint`, or with `refused` and `refusal`.
    ///
    /// # Errors
    /// Misuse, if the request is none.
    pub fn check(&self, incoming: &Incoming<'_>, now: i64) -> Result<Flow, Error> {
        if let Some(answer) = self.preflight(incoming) {
            return Ok(Flow::new(Step::Done(Came::Refused(Refusal::of(&answer)))));
        }
        let crossing = self.crossing(incoming);
        let step = self.begin(incoming, now, |request| match request {
            Ok(request) => self.core.check(&request, UnixTime::from_secs(now)),
            Err(refusal) => Ok(Step::Done(Err(Box::new(refusal)))),
        })?;
        Ok(Flow::new(step.map(move |checked| match checked {
            Ok(unconsumed) => Came::Unconsumed(unconsumed),
            Err(refusal) => Came::Refused(crossing.refusal(&refusal)),
        })))
    }

    /// What differed in a request that was refused for `reason`, as a JSON object with `expected` and `found`, for a log at level DEBUG; none where the
    /// reason says it all (see [`difference`](resource::ResourceServer::difference)).
    pub fn difference(&self, incoming: &Incoming<'_>, reason: &str, now: i64) -> Option<String> {
        let target = self.target(incoming)?;
        let mut request = IncomingRequest::new(incoming.method, &target, incoming.fields);
        request.arrival.epoch = epoch_of(incoming.epoch).ok()?;
        let difference = self.core.difference(reason, &request, UnixTime::from_secs(now))?;
        Some(Value::object().with("expected", difference.expected).with("found", difference.found).to_json())
    }

    fn target(&self, incoming: &Incoming<'_>) -> Option<TargetUri> {
        match incoming.target {
            Target::Url(url) => TargetUri::parse(url).ok(),
            Target::Raw(raw_target) => {
                let peer = incoming.peer.and_then(|peer| peer.parse().ok());
                self.targets.resolve(&RequestHead { peer, raw_target, fields: incoming.fields }).ok()
            }
        }
    }

    fn begin<T>(
        &self,
        incoming: &Incoming<'_>,
        now: i64,
        judge: impl FnOnce(Result<IncomingRequest<'_>, keybound::Refusal>) -> Result<T, keybound::oauth::FlowError>,
    ) -> Result<T, Error> {
        let peer = match incoming.peer {
            Some(peer) => peer.parse().ok(),
            None => None,
        };
        let target = self.target(incoming);
        // Without the zone of a link-local address, which no rule for proxies names.
        let zoneless = || incoming.peer.and_then(|peer| peer.split('%').next()).and_then(|peer| peer.parse().ok());
        let client =
            self.targets.client(&RequestHead { peer, raw_target: &[], fields: incoming.fields }).or_else(zoneless);
        let arrival = Arrival { epoch: epoch_of(incoming.epoch)?, peer: client, ticks: incoming.ticks };
        let Some(target) = target else {
            return Ok(judge(Err(self.core.refuse_target_of(&arrival, UnixTime::from_secs(now))))?);
        };
        let mut request = IncomingRequest::new(incoming.method, &target, incoming.fields);
        request.client_certificate = match incoming.client_certificate {
            Some(hash) => {
                let wrong =
                    || Error::own(Own::WrongType, "a client certificate is named by the 32 bytes of its SHA-256 hash");
                Some(hash.try_into().map_err(|_| wrong())?)
            }
            None => None,
        };
        request.arrival = arrival;
        Ok(judge(Ok(request))?)
    }
}

impl Principal {
    /// The answer if it lacks one of `scopes`: 403. None, if it has them all.
    pub fn require_scopes(&self, scopes: &[&str]) -> Option<Refusal> {
        self.server.require_scopes(&self.core, scopes).err().map(|refusal| self.crossing.refusal(&refusal))
    }

    /// The answer if the host knows the token to be revoked: 401.
    pub fn refuse_revoked(&self) -> Refusal {
        self.crossing.refusal(&self.server.refuse_revoked(&self.core))
    }

    /// The intent that the token carries.
    ///
    /// # Errors
    /// The peer's fault, if it carries none.
    pub fn intent(&self) -> Result<Intent, Error> {
        Ok(Intent::from_core(keybound::intent::Intent::of_token(&self.core)?, &self.crypto))
    }

    /// Carries out the intent that the token carries, once: compares a request, body included, with it, and uses the token up; `url` is
    /// the whole URL, query included. The flow ends with `kind` `carried_out`, or with `refused`, `refusal` and
    /// `error`, the text of [`Error::to_json`].
    ///
    /// # Errors
    /// Misuse.
    pub fn carry_out(&self, method: &str, url: &str, body: &[u8], now: i64) -> Result<Flow, Error> {
        let step = self.server.carry_out(&self.core, method, url, body, UnixTime::from_secs(now))?;
        let principal = Arc::clone(&self.core);
        let facts = move |_: &_| principal.facts().cloned();
        let crossing = self.crossing.clone();
        Ok(self.notes.flow(Operation::Intent, step, facts, move |carried_out: CarriedOut| match carried_out {
            Ok(_) => Came::CarriedOut,
            Err(refusal) => Came::RefusedWithError(crossing.refusal(&refusal)),
        }))
    }
}

impl Came {
    fn of_admission(
        admission: Admission,
        server: resource::ResourceServer,
        crypto: Crypto,
        notes: Notes,
        crossing: Crossing,
    ) -> Self {
        match admission {
            Ok(principal) => {
                Self::Admitted(Arc::new(Principal { core: Arc::from(principal), server, crypto, notes, crossing }))
            }
            Err(refusal) => Self::Refused(crossing.refusal(&refusal)),
        }
    }
}

/// Field lines of a list of names and values in turn, the values byte strings.
///
/// # Errors
/// Misuse, if a value is no byte string.
pub fn field_lines(list: Vec<String>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut lines = Vec::with_capacity(list.len() / 2);
    let mut list = list.into_iter();
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        lines.push((name, bytes(&value)?));
    }
    Ok(lines)
}

/// An admitted request as JSON, and its principal to be kept.
pub(crate) fn admitted(principal: Arc<Principal>) -> (Value, Handle) {
    let shown =
        Value::object().with("kind", "admitted").with("principal", described(&principal.core, &principal.crossing));
    (shown, Handle::Principal(principal))
}

/// A request that passed every check but replay, as JSON.
pub(crate) fn unconsumed(unconsumed: Unconsumed) -> Value {
    let thumbprint = unconsumed.thumbprint().map(|thumbprint| thumbprint.to_string());
    Value::object().with("kind", "unconsumed").with_some("thumbprint", thumbprint)
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.core.fmt(f)
    }
}
