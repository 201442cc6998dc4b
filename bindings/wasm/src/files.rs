//! What stores in folders need that read and write files themselves: on Node without the addon, Bun and Deno.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::oauth::sweep::Sweep;
use crate::{CRYPTO, Result, seconds, thrown};

#[wasm_bindgen(js_name = fileRules)]
pub fn file_rules() -> String {
    ffi::file_rules()
}

#[wasm_bindgen(js_name = fileName)]
pub fn file_name(text: String) -> String {
    ffi::file_name(&text, &CRYPTO)
}

#[wasm_bindgen(js_name = textOfFileName)]
pub fn text_of_file_name(name: String) -> Option<String> {
    ffi::text_of_file_name(&name, &CRYPTO)
}

#[wasm_bindgen(js_name = filePlace)]
pub fn file_place(slot: String) -> String {
    ffi::file_place(&slot, &CRYPTO)
}

#[wasm_bindgen(js_name = fileContent)]
pub fn file_content(version: f64, value: String) -> Result<String> {
    ffi::file_content(ffi::number::whole(version), &value).map_err(thrown)
}

#[wasm_bindgen(js_name = fileVersion)]
pub fn file_version(content: String) -> Option<f64> {
    ffi::file_version(&content).map(ffi::number::of_whole)
}

#[wasm_bindgen(js_name = lockPause)]
pub fn lock_pause(attempts: u32) -> f64 {
    ffi::number::of_whole(ffi::lock_pause(attempts))
}

#[wasm_bindgen]
pub struct FolderSweep(ffi::FolderSweep);

#[wasm_bindgen]
impl FolderSweep {
    #[wasm_bindgen(constructor)]
    pub fn new(now: f64) -> Self {
        Self(ffi::FolderSweep::new(&CRYPTO, seconds(now)))
    }
    pub fn found(&mut self, folder: String, file: String, modified: f64) -> String {
        self.0.found(&folder, &file, seconds(modified)).into()
    }
    pub fn content(&mut self, folder: String, file: String, content: Option<String>, modified: f64) {
        self.0.content(&folder, &file, content.as_deref(), seconds(modified));
    }
    pub fn finish(self) -> String {
        self.0.finish()
    }
}

#[wasm_bindgen]
impl Sweep {
    #[wasm_bindgen(js_name = isDue)]
    pub fn is_due(last: f64, now: f64) -> bool {
        ffi::is_sweep_due(Some(seconds(last)), seconds(now))
    }
}
