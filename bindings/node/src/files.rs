//! Sessions and keys in a folder. Files are read and written on threads of Node's pool, never on the event loop.

use std::path::Path;
use std::sync::Arc;

use keybound_ffi as ffi;
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName, Uint8Array};
use napi::{Env, Task};
use napi_derive::napi;

use ffi::number::not_negative;

use crate::values::{Bytes, Number, OptionalNumber, OptionalText, Result, Text, Texts, plain, thrown};
use crate::{CRYPTO, Key};

/// A call on another thread.
pub struct Work<T>(Option<Box<dyn FnOnce() -> Result<T> + Send>>);

type Promised<T> = AsyncTask<Work<T>>;

fn work<T: Send + ToNapiValue + TypeName + 'static>(
    call: impl FnOnce() -> std::result::Result<T, ffi::Error> + Send + 'static,
) -> Promised<T> {
    AsyncTask::new(Work(Some(Box::new(|| call().map_err(thrown)))))
}

impl<T: Send + ToNapiValue + TypeName + 'static> Task for Work<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> Result<T> {
        let call = self.0.take().ok_or_else(|| napi::Error::from_reason("a task runs once"))?;
        call()
    }

    fn resolve(&mut self, _: Env, output: T) -> Result<T> {
        Ok(output)
    }
}

#[napi]
pub struct FileLock(ffi::FileLock);

#[napi]
impl FileLock {
    #[napi]
    pub fn release(&self) {
        self.0.release();
    }
}

#[napi(object)]
pub struct StoredValue {
    pub version: f64,
    pub value: String,
}

#[napi]
pub struct Files(Arc<ffi::FileStore>);

#[napi]
impl Files {
    #[napi]
    pub fn open(folder: Text, now: Number) -> Result<Promised<Files>> {
        let (folder, now) = (plain(folder)?, plain(now)?);
        Ok(work(move || ffi::FileStore::open(Path::new(&folder), &CRYPTO, now).map(|store| Self(Arc::new(store)))))
    }
    #[napi]
    pub fn add_key(&self, jwk: Text) -> Result<Promised<()>> {
        let (store, jwk) = (Arc::clone(&self.0), plain(jwk)?);
        Ok(work(move || store.add_key(&ffi::Key::from_jwk(&jwk, None, &CRYPTO)?)))
    }
    #[napi]
    pub fn create_key(&self, algorithms: Texts, protections: Texts, now: Number) -> Result<Promised<Key>> {
        let (store, algorithms, protections, now) =
            (Arc::clone(&self.0), plain(algorithms)?, plain(protections)?, plain(now)?);
        Ok(work(move || store.create_key(&algorithms, &protections, now).map(Key)))
    }
    #[napi]
    pub fn delete_key(&self, thumbprint: Text) -> Result<Promised<()>> {
        let (store, thumbprint) = (Arc::clone(&self.0), plain(thumbprint)?);
        Ok(work(move || store.delete_key(&thumbprint)))
    }
    /// Throws `{ fault, detail }` as JSON text, where the key cannot be used.
    #[napi]
    pub fn sign(&self, thumbprint: Text, algorithm: Text, message: Bytes) -> Result<Promised<Uint8Array>> {
        let store = Arc::clone(&self.0);
        let (thumbprint, algorithm, message) = (plain(thumbprint)?, plain(algorithm)?, plain(message)?);
        let call = move || {
            let key = store.key(&thumbprint, Some(&algorithm));
            let key = key.map_err(|fault| napi::Error::from_reason(fault.to_json()))?;
            key.sign(&message).map(Uint8Array::new).map_err(thrown)
        };
        Ok(AsyncTask::new(Work(Some(Box::new(call)))))
    }
    #[napi]
    pub fn sessions(&self) -> Promised<Vec<String>> {
        let store = Arc::clone(&self.0);
        work(move || store.sessions())
    }
    #[napi]
    pub fn load(&self, slot: Text) -> Result<Promised<Option<StoredValue>>> {
        let (store, slot) = (Arc::clone(&self.0), plain(slot)?);
        Ok(work(move || {
            Ok(store
                .load(&slot)?
                .map(|(version, value)| StoredValue { version: ffi::number::of_whole(version), value }))
        }))
    }
    #[napi]
    pub fn try_save(
        &self,
        slot: Text,
        expected: OptionalNumber,
        version: Number,
        value: OptionalText,
    ) -> Result<Promised<Option<bool>>> {
        let (store, slot, value) = (Arc::clone(&self.0), plain(slot)?, plain(value)?);
        let (expected, version) = (plain(expected)?.map(not_negative), not_negative(plain(version)?));
        Ok(work(move || store.try_save(&slot, expected, version, value.as_deref())))
    }
    #[napi]
    pub fn try_lock(&self, name: Text) -> Result<Promised<Option<FileLock>>> {
        let (store, name) = (Arc::clone(&self.0), plain(name)?);
        Ok(work(move || Ok(store.try_lock(&name)?.map(FileLock))))
    }
}
