//! What is measured: 64 keys and 1,024 distinct proofs made now, since other libraries read the clock themselves.

use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::{Algorithm, Context, Presentation, ProofBuilder, TargetUri, Thumbprint, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;

pub const METHOD: &str = "POST";
pub const URL: &str = "https://api.example.com/v1/accounts/4711/transfers";
const KEYS: usize = 64;
const PROOFS: usize = 1024;

pub struct Bench {
    pub token: String,
    pub target: TargetUri,
    pub now: UnixTime,
    proofs: Vec<(String, Thumbprint)>,
}

impl Bench {
    pub fn new() -> Self {
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        let now = UnixTime::from_secs(i64::try_from(seconds.as_secs()).expect("this age"));
        let keys: Vec<SoftKey> =
            (0..KEYS).map(|_| SoftKey::generate(Algorithm::Es256, &AWS_LC).expect("a key")).collect();
        let token: String =
            "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.".chars().chain("abcdefghij".chars().cycle().take(565)).collect();
        let proofs = (0..PROOFS)
            .map(|index| {
                let key = &keys[index % KEYS];
                let proof = ProofBuilder::new(METHOD, URL).access_token(&token).sign(&AWS_LC, key, now);
                (proof.expect("a proof").into_string(), key.public_key().thumbprint(AWS_LC.digest))
            })
            .collect();
        Self { token, target: TargetUri::parse(URL).expect("a target"), now, proofs }
    }

    pub fn proof(&self, index: usize) -> &str {
        &self.proofs[index % PROOFS].0
    }

    /// Every check but replay, as in the figure T1.
    pub fn check(&self, verifier: &Verifier, index: usize) {
        let (proof, bound_to) = &self.proofs[index % PROOFS];
        let fields = [proof.as_bytes()];
        let context = Context::Resource { access_token: &self.token, bound_to: *bound_to };
        let pending = verifier.check(&Presentation::new(METHOD, &self.target, &fields, context), self.now);
        let _ = std::hint::black_box(pending.expect("a good proof").danger_skip_replay_check());
    }
}
