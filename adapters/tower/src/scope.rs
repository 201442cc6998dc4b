//! Scopes that a route needs.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::principal::Principal;

/// A layer for routes that need scopes, inside of the layer of a [`Protection`](crate::Protection).
///
/// ```
/// use axum::{Router, routing::post};
/// use keybound_tower::RequireScopes;
/// let routes: Router = Router::new().route("/items", post(|| async {})).layer(RequireScopes::new(["items:write"]));
/// ```
#[derive(Clone, Debug)]
pub struct RequireScopes(Vec<String>);

impl RequireScopes {
    /// Refuses requests whose token lacks one of `scopes`.
    pub fn new<I: IntoIterator<Item: Into<String>>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

/// A service behind [`RequireScopes`].
#[derive(Clone, Debug)]
pub struct Scoped<S> {
    inner: S,
    scopes: Vec<String>,
}

impl<S> Layer<S> for RequireScopes {
    type Service = Scoped<S>;

    fn layer(&self, inner: S) -> Scoped<S> {
        Scoped { inner, scopes: self.0.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Scoped<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    R: Default + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let refused = match request.extensions().get::<Principal>() {
            Some(principal) => principal.require_scopes(&scopes).err().map(|refused| refused.into_response()),
            None => Some(unprotected()),
        };
        match refused {
            Some(response) => Box::pin(async move { Ok(response) }),
            None => Box::pin(self.inner.call(request)),
        }
    }
}

/// What a developer reads without a subscriber for events. It tells of the application nothing but this mistake.
const UNPROTECTED: &str = "this route asks for a principal, but no protection is laid around it: add .layer(protection.layer()) outside of it";

/// The answer where a principal is asked for and no layer has made one: the server is set up wrongly. With axum it has a body that says so.
pub(crate) fn unprotected<B: Default + 'static>() -> Response<B> {
    tracing::error!(target: "keybound", "{UNPROTECTED}");
    let mut response = Response::new(B::default());
    #[cfg(feature = "axum")]
    {
        let body: &mut dyn std::any::Any = response.body_mut();
        if let Some(body) = body.downcast_mut::<axum::body::Body>() {
            *body = UNPROTECTED.into();
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
        }
    }
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
