//! Claims, method, time and nonce: is the proof complete, for this request, fresh?

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Case;
use super::shape;
use crate::UnixTime;
use crate::json::{self, Member, Text};
use crate::nonce::Role;
use crate::nonce::issuer::NonceVerdict;
use crate::verify::explain::Failure;
use crate::verify::judge;
use crate::verify::rejection::Rejection;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match case.rejection {
        Rejection::ClaimsMalformed => shape::diagnose(case),
        Rejection::ClaimsDuplicate => shape::duplicate(case, case.claims_json),
        Rejection::JtiMissing
        | Rejection::HtmMissing
        | Rejection::HtuMissing
        | Rejection::IatMissing
        | Rejection::AthMissing => missing(case),
        Rejection::JtiInvalid if case.claims.jti.value().is_some() => case.general().finding("an empty jti"),
        Rejection::JtiTooLong => {
            let length = case.claims.jti.value().map_or(0, |jti| jti.to_cow().len());
            case.general().expecting("a jti of at most 512 bytes").finding(format!("a jti of {length} bytes"))
        }
        Rejection::MethodMismatch => method(case),
        Rejection::IatTooOld | Rejection::IatInFuture => age(case),
        Rejection::Expired | Rejection::NotYetValid => lifetime(case),
        Rejection::NonceMissing | Rejection::NonceStale | Rejection::NonceMismatch => nonce(case),
        _ => case.general(),
    }
}

fn missing(case: &Case<'_>) -> Failure {
    let claims = &case.claims;
    let mut lacking = Vec::new();
    for (name, absent) in [
        ("jti", claims.jti.is_absent()),
        ("htm", claims.htm.is_absent()),
        ("htu", claims.htu.is_absent()),
        ("iat", claims.iat.is_absent()),
        ("ath", claims.ath.is_absent() && case.token().is_some()),
    ] {
        if absent {
            lacking.push(name);
        }
    }
    let wanted = if case.token().is_some() { "jti, htm, htu, iat and ath" } else { "jti, htm, htu and iat" };
    let failure =
        case.general().expecting(format!("the claims {wanted}")).finding(format!("no {}", lacking.join(", no ")));
    if claims.htm.is_absent() && claims.htu.is_absent() {
        failure
            .because(
                "These are not the claims of a proof: another JWT was sent in its place, or the claims were forgotten.",
            )
            .fixed_by(format!("Set {wanted} in every proof."))
    } else {
        failure
    }
}

fn method(case: &Case<'_>) -> Failure {
    let htm = case.claims.htm.value().map(Text::to_cow).unwrap_or_default();
    let method = case.presentation.method;
    let failure = case
        .general()
        .expecting(format!("htm {}", case.shown.peer(method)))
        .finding(format!("htm {}", case.shown.peer(&htm)));
    if htm.eq_ignore_ascii_case(method) {
        failure
            .because("Methods are case sensitive (RFC 9110 section 9.1), and these differ in case.")
            .fixed_by("Write htm as the method stands in the request line, in upper case for the standard methods.")
    } else if htm.trim() == method {
        failure.because("htm has white space around the method.").fixed_by("Trim htm.")
    } else if htm == "POST" && method == "GET" {
        failure.because("The proof was made for another request; a redirect (301, 302 or 303) turns POST into GET and keeps the old proof.")
    } else if method == "HEAD" || method == "OPTIONS" {
        failure.because("The proof was made for the real request and sent with a preliminary one.")
    } else {
        failure
    }
}

/// A time in the claims, as seconds.
fn seconds(member: Member<&str>) -> i64 {
    member.value().map_or(0, json::floor)
}

