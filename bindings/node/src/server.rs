//! Judging requests to a resource or an authorization server.

use std::sync::Arc;

use keybound_ffi as ffi;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::oauth::Flow;
use crate::verify::{Entry, MemoryStore};
use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown, whole};

/// A request as the host received it: `url`, or the raw `target`, both as of [`ffi::Target`].
#[napi(object, object_to_js = false)]
pub struct Incoming {
    pub method: String,
    pub url: Option<String>,
    pub target: Option<String>,
    pub fields: Vec<String>,
    pub peer: Option<String>,
    pub certificate: Option<Uint8Array>,
    pub epoch: Option<String>,
    pub ticks: Option<f64>,
}

impl Incoming {
    fn show<T>(self, judge: impl FnOnce(&ffi::Incoming<'_>) -> std::result::Result<T, ffi::Error>) -> Result<T> {
        let lines = ffi::field_lines(self.fields).map_err(thrown)?;
        let fields: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let raw = ffi::from_byte_string(self.target.as_deref().unwrap_or_default()).map_err(thrown)?;
        judge(&ffi::Incoming {
            method: &self.method,
            target: self.url.as_deref().map_or(ffi::Target::Raw(&raw), ffi::Target::Url),
            fields: &fields,
            peer: self.peer.as_deref(),
            client_certificate: self.certificate.as_deref(),
            epoch: self.epoch.as_deref(),
            ticks: self.ticks.map(whole),
        })
        .map_err(thrown)
    }
}

#[napi]
pub struct ResourceServer(ffi::ResourceServer);

#[napi]
impl ResourceServer {
    #[napi(constructor)]
    pub fn new(options: String, verifier: String) -> Result<Self> {
        ffi::ResourceServer::new(&options, &verifier, None, None, &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi(factory)]
    pub fn with_store(options: String, verifier: String, store: &MemoryStore) -> Result<Self> {
        ffi::ResourceServer::new(&options, &verifier, None, Some(&store.0), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn admit(&self, incoming: Incoming, now: f64) -> Result<Flow> {
        incoming.show(|incoming| self.0.admit(incoming, seconds(now))).map(Flow)
    }
    #[napi]
    pub fn check(&self, incoming: Incoming, now: f64) -> Result<Flow> {
        incoming.show(|incoming| self.0.check(incoming, seconds(now))).map(Flow)
    }
    /// `{ path }` or `{ refusal }`, in JSON.
    #[napi]
    pub fn route(&self, raw_target: String, mount_path: String, path: String) -> Result<String> {
        let target = ffi::from_byte_string(&raw_target).map_err(thrown)?;
        Ok(self.0.route_json(&target, mount_path.as_bytes(), path.as_bytes()))
    }
    #[napi]
    pub fn metadata(&self) -> String {
        self.0.metadata()
    }
    #[napi]
    pub fn metadata_path(&self) -> String {
        self.0.metadata_path()
    }
}

#[napi]
impl Flow {
    #[napi]
    pub fn entry(&self) -> Option<Entry> {
        self.0.entry().map(Entry)
    }
    #[napi]
    pub fn principal(&self) -> Option<Principal> {
        match self.0.handle() {
            Some(ffi::Handle::Principal(principal)) => Some(Principal(principal)),
            _ => None,
        }
    }
}

#[napi]
pub struct Principal(Arc<ffi::Principal>);

#[napi]
impl Principal {
    #[napi]
    pub fn require_scopes(&self, scopes: Vec<String>) -> Option<String> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        self.0.require_scopes(&scopes).map(|refusal| refusal.to_json())
    }
    #[napi]
    pub fn refuse_revoked(&self) -> String {
        self.0.refuse_revoked().to_json()
    }
    #[napi]
    pub fn intent(&self) -> Result<Intent> {
        self.0.intent().map(Intent).map_err(thrown)
    }
    #[napi]
    pub fn carry_out(&self, method: String, url: String, body: &[u8], now: f64) -> Result<Flow> {
        self.0.carry_out(&method, &url, body, seconds(now)).map(Flow).map_err(thrown)
    }
}

#[napi]
pub struct AuthorizationServer(ffi::AuthorizationServer);

#[napi]
impl AuthorizationServer {
    #[napi(constructor)]
    pub fn new(options: String, epoch: Option<String>) -> Result<Self> {
        ffi::AuthorizationServer::new(&options, epoch.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn check(&self, request: String, proofs: Vec<String>, now: f64) -> Result<Admission> {
        let proofs = all_bytes(&proofs)?;
        self.0.check(&request, &slices(&proofs), seconds(now)).map(Admission).map_err(thrown)
    }
    #[napi]
    pub fn fresh_nonce(&self, now: f64) -> Option<String> {
        self.0.fresh_nonce(seconds(now))
    }
    #[napi]
    pub fn metadata(&self, issuer: String) -> String {
        self.0.metadata(&issuer)
    }
}

#[napi]
pub struct Admission(ffi::Admission);

#[napi]
impl Admission {
    #[napi]
    pub fn entry(&self) -> Option<Entry> {
        self.0.entry().map(Entry)
    }
    #[napi]
    pub fn settle(&self, insertion: String, now: f64) -> Result<()> {
        self.0.settle(&insertion, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn admitted(&self) -> Result<String> {
        self.0.admitted().map_err(thrown)
    }
}

#[napi]
pub struct Intent(ffi::Intent);

#[napi]
impl Intent {
    #[napi(factory)]
    pub fn declare(details: String, key: String, lifetime: f64, now: f64) -> Result<Self> {
        let lifetime = seconds(lifetime).try_into().unwrap_or(0);
        ffi::Intent::declare(&details, &key, lifetime, &CRYPTO, seconds(now)).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn grant(&self, granted: String, now: f64) -> Result<Intent> {
        self.0.grant(&granted, seconds(now)).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn permits(&self, method: String, url: String, body: &[u8], key: String, now: f64) -> Result<()> {
        self.0.permits(&method, &url, body, &key, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn details(&self) -> String {
        self.0.details()
    }
    #[napi]
    pub fn key(&self) -> String {
        self.0.key()
    }
    #[napi]
    pub fn expires_at(&self) -> f64 {
        ffi::number::of_seconds(self.0.expires_at())
    }
}

#[napi]
pub fn request_detail(method: String, url: String, body: Option<Uint8Array>) -> String {
    ffi::request_detail(&method, &url, body.as_deref(), &CRYPTO)
}
