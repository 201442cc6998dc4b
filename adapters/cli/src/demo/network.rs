//! The wire of the demonstration: drives the client's steps, and notes what was sent and answered.

use std::sync::Arc;

use keybound::http::message::{Body, Request, Response};
use keybound::oauth::step::{FetchFailed, HostError};
use keybound::oauth::{FlowError, Step};
use keybound_reqwest::drive::{Locks, Pause, advance};
use keybound_reqwest::{Memory, SessionHost as _};
use reqwest::redirect::Policy;

use super::step::Exchange;
use crate::failure::Failure;

/// Sends requests on loopback and notes them. It follows no redirect and uses no proxy.
pub(super) struct Network {
    http: reqwest::Client,
    pub(super) host: Arc<Memory>,
    origin: String,
    /// What went over the wire since it was last taken.
    pub(super) seen: Vec<Exchange>,
    /// The last proof that was sent, as a thief on the way could have recorded it.
    pub(super) recorded: String,
}

impl Network {
    pub(super) fn new(origin: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(std::time::Duration::from_secs(10))
            .build()
            .map_err(|error| Failure::undecided(format!("the demonstration cannot send requests: {error}")))?;
        Ok(Self {
            http,
            host: Arc::new(Memory::new()),
            origin: origin.into(),
            seen: Vec::new(),
            recorded: String::new(),
        })
    }

    /// Does what a flow asks for until it is done.
    pub(super) async fn drive<T>(&mut self, step: Result<Step<T>, FlowError>) -> Result<T, FlowError> {
        let host = self.host.clone();
        let mut locks = Locks::default();
        let mut step = step?;
        loop {
            step = match advance(&*host, &mut locks, step)? {
                Pause::Done(result) => return Ok(result),
                Pause::Fetch(step) => {
                    let request = step.request().clone();
                    let response = self.send(&request).await.map_err(FetchFailed::Lost);
                    step.resume(response, host.now())?
                }
                Pause::Lock(step) => {
                    // It is never waited for: there is one flow at a time.
                    let kept = locks.keep(step.lock(), host.lock(step.lock(), step.lease()));
                    step.resume(kept, host.now())?
                }
                Pause::Wait(step) => {
                    tokio::time::sleep(std::time::Duration::from_millis(step.milliseconds())).await;
                    step.resume((), host.now())?
                }
            };
        }
    }

    /// Sends a request, as the client does or as a thief would.
    pub(super) async fn send(&mut self, request: &Request) -> Result<Response, HostError> {
        let mut builder = self.http.request(request.method.parse()?, &request.url);
        for (name, value) in &request.fields {
            builder = builder.header(name, value);
        }
        if let Body::Bytes(bytes) = &request.body {
            builder = builder.body(bytes.clone());
        }
        let answer = builder.send().await?;
        let status = answer.status().as_u16();
        let fields: Vec<(String, Vec<u8>)> =
            answer.headers().iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())).collect();
        let response = Response { status, fields, body: answer.bytes().await?.to_vec() };
        if let Some(proof) = request.field("DPoP") {
            self.recorded = proof.into();
        }
        self.seen.push(Exchange { request: self.shown(request), status, said: said(&response) });
        Ok(response)
    }

    /// The request as it is told: what it carries, but no secret.
    fn shown(&self, request: &Request) -> String {
        let path = request.url.strip_prefix(&self.origin).unwrap_or(&request.url);
        // A query holds the code, or the name of a pushed request.
        let mut text = format!("{} {}", request.method, path.split('?').next().unwrap_or_default());
        if let Some(scheme) = request.field("Authorization").and_then(|value| value.split(' ').next()) {
            text += &format!(", Authorization: {scheme} (the token)");
        }
        if request.field("DPoP").is_some() {
            text += ", DPoP: a proof";
        }
        text
    }
}

/// The challenge, or the error in the body.
fn said(response: &Response) -> Option<String> {
    if let Some(challenge) = response.text("WWW-Authenticate") {
        return Some(challenge.to_owned());
    }
    let document = keybound::json::Value::parse_object(&response.body).ok()?;
    let error = document.text("error")?;
    Some(format!("{error}: {}", document.text("error_description").unwrap_or_default()))
}
