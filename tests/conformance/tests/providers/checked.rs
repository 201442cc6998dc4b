//! A signer outside this process that signs with the wrong key, hash or encoding is found out at its first signature.

use std::sync::atomic::{AtomicU8, Ordering};

use keybound::jose::jwk::PublicJwk;
use keybound::jose::signature::{Signature, SignatureError};
use keybound::key::checked::CheckedSigner;
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer, SignerError, SigningInput};
use keybound::{Algorithm, Crypto, Misuse};
use keybound_conformance::{NOW, Request, make_key, providers};

/// What goes wrong at the signer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Fault {
    None,
    /// Another key of the same device signs.
    WrongKey,
    /// It hashes the digest once more.
    HashedTwice,
    /// It hashes with another function.
    OtherHash,
    /// R and S as little-endian numbers.
    LittleEndian,
    /// R and S the other way round.
    Swapped,
    /// DER, declared as R and S side by side.
    DerAsRaw,
    /// R and S side by side, declared as DER.
    RawAsDer,
    /// DER, declared as such: no fault at all.
    Der,
    /// It says that the signature is of another algorithm.
    OtherAlgorithm,
}

const FAULTS: [Fault; 10] = [
    Fault::None,
    Fault::WrongKey,
    Fault::HashedTwice,
    Fault::OtherHash,
    Fault::LittleEndian,
    Fault::Swapped,
    Fault::DerAsRaw,
    Fault::RawAsDer,
    Fault::Der,
    Fault::OtherAlgorithm,
];

/// A device with two keys and a fault that can be changed.
struct Device {
    key: SoftKey,
    other: SoftKey,
    crypto: Crypto,
    fault: AtomicU8,
}

impl Device {
    fn new(crypto: Crypto, fault: Fault) -> Self {
        let [key, other] = [(); 2].map(|()| make_key(Algorithm::Es256, &crypto));
        Self { key, other, crypto, fault: AtomicU8::new(fault as u8) }
    }

    fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }
}

fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let pad = usize::from(digits[0] >= 0x80);
        [&[2, u8::try_from(digits.len() + pad).unwrap()][..], &vec![0; pad], &digits].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

impl Signer for Device {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn public_key(&self) -> &PublicJwk {
        self.key.public_key()
    }

    fn protection(&self) -> KeyProtection {
        KeyProtection::Hsm
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        let fault = FAULTS[usize::from(self.fault.load(Ordering::Relaxed))];
        let sign = |key: &SoftKey, message: &[u8]| {
            let input = SigningInput::new(Algorithm::Es256, message, self.crypto.digest);
            key.sign(&input).map(|signature| signature.as_bytes().to_vec())
        };
        let mut raw = sign(&self.key, input.message())?;
        match fault {
            Fault::None => {}
            Fault::WrongKey => raw = sign(&self.other, input.message())?,
            Fault::HashedTwice => raw = sign(&self.key, &input.digest().unwrap())?,
            Fault::OtherHash => raw = sign(&self.key, &self.crypto.digest.sha512(&[input.message()]))?,
            Fault::LittleEndian => {
                raw[..32].reverse();
                raw[32..].reverse();
            }
            Fault::Swapped => raw.rotate_left(32),
            Fault::DerAsRaw => raw = der(&raw),
            Fault::RawAsDer => return Ok(Signature::from_der(Algorithm::Es256, &raw)?),
            Fault::Der => return Ok(Signature::from_der(Algorithm::Es256, &der(&raw))?),
            Fault::OtherAlgorithm => return Ok(Signature::from_raw(Algorithm::Ed25519, &raw)?),
        }
        Ok(Signature::from_raw(Algorithm::Es256, &raw)?)
    }
}

