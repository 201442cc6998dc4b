//! An authorization server's endpoints, as far as proofs are concerned.

use std::sync::{Mutex, PoisonError};

use keybound::http::form::Form;
use keybound::json::Value;
use keybound::replay::{Inserted, StoreEpoch};
use keybound::server::authorization as core;
use keybound::server::authorization::{Admitted, Checked, ClientType, EndpointRequest, Grant, PendingAdmission};
use keybound::{Crypto, TargetUri, Thumbprint, UnixTime};

use crate::error::Error;
use crate::plain::{Options, one_of};
use crate::replay::Entry;
use crate::verify::{self, Refusal, epoch_of, insertion_of, nonces, policy};

const REQUEST: &[&str] = &["method", "url", "client", "grant", "must_bind"];
const GRANT: &[&str] = &["type", "bound_to", "confirmed", "may_rebind", "form"];

/// Judges the proofs that come with requests to an authorization server. It holds no store and no clients.
#[derive(Debug)]
pub struct AuthorizationServer {
    core: std::sync::Arc<core::AuthorizationServer>,
    epoch: StoreEpoch,
}

/// A request on its way: to be settled if it has an entry, then to be read.
pub struct Admission {
    server: std::sync::Arc<core::AuthorizationServer>,
    request: Owned,
    state: Mutex<State>,
}

#[allow(clippy::large_enum_variant, reason = "the large one is what nearly every request becomes")]
enum State {
    Pending(PendingAdmission),
    Admitted(Admitted),
    Used,
}

struct Owned {
    method: String,
    target: TargetUri,
    proofs: Vec<Vec<u8>>,
    client: ClientType,
    grant: OwnedGrant,
    must_bind: bool,
    epoch: StoreEpoch,
}

enum OwnedGrant {
    Code(Option<Thumbprint>),
    Device(Option<Thumbprint>),
    Refresh(Option<Thumbprint>),
    ClientCredentials,
    Derived(Vec<Thumbprint>, bool),
    Announcement(Option<Thumbprint>),
}

impl AuthorizationServer {
    /// A server. `options` are those of a [`Verifier`](crate::Verifier) and `nonces_for_public_clients`,
    /// `unbound_access_tokens`; `epoch` is that of the replay store.
    ///
    /// # Errors
    /// Misuse, if an option cannot be used.
    pub fn new(options: &str, epoch: Option<&str>, crypto: &Crypto) -> Result<Self, Error> {
        let known = [verify::OPTIONS, &["nonces_for_public_clients", "unbound_access_tokens"]].concat();
        let options = Options::parse(options, &known)?;
        let mut server = core::AuthorizationServer::new(policy(&options)?, crypto);
        if options.flag("nonces_for_public_clients")? {
            server = server.nonces_for_public_clients(crypto);
        }
        if let Some(issuer) = nonces(&options, crypto)? {
            server = server.with_nonces(issuer);
        }
        if options.flag("unbound_access_tokens")? {
            server = server.issuing_unbound_access_tokens();
        }
        verify::checked(&options, server.check_configuration())?;
        Ok(Self { core: std::sync::Arc::new(server), epoch: epoch_of(epoch)? })
    }

    /// Makes every check but replay. `request` is an object with `method`, `url` (the endpoint's own), `client` (`public`,
    /// `confidential`), `must_bind` and `grant`: an object with `type` (`authorization_code`, `refresh_token`, `device_code`,
    /// `client_credentials`, `derived` for token exchange and assertions, `announcement` for pushed and device requests),
    /// `bound_to` (the thumbprint that is stored with the code or token), `confirmed` (those of the tokens shown), `may_rebind`, and
    /// for an announcement `form`, the request's body, whose `dpop_jkt` is read.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse.
    pub fn check(&self, request: &str, proofs: &[&[u8]], now: i64) -> Result<Admission, Error> {
        let request = Owned::read(&Options::parse(request, REQUEST)?, proofs, self.epoch)?;
        let checked = request.with(|asked| self.core.check(asked, UnixTime::from_secs(now)));
        let state = match checked.map_err(|refusal| Refusal::of(&refusal).into_error())? {
            Checked::Admitted(admitted) => State::Admitted(admitted),
            Checked::Pending(pending) => State::Pending(pending),
        };
        Ok(Admission { server: self.core.clone(), request, state: Mutex::new(state) })
    }

    /// A nonce for the next proof; none without an issuer.
    pub fn fresh_nonce(&self, now: i64) -> Option<String> {
        self.core.fresh_nonce(self.epoch, UnixTime::from_secs(now)).map(|nonce| nonce.as_str().into())
    }

    /// The members that the server's metadata gets for DPoP (RFC 9449 section 5.1), as a JSON object.
    pub fn metadata(&self, issuer: &str) -> String {
        self.core.metadata(issuer).to_json()
    }
}

impl Admission {
    /// What goes into the replay store, after client authentication and the lookup of the grant; none, if there is no proof or
    /// it is settled.
    pub fn entry(&self) -> Option<Entry> {
        match &*self.lock() {
            State::Pending(pending) => Some(Entry::of(pending.replay_entry())),
            _ => None,
        }
    }

