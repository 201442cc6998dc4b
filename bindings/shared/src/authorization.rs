//! An authorization server's endpoints as flows: one value in, steps, what the tokens are bound to or the answer to send out.

use keybound::audit::Operation;
use keybound::flow::step::Step;
use keybound::http::form::Form;
use keybound::json::Value;
use keybound::server::authorization::{
    self as core, Admission, Admitted, ClientType, EndpointPolicy, EndpointRequest, Grant,
};
use keybound::server::{Arrival, Consumption};
use keybound::{Crypto, Refusal as CoreRefusal, TargetUri, Thumbprint, UnixTime};

use crate::audit::Notes;
use crate::error::{Error, Own};
use crate::flow::{Came, Flow};
use crate::guards::{self, guards_of};
use crate::plain::{Options, one_of, parse_thumbprint};
use crate::replay::MemoryStore;
use crate::verify::{self, Refusal, epoch_of, verifier_with};

const OPTIONS: &[&str] = &["nonces_for_public_clients", "unbound_access_tokens", "danger_no_replay_store", "audit"];
const REQUEST: &[&str] = &["method", "url", "client", "grant", "must_bind", "epoch", "peer", "ticks"];
const GRANT: &[&str] = &["type", "bound_to", "confirmed", "may_rebind", "form"];

/// Judges the proofs that come with requests to an authorization server. It holds no clients and no grants.
#[derive(Debug)]
pub struct AuthorizationServer {
    core: core::AuthorizationServer,
    notes: Notes,
}

impl AuthorizationServer {
    /// A server. `options` are those of a [`Verifier`](crate::Verifier) and `nonces_for_public_clients`, `unbound_access_tokens`,
    /// `danger_no_replay_store`, `audit` (as of a [`ResourceServer`](crate::ResourceServer::new)), and guards: `limit_addresses`, `limit_keys`
    /// (those of stored grants; objects with `rate` and `burst`) and `breaker` (with any of `faults` and `pause`). With a store of this process
    /// its flows have no steps; otherwise the store is the host's.
    ///
    /// # Errors
    /// Misuse, if an option cannot be used.
    pub fn new(options: &str, store: Option<&MemoryStore>, crypto: &Crypto) -> Result<Self, Error> {
        let options = Options::parse(options, &[verify::OPTIONS, OPTIONS, guards::OPTIONS].concat())?;
        let mut policy = EndpointPolicy::new();
        if options.flag("nonces_for_public_clients")? {
            policy = policy.nonces_for_public_clients();
        }
        if options.flag("unbound_access_tokens")? {
            policy = policy.issuing_unbound_access_tokens();
        }
        let consumption = match store {
            _ if options.flag("danger_no_replay_store")? => Consumption::danger_nowhere(),
            Some(store) => Consumption::local(store.core.clone()),
            None => Consumption::by_host(),
        };
        let verifier = verifier_with(&options, None, crypto)?;
        let core = core::AuthorizationServer::new(policy, verifier, consumption)?.guarded_by(&guards_of(&options)?)?;
        let (notes, audit) = Notes::of(&options)?;
        let core = match audit {
            Some(audit) => core.audited(audit),
            None => core,
        };
        Ok(Self { core, notes })
    }

