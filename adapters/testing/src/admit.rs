//! A layer that admits every request.

use std::task::{Context, Poll};

use http::Request;
use keybound_tower::Principal;
use tower_layer::Layer;
use tower_service::Service;

/// A layer in place of [`Protection::layer`](keybound_tower::Protection::layer) that admits every request as one of `principal`, whatever it carries:
/// for tests of routes whose subject is not their protection. [`TestIssuer::principal`](crate::TestIssuer::principal) makes one.
///
/// ```
/// use axum::{Router, routing::get};
/// use keybound_testing::{TestIssuer, TestToken, danger_admit};
/// use keybound_tower::Principal;
///
/// let issuer = TestIssuer::for_resource("https://api.example.com")?;
/// let routes: Router = Router::new()
///     .route("/items", get(|who: Principal| async move { format!("hello {:?}", who.subject()) }))
///     .layer(danger_admit(issuer.principal(TestToken::of("alice"))?));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Security
/// It checks nothing. In production everyone would be this principal.
pub fn danger_admit(principal: Principal) -> DangerAdmit {
    DangerAdmit(principal)
}

/// The layer that [`danger_admit`] makes.
#[derive(Clone, Debug)]
pub struct DangerAdmit(Principal);

/// A service behind [`danger_admit`].
#[derive(Clone, Debug)]
pub struct DangerAdmitted<S> {
    inner: S,
    principal: Principal,
}

impl<S> Layer<S> for DangerAdmit {
    type Service = DangerAdmitted<S>;

    fn layer(&self, inner: S) -> DangerAdmitted<S> {
        DangerAdmitted { inner, principal: self.0.clone() }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for DangerAdmitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.principal.clone());
        self.inner.call(request)
    }
}
