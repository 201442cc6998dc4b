//! Times at the edges of integers and of the window, and the lifetimes a proof may set itself.

use keybound::Rejection::{Expired, IatInFuture, IatTooOld, LifetimeInvalid, NotYetValid};

use super::{Maker, Vector};
use crate::NOW;

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = numbers(maker);
    vectors.extend(window(maker));
    vectors.extend(lifetimes(maker));
    vectors
}

/// Numbers that wrap, saturate or turn into infinity in careless arithmetic.
fn numbers(maker: &Maker) -> Vec<Vector> {
    let iat = |iat: &str| maker.sign_claims(&maker.claims().with("iat", iat));
    let overflow = "4.3 check 11: no arithmetic on iat may overflow";
    let fraction = "RFC 7519 2: NumericDate is any JSON number";
    let mut vectors: Vec<_> = [
        ("iat-i64-min", IatTooOld, "-9223372036854775808"),
        ("iat-i64-max", IatInFuture, "9223372036854775807"),
        ("iat-i64-max-plus-1", IatInFuture, "9223372036854775808"),
        ("iat-u64-max", IatInFuture, "18446744073709551615"),
        ("iat-1e400", IatInFuture, "1e400"),
        ("iat-minus-1e400", IatTooOld, "-1e400"),
        ("iat-1e-400", IatTooOld, "1e-400"),
        ("iat-zero", IatTooOld, "0"),
    ]
    .into_iter()
    .map(|(id, rejection, number)| Vector::refused(id, rejection, iat(number), overflow))
    .collect();
    vectors.extend(
        [
            ("iat-fraction", "1700000000.999"),
            ("iat-exponent", "1.7e9"),
            ("iat-upper-case-exponent", "17E+8"),
            ("iat-negative-exponent", "17000000000e-1"),
        ]
        .map(|(id, number)| Vector::accepted(id, iat(number), fraction)),
    );
    vectors
}

/// The window to the second. These entries say which window they are for.
fn window(maker: &Maker) -> Vec<Vector> {
    let at =
        |vector: Vector, seconds: i64| vector.set("now", NOW.secs() + seconds).set("max_age", 60).set("max_ahead", 10);
    vec![
        at(Vector::accepted("iat-60-old", maker.good(), "4.3 check 11: exactly as old as permitted"), 60),
        at(Vector::refused("iat-61-old", IatTooOld, maker.good(), "4.3 check 11: one second too old"), 61),
        at(Vector::accepted("iat-10-ahead", maker.good(), "11.1: exactly as far ahead as permitted"), -10),
        at(Vector::refused("iat-11-ahead", IatInFuture, maker.good(), "11.1: one second too far ahead"), -11),
    ]
}

fn lifetimes(maker: &Maker) -> Vec<Vector> {
    let with = |name: &str, json: &str| maker.sign_claims(&maker.claims().with(name, json));
    let seconds = |name: &str, seconds: i64| with(name, &(NOW.secs() + seconds).to_string());
    let ahead = |vector: Vector| vector.set("max_age", 60).set("max_ahead", 10);
    let end = "RFC 7519 4.1.4: exp is the first second in which a proof is no longer accepted";
    let number = "RFC 7519 4.1: a lifetime is a number";
    vec![
        Vector::refused("exp-now", Expired, seconds("exp", 0), end),
        Vector::accepted("exp-in-a-second", seconds("exp", 1), end),
        Vector::refused("exp-i64-min", Expired, with("exp", "-9223372036854775808"), end),
        Vector::accepted("exp-u64-max", with("exp", "18446744073709551615"), end),
        ahead(Vector::accepted("nbf-10-ahead", seconds("nbf", 10), "RFC 7519 4.1.5: leeway is permitted")),
        ahead(Vector::refused("nbf-11-ahead", NotYetValid, seconds("nbf", 11), "RFC 7519 4.1.5: not before")),
        Vector::refused("nbf-1e400", NotYetValid, with("nbf", "1e400"), "RFC 7519 4.1.5: not before"),
        Vector::refused("exp-string", LifetimeInvalid, with("exp", "\"1700000060\""), number),
        Vector::refused("exp-null", LifetimeInvalid, with("exp", "null"), number),
        Vector::refused("nbf-string", LifetimeInvalid, with("nbf", "\"1700000000\""), number),
    ]
}
