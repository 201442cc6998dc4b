//! Judging proofs.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown};

#[wasm_bindgen]
pub struct Entry(pub(crate) ffi::Entry);

#[wasm_bindgen]
impl Entry {
    #[wasm_bindgen(js_name = toJson)]
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }
    pub fn lifetime(&self, now: f64) -> f64 {
        ffi::number::of_whole(self.0.lifetime(seconds(now)))
    }
}

#[wasm_bindgen]
pub struct MemoryStore(pub(crate) ffi::MemoryStore);

#[wasm_bindgen]
impl MemoryStore {
    #[wasm_bindgen(constructor)]
    pub fn new(capacity: u32, options: String, now: f64) -> Result<Self> {
        ffi::MemoryStore::new(capacity, &options, &CRYPTO, seconds(now)).map(Self).map_err(thrown)
    }
    pub fn insert(&self, entry: &Entry, now: f64) -> String {
        self.0.insert(&entry.0, seconds(now)).into()
    }
    pub fn epoch(&self) -> String {
        self.0.epoch()
    }
    pub fn held(&self) -> f64 {
        ffi::number::of_count(self.0.held())
    }
    #[wasm_bindgen(js_name = wasForked)]
    pub fn was_forked(&self) -> bool {
        self.0.was_forked()
    }
}

#[wasm_bindgen]
pub struct Pending(ffi::Pending);

#[wasm_bindgen]
impl Pending {
    pub fn entry(&self) -> Entry {
        Entry(self.0.entry().clone())
    }
    pub fn settle(&self, insertion: String, now: f64) -> Result<String> {
        self.0.settle(&insertion, seconds(now)).map(|verified| verified.to_json()).map_err(thrown)
    }
    #[wasm_bindgen(js_name = dangerSkipReplayCheck)]
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
        let presented = ffi::Presented {
            method: &self.method,
            url: &self.url,
            proofs: &slices(&self.proofs),
            access_token: self.access_token.as_deref(),
            bound_to: self.bound_to.as_deref(),
            expected_nonce: self.expected_nonce.as_deref(),
        };
        judge(&presented).map_err(thrown)
    }
}

#[wasm_bindgen]
pub struct Verifier(ffi::Verifier);

#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
impl Verifier {
    #[wasm_bindgen(constructor)]
    pub fn new(options: String, epoch: Option<String>) -> Result<Self> {
        ffi::Verifier::new(&options, epoch.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
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
    #[wasm_bindgen(js_name = freshNonce)]
    pub fn fresh_nonce(&self, role: String, now: f64) -> Result<Option<String>> {
        self.0.fresh_nonce(&role, seconds(now)).map_err(thrown)
    }
    pub fn algorithms(&self) -> Vec<String> {
        self.0.algorithms().into_iter().map(Into::into).collect()
    }
}
