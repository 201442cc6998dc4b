//! What is asked of authorization servers over HTTPS, with bounds on time and length.

use std::sync::OnceLock;
use std::time::Duration;

use keybound::http::url::Url;

use crate::HostError;

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client over reqwest: `https` with certificates checked, or `http` on loopback; redirects are not followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Http {
    /// Made when it is first needed.
    client: OnceLock<reqwest::Client>,
}

impl Http {
    /// The body of what `url` answers with status 200, at most `limit` bytes.
    pub(crate) async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, HostError> {
        self.send(url, limit, |client| client.get(url)).await
    }

    /// The same of a request that `prepare` makes.
    pub(crate) async fn send(
        &self,
        url: &str,
        limit: usize,
        prepare: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, HostError> {
        let parsed = Url::parse(url)?;
        if !parsed.is_https() && !parsed.is_loopback() {
            return Err(format!("{url} is not https").into());
        }
        let mut response = prepare(self.client()?).header("accept", "application/json").send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("{url} answered with status {}", response.status().as_u16()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(format!("{url} answered with more than {limit} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn client(&self) -> Result<&reqwest::Client, HostError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
        let client = builder.build()?;
        Ok(self.client.get_or_init(|| client))
    }
}
