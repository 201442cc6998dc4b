//! What `cargo xtask instructions` counts under callgrind: some operations with the portable provider, again and again.
//!
//! Called with the name of an operation and how often to do it. Everything that is random elsewhere is fixed here, so that two runs
//! execute the same instructions.
#![allow(missing_docs)]

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use keybound::crypto::{RandomUnavailable, SecureRandom};
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{
    Algorithm, Context, Crypto, Policy, Presentation, ProofBuilder, RUSTCRYPTO, TargetUri, UnixTime, Verifier,
};
use keybound_cli::bench::admission::Admissions;

const URL: &str = "https://api.example.com/v1/accounts/4711/transfers";
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.abcdefghijabcdefghijabcdefghijabcdefghij";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
static RANDOM: Foreseen = Foreseen(AtomicU64::new(1));
static CRYPTO: Crypto = Crypto { random: &RANDOM, ..RUSTCRYPTO };

/// Bytes that are the same in each run.
struct Foreseen(AtomicU64);

impl SecureRandom for Foreseen {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in bytes {
            let next = |state: u64| Some(state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f));
            *byte = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                .map_or(0, |state| state.to_be_bytes()[0]);
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [operation, times, ..] = arguments.as_slice() else {
        eprintln!("usage: instructions OPERATION TIMES, where the operation is verify, refuse, make or admit");
        return ExitCode::from(2);
    };
    let times: usize = times.parse().expect("a number of times");
    let key = SoftKey::generate(Algorithm::Es256, &CRYPTO).expect("a key");
    let make = || ProofBuilder::new("POST", URL).access_token(TOKEN).sign(&CRYPTO, &key, NOW).expect("a proof");
    let (proof, verifier) = (make().into_string(), Verifier::new(Policy::default(), &CRYPTO));
    let admissions = Admissions::new(&CRYPTO).expect("requests");
    let bound_to = key.public_key().thumbprint(CRYPTO.digest);
    let check = |url: &str| {
        let target = TargetUri::parse(url).expect("a target");
        let proofs = [proof.as_bytes()];
        let presentation =
            Presentation::new("POST", &target, &proofs, Context::Resource { access_token: TOKEN, bound_to });
        verifier.check(&presentation, NOW).map(|pending| drop(black_box(pending.danger_skip_replay_check())))
    };
    for index in 0..times {
        match operation.as_str() {
            "verify" => check(URL).expect("a good proof"),
            "refuse" => drop(check("https://api.example.com/v1/accounts/4711/payments").expect_err("another target")),
            "make" => drop(black_box(make())),
            "admit" => drop(black_box(admissions.admit(index).expect("an admission"))),
            other => panic!("there is no operation {other}"),
        }
    }
    ExitCode::SUCCESS
}