    /// Judges a request, once its client is authenticated and its grant looked up. `request` is an object with `method`, `url` (the
    /// endpoint's own), `client` (`public`, `confidential`), `must_bind`, `epoch` (of a store of the host's own), `peer`, `ticks` and `grant`:
    /// an object with `type` (`authorization_code`, `refresh_token`, `device_code`, `client_credentials`, `derived` for token exchange and
    /// assertions, `announcement` for pushed and device requests), `bound_to` (the thumbprint that is stored with the code or token),
    /// `confirmed` (those of the tokens shown), `may_rebind`, and for an announcement `form`, the request's body, whose `dpop_jkt` is read.
    ///
    /// The flow asks for one `insert` at most. It ends with `kind` `admitted` and `admitted`, an object with `access_binding` (the `cnf.jkt` of
    /// the tokens), `refresh_binding` (to store with the refresh token), `announced` (to store with a pushed or device request), `token_type`
    /// and `next_nonce`: only then may code, refresh token or assertion be used up. Or it ends with `refused`,
    /// `refusal` and `error`, the text of [`Error::to_json`].
    ///
    /// # Errors
    /// Misuse, if the request is none; the peer's fault, if the body of an announcement is no form.
    pub fn admit(&self, request: &str, proofs: &[&[u8]], now: i64) -> Result<Flow, Error> {
        let request = Options::parse(request, REQUEST)?;
        let clients = [("public", ClientType::Public), ("confidential", ClientType::Confidential)];
        let target = TargetUri::parse(request.needed("url")?);
        let target = target.map_err(|error| Error::own(Own::OriginUnusable, error.to_string()))?;
        let client = one_of("a client", request.needed("client")?, &clients)?;
        let peer = request.text("peer")?.and_then(|peer| peer.parse().ok());
        let arrival = Arrival { epoch: epoch_of(request.text("epoch")?)?, peer, ticks: request.number("ticks")? };
        let given = request.value("grant").ok_or_else(|| Error::missing("grant"))?;
        let given = Options::of(given.clone(), GRANT)?;
        let shown = given.texts("confirmed")?.into_iter().map(parse_thumbprint).collect::<Result<Vec<_>, _>>()?;
        let step = match grant(&given, &shown)? {
            Ok(grant) => {
                let asked = EndpointRequest::new(request.needed("method")?, &target, proofs, client, grant);
                let asked = asked.must_bind(request.flag("must_bind")?).arriving(arrival);
                self.core.admit(&asked, UnixTime::from_secs(now))?
            }
            Err(refusal) => Step::Done(Err(Box::new(refusal))),
        };
        let facts = |admitted: &Admitted| admitted.facts().cloned();
        Ok(self.notes.flow(Operation::Grant, step, facts, |admission: Admission| match admission {
            Ok(admitted) => Came::Bound(admitted),
            Err(refusal) => Came::RefusedWithError(Refusal::of(&refusal)),
        }))
    }

    /// How often each verdict was given, see [`ResourceServer::counters`](crate::ResourceServer::counters).
    pub fn counters(&self) -> String {
        self.notes.counters()
    }

    /// A nonce for the next proof; none without an issuer. `epoch` is that of a store of the host's own.
    ///
    /// # Errors
    /// Misuse, if the epoch is none.
    pub fn fresh_nonce(&self, epoch: Option<&str>, now: i64) -> Result<Option<String>, Error> {
        let nonce = self.core.fresh_nonce(epoch_of(epoch)?, UnixTime::from_secs(now));
        Ok(nonce.map(|nonce| nonce.as_str().into()))
    }

    /// The members that the server's metadata gets for DPoP (RFC 9449 section 5.1), as a JSON object.
    pub fn metadata(&self, issuer: &str) -> String {
        self.core.metadata(issuer).to_json()
    }
}

/// What a request asks for; the answer to send, if an announcement names no key where it should.
fn grant<'a>(given: &Options, confirmed: &'a [Thumbprint]) -> Result<Result<Grant<'a>, CoreRefusal>, Error> {
    let bound_to = given.thumbprint("bound_to")?;
    Ok(Ok(match given.needed("type")? {
        "authorization_code" => Grant::AuthorizationCode { dpop_jkt: bound_to },
        "device_code" => Grant::DeviceCode { bound_to },
        "refresh_token" => Grant::RefreshToken { bound_to },
        "client_credentials" => Grant::ClientCredentials,
        "derived" => Grant::Derived { confirmed, may_rebind: given.flag("may_rebind")? },
        "announcement" => {
            let form = Form::parse(given.bytes("form")?.unwrap_or_default().as_slice());
            let form = form.map_err(|_| Error::own(Own::FormMalformed, "the body is no form"))?;
            return Ok(Grant::announcement(&form));
        }
        _ => return Err(Error::own(Own::UnknownValue, "there is no grant of this type")),
    }))
}

pub(crate) fn bound(admitted: &Admitted) -> Value {
    let text = |thumbprint: Option<Thumbprint>| thumbprint.map(|thumbprint| thumbprint.to_string());
    let token_type = if admitted.access_binding().is_some() { "DPoP" } else { "Bearer" };
    Value::object()
        .with_some("access_binding", text(admitted.access_binding()))
        .with_some("refresh_binding", text(admitted.refresh_binding()))
        .with_some("announced", text(admitted.announced()))
        .with("token_type", token_type)
        .with_some("next_nonce", admitted.next_nonce().map(|nonce| nonce.as_str()))
}
