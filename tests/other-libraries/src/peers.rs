//! The other libraries, each given the least that lets it verify a proof in full.
//!
//! None of them can leave its question to a replay store out, as `Verifier::check` does: they get one that answers at
//! once that a proof is new. So a replay store counts on neither side.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use dpop_verifier::{DpopVerifier, ReplayContext, ReplayStore};
use turbomcp_dpop::{DpopKeyManager, DpopProofGenerator, NonceTracker, ProofContext};

use crate::proofs::{Bench, METHOD, URL};

/// Runs a future that never waits for anything outside of it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

struct AlwaysNew;

#[async_trait::async_trait]
impl ReplayStore for AlwaysNew {
    async fn insert_once(&mut self, _: [u8; 32], _: ReplayContext<'_>) -> Result<bool, dpop_verifier::DpopError> {
        Ok(true)
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = turbomcp_dpop::Result<T>> + Send + 'a>>;

#[derive(Debug)]
struct NeverUsed;

impl NonceTracker for NeverUsed {
    fn track_nonce(&self, _: &str, _: i64) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn is_nonce_used(&self, _: &str) -> Answer<'_, bool> {
        Box::pin(std::future::ready(Ok(false)))
    }

    fn cleanup_expired_nonces(&self) -> Answer<'_, usize> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

pub fn dpop_verifier(bench: &Bench) -> impl FnMut(usize) + '_ {
    let verifier = DpopVerifier::new();
    let mut store = AlwaysNew;
    move |index| {
        let verdict = verifier.verify(&mut store, bench.proof(index), URL, METHOD, Some(&bench.token));
        std::hint::black_box(block_on(verdict).expect("a good proof"));
    }
}

pub fn turbomcp_dpop(bench: &Bench) -> impl FnMut(usize) + '_ {
    let keys = std::sync::Arc::new(block_on(DpopKeyManager::new_memory()).expect("a key manager"));
    let verifier = DpopProofGenerator::with_nonce_tracker(keys, std::sync::Arc::new(NeverUsed));
    move |index| {
        let verdict = verifier.parse_and_validate_jwt(
            bench.proof(index),
            METHOD,
            URL,
            Some(&bench.token),
            ProofContext::ResourceServer,
        );
        std::hint::black_box(block_on(verdict).expect("a good proof"));
    }
}
