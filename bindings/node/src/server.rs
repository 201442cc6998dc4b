//! Judging proofs and requests.

use std::sync::Arc;

use keybound_ffi as ffi;
use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Task};
use napi_derive::napi;

use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown};

#[napi]
pub struct Entry(ffi::Entry);

#[napi]
impl Entry {
    #[napi]
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }
    #[napi]
    pub fn lifetime(&self, now: f64) -> f64 {
        self.0.lifetime(seconds(now)) as f64
    }
}

#[napi]
pub struct MemoryStore(Arc<ffi::MemoryStore>);

#[napi]
impl MemoryStore {
    #[napi(constructor)]
    pub fn new(capacity: u32, options: String, now: f64) -> Result<Self> {
        let store = ffi::MemoryStore::new(capacity, &options, &CRYPTO, seconds(now)).map_err(thrown)?;
        Ok(Self(Arc::new(store)))
    }
    #[napi]
    pub fn insert(&self, entry: &Entry, now: f64) -> &'static str {
        self.0.insert(&entry.0, seconds(now))
    }
    #[napi]
    pub fn epoch(&self) -> String {
        self.0.epoch()
    }
    #[napi]
    pub fn held(&self) -> f64 {
        self.0.held() as f64
    }
    #[napi]
    pub fn was_forked(&self) -> bool {
        self.0.was_forked()
    }
}

#[napi]
pub struct Pending(ffi::Pending);

#[napi]
impl Pending {
    #[napi]
    pub fn entry(&self) -> Entry {
        Entry(self.0.entry().clone())
    }
    #[napi]
    pub fn settle(&self, insertion: String, now: f64) -> Result<String> {
        self.0.settle(&insertion, seconds(now)).map(|verified| verified.to_json()).map_err(thrown)
    }
    #[napi]
    pub fn danger_skip_replay_check(&self) -> Result<String> {
        self.0.danger_skip_replay_check().map(|verified| verified.to_json()).map_err(thrown)
    }
}

/// The request that all calls of a verifier describe by the same arguments.
struct Shown {
    method: String,
    url: String,
    proofs: Vec<Vec<u8>>,
    access_token: Option<String>,
    bound_to: Option<String>,
    expected_nonce: Option<String>,
}

impl Shown {
    fn with<T>(&self, judge: impl FnOnce(&ffi::Presented<'_>) -> std::result::Result<T, ffi::Error>) -> Result<T> {
        self.present(judge).map_err(thrown)
    }

    fn present<T>(&self, judge: impl FnOnce(&ffi::Presented<'_>) -> T) -> T {
        let presented = ffi::Presented {
            method: &self.method,
            url: &self.url,
            proofs: &slices(&self.proofs),
            access_token: self.access_token.as_deref(),
            bound_to: self.bound_to.as_deref(),
            expected_nonce: self.expected_nonce.as_deref(),
        };
        judge(&presented)
    }
}

#[napi]
pub struct Verifier(Arc<ffi::Verifier>);

#[napi]
#[allow(clippy::too_many_arguments)]
impl Verifier {
    #[napi(constructor)]
    pub fn new(options: String, epoch: Option<String>) -> Result<Self> {
        let verifier = ffi::Verifier::new(&options, epoch.as_deref(), &CRYPTO).map_err(thrown)?;
        Ok(Self(Arc::new(verifier)))
    }
    #[napi]
    pub fn check(
        &self,
        method: String,
        url: String,
        proofs: Vec<String>,
        access_token: Option<String>,
        bound_to: Option<String>,
        expected_nonce: Option<String>,
        now: f64,
    ) -> Result<Pending> {
        let shown = Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce };
        shown.with(|presented| self.0.check(presented, seconds(now)).map(Pending))
    }
    #[napi]
    pub fn verify(
        &self,
        method: String,
        url: String,
        proofs: Vec<String>,
        access_token: Option<String>,
        bound_to: Option<String>,
        expected_nonce: Option<String>,
        now: f64,
        store: &MemoryStore,
    ) -> Result<String> {
        let shown = Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce };
        shown.with(|presented| self.0.verify(presented, &store.0, seconds(now)).map(|verified| verified.to_json()))
    }
    #[napi]
    pub fn verify_many(&self, requests: Vec<Request>, now: f64, store: &MemoryStore) -> Result<AsyncTask<Batch>> {
        let requests = requests.into_iter().map(Request::shown).collect::<Result<_>>()?;
        let (verifier, store) = (Arc::clone(&self.0), Arc::clone(&store.0));
        Ok(AsyncTask::new(Batch { verifier, store, requests, now: seconds(now) }))
    }
    #[napi]
    pub fn explain(
        &self,
        method: String,
        url: String,
        proofs: Vec<String>,
        access_token: Option<String>,
        bound_to: Option<String>,
        expected_nonce: Option<String>,
        now: f64,
    ) -> Result<String> {
        let shown = Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce };
        shown.with(|presented| self.0.explain(presented, seconds(now)))
    }
    #[napi]
    pub fn refuse(
        &self,
        method: String,
        url: String,
        proofs: Vec<String>,
        access_token: Option<String>,
        bound_to: Option<String>,
        expected_nonce: Option<String>,
        now: f64,
        reason: String,
    ) -> Result<String> {
        let shown = Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce };
        shown.with(|presented| self.0.refuse(&reason, presented, seconds(now)).map(|refusal| refusal.to_json()))
    }
    #[napi]
    pub fn fresh_nonce(&self, role: String, now: f64) -> Result<Option<String>> {
        self.0.fresh_nonce(&role, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn algorithms(&self) -> Vec<String> {
        self.0.algorithms().into_iter().map(Into::into).collect()
    }
}

/// One of many requests.
#[napi(object)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub proofs: Vec<String>,
    pub access_token: Option<String>,
    pub bound_to: Option<String>,
    pub expected_nonce: Option<String>,
}

