//! A session as middleware: every request of a `reqwest_middleware` client goes out with its token.

use keybound::oauth::Session;
use reqwest_middleware::{Middleware, Next};

use crate::{Client, Error};

/// Sends each request through a session, whatever the code that makes it knows of OAuth.
///
/// It is the last in its chain: it sends the request itself.
///
/// ```no_run
/// # fn bind(client: keybound_reqwest::Client, session: keybound::oauth::Session) {
/// use reqwest_middleware::ClientBuilder;
/// let http = ClientBuilder::new(reqwest::Client::new()).with(keybound_reqwest::Bound::new(client, session)).build();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Bound {
    client: Client,
    session: Session,
}

impl Bound {
    /// Requests go out by `client` in `session`.
    pub const fn new(client: Client, session: Session) -> Self {
        Self { client, session }
    }
}

#[async_trait::async_trait]
impl Middleware for Bound {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let outcome = self.client.call_built(&self.session, request).await;
        outcome.map_err(|error| match error {
            Error::Http(error) => error.into(),
            error => reqwest_middleware::Error::middleware(error),
        })
    }
}