fn expected(fault: Fault) -> Result<(), Misuse> {
    match fault {
        Fault::None | Fault::Der => Ok(()),
        Fault::WrongKey | Fault::HashedTwice | Fault::OtherHash | Fault::LittleEndian | Fault::Swapped => {
            Err(Misuse::SignatureDoesNotVerify)
        }
        Fault::DerAsRaw => Err(Misuse::Signature(SignatureError::Length)),
        Fault::RawAsDer => Err(Misuse::Signature(SignatureError::Der)),
        Fault::OtherAlgorithm => Err(Misuse::SignatureAlgorithm),
    }
}

fn outcome(signer: &CheckedSigner<Device>, crypto: &Crypto) -> Result<(), Misuse> {
    match Request::token_endpoint().builder().sign(crypto, signer, NOW) {
        Ok(_) => Ok(()),
        Err(SignerError::Misuse(misuse)) => Err(misuse),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_faulty_signer_is_found_out_at_once_and_again_until_it_is_mended() {
    for (provider, crypto) in providers() {
        for fault in FAULTS {
            let signer = CheckedSigner::new(Device::new(crypto, fault), &crypto).unwrap();
            assert_eq!(outcome(&signer, &crypto), expected(fault), "{provider} {fault:?}");
            assert_eq!(outcome(&signer, &crypto), expected(fault), "{provider} {fault:?} again");
            signer.inner().set(Fault::None);
            assert_eq!(outcome(&signer, &crypto), Ok(()), "{provider} {fault:?} mended");
        }
    }
}

#[test]
fn a_signer_that_became_faulty_is_found_out_after_it_was_reconnected() {
    for (provider, crypto) in providers() {
        for fault in FAULTS {
            let signer = CheckedSigner::new(Device::new(crypto, Fault::None), &crypto).unwrap();
            assert_eq!(outcome(&signer, &crypto), Ok(()), "{provider}");
            signer.inner().set(fault);
            signer.reconnected();
            assert_eq!(outcome(&signer, &crypto), expected(fault), "{provider} {fault:?}");
        }
    }
}

#[test]
fn later_signatures_are_passed_on_unverified() {
    for (provider, crypto) in providers() {
        let signer = CheckedSigner::new(Device::new(crypto, Fault::None), &crypto).unwrap();
        assert_eq!(outcome(&signer, &crypto), Ok(()));
        signer.inner().set(Fault::WrongKey);
        assert_eq!(outcome(&signer, &crypto), Ok(()), "{provider}: what verification would cost is not paid twice");
    }
}

#[test]
fn the_sans_io_form_checks_as_well() {
    for (provider, crypto) in providers() {
        for fault in FAULTS {
            let device = Device::new(crypto, fault);
            let request = Request::token_endpoint();
            let unsigned =
                request.builder().prepare(&crypto, device.public_key(), Algorithm::Es256, "jti", NOW).unwrap();
            let attached = match device.sign(&unsigned.signing_input()) {
                Ok(signature) => unsigned.attach_verified(signature, &crypto).map(drop),
                Err(SignerError::Misuse(misuse)) => Err(misuse),
                Err(other) => panic!("{other}"),
            };
            match fault {
                // The wrong name is caught in one of two ways, since the key does not fit it either.
                Fault::OtherAlgorithm => assert!(attached.is_err(), "{provider}"),
                _ => assert_eq!(attached, expected(fault), "{provider} {fault:?}"),
            }
        }
    }
}

#[test]
fn a_signer_whose_key_does_not_fit_its_algorithm_is_refused() {
    struct Misnamed(SoftKey);

    impl Signer for Misnamed {
        fn algorithm(&self) -> Algorithm {
            Algorithm::Es384
        }
        fn public_key(&self) -> &PublicJwk {
            self.0.public_key()
        }
        fn protection(&self) -> KeyProtection {
            KeyProtection::Hsm
        }
        fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
            self.0.sign(input)
        }
    }

    for (_, crypto) in providers() {
        let misnamed = Misnamed(make_key(Algorithm::Es256, &crypto));
        assert_eq!(CheckedSigner::new(misnamed, &crypto).unwrap_err(), Misuse::AlgorithmKey(Algorithm::Es384));
    }
}
