//! Keys in this process and proofs by them.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown};

#[wasm_bindgen]
pub struct Key(ffi::Key);

#[wasm_bindgen]
impl Key {
    pub fn generate(algorithm: String) -> Result<Self> {
        ffi::Key::generate(&algorithm, &CRYPTO).map(Self).map_err(thrown)
    }
    #[wasm_bindgen(js_name = fromJwk)]
    pub fn from_jwk(json: String, algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_jwk(&json, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    pub fn algorithm(&self) -> String {
        self.0.algorithm().into()
    }
    #[wasm_bindgen(js_name = publicJwk)]
    pub fn public_jwk(&self) -> String {
        self.0.public_jwk()
    }
    pub fn thumbprint(&self) -> String {
        self.0.thumbprint()
    }
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.0.sign(message).map_err(thrown)
    }
    #[wasm_bindgen(js_name = dangerPrivateJwk)]
    pub fn danger_private_jwk(&self) -> Result<String> {
        self.0.danger_private_jwk().map_err(thrown)
    }
}

/// PKCS#8 has a tenth of what the build for pages may weigh, and keys of pages are JWKs.
#[cfg(feature = "server")]
#[wasm_bindgen]
impl Key {
    #[wasm_bindgen(js_name = fromPem)]
    pub fn from_pem(pem: String, algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_pem(&pem, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[wasm_bindgen(js_name = fromDer)]
    pub fn from_der(der: &[u8], algorithm: Option<String>) -> Result<Self> {
        ffi::Key::from_der(der, algorithm.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    #[wasm_bindgen(js_name = dangerPrivatePem)]
    pub fn danger_private_pem(&self) -> Result<String> {
        self.0.danger_private_pem().map_err(thrown)
    }
}

#[wasm_bindgen]
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

#[wasm_bindgen]
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

#[wasm_bindgen]
pub struct Unsigned(ffi::Unsigned);

#[wasm_bindgen]
impl Unsigned {
    pub fn message(&self) -> Vec<u8> {
        self.0.message().to_vec()
    }
    pub fn digest(&self) -> Option<Vec<u8>> {
        self.0.digest().map(|digest| digest.to_vec())
    }
    pub fn attach(&self, signature: &[u8], encoding: String) -> Result<String> {
        self.0.attach(signature, &encoding).map_err(thrown)
    }
}

#[wasm_bindgen]
#[derive(Default)]
pub struct NonceCache(ffi::NonceCache);

#[wasm_bindgen]
impl NonceCache {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }
    pub fn observe(&self, origin: String, role: String, thumbprint: String, values: Vec<String>) -> Result<()> {
        self.0.observe(&origin, &role, &thumbprint, &slices(&all_bytes(&values)?)).map_err(thrown)
    }
    pub fn get(&self, origin: String, role: String, thumbprint: String) -> Result<Option<String>> {
        self.0.get(&origin, &role, &thumbprint).map_err(thrown)
    }
}
