//! A key on a token as a signer.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use keybound::jose::jwk::PublicJwk;
use keybound::jose::signature::Signature;
use keybound::key::checked::CheckedSigner;
use keybound::key::{KeyProtection, Signer, SignerError, SigningInput};
use keybound::{Algorithm, Misuse, RUSTCRYPTO, Thumbprint};

use crate::error::Error;
use crate::find::{self, Found};
use crate::module::Calls;
use crate::sessions::Link;
use crate::token::Token;

/// A key on a token. It may be used by many threads at once.
///
/// The first signature after each connection to the token is verified: by then it could be another key.
pub struct TokenKey {
    token: Arc<Token>,
    thumbprint: Thumbprint,
    public_key: PublicJwk,
    algorithm: Algorithm,
    bound: RwLock<Option<Arc<CheckedSigner<Bound>>>>,
    /// The token has it no longer, or another one in its place.
    is_gone: AtomicBool,
}

/// The key in one connection.
struct Bound {
    link: Arc<Link>,
    handle: ObjectHandle,
    public_key: PublicJwk,
    algorithm: Algorithm,
}

impl TokenKey {
    pub(crate) fn new(token: Arc<Token>, link: Arc<Link>, found: Found) -> Result<Self, Error> {
        let Found { private: handle, public_key, algorithm, thumbprint, .. } = found;
        let bound = Bound { link, handle, public_key: public_key.clone(), algorithm };
        let bound = RwLock::new(Some(Arc::new(CheckedSigner::new(bound, &RUSTCRYPTO)?)));
        Ok(Self { token, thumbprint, public_key, algorithm, bound, is_gone: AtomicBool::new(false) })
    }

    /// The thumbprint of the public key.
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Signs, after logging in again where that is needed.
    fn try_sign(&self, input: &SigningInput<'_>) -> Result<Signature, Error> {
        self.token.attempt(|calls, link| {
            let bound = self.bound_to(calls, link)?;
            bound.sign(input).map_err(from_signer)
        })
    }

    /// The key in this connection, found and checked anew if it is another one than before.
    fn bound_to(&self, calls: &Calls<'_>, link: &Arc<Link>) -> Result<Arc<CheckedSigner<Bound>>, Error> {
        let bound = self.bound.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bound) = bound.filter(|bound| bound.inner().link.epoch == link.epoch) {
            return Ok(bound);
        }
        let found = link.search(calls, |session| find_protected(session, self.thumbprint))?;
        let (public_key, algorithm) = (self.public_key.clone(), self.algorithm);
        let fresh = Bound { link: link.clone(), handle: found.private, public_key, algorithm };
        let fresh = Arc::new(CheckedSigner::new(fresh, &RUSTCRYPTO)?);
        *self.bound.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(fresh)
    }
}

/// The key with this thumbprint, if it is kept as keys must be.
pub(crate) fn find_protected(session: &Session, thumbprint: Thumbprint) -> Result<Found, Error> {
    let found = find::by_thumbprint(session, thumbprint)?;
    find::check_protected(session, &found)?;
    Ok(found)
}

impl Signer for TokenKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &PublicJwk {
        &self.public_key
    }

    fn protection(&self) -> KeyProtection {
        KeyProtection::Hsm
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        self.try_sign(input).map_err(|error| match error {
            Error::KeyGone(_) | Error::KeyChanged(_) => {
                self.is_gone.store(true, Ordering::Release);
                SignerError::Host(Box::new(error))
            }
            Error::Signature(misuse) => SignerError::Misuse(misuse),
            error => SignerError::Host(Box::new(error)),
        })
    }
}

impl Signer for Bound {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &PublicJwk {
        &self.public_key
    }

    fn protection(&self) -> KeyProtection {
        KeyProtection::Hsm
    }

    fn sign(&self, input: &SigningInput<'_>) -> Result<Signature, SignerError> {
        if input.algorithm() != self.algorithm {
            return Err(Misuse::SignatureAlgorithm.into());
        }
        self.link
            .with_session(|session| sign(session, self.handle, input))
            .map_err(|error| SignerError::Host(Box::new(error)))
    }
}

/// The error that [`Bound`] wrapped for a signer's caller.
fn from_signer(error: SignerError) -> Error {
    match error {
        SignerError::Misuse(misuse) => Error::Signature(misuse),
        SignerError::Host(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(_) => Error::Signature(Misuse::SignatureDoesNotVerify),
        },
        _ => Error::Signature(Misuse::SignatureDoesNotVerify),
    }
}

/// Whether a private key signs for the public key that was found with it.
pub(crate) fn signs(session: &Session, found: &Found) -> Result<bool, Error> {
    let message = b"keybound: this is signed so that a key which does not sign is never used";
    let verifier = RUSTCRYPTO.verifier(found.algorithm).ok_or(Error::Algorithm)?;
    let signature = sign(session, found.private, &SigningInput::new(found.algorithm, message, RUSTCRYPTO.digest))?;
    Ok(verifier.verify(&found.public_key, message, signature.as_bytes()).is_ok())
}

/// One signature, with mechanisms that take a digest: tokens offer those, and few hash what they sign.
pub(crate) fn sign(session: &Session, key: ObjectHandle, input: &SigningInput<'_>) -> Result<Signature, Error> {
    let algorithm = input.algorithm();
    let pss = |hash_alg, mgf, salt| Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: Ulong::new(salt) });
    let mechanism = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => Mechanism::Ecdsa,
        Algorithm::Ed25519 | Algorithm::EdDsa => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
        Algorithm::Ps256 => pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        Algorithm::Ps384 => pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        Algorithm::Ps512 => pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
        _ => return Err(Error::Algorithm),
    };
    let bytes = match input.digest() {
        Some(digest) => session.sign(&mechanism, key, &digest)?,
        None => session.sign(&mechanism, key, input.message())?,
    };
    Signature::from_raw(algorithm, &bytes).map_err(|error| Error::Signature(error.into()))
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("thumbprint", &self.thumbprint)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
