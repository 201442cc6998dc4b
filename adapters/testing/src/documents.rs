//! What an issuer publishes, for code that fetches it, without a socket.

use std::sync::Arc;

use http::StatusCode;
use keybound::http::message::{Request, Response};
use keybound::http::url::Url;
use keybound::json::Value;
use keybound::replay::BoxFuture;
use keybound::{Algorithm, Misuse};
use keybound_tower::{HostError, Transport};

use crate::issuer::TestIssuer;

impl TestIssuer {
    /// Where its keys are, as its metadata says (`jwks_uri`).
    pub fn jwks_uri(&self) -> String {
        self.at("jwks")
    }

    /// Its metadata as the document that an issuer serves (RFC 8414 section 2), for code that fetches or parses it. The endpoints in it are
    /// names: no one listens there.
    pub fn metadata(&self) -> String {
        Value::object()
            .with("issuer", self.name())
            .with("jwks_uri", self.jwks_uri())
            .with("authorization_endpoint", self.at("authorize"))
            .with("token_endpoint", self.at("token"))
            .with("response_types_supported", Value::from_iter(["code"]))
            .with("code_challenge_methods_supported", Value::from_iter(["S256"]))
            .with("dpop_signing_alg_values_supported", Value::from_iter([Algorithm::Es256.name()]))
            .to_json()
    }

    /// The network as far as this issuer is in it: it answers requests for [`metadata`](Self::metadata) and [`jwks`](Self::jwks) at their URLs, and others with
    /// 404. With it a test covers that the application finds its issuer's keys by itself, from the metadata on:
    ///
    /// ```
    /// use axum::{Router, http::Request, routing::get};
    /// use keybound_testing::{TestIssuer, TestToken};
    /// use keybound_tower::{Principal, Protection};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let issuer = TestIssuer::for_resource("https://api.example.com")?.named("https://as.example.com");
    /// let builder = Protection::of("https://api.example.com")?.issuer("https://as.example.com")?; // as in production
    /// let protection = builder.transport(issuer.transport()?).clock(issuer.clock().reader()).build()?;
    ///
    /// let items = get(|who: Principal| async move { format!("hello {:?}", who.subject()) });
    /// let app: Router = Router::new().route("/items", items).layer(protection.layer());
    /// let alice = issuer.client(TestToken::of("alice"))?;
    /// assert_eq!(alice.call(app, Request::get("/items").body(String::new())?).await?.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Misuse::Target`] if the issuer's identifier is not an absolute `http` or `https` URL.
    pub fn transport(&self) -> Result<TestTransport, Misuse> {
        let name = Url::parse(self.name()).map_err(Misuse::Target)?;
        let metadata = self.metadata();
        let places = name.issuer_metadata_places().map(|place| (place, metadata.clone()));
        let documents = places.into_iter().chain([(self.jwks_uri(), self.jwks())]).collect();
        Ok(TestTransport(documents))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.name().trim_end_matches('/'))
    }
}

/// Answers for an issuer in place of the network: see [`TestIssuer::transport`].
#[derive(Clone, Debug)]
pub struct TestTransport(Arc<[(String, String)]>);

impl TestTransport {
    fn answer(&self, request: &Request, max_body: usize) -> Result<Response, HostError> {
        let document = self.0.iter().find(|(url, _)| request.method == "GET" && *url == request.url);
        let Some((url, document)) = document else {
            return Ok(Response { status: StatusCode::NOT_FOUND.as_u16(), fields: Vec::new(), body: Vec::new() });
        };
        if document.len() > max_body {
            return Err(format!("the document at {url} is longer than {max_body} bytes").into());
        }
        let fields = vec![("content-type".to_owned(), b"application/json".to_vec())];
        Ok(Response { status: StatusCode::OK.as_u16(), fields, body: document.as_bytes().to_vec() })
    }
}

impl Transport for TestTransport {
    fn send<'a>(&'a self, request: &'a Request, max_body: usize) -> BoxFuture<'a, Result<Response, HostError>> {
        Box::pin(std::future::ready(self.answer(request, max_body)))
    }
}
