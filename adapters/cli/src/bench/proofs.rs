//! What the figures are measured on: 64 keys and 1,024 distinct proofs.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Context, Presentation, ProofBuilder, Rejection, TargetUri, Thumbprint, UnixTime};
use keybound_aws_lc::AWS_LC;

use super::BenchError;

pub(super) const METHOD: &str = "POST";
pub(super) const URL: &str = "https://api.example.com/v1/accounts/4711/transfers";
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const KEYS: usize = 64;
const PROOFS: usize = 1024;

/// Keys, an access token of the length a JWT has, and proofs for it.
pub(super) struct Bench {
    pub(super) keys: Vec<SoftKey>,
    pub(super) token: String,
    pub(super) target: TargetUri,
    pub(super) proofs: Vec<Made>,
}

/// A proof and the parts that a raw signature verification needs.
pub(super) struct Made {
    pub(super) proof: String,
    pub(super) key: usize,
    pub(super) thumbprint: Thumbprint,
    pub(super) point: Vec<u8>,
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Bench {
    pub(super) fn new() -> Result<Self, BenchError> {
        let keys: Vec<SoftKey> = (0..KEYS)
            .map(|_| SoftKey::generate(Algorithm::Es256, &AWS_LC))
            .collect::<Result<_, _>>()
            .map_err(|error| ("no key", error))?;
        let token: String =
            "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.".chars().chain("abcdefghij".chars().cycle().take(565)).collect();
        let proofs = (0..PROOFS)
            .map(|index| {
                let key = index % KEYS;
                let signer = &keys[key];
                let proof = ProofBuilder::new(METHOD, URL)
                    .access_token(&token)
                    .sign(&AWS_LC, signer, NOW)
                    .map_err(|error| ("no proof", error))?
                    .into_string();
                let (message, signature) = proof.rsplit_once('.').ok_or_else(|| BenchError("no proof".into()))?;
                Ok(Made {
                    key,
                    thumbprint: signer.public_key().thumbprint(AWS_LC.digest),
                    point: signer.public_key().ec_point().unwrap_or_default().to_vec(),
                    message: message.as_bytes().to_vec(),
                    signature: keybound::base64url::decode(signature.as_bytes())
                        .map_err(|error| ("no proof", error))?,
                    proof,
                })
            })
            .collect::<Result<_, BenchError>>()?;
        let target = TargetUri::parse(URL).map_err(|error| ("no target", error))?;
        Ok(Self { keys, token, target, proofs })
    }

    pub(super) fn made(&self, index: usize) -> &Made {
        &self.proofs[index % PROOFS]
    }

    /// All that is judged of a request before the replay store is asked.
    pub(super) fn check(&self, verifier: &keybound::Verifier, request: &Request<'_>) -> Result<(), Rejection> {
        let proofs = [request.made.proof.as_bytes()];
        let context = Context::Resource { access_token: &self.token, bound_to: request.bound_to };
        let presentation = Presentation::new(METHOD, request.target, &proofs, context);
        let pending = verifier.check(&presentation, request.now)?;
        let _ = std::hint::black_box(pending.danger_skip_replay_check());
        Ok(())
    }

    pub(super) fn request(&self, index: usize) -> Request<'_> {
        let made = self.made(index);
        Request { made, target: &self.target, now: NOW, bound_to: made.thumbprint }
    }
}

/// One request, to be accepted as it stands or refused after a change.
pub(super) struct Request<'a> {
    pub(super) made: &'a Made,
    pub(super) target: &'a TargetUri,
    pub(super) now: UnixTime,
    pub(super) bound_to: Thumbprint,
}
