//! N16: what is too large or malformed is refused with bounded work: allocations never grow with the input. And what a request costs that
//! is admitted.
//!
//! One test alone in its binary, because the counting allocator counts for all threads.
#![allow(missing_docs)]

use std::alloc::System;

use keybound::{Rejection, UnixTime, Verifier};
use keybound_cli::bench::admission::Admissions;
use keybound_cli::bench::worst::{Readers, worst};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, permissive, providers};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LARGE: usize = 10_000_000;
const BOUND: usize = 64 * 1024;
/// How many allocations, and how many bytes, the worst input of a reader may cost: `keybound bench --only T8` measures the time.
const WORST_ALLOCATIONS: usize = 1_100;
const WORST_BYTES: usize = 256 * 1024;
/// How many allocations a whole admission may cost.
const ADMISSION_ALLOCATIONS: usize = 73;

/// The rejection, and the bytes allocated on the way to it.
fn cost(request: &Request<'_>, verifier: &Verifier, proof: &[u8], now: UnixTime) -> (Option<Rejection>, usize) {
    request.present(proof, |presentation| {
        let region = Region::new(COUNTING);
        let rejection = verifier.check(presentation, now).err();
        (rejection, region.change().bytes_allocated)
    })
}

#[test]
fn n16_refusals_are_cheap() {
    for (provider, crypto) in providers() {
        let key = make_key(keybound::Algorithm::Es256, &crypto);
        let verifier = Verifier::new(permissive(), &crypto);
        let request = Request::resource(&key, &crypto);
        let cost = |proof: &[u8]| cost(&request, &verifier, proof, NOW);

        // The counter counts.
        let region = Region::new(COUNTING);
        drop(std::hint::black_box(vec![0_u8; LARGE]));
        assert!(region.change().bytes_allocated >= LARGE);

        let header = raw::header(&key);
        let members: String = (0..LARGE / 10).map(|i| format!(",\"m{i}\":0")).collect();
        let many_members = raw::sign(&key, &crypto, &header, &format!("{{\"a\":0{members}}}"));
        let garbage: Vec<u8> = (0..LARGE).map(|i| u8::try_from(i * 7919 % 251).unwrap()).collect();
        let good = request.proof(&key, &crypto, NOW);
        for (name, proof) in [
            ("dots", vec![b'.'; LARGE]),
            ("garbage", garbage),
            ("members", many_members.into_bytes()),
            ("letters", vec![b'A'; LARGE]),
            ("commas", vec![b','; LARGE]),
            ("good proof and a tail", [good.as_bytes(), &vec![b'A'; LARGE]].concat()),
        ] {
            let (rejection, bytes) = cost(&proof);
            assert_eq!(rejection, Some(Rejection::ProofTooLarge), "{provider} {name}");
            assert_eq!(bytes, 0, "{provider} {name}");
        }

        // What is just not too large is read; it costs a small multiple of 16 KiB at most.
        let fill = |part: &str| part.repeat(11_000 / part.len());
        let claims = Claims::good(&crypto);
        let texts = [
            ("dots", ".".repeat(16 * 1024)),
            ("letters", "A".repeat(16 * 1024)),
            ("three segments of letters", format!("{}.{0}.{0}", "A".repeat(5460))),
            ("open brackets", raw::sign(&key, &crypto, &header, &fill("["))),
            ("open objects", raw::sign(&key, &crypto, &header, &fill("{\"a\":"))),
            (
                "escaped jti",
                raw::sign(&key, &crypto, &header, &claims.clone().with("jti", &quote(&fill("\\u0061"))).json()),
            ),
            ("long jti", raw::sign(&key, &crypto, &header, &claims.clone().with("jti", &quote(&fill("j"))).json())),
            (
                "escaped htu",
                raw::sign(&key, &crypto, &header, &claims.clone().with("htu", &quote(&fill("\\u0061"))).json()),
            ),
            (
                "htu of dots",
                raw::sign(
                    &key,
                    &crypto,
                    &header,
                    &claims.clone().with("htu", &quote(&format!("https://a{}", fill("/..")))).json(),
                ),
            ),
            ("long htm", raw::sign(&key, &crypto, &header, &claims.clone().with("htm", &quote(&fill("G"))).json())),
            ("long iat", raw::sign(&key, &crypto, &header, &claims.clone().with("iat", &fill("1")).json())),
            ("long ath", raw::sign(&key, &crypto, &header, &claims.clone().with("ath", &quote(&fill("A"))).json())),
            ("long nonce", raw::sign(&key, &crypto, &header, &claims.clone().with("nonce", &quote(&fill("A"))).json())),
            (
                "array",
                raw::sign(&key, &crypto, &header, &claims.clone().with("any", &format!("[0{}]", fill(",0"))).json()),
            ),
            (
                "long n",
                raw::sign(
                    &key,
                    &crypto,
                    &raw::header_with("RS256", &format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, fill("A"))),
                    "{}",
                ),
            ),
            (
                "escaped x",
                raw::sign(
                    &key,
                    &crypto,
                    &raw::header_with(
                        "ES256",
                        &format!(r#"{{"kty":"EC","crv":"P-256","y":"AA","x":"{}"}}"#, fill("\\u0041")),
                    ),
                    "{}",
                ),
            ),
        ];
        for (name, proof) in texts {
            let (_, bytes) = cost(proof.as_bytes());
            assert!(bytes <= BOUND, "{provider} {name}: {bytes} bytes");
        }

        // A good proof costs little too, whatever it is presented for.
        let (rejection, bytes) = cost(good.as_bytes());
        assert_eq!(rejection, None, "{provider}");
        assert!(bytes <= BOUND, "{provider}: {bytes} bytes");
    }
    the_worst_input_of_each_reader_costs_little();
    an_admission_allocates_what_it_did();
}

/// A whole admission at a resource server whose keys are known and whose store is in memory; `keybound bench --only T5` shows the number.
fn an_admission_allocates_what_it_did() {
    const TIMES: usize = 100;
    let admissions = Admissions::new(&keybound_aws_lc::AWS_LC).expect("requests");
    drop(admissions.admit(0).expect("an admission"));
    let region = Region::new(COUNTING);
    (1..=TIMES).for_each(|index| drop(admissions.admit(index).expect("an admission")));
    let change = region.change();
    let allocations = change.allocations + change.reallocations;
    assert!(allocations <= ADMISSION_ALLOCATIONS * TIMES, "{} for each admission", allocations / TIMES);
}

/// Of every reader the worst texts of the permitted size. What allocates for each byte, or for each value, shows here without a clock; what
/// takes long shows in `keybound bench --only T8`.
fn the_worst_input_of_each_reader_costs_little() {
    let readers = Readers::default();
    for worst in worst() {
        let region = Region::new(COUNTING);
        let _ = readers.read(&worst);
        let change = region.change();
        let allocations = change.allocations + change.reallocations;
        assert!(allocations <= WORST_ALLOCATIONS, "{:?} {}: {allocations} allocations", worst.reader, worst.name);
        assert!(change.bytes_allocated <= WORST_BYTES, "{:?} {}: {change:?}", worst.reader, worst.name);
    }
}

fn quote(text: &str) -> String {
    format!("\"{text}\"")
}
