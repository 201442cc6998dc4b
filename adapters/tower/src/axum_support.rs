//! What axum knows by its own traits: the extractor, refusals as responses, the metadata route.

use axum::Router;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::request::Parts;

use crate::answer::Refused;
use crate::principal::Principal;
use crate::protection::Protection;
use crate::scope::unprotected;

/// The principal of the request. Where no protection is laid around the route the answer is 500.
impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unprotected)
    }
}

/// The principal, on routes that some protection may be laid around.
impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}

impl Protection {
    /// A router with the metadata of the resource (RFC 9728) at its well-known path, open to everyone. Merge it behind the
    /// layer, so that it is not protected itself.
    pub fn metadata_route<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let document = self.metadata().to_json();
        let answer = move || {
            // Public, and wanted by clients in browsers.
            let fields = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
            std::future::ready((fields, document.clone()))
        };
        Router::new().without_v07_checks().route(&self.metadata_path(), get(answer))
    }
}
