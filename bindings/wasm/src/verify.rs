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
    pub fn settle(&self, insertion: String, epoch: Option<String>, now: f64) -> Result<String> {
        let settled = match epoch {
            Some(epoch) => self.0.settle_in(&insertion, &epoch, seconds(now)),
            None => self.0.settle(&insertion, seconds(now)),
        };
        settled.map(|verified| verified.to_json()).map_err(thrown)
    }
    #[wasm_bindgen(js_name = dangerSkipReplayCheck)]
    pub fn danger_skip_replay_check(&self) -> Result<String> {
        self.0.danger_skip_replay_check().map(|verified| verified.to_json()).map_err(thrown)
    }
}

#[wasm_bindgen]
extern "C" {
    /// A proof with what it came with, and the epoch of the store.
    pub type Presented;
    #[wasm_bindgen(method, getter)]
    fn method(this: &Presented) -> String;
    #[wasm_bindgen(method, getter)]
    fn url(this: &Presented) -> String;
    #[wasm_bindgen(method, getter)]
    fn proofs(this: &Presented) -> Vec<String>;
    #[wasm_bindgen(method, getter, js_name = accessToken)]
    fn access_token(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = boundTo)]
    fn bound_to(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = expectedNonce)]
    fn expected_nonce(this: &Presented) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn epoch(this: &Presented) -> Option<String>;
}

impl Presented {
    fn show<T>(&self, judge: impl FnOnce(&ffi::Presented<'_>) -> std::result::Result<T, ffi::Error>) -> Result<T> {
        let (method, url, proofs) = (self.method(), self.url(), all_bytes(&self.proofs())?);
        let (token, bound_to, nonce) = (self.access_token(), self.bound_to(), self.expected_nonce());
        let presented = ffi::Presented {
            method: &method,
            url: &url,
            proofs: &slices(&proofs),
            access_token: token.as_deref(),
            bound_to: bound_to.as_deref(),
            expected_nonce: nonce.as_deref(),
        };
        judge(&presented).map_err(thrown)
    }
}

#[wasm_bindgen]
pub struct Verifier(ffi::Verifier);

#[wasm_bindgen]
impl Verifier {
    #[wasm_bindgen(constructor)]
    pub fn new(options: String) -> Result<Self> {
        ffi::Verifier::new(&options, None, &CRYPTO).map(Self).map_err(thrown)
    }
    pub fn check(&self, presented: &Presented, now: f64) -> Result<Pending> {
        let verifier = self.0.in_epoch(presented.epoch().as_deref()).map_err(thrown)?;
        presented.show(|presented| verifier.check(presented, seconds(now)).map(Pending))
    }
    pub fn verify(&self, presented: &Presented, now: f64, store: &MemoryStore) -> Result<String> {
        let verifier = self.0.in_epoch(presented.epoch().as_deref()).map_err(thrown)?;
        presented
            .show(|presented| verifier.verify(presented, &store.0, seconds(now)).map(|verified| verified.to_json()))
    }
    pub fn explain(&self, presented: &Presented, now: f64) -> Result<String> {
        let verifier = self.0.in_epoch(presented.epoch().as_deref()).map_err(thrown)?;
        presented.show(|presented| verifier.explain(presented, seconds(now)))
    }
    pub fn refuse(&self, presented: &Presented, now: f64, reason: String) -> Result<String> {
        let verifier = self.0.in_epoch(presented.epoch().as_deref()).map_err(thrown)?;
        presented.show(|presented| verifier.refuse(&reason, presented, seconds(now)).map(|refusal| refusal.to_json()))
    }
    #[wasm_bindgen(js_name = freshNonce)]
    pub fn fresh_nonce(&self, role: String, epoch: Option<String>, now: f64) -> Result<Option<String>> {
        self.0.in_epoch(epoch.as_deref()).and_then(|verifier| verifier.fresh_nonce(&role, seconds(now))).map_err(thrown)
    }
    pub fn algorithms(&self) -> Vec<String> {
        self.0.algorithms().into_iter().map(Into::into).collect()
    }
}