    /// Admits or refuses the request by the store's answer: `fresh`, `seen`, `unavailable`, `full`, `share_full` or `before_floor`.
    ///
    /// # Errors
    /// The rejection, with the refusal to send; misuse for another word, without an entry or on second use.
    pub fn settle(&self, insertion: &str, now: i64) -> Result<(), Error> {
        let insertion = insertion_of(insertion)?;
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Used) {
            State::Pending(pending) => {
                let (inserted, now) = (Inserted::new(insertion, self.request.epoch), UnixTime::from_secs(now));
                let settled = self.request.with(|asked| self.server.settle(asked, pending, inserted, now));
                *state = State::Admitted(settled.map_err(|refusal| Refusal::of(&refusal).into_error())?);
                Ok(())
            }
            other => {
                *state = other;
                Err(Error::already_used())
            }
        }
    }

    /// What the tokens get: an object with `access_binding` (their `cnf.jkt`), `refresh_binding` (to store with the refresh
    /// token), `announced` (to store with a pushed or device request), `token_type` and `next_nonce`. Only now may code, refresh
    /// token or assertion be used up.
    ///
    /// # Errors
    /// Misuse, if it is not settled or was refused.
    pub fn admitted(&self) -> Result<String, Error> {
        let state = self.lock();
        let State::Admitted(admitted) = &*state else {
            return Err(Error::misuse("not_settled", "insert the entry into the replay store and settle it first"));
        };
        let text = |thumbprint: Option<Thumbprint>| thumbprint.map(|thumbprint| thumbprint.to_string());
        let token_type = if admitted.access_binding().is_some() { "DPoP" } else { "Bearer" };
        Ok(Value::object()
            .with_some("access_binding", text(admitted.access_binding()))
            .with_some("refresh_binding", text(admitted.refresh_binding()))
            .with_some("announced", text(admitted.announced()))
            .with("token_type", token_type)
            .with_some("next_nonce", admitted.next_nonce().map(|nonce| nonce.as_str()))
            .to_json())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owned {
    fn read(request: &Options, proofs: &[&[u8]], epoch: StoreEpoch) -> Result<Self, Error> {
        let clients = [("public", ClientType::Public), ("confidential", ClientType::Confidential)];
        let target = TargetUri::parse(request.needed("url")?);
        let given = request.value("grant").ok_or_else(|| Error::misuse("missing_option", "grant is missing"))?;
        let given = Options::of(given.clone(), GRANT)?;
        let bound_to = given.thumbprint("bound_to")?;
        let grant = match given.needed("type")? {
            "authorization_code" => OwnedGrant::Code(bound_to),
            "device_code" => OwnedGrant::Device(bound_to),
            "refresh_token" => OwnedGrant::Refresh(bound_to),
            "client_credentials" => OwnedGrant::ClientCredentials,
            "derived" => {
                let shown = given.texts("confirmed")?.into_iter().map(crate::plain::parse_thumbprint);
                OwnedGrant::Derived(shown.collect::<Result<_, _>>()?, given.flag("may_rebind")?)
            }
            "announcement" => {
                let form = Form::parse(given.bytes("form")?.unwrap_or_default().as_slice());
                let form =
                    form.map_err(|_| Error::new(crate::Kind::Rejected, "form_malformed", "the body is no form"))?;
                match Grant::announcement(&form) {
                    Ok(Grant::Announcement { dpop_jkt }) => OwnedGrant::Announcement(dpop_jkt),
                    Ok(_) => OwnedGrant::Announcement(None),
                    Err(refusal) => return Err(Refusal::of(&refusal).into_error()),
                }
            }
            _ => return Err(Error::misuse("unknown_value", "there is no grant of this type")),
        };
        Ok(Self {
            method: request.needed("method")?.into(),
            target: target.map_err(|error| Error::misuse("origin_unusable", error.to_string()))?,
            proofs: proofs.iter().map(|proof| proof.to_vec()).collect(),
            client: one_of("a client", request.needed("client")?, &clients)?,
            grant,
            must_bind: request.flag("must_bind")?,
            epoch,
        })
    }

    fn with<T>(&self, ask: impl FnOnce(&EndpointRequest<'_>) -> T) -> T {
        let proofs: Vec<&[u8]> = self.proofs.iter().map(Vec::as_slice).collect();
        let grant = match &self.grant {
            OwnedGrant::Code(dpop_jkt) => Grant::AuthorizationCode { dpop_jkt: *dpop_jkt },
            OwnedGrant::Device(bound_to) => Grant::DeviceCode { bound_to: *bound_to },
            OwnedGrant::Refresh(bound_to) => Grant::RefreshToken { bound_to: *bound_to },
            OwnedGrant::ClientCredentials => Grant::ClientCredentials,
            OwnedGrant::Derived(confirmed, may_rebind) => Grant::Derived { confirmed, may_rebind: *may_rebind },
            OwnedGrant::Announcement(dpop_jkt) => Grant::Announcement { dpop_jkt: *dpop_jkt },
        };
        let asked = EndpointRequest::new(&self.method, &self.target, &proofs, self.client, grant);
        ask(&asked.must_bind(self.must_bind).in_epoch(self.epoch))
    }
}
