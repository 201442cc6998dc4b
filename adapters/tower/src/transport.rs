//! What is asked of authorization servers over HTTPS, with bounds on length.

use keybound::http::message::{Request, Response};
use keybound::replay::BoxFuture;

use crate::HostError;

/// Sends requests to authorization servers.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request exactly as it is, follows no redirect, and gives the response whatever its status. A body longer than
    /// `max_body` bytes is an error.
    ///
    /// # Security
    /// Certificates have to be checked: what comes back decides which tokens are genuine.
    fn send<'a>(&'a self, request: &'a Request, max_body: usize) -> BoxFuture<'a, Result<Response, HostError>>;
}

/// A client over reqwest: certificates are checked, redirects are not followed.
#[cfg(feature = "fetch")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Http {
    /// Made when it is first needed.
    client: std::sync::OnceLock<reqwest::Client>,
}

#[cfg(feature = "fetch")]
impl Http {
    async fn answer(&self, request: &Request, max_body: usize) -> Result<Response, HostError> {
        use keybound::http::message::Body;

        let method = reqwest::Method::from_bytes(request.method.as_bytes())?;
        let mut sent = self.client()?.request(method, &request.url);
        for (name, value) in &request.fields {
            sent = sent.header(name, value);
        }
        if let Body::Bytes(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let mut response = sent.send().await?;
        let fields =
            response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let (status, fields) = (response.status().as_u16(), fields.collect());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > max_body {
                return Err(format!("{} answered with more than {max_body} bytes", request.url).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, fields, body })
    }

    fn client(&self) -> Result<&reqwest::Client, HostError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[cfg(feature = "fetch")]
impl Transport for Http {
    fn send<'a>(&'a self, request: &'a Request, max_body: usize) -> BoxFuture<'a, Result<Response, HostError>> {
        Box::pin(self.answer(request, max_body))
    }
}
