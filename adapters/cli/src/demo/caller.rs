//! Requests of the demonstration, and what comes back.

use std::time::Duration;

use keybound::Rejection;
use keybound::nonce::Nonce;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;

use crate::failure::Failure;

/// Calls the server. It follows no redirect and uses no proxy: tokens and proofs go nowhere else.
pub(super) struct Caller {
    client: reqwest::Client,
    origin: String,
}

/// One request. Tokens and proofs are not shown.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) path: &'a str,
    pub(super) scheme: &'a str,
    pub(super) token: &'a str,
    pub(super) proof: Option<&'a str>,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<Nonce>,
}

impl Caller {
    pub(super) fn new(origin: String) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| unreachable(&error))?;
        Ok(Self { client, origin })
    }

    /// The URL of a path of the server.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let authorization = format!("{} {}", call.scheme, call.token);
        let mut request = self.client.get(self.url(call.path)).header(AUTHORIZATION, authorization);
        if let Some(proof) = call.proof {
            request = request.header(keybound::proof::DPOP, proof);
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let answer = Answer {
            status: response.status().as_u16(),
            challenge: challenge(response.headers()),
            nonce: nonce(response.headers()),
        };
        response.bytes().await.map_err(|error| unreachable(&error))?;
        Ok(answer)
    }
}

impl Call<'_> {
    /// The request as it is told: what it carries, but no secret.
    pub(super) fn shown(&self) -> String {
        let proof = if self.proof.is_some() { ", DPoP: a proof" } else { "" };
        format!("GET {}, Authorization: {} (the token){proof}", self.path, self.scheme)
    }
}

impl Answer {
    /// The defect that the challenge names in Keybound's own sentence.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        let challenge = self.challenge.as_deref()?;
        let names = |rejection: &Rejection| challenge.contains(&format!("error_description=\"{rejection}\""));
        Rejection::ALL.iter().copied().find(names)
    }
}

fn challenge(headers: &HeaderMap) -> Option<String> {
    headers.get(WWW_AUTHENTICATE)?.to_str().ok().map(str::to_owned)
}

fn nonce(headers: &HeaderMap) -> Option<Nonce> {
    let fields: Vec<&[u8]> =
        headers.get_all(keybound::proof::DPOP_NONCE).iter().map(|value| value.as_bytes()).collect();
    Nonce::from_fields(&fields).ok().flatten()
}

fn unreachable(error: &reqwest::Error) -> Failure {
    Failure::undecided(format!("the demonstration's server cannot be reached: {error}; is loopback permitted here?"))
}
