//! The demonstration's server: an API that takes bound tokens with proofs, and nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::proof::source::{RequestHead, TargetSource};
use keybound::proof::{DPOP, DPOP_NONCE};
use keybound::replay::ReplayStore;
use keybound::replay::memory::MemoryStore;
use keybound::verify::pending::{SettleError, VerifyError};
use keybound::{Context, Policy, Presentation, Refusal, TargetUri, Thumbprint, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;
use tokio::net::TcpListener;

/// How many used proofs are remembered: far more than the demonstration makes.
const CAPACITY: usize = 4096;

struct Server {
    verifier: Verifier,
    store: MemoryStore,
    target: TargetSource,
    /// Which key each token is bound to; an authorization server would write it into `cnf.jkt`.
    tokens: HashMap<String, Thumbprint>,
}

/// Starts the server on a free port of loopback; gives its origin. It ends with the runtime.
pub(super) async fn start(tokens: HashMap<String, Thumbprint>) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let server = Server::new(&origin, tokens).map_err(io::Error::other)?;
    let app = Router::new().fallback(handle).with_state(Arc::new(server));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(origin)
}

impl Server {
    fn new(
        origin: &str,
        tokens: HashMap<String, Thumbprint>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let verifier = Verifier::new(Policy::default(), &AWS_LC);
        let store = MemoryStore::new(CAPACITY, verifier.replay_agreement(), AWS_LC.random, UnixTime::now())?;
        // A nonce of the store's epoch shows that a proof was made after the store began to remember.
        let keys = NonceKeys::new(NonceKey::generate(1, AWS_LC.random)?);
        let nonces = NonceIssuer::new(AWS_LC.mac, keys, origin).with_epoch(store.epoch().to_u64());
        Ok(Self { verifier: verifier.with_nonces(nonces), store, target: TargetUri::fixed(origin)?, tokens })
    }

    fn answer(&self, request: &Request) -> Response {
        let raw_target = request.uri().path_and_query().map_or("", |raw| raw.as_str()).as_bytes();
        let Ok(target) = self.target.resolve(&RequestHead { peer: None, raw_target, fields: &[] }) else {
            return response(StatusCode::BAD_REQUEST, &[], "");
        };
        let algs = self.verifier.policy().algorithms();
        let credentials = credentials(request.headers());
        let known = credentials.and_then(|(_, token)| self.tokens.get(token));
        match (credentials, known) {
            (Some((scheme, access_token)), Some(bound_to)) if scheme.eq_ignore_ascii_case(DPOP) => {
                let proofs: Vec<&[u8]> = request.headers().get_all(DPOP).iter().map(|value| value.as_bytes()).collect();
                let context = Context::Resource { access_token, bound_to: *bound_to };
                self.judge(&Presentation::new(request.method().as_str(), &target, &proofs, context))
            }
            (Some((scheme, _)), Some(_)) if scheme.eq_ignore_ascii_case("Bearer") => {
                // RFC 9449 section 7.2: a bound token is no bearer token.
                challenge(&format!(
                    "Bearer error=\"invalid_token\", error_description=\"the token is bound to a key\", DPoP algs=\"{algs}\""
                ))
            }
            (Some(_), _) => challenge(&format!("DPoP error=\"invalid_token\", algs=\"{algs}\"")),
            (None, _) => challenge(&format!("DPoP algs=\"{algs}\"")),
        }
    }

    fn judge(&self, presentation: &Presentation<'_>) -> Response {
        let now = UnixTime::now();
        let role = Role::ResourceServer;
        let refusal = match self.verifier.verify(presentation, now, &self.store) {
            Ok(proof) => {
                let nonce = proof.next_nonce().map(|nonce| (DPOP_NONCE, nonce.to_string()));
                return response(StatusCode::OK, nonce.as_slice(), "{\"balance\":1250}");
            }
            Err(VerifyError::Rejected(rejection)) => self.verifier.refuse(rejection, role, presentation, now),
            Err(VerifyError::Full) => self.verifier.refuse_undecided(SettleError::Full, role, presentation, now),
            Err(VerifyError::Unavailable | VerifyError::Store(_)) => {
                self.verifier.refuse_undecided(SettleError::Unavailable, role, presentation, now)
            }
        };
        refused(&refusal)
    }
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    server.answer(&request)
}

/// Scheme and token of the one `Authorization` field.
fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    field.to_str().ok()?.split_once(' ')
}

fn challenge(challenge: &str) -> Response {
    response(StatusCode::UNAUTHORIZED, &[("WWW-Authenticate", challenge.to_owned())], "")
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, refusal.headers(), refusal.body())
}

fn response(status: StatusCode, headers: &[(&'static str, String)], body: &str) -> Response {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    builder.body(Body::from(body.to_owned())).unwrap_or_default()
}
