//! Judging requests to a resource or an authorization server.

use keybound_ffi as ffi;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::verify::{Entry, MemoryStore};
use crate::{CRYPTO, Result, all_bytes, seconds, slices, thrown};

#[wasm_bindgen]
pub struct JwkSet(ffi::JwkSet);

#[wasm_bindgen]
impl JwkSet {
    pub fn parse(json: &[u8]) -> Result<Self> {
        ffi::JwkSet::parse(json).map(Self).map_err(thrown)
    }
}

/// Names and values in turn.
struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    fn read(fields: Vec<String>) -> Result<Self> {
        let mut pairs = Vec::with_capacity(fields.len() / 2);
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            pairs.push((name, ffi::from_byte_string(&value).map_err(thrown)?));
        }
        Ok(Self(pairs))
    }
    fn pairs(&self) -> Vec<(&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

#[wasm_bindgen]
pub struct ResourceServer(ffi::ResourceServer);

#[wasm_bindgen]
impl ResourceServer {
    #[wasm_bindgen(constructor)]
    pub fn new(options: String, verifier: String, epoch: Option<String>) -> Result<Self> {
        ffi::ResourceServer::new(&options, &verifier, epoch.as_deref(), None, &CRYPTO).map(Self).map_err(thrown)
    }
    pub fn receive(&self, method: String, url: String, fields: Vec<String>, now: f64) -> Result<Access> {
        let fields = Fields::read(fields)?;
        Ok(Access(self.0.receive(&method, &url, &fields.pairs(), seconds(now))))
    }
    #[wasm_bindgen(js_name = receiveRaw)]
    pub fn receive_raw(
        &self,
        method: String,
        raw_target: String,
        peer: Option<String>,
        fields: Vec<String>,
        now: f64,
    ) -> Result<Access> {
        let (target, fields) = (ffi::from_byte_string(&raw_target).map_err(thrown)?, Fields::read(fields)?);
        Ok(Access(self.0.receive_raw(&method, &target, peer.as_deref(), &fields.pairs(), seconds(now))))
    }
    /// `{ path }` or `{ refusal }`, in JSON.
    pub fn route(&self, raw_target: String, mount_path: String, path: String) -> Result<String> {
        let target = ffi::from_byte_string(&raw_target).map_err(thrown)?;
        Ok(self.0.route_json(&target, mount_path.as_bytes(), path.as_bytes()))
    }
    #[wasm_bindgen(js_name = requireScopes)]
    pub fn require_scopes(&self, access: &Access, scopes: Vec<String>) -> Result<Option<String>> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let refusal = self.0.require_scopes(&access.0, &scopes).map_err(thrown)?;
        Ok(refusal.map(|refusal| refusal.to_json()))
    }
    #[wasm_bindgen(js_name = refuseRevoked)]
    pub fn refuse_revoked(&self, access: &Access) -> Result<String> {
        self.0.refuse_revoked(&access.0).map(|refusal| refusal.to_json()).map_err(thrown)
    }
    #[wasm_bindgen(js_name = carryOut)]
    pub fn carry_out(&self, access: &Access, method: String, url: String, body: &[u8], now: f64) -> Result<Entry> {
        self.0.carry_out(&access.0, &method, &url, body, seconds(now)).map(Entry).map_err(thrown)
    }
    #[wasm_bindgen(js_name = usedUp)]
    pub fn used_up(
        &self,
        access: &Access,
        method: String,
        url: String,
        body: &[u8],
        insertion: String,
        now: f64,
    ) -> Result<()> {
        self.0.used_up(&access.0, &method, &url, body, &insertion, seconds(now)).map_err(thrown)
    }
    pub fn metadata(&self) -> String {
        self.0.metadata()
    }
    #[wasm_bindgen(js_name = metadataUrl)]
    pub fn metadata_url(&self) -> String {
        self.0.metadata_url()
    }
    #[wasm_bindgen(js_name = metadataPath)]
    pub fn metadata_path(&self) -> String {
        self.0.metadata_path()
    }
}

#[wasm_bindgen]
pub struct Access(ffi::Access);

