//! The layer: what is not admitted is answered here, the rest goes on with its principal.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::answer;
use crate::protection::Protection;

impl Protection {
    /// The layer to lay around services and routers.
    pub fn layer(&self) -> Protect {
        Protect(self.clone())
    }
}

/// Protects every service it is laid around.
#[derive(Clone, Debug)]
pub struct Protect(pub(crate) Protection);

/// A protection is its own layer, for a builder that takes layers: `.layer(protection.clone())`.
impl<S> Layer<S> for Protection {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Protected { inner, protection: self.clone() }
    }
}

/// A service behind a [`Protection`].
#[derive(Clone, Debug)]
pub struct Protected<S> {
    inner: S,
    protection: Protection,
}

impl<S> Layer<S> for Protect {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Layer::layer(&self.0, inner)
    }
}

impl<S, B, R> Service<Request<B>> for Protected<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was found ready is the one to call; its clone is asked the next time.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let protection = self.protection.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let crossing = match protection.cors(&parts) {
                Ok(fields) => fields,
                Err(preflight) => return Ok(answer::preflight(&preflight)),
            };
            let principal = match protection.admit(&parts).await {
                Ok(principal) => principal,
                Err(refusal) => {
                    let mut response = answer::response(&refusal);
                    answer::cross(response.headers_mut(), &crossing);
                    return Ok(response);
                }
            };
            parts.extensions.insert(principal.clone());
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            answer::complete(response.headers_mut(), &principal);
            answer::cross(response.headers_mut(), &crossing);
            Ok(response)
        })
    }
}
