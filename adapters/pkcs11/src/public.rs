//! Public keys from what a token says of them.

use keybound::jose::jwk::{PublicJwk, RsaBounds};

/// DER of the object identifiers of curves, as `CKA_EC_PARAMS` holds them.
pub(crate) const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub(crate) const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
pub(crate) const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
pub(crate) const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// The curve's name as a `PrintableString`: PKCS #11 3.0 section 2.3.5 permits both, and SoftHSM has known this one for longer.
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// The key at `point` (`CKA_EC_POINT`) on the curve that `params` (`CKA_EC_PARAMS`) names.
///
/// The point is the DER of an `OCTET STRING` by the standard and bare with some modules. Which it is follows from its length: the
/// first byte of both is `04`.
pub(crate) fn from_ec(params: &[u8], point: &[u8]) -> Result<PublicJwk, &'static str> {
    let length = match params {
        P256 => 65,
        P384 => 97,
        P521 => 133,
        ED25519 | ED25519_NAME => 32,
        _ => return Err("its curve is none of P-256, P-384, P-521 and Ed25519"),
    };
    let point = if point.len() == length { point } else { octet_string(point).unwrap_or_default() };
    if point.len() != length {
        return Err("its point does not have its curve's length");
    }
    match <[u8; 32]>::try_from(point) {
        Ok(x) => PublicJwk::from_ed25519(x).map_err(|_| "its point is not one of Ed25519, or of small order"),
        Err(_) => PublicJwk::from_ec_point(point).ok_or("its point is not in uncompressed form"),
    }
}

/// The RSA key of modulus and exponent, big-endian. Some modules put zeros before them.
pub(crate) fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicJwk, &'static str> {
    PublicJwk::from_rsa(without_zeros(modulus), without_zeros(exponent), RsaBounds::Up4096)
        .map_err(|_| "its modulus is not of 2048 to 4096 bits, or its exponent is not odd and from 65537 to below 2^33")
}

fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// What is in the DER of an `OCTET STRING` of up to 255 bytes that is all of `der`.
fn octet_string(der: &[u8]) -> Option<&[u8]> {
    let (length, content) = match der {
        [0x04, 0x81, length, content @ ..] if *length >= 0x80 => (length, content),
        [0x04, length, content @ ..] if *length < 0x80 => (length, content),
        _ => return None,
    };
    (content.len() == usize::from(*length)).then_some(content)
}

#[cfg(test)]
mod tests {
    use keybound::key::Signer as _;
    use keybound::key::soft::SoftKey;
    use keybound::{Algorithm, RUSTCRYPTO};

    use super::{ED25519, ED25519_NAME, P256, P384, P521, from_ec, from_rsa};

    fn der(point: &[u8]) -> Vec<u8> {
        let length = u8::try_from(point.len()).unwrap();
        let header: &[u8] = if length < 0x80 { &[0x04, length] } else { &[0x04, 0x81, length] };
        [header, point].concat()
    }

    #[test]
    fn bare_and_der_points() {
        for (algorithm, params) in [(Algorithm::Es256, P256), (Algorithm::Es384, P384), (Algorithm::Es512, P521)] {
            let key = SoftKey::generate(algorithm, &RUSTCRYPTO).unwrap();
            let point = key.public_key().ec_point().unwrap();
            assert_eq!(&from_ec(params, point).unwrap(), key.public_key());
            assert_eq!(&from_ec(params, &der(point)).unwrap(), key.public_key());
            assert!(from_ec(params, &point[1..]).is_err());
            assert!(from_ec(params, &der(&der(point))).is_err());
        }
        let key = SoftKey::generate(Algorithm::Ed25519, &RUSTCRYPTO).unwrap();
        for params in [ED25519, ED25519_NAME] {
            let x = key.public_key().ed25519().unwrap();
            assert_eq!(&from_ec(params, x).unwrap(), key.public_key());
            assert_eq!(&from_ec(params, &der(x)).unwrap(), key.public_key());
        }
        assert!(from_ec(b"\x13\x0ccurve25519xx", &[9; 32]).is_err());
    }

    /// A bare point whose first coordinate begins with 3f is the DER of a string of 63 bytes as well.
    #[test]
    fn a_bare_point_that_looks_like_der_is_a_point() {
        let point = [[0x04, 0x3f].as_slice(), &[0x55; 63]].concat();
        assert_eq!(from_ec(P256, &point).unwrap().ec_point().unwrap(), point);
    }

    #[test]
    fn coordinates_with_leading_zeros_keep_them() {
        let point = [[0x04].as_slice(), &[0; 3], &[7; 29], &[0; 2], &[8; 30]].concat();
        for given in [point.clone(), der(&point)] {
            assert_eq!(from_ec(P256, &given).unwrap().ec_point().unwrap(), point);
        }
    }

    #[test]
    fn numbers_of_rsa_lose_leading_zeros() {
        let modulus = [[0xb5].as_slice(), &[0x11; 255]].concat();
        let plain = from_rsa(&modulus, &[1, 0, 1]).unwrap();
        assert_eq!(from_rsa(&[&[0], modulus.as_slice()].concat(), &[0, 1, 0, 1]).unwrap(), plain);
        assert!(from_rsa(&modulus[..128], &[1, 0, 1]).is_err());
    }
}
