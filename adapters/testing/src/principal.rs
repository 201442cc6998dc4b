//! A principal for tests of handlers.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::Request;
use keybound::RUSTCRYPTO;
use keybound_tower::{HostError, Principal, Protection};

use crate::issuer::TestIssuer;
use crate::token::TestToken;

impl TestIssuer {
    /// The principal of a request with this token, for handlers that are called as functions. A protection made for this one request admits it, so that it
    /// holds what a principal of production holds.
    ///
    /// ```
    /// use keybound_testing::{TestIssuer, TestToken};
    /// use keybound_tower::{Principal, Refused};
    ///
    /// async fn delete(principal: Principal) -> Result<(), Refused> {
    ///     principal.require_scopes(&["items:write"])
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let issuer = TestIssuer::for_resource("https://api.example.com")?;
    /// let reader = issuer.principal(TestToken::of("alice").scopes(["items:read"]))?;
    /// assert!(delete(reader).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Why no request with this token is admitted: it is for another resource or key, or valid for no time.
    pub fn principal(&self, token: TestToken) -> Result<Principal, HostError> {
        let builder = Protection::of(self.resource())?.crypto(&RUSTCRYPTO).without_nonces().intents_at("/")?;
        let protection = self.trusted_by(builder)?.build()?;
        let mut request = Request::get("/").body(())?;
        self.client(token)?.sign(&mut request)?;
        let (parts, ()) = request.into_parts();
        // Keys and store are in this process, so that the answer does not wait for anything.
        match pin!(protection.admit(&parts)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(principal)) => Ok(principal),
            Poll::Ready(Err(refusal)) => Err(format!("no principal has this token: {}", refusal.reason()).into()),
            Poll::Pending => Err("the protection waits for something outside of this process".into()),
        }
    }
}
