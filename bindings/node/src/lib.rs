//! The Node addon: translates between JavaScript and `keybound-ffi`, with cryptography by AWS-LC. It decides nothing.
//!
//! What it exports is described in `pkg/npm/src/native.ts`, and the WASM build exports the same. An error is thrown as the JSON text
//! of [`ffi::Error::to_json`]. Calls answer at once: a hop to a thread costs more than a proof.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "what JavaScript sees is documented where its users read it, in pkg/npm/src"
)]

pub mod files;
pub mod oauth;
pub mod server;
pub mod verify;

use ffi::number::{seconds, whole};
use keybound_aws_lc::AWS_LC as CRYPTO;
use keybound_ffi as ffi;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

type Result<T> = napi::Result<T>;

/// The error as JavaScript gets it.
fn thrown(error: ffi::Error) -> napi::Error {
    napi::Error::from_reason(error.to_json())
}

/// The bytes of byte strings.
fn all_bytes(texts: &[String]) -> Result<Vec<Vec<u8>>> {
    texts.iter().map(|text| ffi::from_byte_string(text).map_err(thrown)).collect()
}

fn slices(values: &[Vec<u8>]) -> Vec<&[u8]> {
    values.iter().map(Vec::as_slice).collect()
}

#[napi]
pub fn reasons() -> String {
    ffi::reasons()
}

#[napi]
pub fn thumbprint(jwk: String) -> Result<String> {
    ffi::thumbprint(&jwk, &CRYPTO).map_err(thrown)
}

#[napi]
pub fn explain_response(response: String) -> Result<String> {
    ffi::explain_response(&response).map_err(thrown)
}

#[napi]
pub struct Key(ffi::Key);

#[napi]
impl Key {
    #[napi(factory)]
    pub fn generate(algorithm: String) -> Result<Self> {
        ffi::Key::generate(&algorithm, &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi(factory)]
    pub fn from_jwk(json: String, algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_jwk(&json, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi(factory)]
    pub fn from_pem(pem: String, algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_pem(&pem, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi(factory)]
    pub fn from_der(der: &[u8], algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_der(der, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[napi]
    pub fn algorithm(&self) -> &'static str {
        self.0.algorithm()
    }
    #[napi]
    pub fn public_jwk(&self) -> String {
        self.0.public_jwk()
    }
    #[napi]
    pub fn thumbprint(&self) -> String {
        self.0.thumbprint()
    }
    #[napi]
    pub fn sign(&self, message: &[u8]) -> Result<Uint8Array> {
        self.0.sign(message).map(Uint8Array::new).map_err(thrown)
    }
    #[napi]
    pub fn danger_private_jwk(&self) -> Result<String> {
        self.0.danger_private_jwk().map_err(thrown)
    }
    #[napi]
    pub fn danger_private_pem(&self) -> Result<String> {
        self.0.danger_private_pem().map_err(thrown)
    }
}

#[napi]
pub fn proof(
    method: String,
    url: String,
    access_token: Option<String>,
    nonce: Option<String>,
    key: &Key,
    now: f64,
) -> Result<String> {
    let request = ffi::ProofRequest {
        method: &method,
        url: &url,
        access_token: access_token.as_deref(),
        nonce: nonce.as_deref(),
    };
    ffi::proof(&request, &key.0, &CRYPTO, seconds(now)).map_err(thrown)
}

#[napi]
pub fn prepare(
    method: String,
    url: String,
    access_token: Option<String>,
    nonce: Option<String>,
    public_jwk: String,
    algorithm: String,
    now: f64,
) -> Result<Unsigned> {
    let request = ffi::ProofRequest {
        method: &method,
        url: &url,
        access_token: access_token.as_deref(),
        nonce: nonce.as_deref(),
    };
    ffi::prepare(&request, &public_jwk, &algorithm, &CRYPTO, seconds(now)).map(Unsigned).map_err(thrown)
}

#[napi]
pub struct Unsigned(ffi::Unsigned);

#[napi]
impl Unsigned {
    #[napi]
    pub fn message(&self) -> Uint8Array {
        Uint8Array::new(self.0.message().to_vec())
    }
    #[napi]
    pub fn digest(&self) -> Option<Uint8Array> {
        self.0.digest().map(|digest| Uint8Array::new(digest.to_vec()))
    }
    #[napi]
    pub fn attach(&self, signature: &[u8], encoding: String) -> Result<String> {
        self.0.attach(signature, &encoding).map_err(thrown)
    }
}

#[napi]
#[derive(Default)]
pub struct NonceCache(ffi::NonceCache);

#[napi]
impl NonceCache {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }
    #[napi]
    pub fn observe(&self, origin: String, role: String, thumbprint: String, values: Vec<String>) -> Result<()> {
        self.0.observe(&origin, &role, &thumbprint, &slices(&all_bytes(&values)?)).map_err(thrown)
    }
    #[napi]
    pub fn get(&self, origin: String, role: String, thumbprint: String) -> Result<Option<String>> {
        self.0.get(&origin, &role, &thumbprint).map_err(thrown)
    }
}
