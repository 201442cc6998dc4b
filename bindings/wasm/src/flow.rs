//! Flows, of clients and of servers: what they want, and what they are given.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Result, seconds, thrown};

#[wasm_bindgen]
pub struct Flow(pub(crate) ffi::Flow);

#[wasm_bindgen]
impl Flow {
    pub fn step(&self) -> Result<String> {
        self.0.step().map_err(thrown)
    }
    pub fn resume(&self, reply: String, now: f64) -> Result<String> {
        let reply = ffi::Reply::from_json(&reply).map_err(thrown)?;
        self.0.resume(reply, seconds(now)).map_err(thrown)
    }
    pub fn task(&self, now: f64) -> Result<Option<Flow>> {
        Ok(self.0.task(seconds(now)).map_err(thrown)?.map(Flow))
    }
    pub fn abandon(&self) {
        self.0.abandon();
    }
}
