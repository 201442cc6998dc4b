//! T1, T2, T3, T5 and T8: judging and making proofs, against the bare signature.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ParsedPublicKey, UnparsedPublicKey,
};
use keybound::{HeaderMemory, Policy, ProofBuilder, Rejection, TargetUri, Thumbprint, Verifier};
use keybound_aws_lc::AWS_LC;
use stats_alloc::INSTRUMENTED_SYSTEM;

use super::admission::Admissions;
use super::measure::{Candidate, Timing, fastest, micros, time};
use super::proofs::{Bench, METHOD, NOW, Request, URL};
use super::worst::{Reader, Readers, Worst, worst};
use super::{BenchError, Figure, Reading};

fn verifier() -> Verifier {
    Verifier::new(Policy::default(), &AWS_LC)
}

pub(super) fn must<T, E>(result: Result<T, E>) -> T
where
    E: std::fmt::Debug,
{
    // Inside a timed loop there is nobody to hand an error to, and a wrong result must not look fast.
    result.unwrap_or_else(|error| panic!("what is being measured does not work: {error:?}"))
}

pub(super) fn raw_verify(bench: &Bench, index: usize) {
    let made = bench.made(index);
    must(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &made.point).verify(&made.message, &made.signature));
}

pub(super) fn new_key() -> Result<Figure, BenchError> {
    let bench = Bench::new()?;
    let verifier = verifier();
    let timings = time(&mut [
        Candidate::new(|index| raw_verify(&bench, index)),
        Candidate::new(|index| must(bench.check(&verifier, &bench.request(index)))),
    ]);
    Ok(Figure {
        id: "T1",
        title: "full verification of an ES256 proof, new key / raw aws-lc-rs verification from the key's bytes",
        readings: vec![Reading {
            name: "",
            value: timings[1].ratio_to(timings[0]),
            target: 1.08,
            note: micros(timings[1], timings[0]),
        }],
    })
}

pub(super) fn repeated_key() -> Result<Figure, BenchError> {
    let bench = Bench::new()?;
    let parsed: Vec<ParsedPublicKey> = (0..bench.keys.len())
        .map(|key| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &bench.made(key).point))
        .collect::<Result<_, _>>()
        .map_err(|error| ("no parsed key", error))?;
    let memory = Arc::new(HeaderMemory::new(1024));
    let verifier = verifier().with_header_memory(Arc::clone(&memory));
    for index in 0..bench.keys.len() {
        must(bench.check(&verifier, &bench.request(index)));
    }
    if memory.len() != bench.keys.len() {
        return Err(BenchError("the header memory did not fill".into()));
    }
    let timings = time(&mut [
        Candidate::new(|index| {
            let made = bench.made(index);
            must(parsed[made.key].verify_sig(&made.message, &made.signature));
        }),
        Candidate::new(|index| must(bench.check(&verifier, &bench.request(index)))),
    ]);
    Ok(Figure {
        id: "T2",
        title: "full verification of an ES256 proof, repeated key / raw aws-lc-rs verification from its parsed key",
        readings: vec![Reading {
            name: "",
            value: timings[1].ratio_to(timings[0]),
            target: 1.03,
            note: micros(timings[1], timings[0]),
        }],
    })
}

pub(super) fn making() -> Result<Figure, BenchError> {
    let bench = Bench::new()?;
    let random = SystemRandom::new();
    let pairs: Vec<EcdsaKeyPair> = (0..bench.keys.len())
        .map(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING))
        .collect::<Result<_, _>>()
        .map_err(|error| ("no key", error))?;
    let timings = time(&mut [
        Candidate::new(|index| {
            let made = bench.made(index);
            black_box(must(pairs[made.key].sign(&random, &made.message)));
        }),
        Candidate::new(|index| {
            black_box(make(&bench, index));
        }),
    ]);
    Ok(Figure {
        id: "T3",
        title: "making an ES256 proof with jti and ath / raw aws-lc-rs signing",
        readings: vec![Reading {
            name: "",
            value: timings[1].ratio_to(timings[0]),
            target: 1.10,
            note: micros(timings[1], timings[0]),
        }],
    })
}

fn make(bench: &Bench, index: usize) -> keybound::Proof {
    let key = &bench.keys[index % bench.keys.len()];
    must(ProofBuilder::new(METHOD, URL).access_token(&bench.token).sign(&AWS_LC, key, NOW))
}

