//! N3, N4, N5 and N21: keys that prove nothing, belong elsewhere or are private.

use std::collections::HashMap;

use keybound::jose::algorithm::KeyType;
use keybound::key::Signer;
use keybound::{Algorithm, Check, Rejection, Verifier, base64url};
use keybound_conformance::raw::{self, Claims};
use keybound_conformance::{NOW, Request, make_key, permissive, providers};

use crate::Bench;

#[test]
fn n3_private_members_are_refused_whatever_their_value() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Ps256, Algorithm::MlDsa44] {
        for bench in Bench::both_with(algorithm) {
            for member in ["d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv", "\\u0064", "\\u006f\\u0074h"] {
                for value in ["null", "\"\"", "\"AQAB\"", "0", "[]", "{}", "false"] {
                    let jwk = format!("{},\"{member}\":{value}}}", bench.open_jwk());
                    let verdict = bench.judge_jwk(&jwk);
                    assert_eq!(verdict, Err(Rejection::JwkPrivate), "{} {member} {value}", bench.provider);
                    // First, not only last.
                    let jwk = format!("{{\"{member}\":{value},{}}}", &bench.open_jwk()[1..]);
                    let verdict = bench.judge_jwk(&jwk);
                    assert_eq!(verdict, Err(Rejection::JwkPrivate), "{} {member} {value}", bench.provider);
                }
            }
        }
    }
}

#[test]
fn n4_every_product_of_alg_kty_and_crv() {
    const ALGS: [&str; 12] =
        ["none", "NONE", "HS256", "HS512", "ES256K", "Ed448", "es256", "ES256 ", "", "RSA-OAEP", "ECDH-ES", "dir"];
    const KTYS: [Option<&str>; 7] = [Some("EC"), Some("OKP"), Some("RSA"), Some("AKP"), Some("oct"), Some("ec"), None];
    const CRVS: [Option<&str>; 9] = [
        Some("P-256"),
        Some("P-384"),
        Some("P-521"),
        Some("Ed25519"),
        Some("Ed448"),
        Some("X25519"),
        Some("secp256k1"),
        Some("p-256"),
        None,
    ];
    let algs: Vec<_> = ALGS.into_iter().chain(Algorithm::ALL.iter().map(|algorithm| algorithm.name())).collect();
    let kinds = [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ed25519,
        Algorithm::Ps256,
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
    ];
    for (provider, crypto) in providers() {
        let verifier = Verifier::new(permissive(), &crypto);
        let mut accepted: HashMap<&str, usize> = HashMap::new();
        for kind in kinds {
            let mut key = make_key(kind, &crypto);
            let members: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&key.public_key().to_json()).unwrap();
            for (kty, crv, alg) in KTYS
                .iter()
                .flat_map(|kty| CRVS.iter().map(move |crv| (kty, crv)))
                .flat_map(|(kty, crv)| algs.iter().map(move |alg| (*kty, *crv, *alg)))
            {
                let mut jwk = members.clone();
                for (name, value) in [("kty", kty), ("crv", crv)] {
                    match value {
                        Some(value) => jwk.insert(name.into(), value.into()),
                        None => jwk.remove(name),
                    };
                }
                // RSA and AKP keys have no curve, so what crv says of them is ignored as any unknown member is.
                let own_curve = members.get("crv").is_none_or(|own| Some(own.as_str().unwrap()) == crv);
                let whole = own_curve && Some(members["kty"].as_str().unwrap()) == kty;
                let fits = Algorithm::from_name(alg).filter(|algorithm| algorithm.key_type() == kind.key_type());
                let header = raw::header_with(alg, &serde_json::Value::Object(jwk).to_string());
                let request = Request::resource(&key, &crypto);
                let label = format!("{provider} {kind} as kty {kty:?} crv {crv:?} alg {alg:?}");
                if let Some(algorithm) = fits.filter(|_| whole) {
                    let signs = if kind.key_type() == KeyType::Rsa { keybound_aws_lc::AWS_LC } else { crypto };
                    key = key.for_algorithm(algorithm, &signs).unwrap();
                    let proof = raw::sign(&key, &crypto, &header, &Claims::good(&crypto).json());
                    assert!(request.judge(&verifier, &proof, NOW).is_ok(), "{label}");
                    *accepted.entry(algorithm.name()).or_default() += 1;
                    continue;
                }
                let proof = format!("{}.e30.AAAA", base64url::encode(header.as_bytes()));
                let rejection = request.judge(&verifier, &proof, NOW).unwrap_err();
                // A P-256 coordinate is as long as an Ed25519 key and may happen to be one: nobody has its private part.
                let could_be_a_key = kind == Algorithm::Es256 && kty == Some("OKP") && crv == Some("Ed25519");
                let refused_by_key = rejection.check() <= Check::Key;
                assert!(
                    refused_by_key || could_be_a_key && rejection.check() == Check::Claims,
                    "{label} {rejection:?}"
                );
            }
        }
        assert_eq!(accepted.len(), Algorithm::ALL.len(), "{provider}: each algorithm accepted with its own key");
    }
}

