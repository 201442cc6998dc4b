//! N1, N22 and N23: `iat`, `exp` and `nbf` at their extremes, with fractions and exponents.

use keybound::replay::{Inserted, Insertion, StoreEpoch};
use keybound::{Rejection, SettleError, UnixTime};
use keybound_conformance::NOW;
use keybound_conformance::raw;

use crate::Bench;

#[test]
fn n1_extreme_times_of_issue_have_an_outcome() {
    for bench in Bench::both() {
        let judge = |iat: &str| bench.judge_claims(&bench.good_claims().with("iat", iat));
        for past in [
            "0",
            "-0",
            "-1",
            "-9223372036854775808",
            "-9223372036854775809",
            "-18446744073709551616",
            "-1e400",
            "-1E+9999999999999999999999999",
            "1e-400",
            "0.1e-99999999999999999999",
            "0e99999999999999999999",
            "1",
        ] {
            assert_eq!(judge(past), Err(Rejection::IatTooOld), "{} {past}", bench.provider);
        }
        for future in [
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e400",
            "1E+9999999999999999999999999",
            "17000000000000000000000000000000000000000000000",
            "1e18",
            "1e19",
        ] {
            assert_eq!(judge(future), Err(Rejection::IatInFuture), "{} {future}", bench.provider);
        }
    }
}

#[test]
fn n1_extreme_clocks_have_an_outcome() {
    for bench in Bench::both() {
        for iat in [i64::MIN, i64::MIN + 60, -60, 0, 60, i64::MAX - 60, i64::MAX] {
            let claims = bench.good_claims().with("iat", &iat.to_string()).json();
            let proof = raw::sign(&bench.key, &bench.crypto, &raw::header(&bench.key), &claims);
            for now in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
                let verdict = bench.judge_text(&proof, UnixTime::from_secs(now));
                let distance = i128::from(now) - i128::from(iat);
                let expected = match distance {
                    ..-10 => Err(Rejection::IatInFuture),
                    -10..=60 => Ok(()),
                    _ => Err(Rejection::IatTooOld),
                };
                assert_eq!(verdict, expected, "{} iat {iat} now {now}", bench.provider);
            }
        }
    }
}

#[test]
fn n22_fractions_and_exponents_are_rounded_down() {
    for bench in Bench::both() {
        let judge = |iat: &str| bench.judge_claims(&bench.good_claims().with("iat", iat));
        for accepted in [
            "1700000000.5",
            "1.7e9",
            "17E8",
            "17e+8",
            "170000000000e-2",
            "0.00000000017e19",
            "1700000000.0E0",
            "1700000000.999999999999999999999999999999999999999",
            // The last instants of the window on either side.
            "1700000010.999",
            "1699999940.0",
            "1699999940.999",
        ] {
            assert_eq!(judge(accepted), Ok(()), "{} {accepted}", bench.provider);
        }
        assert_eq!(judge("1699999939.999"), Err(Rejection::IatTooOld));
        assert_eq!(judge("1700000011.0"), Err(Rejection::IatInFuture));
        for no_number in ["\"1700000000\"", "null", "true", "[1700000000]", "{}"] {
            assert_eq!(judge(no_number), Err(Rejection::IatInvalid), "{no_number}");
        }
        for no_json in ["01700000000", "+1700000000", "1700000000.", ".5", "1e", "0x65", "NaN", "Infinity", "1_7", ""] {
            assert_eq!(judge(no_json), Err(Rejection::ClaimsMalformed), "{no_json}");
        }
    }
}

#[test]
fn n23_exp_and_nbf_are_honoured() {
    for bench in Bench::both() {
        let judge = |name: &str, value: &str| bench.judge_claims(&bench.good_claims().with(name, value));
        for (name, value, verdict) in [
            ("exp", "1700000001", Ok(())),
            ("exp", "1e400", Ok(())),
            ("exp", "18446744073709551615", Ok(())),
            ("exp", "1700000000", Err(Rejection::Expired)),
            ("exp", "1700000000.9", Err(Rejection::Expired)),
            ("exp", "1699999999", Err(Rejection::Expired)),
            ("exp", "-1e400", Err(Rejection::Expired)),
            ("exp", "-9223372036854775808", Err(Rejection::Expired)),
            ("exp", "0", Err(Rejection::Expired)),
            ("exp", "null", Err(Rejection::LifetimeInvalid)),
            ("exp", "\"1700000001\"", Err(Rejection::LifetimeInvalid)),
            ("nbf", "1700000000", Ok(())),
            ("nbf", "1700000010", Ok(())),
            ("nbf", "-1e400", Ok(())),
            ("nbf", "1700000011", Err(Rejection::NotYetValid)),
            ("nbf", "1e400", Err(Rejection::NotYetValid)),
            ("nbf", "18446744073709551615", Err(Rejection::NotYetValid)),
            ("nbf", "\"0\"", Err(Rejection::LifetimeInvalid)),
            ("nbf", "null", Err(Rejection::LifetimeInvalid)),
        ] {
            assert_eq!(judge(name, value), verdict, "{} {name} {value}", bench.provider);
        }
    }
}

#[test]
fn n23_exp_ends_a_proof_that_waits_for_the_store() {
    for bench in Bench::both() {
        let end = NOW.saturating_add(5);
        let claims = bench.good_claims().with("exp", &end.to_string()).json();
        let proof = raw::sign(&bench.key, &bench.crypto, &raw::header(&bench.key), &claims);
        let settle = |after: u64| {
            bench.request().present(proof.as_bytes(), |presentation| {
                let pending = bench.verifier.check(presentation, NOW).expect("checked in time");
                pending
                    .settle(Inserted::new(Insertion::Fresh, StoreEpoch::from_u64(0)), NOW.saturating_add(after))
                    .map(drop)
            })
        };
        assert_eq!(settle(4), Ok(()));
        assert_eq!(settle(5), Err(SettleError::Rejected(Rejection::Expired)));
    }
}
