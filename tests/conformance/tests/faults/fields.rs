//! N25: how many `DPoP` fields there are, and texts that are no compact JWS.

use keybound::{Context, Presentation, Rejection, TargetUri, Verifier};
use keybound_conformance::{NOW, Request, TOKEN, URL, raw};

use crate::Bench;

fn judge(bench: &Bench, proofs: &[&[u8]]) -> Result<(), Rejection> {
    let target = TargetUri::parse(URL).unwrap();
    let request = bench.request();
    let context = Context::Resource { access_token: TOKEN, bound_to: request.bound_to.unwrap() };
    bench.verifier.check(&Presentation::new(request.method, &target, proofs, context), NOW).map(drop)
}

#[test]
fn n25_there_is_exactly_one_field_with_one_value() {
    for bench in Bench::both() {
        let one = bench.request().proof(&bench.key, &bench.crypto, NOW);
        let two = bench.request().proof(&bench.key, &bench.crypto, NOW);
        let (one, two) = (one.as_bytes(), two.as_bytes());
        assert_eq!(judge(&bench, &[one]), Ok(()), "{}", bench.provider);
        assert_eq!(judge(&bench, &[]), Err(Rejection::ProofMissing));
        for several in [&[one, two][..], &[one, one], &[one, b""], &[b"", one], &[one, one, one]] {
            assert_eq!(judge(&bench, several), Err(Rejection::MultipleProofs), "{}", bench.provider);
        }
        for folded in [
            [one, b", ", two].concat(),
            [one, b",", one].concat(),
            [one, b","].concat(),
            [b",", one].concat(),
            [one, b" ,"].concat(),
        ] {
            assert_eq!(judge(&bench, &[&folded]), Err(Rejection::MultipleProofs), "{}", bench.provider);
        }
    }
}

#[test]
fn what_has_not_three_segments_is_refused() {
    for bench in Bench::both() {
        let proof = bench.request().proof(&bench.key, &bench.crypto, NOW);
        let segments: Vec<_> = proof.split('.').collect();
        let [header, payload, signature] = segments[..] else { panic!("three segments") };
        for wrong in [
            String::new(),
            ".".into(),
            "...".into(),
            header.into(),
            format!("{header}.{payload}"),
            format!("{header}.{payload}.{signature}."),
            format!(".{header}.{payload}.{signature}"),
            format!("{header}.{payload}.{signature}.{signature}"),
            format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        ] {
            assert_eq!(judge(&bench, &[wrong.as_bytes()]), Err(Rejection::JwtMalformed), "{wrong}");
        }
        for (wrong, rejection) in [
            ("..".into(), Rejection::HeaderMalformed),
            (format!(".{payload}.{signature}"), Rejection::HeaderMalformed),
            (format!("{header}..{signature}"), Rejection::ClaimsMalformed),
            (format!("{header}.{payload}."), Rejection::SignatureMalformed),
        ] {
            assert_eq!(judge(&bench, &[wrong.as_bytes()]), Err(rejection), "{wrong}");
        }
        for prefixed in [format!("DPoP {proof}"), format!("\"{proof}\""), format!("{proof} ")] {
            assert_eq!(judge(&bench, &[prefixed.as_bytes()]), Err(Rejection::Base64NonCanonical), "{prefixed}");
        }
    }
}

/// A good proof with a claim of so many characters more than it needs.
fn padded(bench: &Bench, characters: usize) -> String {
    let claims = bench.good_claims().and("padding", &format!("\"{}\"", "p".repeat(characters)));
    raw::sign(&bench.key, &bench.crypto, &raw::header(&bench.key), &claims.json())
}

#[test]
fn a_proof_of_16_kib_is_read_and_a_longer_one_is_not() {
    for bench in Bench::both() {
        let fits = (16 * 1024 - padded(&bench, 0).len()) * 3 / 4 - 2;
        assert!(padded(&bench, fits).len() <= 16 * 1024);
        assert_eq!(judge(&bench, &[padded(&bench, fits).as_bytes()]), Ok(()), "{}", bench.provider);
        assert_eq!(judge(&bench, &[padded(&bench, fits + 5).as_bytes()]), Err(Rejection::ProofTooLarge));
    }
}

#[test]
fn a_proof_of_any_length_is_read() {
    for bench in Bench::both() {
        // Around the sizes at which a reader's buffer could end.
        for characters in (0..1_200).chain((1_200..11_000).step_by(509)) {
            let proof = padded(&bench, characters);
            assert_eq!(judge(&bench, &[proof.as_bytes()]), Ok(()), "{} {}", bench.provider, proof.len());
        }
    }
}

#[test]
fn a_proof_for_one_request_is_refused_with_another() {
    for bench in Bench::both() {
        let proof = bench.request().proof(&bench.key, &bench.crypto, NOW);
        let other_token = Request { token: Some("another.token"), ..bench.request() };
        let other_target = Request { url: "https://api.example.com/items/8", ..bench.request() };
        let other_key = Request { bound_to: Some(keybound::Thumbprint::from_bytes([7; 32])), ..bench.request() };
        let verifier: &Verifier = &bench.verifier;
        assert_eq!(other_token.judge(verifier, &proof, NOW).unwrap_err(), Rejection::AthMismatch);
        assert_eq!(other_target.judge(verifier, &proof, NOW).unwrap_err(), Rejection::TargetMismatch);
        assert_eq!(other_key.judge(verifier, &proof, NOW).unwrap_err(), Rejection::BindingMismatch);
    }
}
