//! Judging proofs.

use std::sync::Arc;

use keybound_ffi as ffi;
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;

use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown};

#[napi]
pub struct Entry(pub(crate) ffi::Entry);

#[napi]
impl Entry {
    #[napi]
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }
    #[napi]
    pub fn lifetime(&self, now: f64) -> f64 {
        ffi::number::of_whole(self.0.lifetime(seconds(now)))
    }
}

#[napi]
pub struct MemoryStore(pub(crate) Arc<ffi::MemoryStore>);

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
        ffi::number::of_count(self.0.held())
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