impl Request {
    fn shown(self) -> Result<Shown> {
        let Self { method, url, proofs, access_token, bound_to, expected_nonce } = self;
        Ok(Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce })
    }
}

/// Many requests, judged on another thread.
pub struct Batch {
    verifier: Arc<ffi::Verifier>,
    store: Arc<ffi::MemoryStore>,
    requests: Vec<Shown>,
    now: i64,
}

impl Task for Batch {
    type Output = Vec<String>;
    type JsValue = Vec<String>;

    fn compute(&mut self) -> Result<Self::Output> {
        let judge = |shown: &Shown| {
            let judged = shown.present(|presented| self.verifier.verify(presented, &self.store, self.now));
            judged.map_or_else(|error| error.to_json(), |verified| verified.to_json())
        };
        Ok(self.requests.iter().map(judge).collect())
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> Result<Self::JsValue> {
        Ok(output)
    }
}

#[napi]
pub struct JwkSet(ffi::JwkSet);

#[napi]
impl JwkSet {
    #[napi(factory)]
    pub fn parse(json: &[u8]) -> Result<Self> {
        ffi::JwkSet::parse(json).map(Self).map_err(thrown)
    }
}

/// Names and values in turn.
struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    fn read(fields: Vec<String>) -> Result<Self> {
        let mut pairs = Vec::with_capacity(fields.len() / 2);
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            pairs.push((name, ffi::from_byte_string(&value).map_err(thrown)?));
        }
        Ok(Self(pairs))
    }
    fn pairs(&self) -> Vec<(&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

#[napi]
pub struct ResourceServer(ffi::ResourceServer);

#[napi]
impl ResourceServer {
    #[napi(constructor)]
    pub fn new(options: String, verifier: String, epoch: Option<String>) -> Result<Self> {
        ffi::ResourceServer::new(&options, &verifier, epoch.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn receive(&self, method: String, url: String, fields: Vec<String>, now: f64) -> Result<Access> {
        let fields = Fields::read(fields)?;
        Ok(Access(self.0.receive(&method, &url, &fields.pairs(), seconds(now))))
    }
    #[napi]
    pub fn receive_raw(
        &self,
        method: String,
        raw_target: String,
        peer: Option<String>,
        fields: Vec<String>,
        now: f64,
    ) -> Result<Access> {
        let (target, fields) = (ffi::from_byte_string(&raw_target).map_err(thrown)?, Fields::read(fields)?);
        Ok(Access(self.0.receive_raw(&method, &target, peer.as_deref(), &fields.pairs(), seconds(now))))
    }
    #[napi]
    pub fn require_scopes(&self, access: &Access, scopes: Vec<String>) -> Result<Option<String>> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let refusal = self.0.require_scopes(&access.0, &scopes).map_err(thrown)?;
        Ok(refusal.map(|refusal| refusal.to_json()))
    }
    #[napi]
    pub fn refuse_revoked(&self, access: &Access) -> Result<String> {
        self.0.refuse_revoked(&access.0).map(|refusal| refusal.to_json()).map_err(thrown)
    }
    #[napi]
    pub fn metadata(&self) -> String {
        self.0.metadata()
    }
    #[napi]
    pub fn metadata_url(&self) -> String {
        self.0.metadata_url()
    }
    #[napi]
    pub fn metadata_path(&self) -> String {
        self.0.metadata_path()
    }
}

#[napi]
pub struct Access(ffi::Access);

#[napi]
impl Access {
    #[napi]
    pub fn state(&self) -> Result<String> {
        self.0.state().map_err(thrown)
    }
    #[napi]
    pub fn entry(&self) -> Option<Entry> {
        self.0.entry().map(Entry)
    }
    #[napi]
    pub fn is_answered_by(&self, keys: &JwkSet) -> bool {
        self.0.is_answered_by(&keys.0)
    }
    #[napi]
    pub fn keys(&self, keys: &JwkSet, now: f64) -> Result<()> {
        self.0.keys(&keys.0, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn introspected(&self, answer: &[u8], now: f64) -> Result<()> {
        self.0.introspected(answer, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn unavailable(&self) -> Result<()> {
        self.0.unavailable().map_err(thrown)
    }
    #[napi]
    pub fn settle(&self, insertion: String, now: f64) -> Result<()> {
        self.0.settle(&insertion, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn insert_into(&self, store: &MemoryStore, now: f64) -> Result<()> {
        self.0.insert_into(&store.0, seconds(now)).map_err(thrown)
    }
    #[napi]
    pub fn intent(&self) -> Result<Intent> {
        self.0.intent().map(Intent).map_err(thrown)
    }
    #[napi]
    pub fn use_up(&self, like: &Entry) -> Result<Entry> {
        self.0.use_up(&like.0).map(Entry).map_err(thrown)
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
        self.0.expires_at() as f64
    }
}

#[napi]
pub fn request_detail(method: String, url: String, body: Option<Uint8Array>) -> String {
    ffi::request_detail(&method, &url, body.as_deref(), &CRYPTO)
}
