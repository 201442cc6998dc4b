//! Many proofs at once, verified on another thread: the addon alone has threads.

use std::sync::Arc;

use keybound_ffi as ffi;
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;

use crate::values::{Given, Number, Plainly, Presented, Result, SPELLING, plain, thrown};
use crate::{MemoryStore, Verifier};

#[napi]
impl Verifier {
    /// Each answer is what `verify` gives or throws.
    #[napi]
    pub fn verify_many(&self, requests: Vec<Presented>, now: Number, store: &MemoryStore) -> Result<AsyncTask<Batch>> {
        let requests = requests.into_iter().map(Given::plain).collect::<Plainly<_>>().map_err(thrown)?;
        let (store, now) = (Arc::clone(&store.0), plain(now)?);
        Ok(AsyncTask::new(Batch { verifier: self.0.clone(), store, requests, now }))
    }
}

pub struct Batch {
    verifier: ffi::Verifier,
    store: Arc<ffi::MemoryStore>,
    requests: Vec<ffi::OwnedPresented>,
    now: i64,
}

impl Task for Batch {
    type Output = Vec<String>;
    type JsValue = Vec<String>;

    fn compute(&mut self) -> Result<Self::Output> {
        let judge = |request: &ffi::OwnedPresented| {
            let judged = request.show(|presented| self.verifier.verify(presented, &self.store, self.now));
            judged.map_or_else(|error| error.to_json(SPELLING), |verified| verified.to_json())
        };
        Ok(self.requests.iter().map(judge).collect())
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> Result<Self::JsValue> {
        Ok(output)
    }
}
