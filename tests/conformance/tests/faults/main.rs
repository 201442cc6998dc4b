//! Faults seen in other verifiers, each with a test that this one does not share it.
#![allow(missing_docs)]

mod claims;
mod encoding;
mod fields;
mod header;
mod keys;
mod time;

use keybound::jose::jwk::PublicJwk;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Crypto, Rejection, UnixTime, Verifier};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, permissive, providers};

/// A key, and a verifier that every properly signed text can be put before.
struct Bench {
    provider: &'static str,
    crypto: Crypto,
    key: SoftKey,
    verifier: Verifier,
}

impl Bench {
    /// One for each provider, with an ES256 key.
    fn both() -> [Self; 2] {
        Self::both_with(Algorithm::Es256)
    }

    fn both_with(algorithm: Algorithm) -> [Self; 2] {
        providers().map(|(provider, crypto)| {
            let verifier = Verifier::new(permissive(), &crypto);
            Self { provider, crypto, key: make_key(algorithm, &crypto), verifier }
        })
    }

    fn request(&self) -> Request<'static> {
        Request::resource(&self.key, &self.crypto)
    }

    fn good_claims(&self) -> Claims {
        Claims::good(&self.crypto)
    }

    /// The verdict at [`NOW`] about header and claims as written, signed.
    fn judge(&self, header: &str, claims: &str) -> Result<(), Rejection> {
        self.judge_text(&raw::sign(&self.key, &self.crypto, header, claims), NOW)
    }

    fn judge_text(&self, proof: &str, now: UnixTime) -> Result<(), Rejection> {
        self.request().judge(&self.verifier, proof, now).map(drop)
    }

    /// The verdict about claims as written, with a good header.
    fn judge_claims(&self, claims: &Claims) -> Result<(), Rejection> {
        self.judge(&raw::header(&self.key), &claims.json())
    }

    /// The verdict about a header as written, with good claims.
    fn judge_header(&self, header: &str) -> Result<(), Rejection> {
        self.judge(header, &self.good_claims().json())
    }

    /// The verdict about a key as written, for a token bound to that very key if it can be read at all.
    fn judge_jwk(&self, jwk: &str) -> Result<(), Rejection> {
        let header = raw::header_with(self.key_name(), jwk);
        let proof = raw::sign(&self.key, &self.crypto, &header, &self.good_claims().json());
        let own = PublicJwk::parse(jwk).map(|key| key.thumbprint(self.crypto.digest));
        let request = self.request();
        let request = Request { bound_to: own.ok().or(request.bound_to), ..request };
        request.judge(&self.verifier, &proof, NOW).map(drop)
    }

    fn key_name(&self) -> &'static str {
        keybound::key::Signer::algorithm(&self.key).name()
    }

    /// The public key as JSON, its members open for more: without the closing brace.
    fn open_jwk(&self) -> String {
        let mut jwk = keybound::key::Signer::public_key(&self.key).to_json();
        assert_eq!(jwk.pop(), Some('}'));
        jwk
    }
}

#[test]
fn what_every_fault_changes_is_accepted_unchanged() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Ps256] {
        for bench in Bench::both_with(algorithm) {
            assert_eq!(bench.judge_claims(&bench.good_claims()), Ok(()), "{} {algorithm}", bench.provider);
            assert_eq!(bench.judge_jwk(&format!("{}}}", bench.open_jwk())), Ok(()), "{}", bench.provider);
        }
    }
}
