//! `typ` and `alg`: is this a proof, and is it signed with a permitted algorithm?

use alloc::format;

use super::Case;
use super::shape;
use crate::jose::algorithm::Algorithm;
use crate::json::Member;
use crate::proof::TYP;
use crate::verify::explain::Failure;
use crate::verify::rejection::Rejection;

pub(super) fn diagnose(case: &Case<'_>) -> Failure {
    match case.rejection {
        Rejection::TypMissing if case.is_token() => shape::token(case.general()),
        Rejection::TypMissing => case.general().finding("no typ"),
        Rejection::TypMismatch => typ(case),
        _ => alg(case),
    }
}

fn typ(case: &Case<'_>) -> Failure {
    let failure = case.general().expecting(format!("typ \"{TYP}\""));
    if case.is_token() {
        return shape::token(failure);
    }
    let Some(typ) = case.header.typ.value() else {
        return failure.finding("a typ that is no string");
    };
    let typ = typ.to_cow();
    let failure = failure.finding(format!("typ {}", case.shown.peer(&typ)));
    let is = |name: &str| typ.eq_ignore_ascii_case(name);
    if is("at+jwt") || is("application/at+jwt") {
        failure
            .because("This is an access token, not a proof.")
            .fixed_by("Send the access token in Authorization, and a proof signed by the client in the DPoP field.")
    } else if is("jwt") && case.claims.htm.is_absent() && case.claims.htu.is_absent() {
        failure
            .because("This is an access token or ID token, not a proof: it has neither htm nor htu.")
            .fixed_by("Send the token in Authorization, and a proof signed by the client in the DPoP field.")
    } else if is("jwt") {
        failure.because("The JWT library put in its default typ.").fixed_by("Set typ to dpop+jwt explicitly.")
    } else if is(TYP) {
        failure.because("typ is compared exactly, and this one is in another case.").fixed_by("Write dpop+jwt.")
    } else if is("application/dpop+jwt") {
        failure
            .because("typ was written as a full media type.")
            .fixed_by("Leave out application/: RFC 9449 section 4.2 asks for exactly dpop+jwt.")
    } else {
        failure.because("This is a JWT for another purpose, not a proof.")
    }
}

fn alg(case: &Case<'_>) -> Failure {
    let permitted = case.verifier.policy().algorithms();
    let failure = case.general().expecting(format!("an alg among {permitted}"));
    let alg = match case.header.alg {
        Member::Absent => return failure.finding("no alg"),
        Member::Wrong => return failure.finding("an alg that is no string"),
        Member::Is(alg) => alg.to_cow(),
    };
    let failure = failure.finding(format!("alg {}", case.shown.peer(&alg)));
    let is = |name: &str| alg.eq_ignore_ascii_case(name);
    match case.rejection {
        Rejection::AlgNotAsymmetric if is("none") => failure
            .because("The proof is not signed at all.")
            .fixed_by("Sign the proof with the private key that belongs to jwk, for example with ES256."),
        Rejection::AlgNotAsymmetric => failure
            .because("HS algorithms authenticate with a shared secret, often the default of a JWT library; a proof needs a key pair.")
            .fixed_by("Make a key pair and sign with it, for example with ES256."),
        Rejection::AlgNotPermitted => failure
            .because(format!("The server permits only {permitted}."))
            .fixed_by("Make a key for one of the permitted algorithms. Operators: the policy can permit others."),
        Rejection::AlgUnavailable => failure,
        _ => unknown_alg(failure, &alg),
    }
}

fn unknown_alg(failure: Failure, alg: &str) -> Failure {
    let is = |name: &str| alg.eq_ignore_ascii_case(name);
    let upper = alg.to_ascii_uppercase();
    if let Some(meant) = Algorithm::ALL.iter().find(|known| is(known.name())) {
        failure.because("The names of algorithms are case sensitive.").fixed_by(format!("Write {meant}."))
    } else if let Some(meant) = Algorithm::ALL.iter().find(|known| upper == known.name().replacen('S', "S-", 1)) {
        failure.because("The names of algorithms have no hyphen here.").fixed_by(format!("Write {meant}."))
    } else if is("ES256K") || is("secp256k1") {
        failure
            .because("ES256K is ECDSA on secp256k1, the curve of blockchains, which is not supported.")
            .fixed_by("Make a key on P-256 and sign with ES256.")
    } else if is("Ed448") {
        failure.because("Ed448 is not supported.").fixed_by("Make an Ed25519 key, or a P-256 key for ES256.")
    } else if is("P-256") || is("P256") || is("ECDSA") || is("SHA256withECDSA") {
        failure
            .because("This is the name of a curve or of a library's algorithm, not a JOSE name.")
            .fixed_by("Write ES256 for ECDSA with P-256 and SHA-256.")
    } else if upper.starts_with("RSA-OAEP") || upper.starts_with("ECDH-ES") || upper == "DIR" || upper.starts_with('A')
    {
        failure
            .because("This algorithm is for encryption, and a proof is signed.")
            .fixed_by("Sign with a signature algorithm, for example ES256.")
    } else {
        failure
    }
}
