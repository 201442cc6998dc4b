//! A proof that was read before it is known which key its token is bound to.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::Verifier;
use super::claims::{Times, check_token_hash};
use super::judge::{
    AskedNonce, Fitting, Proven, bounded_nonce, check_binding, check_nonce, fitting, pending, single_proof,
};
use super::key::Key;
use super::pending::PendingProof;
use super::presentation::PresentedProof;
use super::rejection::Rejection;
use super::shape::{Scratch, split};
use crate::nonce::Role;
use crate::replay::StoreEpoch;
use crate::{Thumbprint, UnixTime};

/// A proof that fits its request, its time and the hash of its token, and whose key has still to be compared with the token's.
///
/// It owns what it needs, so that the token can be judged meanwhile. Nothing in it is verified yet.
#[must_use = "nothing is verified until it is bound"]
pub struct ReadProof {
    /// The whole proof, with what its signature covers.
    proof: Box<[u8]>,
    /// Decoded.
    signature: Box<[u8]>,
    pub(super) key: Key,
    jti: Box<str>,
    pub(super) nonce: Option<Box<str>>,
    times: Times,
    pub(super) exact: Option<Box<str>>,
    pub(super) role: Role,
    pub(super) epoch: StoreEpoch,
}

impl Verifier {
    /// Makes the checks up to that of the proof's time, and compares `ath` with the token: all that needs no knowledge of what the token
    /// says. [`bind`](Self::bind) makes the others.
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails.
    pub fn read(&self, presented: &PresentedProof<'_>, now: UnixTime) -> Result<ReadProof, Rejection> {
        let (mut inline, mut heap): (Scratch, _) = ([0; 1024], Vec::new());
        let Fitting { signature, key, claims, times, .. } = fitting(self, presented, &mut inline, &mut heap, now)?;
        check_token_hash(self, presented.access_token, claims.ath)?;
        Ok(ReadProof {
            proof: single_proof(presented.proofs)?.into(),
            signature: signature.into(),
            key,
            jti: claims.jti.to_cow().into(),
            nonce: claims.nonce.map(|nonce| bounded_nonce(nonce, presented.nonce).into()),
            times,
            exact: presented.nonce.map(Box::from),
            role: presented.role,
            epoch: presented.epoch,
        })
    }

    /// Makes the checks that are left of a proof whose token is bound to `bound_to`, but replay. A nonce is asked for last: a server that
    /// judges a token as well asks only clients it would let in.
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails.
    pub fn bind(&self, read: &ReadProof, bound_to: Thumbprint, now: UnixTime) -> Result<PendingProof, Rejection> {
        let ReadProof { key, jti, times, .. } = read;
        times.check_again(self, now)?;
        let thumbprint = key.thumbprint(self);
        key.check_curve(self)?;
        check_binding(Some(bound_to), &thumbprint)?;
        let compact = split(&read.proof)?;
        key.check_signature(self, &compact, &read.signature)?;
        key.remember(self, &compact, &thumbprint);
        let asked = read.asked();
        let nonce = check_nonce(self, &asked, read.nonce.as_deref(), &thumbprint, now)?;
        Ok(pending(self, &asked, Proven { key, thumbprint, jti, times: *times, nonce }, now))
    }
}

impl ReadProof {
    /// The life of the replay store that it was presented in.
    pub const fn epoch(&self) -> StoreEpoch {
        self.epoch
    }

    pub(super) fn asked(&self) -> AskedNonce<'_> {
        AskedNonce { exact: self.exact.as_deref(), role: self.role, epoch: self.epoch }
    }
}

/// A proof opens what it was sent for.
impl Drop for ReadProof {
    fn drop(&mut self) {
        self.proof.zeroize();
    }
}

impl fmt::Debug for ReadProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadProof").field("role", &self.role).finish_non_exhaustive()
    }
}
