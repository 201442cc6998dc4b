//! Ed25519 keys for which signatures prove nothing, and signatures in a second form.

use crypto_bigint::{BoxedUint, NonZero};
use keybound::Rejection::{JwkAlgConflict, JwkNonCanonical, KeyOffCurve, KeySmallOrder, SignatureInvalid};
use keybound::base64url;

use super::{CRYPTO, ED25519, Maker, Vector};
use crate::raw;

pub(super) const SOURCE: &str = "made for Keybound with the RFC 8037 A.1 Ed25519 key";
const FORGED: &str = "made for Keybound without any key: R is the identity and S is 0";

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let mut vectors = weak_points(maker);
    vectors.extend(signatures(maker));
    vectors.extend(two_names(maker));
    vectors
}

/// The older and the newer name of one algorithm, one in the header and the other in the key.
fn two_names(maker: &Maker) -> Vec<Vector> {
    let jwk = format!("{ED25519}}}");
    let proof =
        |alg: &str, own: &str| maker.sign_ed25519(&raw::header_with(alg, &format!(r#"{ED25519},"alg":"{own}"}}"#)));
    let one = "RFC 9864 2.2: EdDSA with an Ed25519 key and Ed25519 are one algorithm";
    let other = "RFC 7517 4.4: jwk.alg differs from the header's alg";
    vec![
        Vector::accepted("eddsa-of-a-key-for-ed25519", proof("EdDSA", "Ed25519"), one).of_key(&jwk, SOURCE),
        Vector::accepted("ed25519-of-a-key-for-eddsa", proof("Ed25519", "EdDSA"), one).of_key(&jwk, SOURCE),
        Vector::refused("eddsa-of-a-key-for-ed448", JwkAlgConflict, proof("EdDSA", "Ed448"), other)
            .of_key(&jwk, SOURCE),
        Vector::refused("ed25519-of-a-key-for-es256", JwkAlgConflict, proof("Ed25519", "ES256"), other)
            .of_key(&jwk, SOURCE),
    ]
}

fn weak_points(maker: &Maker) -> Vec<Vector> {
    let order_8 = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    let other_order_8 = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    let small = "RFC 8725 3.4: a point of small order verifies signatures that nobody made";
    let canonical = "RFC 8032 5.1.3: y is below the prime";
    let order_2 = ends(0xec, 0xff, 0x7f);
    [
        ("ed25519-identity", KeySmallOrder, ends(1, 0, 0), small),
        ("ed25519-order-2", KeySmallOrder, order_2, small),
        ("ed25519-order-4", KeySmallOrder, ends(0, 0, 0), small),
        ("ed25519-order-4-negative", KeySmallOrder, ends(0, 0, 0x80), small),
        ("ed25519-order-8", KeySmallOrder, order_8, small),
        ("ed25519-order-8-negative", KeySmallOrder, negative(order_8), small),
        ("ed25519-order-8-other", KeySmallOrder, other_order_8, small),
        ("ed25519-order-8-other-negative", KeySmallOrder, negative(other_order_8), small),
        ("ed25519-y-is-prime", JwkNonCanonical, ends(0xed, 0xff, 0x7f), canonical),
        ("ed25519-y-is-prime-plus-1", JwkNonCanonical, ends(0xee, 0xff, 0x7f), canonical),
        ("ed25519-y-is-prime-plus-3", JwkNonCanonical, ends(0xf0, 0xff, 0x7f), canonical),
        ("ed25519-y-is-all-ones", JwkNonCanonical, ends(0xff, 0xff, 0xff), canonical),
        ("ed25519-off-curve", KeyOffCurve, ends(2, 0, 0), "RFC 8032 5.1.3: no point has this y"),
    ]
    .map(|(id, rejection, point, reason)| {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url::encode(&point));
        Vector::refused(id, rejection, forge(maker, &jwk, &point), reason).of_key(&jwk, FORGED)
    })
    .into()
}

/// A proof that verifies under a point of small order: [S]B = R + [k]A holds if 8 divides k, since all but A is zero.
fn forge(maker: &Maker, jwk: &str, point: &[u8; 32]) -> String {
    let (identity, zero) = (ends(1, 0, 0), [0; 32]);
    let signature = base64url::encode(&[identity, zero].concat());
    let header = raw::header_with("EdDSA", jwk);
    let messages = (0..).map(|attempt| {
        let claims = maker.claims().with("jti", &format!("\"forged-{attempt}\""));
        let proof = maker.sign(&header, &claims);
        proof.rsplit_once('.').expect("a proof has dots").0.to_owned()
    });
    let divides = |message: &String| {
        let mut hash = CRYPTO.digest.sha512(&[&identity, point, message.as_bytes()]);
        let mut order = [0; 64];
        order[..32].copy_from_slice(&plus_order(&zero));
        hash.reverse();
        order.reverse();
        let number = |bytes: &[u8]| BoxedUint::from_be_slice_truncated(bytes, 512);
        let order = NonZero::new(number(&order)).expect("the order is not zero");
        number(&hash).rem_vartime(&order).to_be_bytes().last().is_some_and(|low| low % 8 == 0)
    };
    let message = messages.into_iter().find(divides).expect("one message in eight");
    format!("{message}.{signature}")
}

fn signatures(maker: &Maker) -> Vec<Vector> {
    let jwk = format!("{ED25519}}}");
    let proof = maker.sign_ed25519(&raw::header_with("EdDSA", &jwk));
    let (message, signature) = proof.rsplit_once('.').expect("a proof has dots");
    let signature = base64url::decode(signature.as_bytes()).expect("a signature");
    let second = base64url::encode(&[&signature[..32], &plus_order(&signature[32..])].concat());
    let foreign = maker.sign(&raw::header_with("EdDSA", &jwk), &maker.claims());
    let below = "RFC 8032 5.1.7: S is below the order, else each signature has a second form";
    let invalid = "4.3 check 6: the signature was made with another key";
    vec![
        Vector::refused("ed25519-s-plus-order", SignatureInvalid, format!("{message}.{second}"), below)
            .of_key(&jwk, SOURCE),
        Vector::refused("ed25519-signed-by-p-256", SignatureInvalid, foreign, invalid).of_key(&jwk, SOURCE),
    ]
}

/// 32 bytes: the first, the last, and those between.
fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

fn negative(mut point: [u8; 32]) -> [u8; 32] {
    point[31] ^= 0x80;
    point
}

/// A little-endian number plus the order of the base point: 2^252 + 27742317777372353535851937790883648493.
fn plus_order(scalar: &[u8]) -> Vec<u8> {
    let low = 27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes();
    let order = low.into_iter().chain([0; 15]).chain([0x10]);
    let mut carry = 0;
    let add = |(own, other): (&u8, u8)| {
        let sum = u16::from(*own) + u16::from(other) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    };
    scalar.iter().zip(order).map(add).collect()
}
