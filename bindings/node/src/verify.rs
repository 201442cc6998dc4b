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
    pub fn settle(&self, insertion: String, epoch: Option<String>, now: f64) -> Result<String> {
        let settled = match epoch {
            Some(epoch) => self.0.settle_in(&insertion, &epoch, seconds(now)),
            None => self.0.settle(&insertion, seconds(now)),
        };
        settled.map(|verified| verified.to_json()).map_err(thrown)
    }
    #[napi]
    pub fn danger_skip_replay_check(&self) -> Result<String> {
        self.0.danger_skip_replay_check().map(|verified| verified.to_json()).map_err(thrown)
    }
}

/// The same with its proofs as bytes.
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
pub struct Verifier(ffi::Verifier);

impl Verifier {
    /// What was presented, and the verifier for the life of the store that it came in.
    fn read(&self, presented: Presented) -> Result<(Shown, ffi::Verifier)> {
        let verifier = self.0.in_epoch(presented.epoch.as_deref()).map_err(thrown)?;
        Ok((presented.shown()?, verifier))
    }
}

#[napi]
impl Verifier {
    #[napi(constructor)]
    pub fn new(options: String) -> Result<Self> {
        ffi::Verifier::new(&options, None, &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn check(&self, presented: Presented, now: f64) -> Result<Pending> {
        let (shown, verifier) = self.read(presented)?;
        shown.with(|presented| verifier.check(presented, seconds(now)).map(Pending))
    }
    #[napi]
    pub fn verify(&self, presented: Presented, now: f64, store: &MemoryStore) -> Result<String> {
        let (shown, verifier) = self.read(presented)?;
        shown.with(|presented| verifier.verify(presented, &store.0, seconds(now)).map(|verified| verified.to_json()))
    }
    #[napi]
    pub fn verify_many(&self, requests: Vec<Presented>, now: f64, store: &MemoryStore) -> Result<AsyncTask<Batch>> {
        let requests = requests.into_iter().map(Presented::shown).collect::<Result<_>>()?;
        let verifier = self.0.in_epoch(Some(&store.0.epoch())).map_err(thrown)?;
        let store = Arc::clone(&store.0);
        Ok(AsyncTask::new(Batch { verifier, store, requests, now: seconds(now) }))
    }
    #[napi]
    pub fn explain(&self, presented: Presented, now: f64) -> Result<String> {
        let (shown, verifier) = self.read(presented)?;
        shown.with(|presented| verifier.explain(presented, seconds(now)))
    }
    #[napi]
    pub fn refuse(&self, presented: Presented, now: f64, reason: String) -> Result<String> {
        let (shown, verifier) = self.read(presented)?;
        shown.with(|presented| verifier.refuse(&reason, presented, seconds(now)).map(|refusal| refusal.to_json()))
    }
    #[napi]
    pub fn fresh_nonce(&self, role: String, epoch: Option<String>, now: f64) -> Result<Option<String>> {
        self.0.in_epoch(epoch.as_deref()).and_then(|verifier| verifier.fresh_nonce(&role, seconds(now))).map_err(thrown)
    }
    #[napi]
    pub fn algorithms(&self) -> Vec<String> {
        self.0.algorithms().into_iter().map(Into::into).collect()
    }
}

/// A proof with what it came with, and the epoch of the store.
#[napi(object, object_to_js = false)]
pub struct Presented {
    pub method: String,
    pub url: String,
    pub proofs: Vec<String>,
    pub access_token: Option<String>,
    pub bound_to: Option<String>,
    pub expected_nonce: Option<String>,
    pub epoch: Option<String>,
}

impl Presented {
    fn shown(self) -> Result<Shown> {
        let Self { method, url, proofs, access_token, bound_to, expected_nonce, epoch: _ } = self;
        Ok(Shown { method, url, proofs: all_bytes(&proofs)?, access_token, bound_to, expected_nonce })
    }
}

/// Many requests, judged on another thread.
pub struct Batch {
    verifier: ffi::Verifier,
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
