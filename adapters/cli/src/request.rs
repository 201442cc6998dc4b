//! The request that `verify` and `explain` check a proof for: what is given, and what follows from it.

use std::path::PathBuf;

use keybound::nonce::Nonce;
use keybound::verify::policy::NonceMode;
use keybound::{Context, Misuse, Policy, Presentation, TargetUri, Thumbprint, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::policy::PolicyArgs;
use crate::sent::Sent;

/// The proof, and the request it came with.
#[derive(clap::Args)]
pub(crate) struct RequestArgs {
    /// The proof: its text, a line `DPoP: ...`, @FILE, or - for standard input (also if left out).
    #[arg(value_name = "PROOF")]
    proof: Option<String>,
    /// Read the proof from this file.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    file: Option<PathBuf>,
    /// The request's method.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The request's URL, as clients know it.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The access token of the request: its text or @FILE. Without one the proof is verified as a token endpoint does.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    access_token: Option<String>,
    /// The thumbprint that token, code or session are bound to (`cnf.jkt`); else that of the proof's own key.
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true)]
    jkt: Option<String>,
    /// The nonce that the server provided and the proof must carry.
    #[arg(long, value_name = "NONCE", allow_hyphen_values = true)]
    nonce: Option<String>,
    /// The time in seconds since 1970, instead of the clock's.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    now: Option<i64>,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// A request, ready to be judged.
pub(crate) struct Request {
    method: String,
    target: TargetUri,
    as_bearer: bool,
    proofs: Vec<Vec<u8>>,
    token: Option<Zeroizing<String>>,
    jkt: Option<Thumbprint>,
    nonce: Option<String>,
    policy: Policy,
    now: UnixTime,
}

/// Where the thumbprint comes from that the proof is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JktSource {
    /// It was given.
    Argument,
    /// It is that of the proof's own key: whether a token is bound to it was not judged.
    Proof,
}

impl JktSource {
    /// A stable name for machines.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Proof => "proof",
        }
    }
}

impl RequestArgs {
    /// The bytes that were given as the proof: an argument, a file or standard input.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match &self.file {
            Some(file) => input::read(file),
            None => input::argument(self.proof.as_deref().unwrap_or("-")),
        }
    }

    /// Whether nothing says what to judge.
    pub(crate) fn is_empty(&self) -> bool {
        self.proof.is_none() && self.file.is_none()
    }

    /// The request: what was sent, and above it what the options say.
    pub(crate) fn request(&self, sent: Sent) -> Result<Request, Failure> {
        let method = self.method.clone().or(sent.method);
        let method = method.ok_or_else(|| Failure::usage("give the request's method: --method GET"))?;
        reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| Misuse::Method)?;
        let url = self.url.clone().or(sent.url).ok_or_else(|| {
            Failure::usage("give the request's URL as clients know it: --url https://api.example.com/items")
        })?;
        let target = TargetUri::parse(&url).map_err(|error| {
            Failure::usage(format!("the URL cannot be used: {error}; give an absolute http or https URL with --url"))
        })?;
        let token = match self.access_token.as_deref() {
            Some(token) => Some(input::text_argument(token, "access token")?),
            None => sent.token,
        };
        // A header field could not carry others: the proof is not what is wrong.
        if token.as_ref().is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Misuse::AccessToken.into());
        }
        if self.nonce.as_ref().is_some_and(|nonce| Nonce::parse(nonce.as_bytes()).is_err()) {
            return Err(Misuse::Nonce.into());
        }
        let jkt = self.jkt.as_deref().map(|jkt| {
            Thumbprint::parse(jkt).ok_or_else(|| {
                Failure::usage("--jkt is not a thumbprint; give the 43 characters that `keybound key thumbprint` shows")
            })
        });
        Ok(Request {
            method,
            target,
            as_bearer: sent.as_bearer && self.access_token.is_none(),
            proofs: sent.proofs,
            token,
            jkt: jkt.transpose()?,
            nonce: self.nonce.clone(),
            policy: self.policy.policy()?,
            now: self.now.map_or_else(UnixTime::now, UnixTime::from_secs),
        })
    }
}

impl Request {
    /// Lets `judge` judge this request and says on standard error what was not judged.
    pub(crate) fn judged<T>(
        &self,
        output: &Output,
        judge: impl FnOnce(&Verifier, &Presentation<'_>, UnixTime) -> T,
    ) -> (T, JktSource) {
        let verifier = Verifier::new(self.policy.clone(), &AWS_LC);
        let proofs: Vec<&[u8]> = self.proofs.iter().map(Vec::as_slice).collect();
        let at_token_endpoint = Context::TokenEndpoint { dpop_jkt: self.jkt };
        let mut presentation = Presentation::new(&self.method, &self.target, &proofs, at_token_endpoint);
        presentation.nonce = self.nonce.as_deref();
        if let Some(access_token) = self.token.as_deref() {
            // A proof whose key cannot be read is refused before anything is compared with this.
            let own = || verifier.claimed_thumbprint(&presentation).unwrap_or(Thumbprint::from_bytes([0; 32]));
            let bound_to = self.jkt.unwrap_or_else(own);
            presentation.context = Context::Resource { access_token, bound_to };
        }
        let source = if self.jkt.is_some() { JktSource::Argument } else { JktSource::Proof };
        if source == JktSource::Proof {
            output
                .note("the binding is taken from the proof's own key; give --jkt to hold it against a token's cnf.jkt");
        }
        if self.as_bearer {
            output.note("the token is sent as Bearer; servers refuse bound tokens so: send Authorization: DPoP");
        }
        if self.policy.nonces() == NonceMode::Required && self.nonce.is_none() {
            output.note("this policy requires nonces; give the one the server provided with --nonce");
        }
        (judge(&verifier, &presentation, self.now), source)
    }
}
