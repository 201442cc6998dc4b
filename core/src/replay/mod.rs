//! Replay protection.
#![allow(missing_docs, dead_code)]
use crate::{Thumbprint, UnixTime, crypto::Digest};
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayKey([u8; 16]);
impl ReplayKey {
    pub fn derive(d: &dyn Digest, ns: &str, t: &Thumbprint, jti: &str) -> Self {
        let h = d.sha256(&[ns.as_bytes(), t.as_bytes(), jti.as_bytes()]);
        Self(*h.first_chunk().unwrap_or(&[0; 16]))
    }
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayAgreement([u8; 16]);
impl ReplayAgreement {
    pub fn new(_d: &dyn Digest, _n: bool, _a: u64, _b: u64, _c: u64) -> Self {
        Self([0; 16])
    }
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreEpoch(u64);
impl StoreEpoch {
    pub const fn from_u64(v: u64) -> Self {
        Self(v)
    }
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insertion {
    Fresh,
    Seen,
    Unavailable,
    Full,
    BeforeFloor,
}
#[derive(Clone, Copy, Debug)]
pub struct ReplayEntryParts {
    pub key: ReplayKey,
    pub thumbprint: Thumbprint,
    pub timed_at: UnixTime,
    pub max_ahead: u64,
    pub expires_at: UnixTime,
    pub store_margin: u64,
    pub nonce_epoch: Option<StoreEpoch>,
    pub agreement: ReplayAgreement,
}
#[derive(Clone, Copy, Debug)]
pub struct ReplayEntry(ReplayEntryParts);
impl ReplayEntry {
    pub fn from_parts(p: ReplayEntryParts) -> Self {
        Self(p)
    }
    pub const fn key(&self) -> ReplayKey {
        self.0.key
    }
    pub const fn expires_at(&self) -> UnixTime {
        self.0.expires_at
    }
}
pub trait ReplayStore {
    type Error;
    fn insert(&self, e: &ReplayEntry, now: UnixTime) -> Result<Insertion, Self::Error>;
    fn epoch(&self) -> StoreEpoch;
}