fn age(case: &Case<'_>) -> Failure {
    let (now, iat) = (case.now.secs(), seconds(case.claims.iat));
    let policy = case.verifier.policy();
    let shown = case.claims.iat.value().map(|text| case.shown.peer(text)).unwrap_or_default();
    let failure = case.general().expecting(format!(
        "an iat from {} s before to {} s after {now}, the time of this server",
        policy.max_age(),
        policy.max_ahead()
    ));
    let near = |time: i64| time.abs_diff(now) < 86_400;
    for (unit, divisor) in [("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000)] {
        if iat.checked_div(divisor).is_some_and(near) && !near(iat) {
            return failure
                .finding(format!("iat {shown}, which is {unit}"))
                .because(format!("iat was written in {unit}; JWT times are in seconds."))
                .fixed_by(format!(
                    "Divide by {divisor} and round down, for example Math.floor(Date.now() / 1000) in JavaScript."
                ));
        }
    }
    if iat > 99_999_999_999 {
        return failure
            .finding(format!("iat {shown}, a time thousands of years ahead"))
            .because("iat is in a unit other than seconds, or overflowed.")
            .fixed_by("Set iat to the seconds since 1970 by the client's clock.");
    }
    if iat < 0 {
        return failure
            .finding(format!("iat {shown}, a negative time"))
            .because("The time was computed wrongly, or overflowed.")
            .fixed_by("Set iat to the seconds since 1970 by the client's clock.");
    }
    if iat < 1_000_000_000 {
        return failure
            .finding(format!("iat {shown}, a time before September 2001"))
            .because("iat counts from something other than 1970, such as the start of the program, or the clock of the device is not set.")
            .fixed_by("Set iat to the seconds since 1970, and synchronise the device's clock.");
    }
    let distance = iat.abs_diff(now);
    let (direction, limit) = if iat < now { ("behind", policy.max_age()) } else { ("ahead of", policy.max_ahead()) };
    let failure =
        failure.finding(format!("iat {shown}, which is {distance} s {direction} this server's clock, limit {limit} s"));
    // Clocks drift by seconds; a whole number of half hours is a time zone.
    let off_by_zones = distance.saturating_add(60) % 1800 <= 120;
    if (1740..=51_000).contains(&distance) && off_by_zones {
        return failure
            .because("The difference is a whole number of half hours: most likely local time was taken for UTC.")
            .fixed_by("Compute iat from UTC, for example with the clock's Unix time directly.");
    }
    if iat < now {
        failure
            .because(format!("The client's clock is {distance} s behind, or the proof was made {distance} s before it was sent: reused, cached or queued."))
            .fixed_by("Make each proof directly before its request. If the clock is wrong, synchronise it or take the offset from the response's Date field. Operators: a policy that times proofs by their nonces needs no clock but the server's.")
    } else {
        failure
            .because(format!("The client's clock is {distance} s ahead of this server's, or this server's is behind."))
            .fixed_by("Synchronise the clock, or take the offset from the response's Date field. Operators: check this server's clock as well.")
    }
}

fn lifetime(case: &Case<'_>) -> Failure {
    let now = case.now;
    let (name, time) = match case.rejection {
        Rejection::Expired => ("exp", UnixTime::from_secs(seconds(case.claims.exp))),
        _ => ("nbf", UnixTime::from_secs(seconds(case.claims.nbf))),
    };
    let (distance, direction) = if time <= now { (now.since(time), "before") } else { (time.since(now), "after") };
    case.general()
        .expecting(format!(
            "{name} {} {now}, the time of this server",
            if name == "exp" { "after" } else { "not after" }
        ))
        .finding(format!("{name} {time}, which is {distance} s {direction} it"))
}

fn nonce(case: &Case<'_>) -> Failure {
    let failure = case.general().expecting(match case.presentation.nonce {
        Some(expected) => format!("the nonce {}", case.shown.nonce(expected, case.token())),
        None => String::from("a nonce that this server provided a moment ago"),
    });
    let Some(nonce) = case.claims.nonce.value() else {
        return failure.finding("no nonce");
    };
    let nonce = nonce.to_cow();
    let failure = failure.finding(format!("the nonce {}", case.shown.nonce(&nonce, case.token())));
    if case.rejection != Rejection::NonceMismatch {
        return failure;
    }
    if nonce.is_empty() {
        return failure
            .finding("an empty nonce")
            .because("The response's DPoP-Nonce field was not read, and an empty text was put in.");
    }
    let failure = match case.presentation.nonce {
        Some(expected) if case.shown.nonce(expected, None) == case.shown.nonce(&nonce, None) => {
            failure.finding("another nonce that begins alike")
        }
        _ => failure,
    };
    if case.presentation.nonce.is_some_and(|expected| expected.eq_ignore_ascii_case(&nonce)) {
        return failure
            .because("The nonce was changed to another case on its way.")
            .fixed_by("Take the value of DPoP-Nonce exactly as it is.");
    }
    let trimmed = nonce.trim().trim_matches('"');
    if case.presentation.nonce == Some(trimmed) {
        return failure
            .because("The nonce is the right one with quotes or white space around it.")
            .fixed_by("Take the value of DPoP-Nonce exactly as it is.");
    }
    if let (Some(issuer), Some(thumbprint)) =
        (&case.verifier.nonces, judge::claimed_thumbprint(case.verifier, &case.presentation.presented()))
    {
        let (other, name) = match case.presentation.context.role() {
            Role::AuthorizationServer => (Role::ResourceServer, "resource server"),
            Role::ResourceServer => (Role::AuthorizationServer, "authorization server"),
        };
        if !matches!(issuer.check(&nonce, other, &thumbprint, case.presentation.epoch, case.now), NonceVerdict::Unknown)
        {
            return failure
                .because(format!("The nonce was issued by the {name}; each side has nonces of its own."))
                .fixed_by(
                    "Keep the newest nonce of each server apart, and repeat the request with the one in the response.",
                );
        }
    } else if case.verifier.nonces.is_none() && case.presentation.nonce.is_none() {
        return failure
            .because("The policy requires nonces, and this verifier has no issuer that could have made one.")
            .fixed_by(
                "Operators: give the server keys for nonces; the check of the configuration at the start finds this.",
            );
    }
    failure
}
