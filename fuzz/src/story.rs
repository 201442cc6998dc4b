//! The requests that fuzzed proofs come with, and the one verdict about each, from every side.

use std::sync::{Arc, LazyLock};

use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::{
    AlgorithmSet, Context, HeaderMemory, Policy, Presentation, RUSTCRYPTO, Rejection, TargetUri, Thumbprint, UnixTime,
    Verifier, base64url,
};

/// A request as a test states it.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a TargetUri,
    pub(crate) now: UnixTime,
    pub(crate) token: Option<&'a str>,
    pub(crate) bound_to: Option<Thumbprint>,
}

pub(crate) const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const FIGURE_2_NOW: UnixTime = UnixTime::from_secs(1_562_262_616);
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_562_262_618);

pub(crate) static RESOURCE: LazyLock<TargetUri> =
    LazyLock::new(|| TargetUri::parse("https://resource.example.org/protectedresource").expect("a target"));
static TOKEN_ENDPOINT: LazyLock<TargetUri> =
    LazyLock::new(|| TargetUri::parse("https://server.example.com/token").expect("a target"));

/// The key of RFC 8037 appendix A.
pub(crate) static KEY: LazyLock<SoftKey> = LazyLock::new(|| {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    SoftKey::from_jwk(jwk, &RUSTCRYPTO).expect("the key of RFC 8037")
});
pub(crate) static KEY_THUMBPRINT: LazyLock<Thumbprint> =
    LazyLock::new(|| KEY.public_key().thumbprint(RUSTCRYPTO.digest));

/// The header of proofs signed with [`KEY`].
pub(crate) static HEADER: LazyLock<String> =
    LazyLock::new(|| format!(r#"{{"typ":"dpop+jwt","alg":"Ed25519","jwk":{}}}"#, KEY.public_key().to_json()));

static VERIFIER: LazyLock<Verifier> = LazyLock::new(verifier);
/// It starts with the header of [`KEY`] and learns those of other good proofs.
static REMEMBERING: LazyLock<Verifier> = LazyLock::new(|| {
    let verifier = verifier().with_header_memory(Arc::new(HeaderMemory::new(64)));
    let claims =
        r#"{"jti":"first","htm":"GET","htu":"https://resource.example.org/protectedresource","iat":1562262618}"#;
    let proof = sign(HEADER.as_bytes(), claims.as_bytes());
    let fields = [proof.as_bytes()];
    let request = Request { token: None, ..resource() };
    assert!(verifier.check(&request.presentation(&fields), NOW).is_ok(), "a good proof");
    verifier
});

fn verifier() -> Verifier {
    let policy = Policy::default().with_algorithms(AlgorithmSet::ALL).expect("the default policy can be widened");
    Verifier::new(policy, &RUSTCRYPTO)
}

/// The request of RFC 9449 Figure 13 for the key of the tests.
pub(crate) fn resource() -> Request<'static> {
    Request { method: "GET", target: &RESOURCE, now: NOW, token: Some(TOKEN), bound_to: Some(*KEY_THUMBPRINT) }
}

/// The requests of RFC 9449 Figures 13 and 5.
pub(crate) fn of_the_rfc() -> [Request<'static>; 2] {
    let jkt = Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    let token_endpoint =
        Request { method: "POST", target: &TOKEN_ENDPOINT, now: FIGURE_2_NOW, token: None, bound_to: None };
    [Request { bound_to: jkt, ..resource() }, token_endpoint]
}

/// Signs header and claims as they stand.
pub(crate) fn sign(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    let input = SigningInput::new(KEY.algorithm(), message.as_bytes(), RUSTCRYPTO.digest);
    let signature = KEY.sign(&input).expect("a signature");
    format!("{message}.{}", base64url::encode(signature.as_bytes()))
}

impl Request<'_> {
    fn presentation<'a>(&'a self, proofs: &'a [&'a [u8]]) -> Presentation<'a> {
        let context = match (self.token, self.bound_to) {
            (Some(access_token), Some(bound_to)) => Context::Resource { access_token, bound_to },
            (_, dpop_jkt) => Context::TokenEndpoint { dpop_jkt },
        };
        Presentation::new(self.method, self.target, proofs, context)
    }

    /// The verdict about `proof`, which is the same with and without a memory of headers, the first time and the
    /// second, and in the explanation.
    pub(crate) fn judge(&self, proof: &[u8]) -> Result<(), Rejection> {
        let proofs = [proof];
        let presentation = self.presentation(&proofs);
        let verdict = VERIFIER.check(&presentation, self.now).map(drop);
        for _ in 0..2 {
            let remembered = REMEMBERING.check(&presentation, self.now).map(drop);
            assert_eq!(remembered, verdict, "the header memory changes the verdict");
        }
        for verifier in [&*VERIFIER, &*REMEMBERING] {
            let explanation = verifier.explain(&presentation, self.now);
            assert_eq!(explanation.rejection(), verdict.err(), "the explanation disagrees");
            let first = explanation.failure().map(|failure| failure.rejection);
            assert_eq!(first, verdict.err(), "the first failure is the verdict");
            let json: serde_json::Value = serde_json::from_str(&explanation.to_json()).expect("JSON");
            assert_eq!(json["reason"].as_str(), verdict.err().map(Rejection::reason));
            let _ = explanation.to_string();
        }
        let claimed = VERIFIER.claimed_thumbprint(&presentation);
        assert!(verdict.is_err() || claimed.is_some(), "a good proof without a key");
        if let (Ok(()), Some(_)) = (verdict, self.bound_to) {
            assert_eq!(claimed, self.bound_to, "accepted for another key");
        }
        verdict
    }
}
