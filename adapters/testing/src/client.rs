//! A client that signs requests and repeats them with the nonce that the server asks for.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode, Uri};
use keybound::http::challenge::Challenge;
use keybound::http::url::Url;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::nonce::Role;
use keybound::nonce::cache::NonceCache;
use keybound::{Algorithm, Misuse, ProofBuilder, RUSTCRYPTO, Thumbprint};
use keybound_tower::HostError;
use tower_service::Service;

use crate::clock::TestClock;
use crate::issuer::TestIssuer;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A client with a key and an access token. It remembers the nonces it is given, as real clients do.
pub struct TestClient {
    /// The identifier of the resource, and its origin.
    resource: Url,
    key: SoftKey,
    token: String,
    clock: TestClock,
    nonces: Mutex<NonceCache>,
}

impl TestClient {
    /// A client of the issuer's resource and clock, with any key and any token: one that was issued for another key or by another issuer, for
    /// example. [`TestIssuer::client`] makes one whose token fits.
    ///
    /// # Errors
    /// [`Misuse::Target`] if the issuer's resource is not an absolute URL.
    pub fn new(issuer: &TestIssuer, key: SoftKey, token: &str) -> Result<Self, Misuse> {
        let resource = Url::parse(issuer.resource()).map_err(Misuse::Target)?;
        let (token, clock) = (token.to_owned(), issuer.clock().clone());
        Ok(Self { resource, key, token, clock, nonces: Mutex::new(NonceCache::new()) })
    }

    /// A thief: a client with this one's token, and a new key.
    ///
    /// # Errors
    /// [`Misuse::Random`].
    pub fn thief(&self) -> Result<Self, Misuse> {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
        let (resource, token, clock) = (self.resource.clone(), self.token.clone(), self.clock.clone());
        Ok(Self { resource, key, token, clock, nonces: Mutex::new(NonceCache::new()) })
    }

    /// The access token it sends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The thumbprint of its key.
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.public_key().thumbprint(RUSTCRYPTO.digest)
    }

    /// Adds `Authorization` and `DPoP`, in place of those that the request has: the token, and a new proof with the server's last nonce. A
    /// request that names only a path is sent to the resource's origin.
    ///
    /// # Errors
    /// What cannot be signed: a target that is not an absolute path or `http` or `https` URL.
    pub fn sign<B>(&self, request: &mut Request<B>) -> Result<(), HostError> {
        let (method, target) = (request.method().to_string(), self.target(request.uri())?);
        let mut proof = ProofBuilder::new(&method, target.as_str()).access_token(&self.token);
        let nonce = self.nonces().get(target.origin(), Role::ResourceServer, &self.thumbprint()).cloned();
        if let Some(nonce) = &nonce {
            proof = proof.nonce(nonce.as_str());
        }
        let proof = proof.sign(&RUSTCRYPTO, &self.key, self.clock.now())?;
        let fields = request.headers_mut();
        fields.insert(AUTHORIZATION, HeaderValue::try_from(format!("DPoP {}", self.token))?);
        fields.insert(DPOP, HeaderValue::try_from(proof.as_str())?);
        Ok(())
    }

    /// Signs a request, gives it to a service, and repeats it once with a new proof if the answer is the challenge to use a nonce
    /// (RFC 9449 section 9). The answer comes back whatever its status.
    ///
    /// The service is an axum router, a layered service or anything else of tower's; pass a clone to use it again. The body must be `Clone`
    /// for the second attempt, such as `String`; axum's routers take every kind of body.
    ///
    /// # Errors
    /// What [`sign`](Self::sign) refuses, a `DPoP-Nonce` that cannot be read, and the service's own.
    pub async fn call<S, B, R>(&self, mut service: S, request: Request<B>) -> Result<Response<R>, HostError>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Into<HostError>,
        B: Clone,
    {
        let first = self.send(&mut service, request.clone()).await?;
        if first.status() == StatusCode::UNAUTHORIZED && asks_for_nonce(first.headers()) {
            return self.send(&mut service, request).await;
        }
        Ok(first)
    }

    async fn send<S, B, R>(&self, service: &mut S, mut request: Request<B>) -> Result<Response<R>, HostError>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Into<HostError>,
    {
        let target = self.target(request.uri())?;
        self.sign(&mut request)?;
        poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
        let response = service.call(request).await.map_err(Into::into)?;
        let nonces = field_lines(response.headers(), &HeaderName::from_static("dpop-nonce"));
        self.nonces().observe(target.origin(), Role::ResourceServer, &self.thumbprint(), &nonces)?;
        Ok(response)
    }

    /// The absolute URL of a request.
    fn target(&self, uri: &Uri) -> Result<Url, HostError> {
        let text = match uri.scheme() {
            Some(_) => uri.to_string(),
            None => format!("{}{uri}", self.resource.origin()),
        };
        Url::parse(&text).map_err(|error| Misuse::Target(error).into())
    }

    fn nonces(&self) -> MutexGuard<'_, NonceCache> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").field("thumbprint", &self.thumbprint()).finish_non_exhaustive()
    }
}

fn asks_for_nonce(fields: &HeaderMap) -> bool {
    let challenges = Challenge::parse_fields(&field_lines(fields, &WWW_AUTHENTICATE));
    challenges.list.iter().any(|known| known.is("DPoP") && known.param("error") == Some("use_dpop_nonce"))
}

fn field_lines<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    fields.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}