#[test]
fn n4_the_algorithm_is_what_the_header_says_and_the_policy_permits() {
    for bench in Bench::both() {
        let judge = |alg: &str| bench.judge_header(&raw::header_with(alg, &format!("{}}}", bench.open_jwk())));
        for none in ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512"] {
            assert_eq!(judge(none), Err(Rejection::AlgNotAsymmetric), "{} {none}", bench.provider);
        }
        for unknown in ["ES256K", "es256", "ES256\\u0000", "Ed448", "", "ES-256", "A256GCM"] {
            assert_eq!(judge(unknown), Err(Rejection::AlgUnknown), "{} {unknown}", bench.provider);
        }
        let narrow = Verifier::new(keybound::Policy::default(), &bench.crypto);
        let key = make_key(Algorithm::Es384, &bench.crypto);
        let request = Request::resource(&key, &bench.crypto);
        let proof = request.proof(&key, &bench.crypto, NOW);
        assert_eq!(request.judge(&narrow, &proof, NOW).unwrap_err(), Rejection::AlgNotPermitted);
        for (member, verdict) in [
            (r#""alg":"ES256""#, Ok(())),
            (r#""alg":"ES384""#, Err(Rejection::JwkAlgConflict)),
            (r#""alg":null"#, Err(Rejection::JwkAlgConflict)),
            (r#""use":"sig""#, Ok(())),
            (r#""use":"enc""#, Err(Rejection::JwkNotForSignatures)),
            (r#""key_ops":["verify"]"#, Ok(())),
            (r#""key_ops":["sign","verify"]"#, Ok(())),
            (r#""key_ops":["sign"]"#, Err(Rejection::JwkNotForSignatures)),
            (r#""key_ops":[]"#, Err(Rejection::JwkNotForSignatures)),
            (r#""key_ops":"verify""#, Err(Rejection::JwkNotForSignatures)),
        ] {
            let verdict_here = bench.judge_jwk(&format!("{},{member}}}", bench.open_jwk()));
            assert_eq!(verdict_here, verdict, "{} {member}", bench.provider);
        }
    }
}

/// Every encoding of a point of small order, the non-canonical ones included, each with both signs.
fn small_order_points() -> Vec<[u8; 32]> {
    let hex = |text: &str| -> [u8; 32] {
        let bytes: Vec<u8> = (0..64).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    };
    let f = "f".repeat(58);
    let mut points: Vec<_> = [
        format!("00{}", "0".repeat(62)),
        format!("01{}", "0".repeat(62)),
        format!("ecff{f}7f"),
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".into(),
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".into(),
        // The same values of y plus the prime.
        format!("edff{f}7f"),
        format!("eeff{f}7f"),
    ]
    .iter()
    .map(|text| hex(text))
    .collect();
    let negative: Vec<_> = points.iter().map(|point| flip_sign(*point)).collect();
    points.extend(negative);
    points
}

fn flip_sign(mut point: [u8; 32]) -> [u8; 32] {
    point[31] ^= 0x80;
    point
}

#[test]
fn n5_weak_ed25519_keys_are_refused() {
    for bench in Bench::both_with(Algorithm::Ed25519) {
        let judge = |x: &[u8]| {
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url::encode(x));
            bench.judge_jwk(&jwk)
        };
        for point in small_order_points() {
            let rejection = judge(&point).unwrap_err();
            let weak = matches!(rejection, Rejection::KeySmallOrder | Rejection::JwkNonCanonical);
            assert!(weak, "{} {point:x?} {rejection:?}", bench.provider);
        }
        // Every value of y from the prime upwards spells a smaller one.
        for low in 0xed..=0xff_u8 {
            let mut point = [0xff; 32];
            (point[0], point[31]) = (low, 0x7f);
            assert_eq!(judge(&point), Err(Rejection::JwkNonCanonical), "{} {low:x}", bench.provider);
            assert_eq!(judge(&flip_sign(point)), Err(Rejection::JwkNonCanonical), "{} {low:x}", bench.provider);
        }
        // y = 2 is on no point of the curve.
        let mut off = [0; 32];
        off[0] = 2;
        assert_eq!(judge(&off), Err(Rejection::KeyOffCurve), "{}", bench.provider);
    }
}

#[test]
fn n5_points_off_their_curve_are_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        for bench in Bench::both_with(algorithm) {
            let point = bench.key.public_key().ec_point().unwrap().to_vec();
            let half = point.len() / 2;
            let mut changed = point.clone();
            *changed.last_mut().unwrap() ^= 1;
            let zero = [&[4][..], &vec![0; 2 * half]].concat();
            let ones = [&[4][..], &vec![0xff; 2 * half]].concat();
            for wrong in [changed, zero, ones] {
                let jwk = keybound::jose::jwk::PublicJwk::from_ec_point(&wrong).unwrap().to_json();
                let verdict = bench.judge_jwk(&jwk);
                assert_eq!(verdict, Err(Rejection::KeyOffCurve), "{} {algorithm}", bench.provider);
            }
        }
    }
}

#[test]
fn n5_weak_rsa_keys_are_refused() {
    for bench in Bench::both_with(Algorithm::Ps256) {
        let (good, _) = bench.key.public_key().rsa().map(|(n, e)| (n.to_vec(), e.to_vec())).unwrap();
        let judge = |n: &[u8], e: &[u8]| {
            let (n, e) = (base64url::encode(n), base64url::encode(e));
            bench.judge_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#))
        };
        let f4 = &[1, 0, 1][..];
        let modulus = |bytes: usize, first: u8, last: u8| {
            let mut n = vec![0x5a; bytes];
            (n[0], n[bytes - 1]) = (first, last);
            n
        };
        assert_eq!(judge(&good, f4), Ok(()), "{}", bench.provider);
        for (n, e, rejection) in [
            (modulus(128, 0x80, 1), f4, Rejection::RsaTooSmall),
            (modulus(256, 0x7f, 1), f4, Rejection::RsaTooSmall),
            (modulus(1, 0x80, 0x81), f4, Rejection::RsaTooSmall),
            (modulus(256, 0x80, 2), f4, Rejection::RsaInvalid),
            (modulus(513, 0x01, 1), f4, Rejection::RsaTooLarge),
            (modulus(1024, 0x80, 1), f4, Rejection::RsaTooLarge),
            (modulus(4096, 0x80, 1), f4, Rejection::RsaTooLarge),
            (modulus(256, 0x00, 1), f4, Rejection::JwkNonCanonical),
            (good.clone(), &[1], Rejection::RsaInvalid),
            (good.clone(), &[3], Rejection::RsaInvalid),
            (good.clone(), &[17], Rejection::RsaInvalid),
            (good.clone(), &[1, 0, 0], Rejection::RsaInvalid),
            (good.clone(), &[1, 0, 2], Rejection::RsaInvalid),
            (good.clone(), &[2, 0, 0, 0, 1], Rejection::RsaInvalid),
            (good.clone(), &[0xff; 8], Rejection::RsaInvalid),
            (good.clone(), &[0xff; 9], Rejection::RsaInvalid),
            (good.clone(), &[0xff; 200], Rejection::RsaInvalid),
            (good.clone(), &[0, 1, 0, 1], Rejection::JwkNonCanonical),
            (good.clone(), &[0], Rejection::JwkNonCanonical),
        ] {
            assert_eq!(judge(&n, e), Err(rejection), "{} {} bytes, e {e:x?}", bench.provider, n.len());
        }
    }
}

#[test]
fn n21_coordinates_with_leading_zeros_are_accepted() {
    for (provider, crypto) in providers() {
        let verifier = Verifier::new(permissive(), &crypto);
        for algorithm in [Algorithm::Es256, Algorithm::Es512] {
            for coordinate in [0, 1] {
                let has_zero = |key: &keybound::key::soft::SoftKey| {
                    let point = key.public_key().ec_point().unwrap()[1..].to_vec();
                    point[coordinate * point.len() / 2] == 0
                };
                let key = (0..20_000).map(|_| make_key(algorithm, &crypto)).find(has_zero).expect("one key in 256");
                let request = Request::resource(&key, &crypto);
                let proof = request.proof(&key, &crypto, NOW);
                assert!(request.judge(&verifier, &proof, NOW).is_ok(), "{provider} {algorithm}");
            }
        }
    }
}