#[wasm_bindgen]
impl Access {
    pub fn state(&self) -> Result<String> {
        self.0.state().map_err(thrown)
    }
    pub fn entry(&self) -> Option<Entry> {
        self.0.entry().map(Entry)
    }
    #[wasm_bindgen(js_name = isAnsweredBy)]
    pub fn is_answered_by(&self, keys: &JwkSet) -> bool {
        self.0.is_answered_by(&keys.0)
    }
    pub fn keys(&self, keys: &JwkSet, now: f64) -> Result<()> {
        self.0.keys(&keys.0, seconds(now)).map_err(thrown)
    }
    pub fn introspected(&self, answer: &[u8], now: f64) -> Result<()> {
        self.0.introspected(answer, seconds(now)).map_err(thrown)
    }
    pub fn unavailable(&self) -> Result<()> {
        self.0.unavailable().map_err(thrown)
    }
    pub fn settle(&self, insertion: String, now: f64) -> Result<()> {
        self.0.settle(&insertion, seconds(now)).map_err(thrown)
    }
    #[wasm_bindgen(js_name = insertInto)]
    pub fn insert_into(&self, store: &MemoryStore, now: f64) -> Result<()> {
        self.0.insert_into(&store.0, seconds(now)).map_err(thrown)
    }
    #[wasm_bindgen(js_name = dangerSkipReplayCheck)]
    pub fn danger_skip_replay_check(&self) -> Result<()> {
        self.0.danger_skip_replay_check().map_err(thrown)
    }
    pub fn intent(&self) -> Result<Intent> {
        self.0.intent().map(Intent).map_err(thrown)
    }
}

#[wasm_bindgen]
pub struct AuthorizationServer(ffi::AuthorizationServer);

#[wasm_bindgen]
impl AuthorizationServer {
    #[wasm_bindgen(constructor)]
    pub fn new(options: String, epoch: Option<String>) -> Result<Self> {
        ffi::AuthorizationServer::new(&options, epoch.as_deref(), &CRYPTO).map(Self).map_err(thrown)
    }
    pub fn check(&self, request: String, proofs: Vec<String>, now: f64) -> Result<Admission> {
        let proofs = all_bytes(&proofs)?;
        self.0.check(&request, &slices(&proofs), seconds(now)).map(Admission).map_err(thrown)
    }
    #[wasm_bindgen(js_name = freshNonce)]
    pub fn fresh_nonce(&self, now: f64) -> Option<String> {
        self.0.fresh_nonce(seconds(now))
    }
    pub fn metadata(&self, issuer: String) -> String {
        self.0.metadata(&issuer)
    }
}

#[wasm_bindgen]
pub struct Admission(ffi::Admission);

#[wasm_bindgen]
impl Admission {
    pub fn entry(&self) -> Option<Entry> {
        self.0.entry().map(Entry)
    }
    pub fn settle(&self, insertion: String, now: f64) -> Result<()> {
        self.0.settle(&insertion, seconds(now)).map_err(thrown)
    }
    pub fn admitted(&self) -> Result<String> {
        self.0.admitted().map_err(thrown)
    }
}

#[wasm_bindgen]
pub struct Intent(ffi::Intent);

#[wasm_bindgen]
impl Intent {
    pub fn declare(details: String, key: String, lifetime: f64, now: f64) -> Result<Self> {
        let lifetime = seconds(lifetime).try_into().unwrap_or(0);
        ffi::Intent::declare(&details, &key, lifetime, &CRYPTO, seconds(now)).map(Self).map_err(thrown)
    }
    pub fn grant(&self, granted: String, now: f64) -> Result<Intent> {
        self.0.grant(&granted, seconds(now)).map(Self).map_err(thrown)
    }
    pub fn permits(&self, method: String, url: String, body: &[u8], key: String, now: f64) -> Result<()> {
        self.0.permits(&method, &url, body, &key, seconds(now)).map_err(thrown)
    }
    pub fn details(&self) -> String {
        self.0.details()
    }
    pub fn key(&self) -> String {
        self.0.key()
    }
    #[wasm_bindgen(js_name = expiresAt)]
    pub fn expires_at(&self) -> f64 {
        ffi::number::of_seconds(self.0.expires_at())
    }
}

#[wasm_bindgen(js_name = requestDetail)]
pub fn request_detail(method: String, url: String, body: Option<Vec<u8>>) -> String {
    ffi::request_detail(&method, &url, body.as_deref(), &CRYPTO)
}
