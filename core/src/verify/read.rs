//! A proof that was read before it is known which key its token is bound to.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::Verifier;
use super::claims::{Times, check_token_hash};
use super::judge::{
    AskedNonce, Fitting, Opened, Proven, Unfit, bounded_nonce, check_binding, check_nonce, fitting, opened, pending,
    single_proof,
};
use super::key::Key;
use super::pending::PendingProof;
use super::presentation::PresentedProof;
use super::rejection::Rejection;
use super::shape::{Scratch, split};
use crate::nonce::issuer::ValidNonce;
use crate::nonce::{Nonce, Role};
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

/// A proof that could not be read, and the nonce that helps its sender, if one does.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadProof {
    pub(super) rejection: Rejection,
    pub(super) role: Role,
    pub(super) helps: Option<Nonce>,
}

/// Why a proof was refused after it was read, and whose it is, with its `iat`, if its signature was verified before.
pub(crate) struct Unbound {
    pub(crate) rejection: Rejection,
    #[cfg_attr(not(feature = "oauth"), allow(dead_code, reason = "servers keep it for records"))]
    pub(crate) proven: Option<(Thumbprint, UnixTime)>,
}

impl From<Rejection> for Unbound {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, proven: None }
    }
}

impl Verifier {
    /// Makes the checks up to that of the proof's time, and compares `ath` with the token: all that needs no knowledge of what the token
    /// or the grant says. [`bind`](Self::bind) and [`bind_grant`](Self::bind_grant) make the others.
    ///
    /// # Errors
    /// The rejection of the first check that fails, to be answered by [`refuse_unread`](Self::refuse_unread).
    pub fn read(&self, presented: &PresentedProof<'_>, now: UnixTime) -> Result<ReadProof, UnreadProof> {
        let (mut inline, mut heap): (Scratch, _) = ([0; 1024], Vec::new());
        let unread = |rejection| self.unread(rejection, presented, None, None, now);
        let open = opened(self, presented, &mut inline, &mut heap);
        let Opened { payload, signature, key, .. } = open.map_err(unread)?;
        let unfit = |Unfit { rejection, nonce }: Unfit<'_>| self.unread(rejection, presented, Some(&key), nonce, now);
        let Fitting { claims, times } = fitting(self, presented, payload, now).map_err(unfit)?;
        check_token_hash(self, presented.access_token, claims.ath).map_err(unread)?;
        Ok(ReadProof {
            proof: single_proof(presented.proofs).map_err(unread)?.into(),
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
        self.bind_telling(read, bound_to, now).map_err(|unbound| unbound.rejection)
    }

    /// The same, which also tells whose proof is refused, where that is proven.
    pub(crate) fn bind_telling(
        &self,
        read: &ReadProof,
        bound_to: Thumbprint,
        now: UnixTime,
    ) -> Result<PendingProof, Unbound> {
        let thumbprint = read.proven_key(self, bound_to, now)?;
        match read.check_nonce(self, &thumbprint, now) {
            Ok(nonce) => Ok(read.pending(self, thumbprint, nonce, now)),
            Err(rejection) => Err(Unbound { rejection, proven: Some((thumbprint, read.times.issued_at)) }),
        }
    }

    /// The same at an authorization server, in the order of [`check`](Self::check): the nonce first. `bound_to` is the key that code, refresh
    /// token or request are bound to (RFC 9449 sections 5 and 10), if they are.
    ///
    /// # Errors
    /// The [`Rejection`] of the first check that fails.
    pub fn bind_grant(
        &self,
        read: &ReadProof,
        bound_to: Option<Thumbprint>,
        now: UnixTime,
    ) -> Result<PendingProof, Rejection> {
        let thumbprint = read.key.thumbprint(self);
        let nonce = read.check_nonce(self, &thumbprint, now)?;
        read.key.check_curve(self)?;
        check_binding(bound_to, &thumbprint)?;
        read.check_signature(self, &thumbprint)?;
        Ok(read.pending(self, thumbprint, nonce, now))
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

    fn check_nonce(
        &self,
        verifier: &Verifier,
        thumbprint: &Thumbprint,
        now: UnixTime,
    ) -> Result<Option<ValidNonce>, Rejection> {
        check_nonce(verifier, &self.asked(), self.nonce.as_deref(), thumbprint, now)
    }

    /// The key of the proof, once it is known that it is the token's and that it signed.
    fn proven_key(&self, verifier: &Verifier, bound_to: Thumbprint, now: UnixTime) -> Result<Thumbprint, Rejection> {
        self.times.check_again(verifier, now)?;
        let thumbprint = self.key.thumbprint(verifier);
        self.key.check_curve(verifier)?;
        check_binding(Some(bound_to), &thumbprint)?;
        self.check_signature(verifier, &thumbprint)?;
        Ok(thumbprint)
    }

    fn check_signature(&self, verifier: &Verifier, thumbprint: &Thumbprint) -> Result<(), Rejection> {
        let compact = split(&self.proof)?;
        self.key.check_signature(verifier, &compact, &self.signature)?;
        self.key.remember(verifier, &compact, thumbprint);
        Ok(())
    }

    fn pending(
        &self,
        verifier: &Verifier,
        thumbprint: Thumbprint,
        nonce: Option<ValidNonce>,
        now: UnixTime,
    ) -> PendingProof {
        let Self { key, jti, times, .. } = self;
        pending(verifier, &self.asked(), Proven { key, thumbprint, jti, times: *times, nonce }, now)
    }
}

impl UnreadProof {
    /// What the proof is refused for.
    pub const fn rejection(&self) -> Rejection {
        self.rejection
    }
}

impl fmt::Debug for UnreadProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadProof").field("rejection", &self.rejection).finish_non_exhaustive()
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
