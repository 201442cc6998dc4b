//! Replay: no proof is accepted twice while any clock within the margin would accept it, whatever fails.
#![allow(missing_docs)]

mod agreement;
mod burning;
mod clocks;
mod exact_nonce;
mod flood;
mod redis;
mod restart;
mod threads;
mod window;

use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Crypto, Policy, UnixTime};
use keybound_conformance::{NOW, Request, make_key, providers, shifted};

/// Long before every story: stores that began then vouch for all of its proofs.
const LONG_BEFORE: UnixTime = shifted(NOW, -100_000);

/// A key of the cheapest algorithm to verify, and the request bound to it.
struct Client {
    provider: &'static str,
    crypto: Crypto,
    key: SoftKey,
}

impl Client {
    fn both() -> [Self; 2] {
        providers().map(|(provider, crypto)| Self { provider, crypto, key: make_key(Algorithm::Ed25519, &crypto) })
    }

    fn request(&self) -> Request<'static> {
        Request::resource(&self.key, &self.crypto)
    }

    fn proof(&self, iat: UnixTime) -> String {
        self.request().proof(&self.key, &self.crypto, iat)
    }
}

/// A policy with these times in seconds.
fn policy(max_age: u64, max_ahead: u64, margin: u64) -> Policy {
    Policy::default()
        .with_max_age(max_age)
        .unwrap()
        .with_max_ahead(max_ahead)
        .unwrap()
        .with_store_margin(margin)
        .unwrap()
}