pub(super) fn allocations() -> Result<Figure, BenchError> {
    let bench = Bench::new()?;
    let verifier = verifier();
    let checking = count(|index| must(bench.check(&verifier, &bench.request(index))));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|error| ("no key", error))?;
    let random = SystemRandom::new();
    let signing = count(|index| {
        black_box(must(pair.sign(&random, &bench.made(index).message)));
    });
    let making = count(|index| drop(black_box(make(&bench, index)))) - signing;
    let admissions = Admissions::new(&AWS_LC)?;
    let admitting = count(|index| drop(black_box(must(admissions.admit(index)))));
    if count(|_| drop(black_box(Box::new(0_u8)))) < 1.0 {
        return Err(BenchError("the counting allocator is not in place; run this in the program keybound".into()));
    }
    Ok(Figure {
        id: "T5",
        title: "allocations",
        readings: vec![
            Reading { name: "verification", value: checking, target: 5.0, note: "a full verification, new key".into() },
            Reading {
                name: "proof",
                value: making,
                target: 3.0,
                note: format!("a proof with jti and ath, beyond the {signing:.1} of aws-lc-rs's bare signature"),
            },
            Reading {
                name: "admission",
                value: admitting,
                target: 73.0,
                note: "a whole admission at a resource server, keys known, memory store".into(),
            },
        ],
    })
}

/// Allocations and reallocations of one operation, on average.
fn count(mut operation: impl FnMut(usize)) -> f64 {
    const TIMES: usize = 1000;
    operation(0);
    let before = INSTRUMENTED_SYSTEM.stats();
    (1..=TIMES).for_each(&mut operation);
    let change = INSTRUMENTED_SYSTEM.stats() - before;
    (change.allocations + change.reallocations) as f64 / TIMES as f64
}

pub(super) fn refusing() -> Result<Figure, BenchError> {
    let bench = Bench::new()?;
    let verifier = verifier();
    let elsewhere =
        TargetUri::parse("https://api.example.com/v1/accounts/4711/payments").map_err(|error| ("no target", error))?;
    let refused = |request: Request<'_>, reason: Rejection| match bench.check(&verifier, &request) {
        Err(rejection) if rejection == reason => {}
        other => panic!("what is being measured does not work: {other:?}"),
    };
    let timings = time(&mut [
        Candidate::new(|index| must(bench.check(&verifier, &bench.request(index)))),
        Candidate::new(|index| {
            let request = Request { target: &elsewhere, ..bench.request(index) };
            refused(request, Rejection::TargetMismatch);
        }),
        Candidate::new(|index| {
            let request = Request { now: NOW.saturating_add(61), ..bench.request(index) };
            refused(request, Rejection::IatTooOld);
        }),
        Candidate::new(|index| {
            let request = Request { bound_to: Thumbprint::from_bytes([7; 32]), ..bench.request(index) };
            refused(request, Rejection::BindingMismatch);
        }),
    ]);
    let reading = |name, index: usize, target| Reading {
        name,
        value: timings[index].ratio_to(timings[0]),
        target,
        note: micros(timings[index], timings[0]),
    };
    let mut readings = vec![reading("wrong_target", 1, 0.02), reading("stale", 2, 0.02), reading("wrong_key", 3, 0.04)];
    // The figure's own number is the worse of the two that share its target.
    if readings[1].value > readings[0].value {
        readings.swap(0, 1);
    }
    readings.extend(worst_of_each_reader(&bench));
    Ok(Figure {
        id: "T8",
        title: "a refused proof, new key / full verification of a proof, new key; worst inputs / raw aws-lc-rs verification",
        readings,
    })
}

/// The dearest text of each reader against one raw verification. All that a request costs before and beside its signatures has to stay
/// below one of them.
fn worst_of_each_reader(bench: &Bench) -> Vec<Reading> {
    let (readers, all) = (Readers::default(), worst());
    let dearest = Reader::ALL.map(|reader| {
        let of_reader = all.iter().filter(|worst| worst.reader == reader);
        let cost = |worst: &Worst| {
            fastest(|| {
                black_box(readers.read(worst));
            })
        };
        of_reader.max_by_key(|worst| cost(worst)).expect("a text for each reader")
    });
    let mut candidates = vec![Candidate::new(|index| raw_verify(bench, index))];
    for worst in dearest {
        candidates.push(Candidate::new(|_| {
            black_box(readers.read(worst));
        }));
    }
    let timings = time(&mut candidates);
    let reading = |(worst, timing): (&Worst, &Timing)| Reading {
        name: worst.reader.name(),
        value: timing.ratio_to(timings[0]),
        target: 1.0,
        note: format!("{}; {}", worst.name, micros(*timing, timings[0])),
    };
    dearest.into_iter().zip(&timings[1..]).map(reading).collect()
}
