//! Whom the client logs in as, and how.
//!
//! Nothing has to be set: the client registers itself, or is described by the metadata document whose URL is in
//! `MCP_CLIENT_METADATA`, and the user logs in with the browser. The conformance suite of MCP names other ways by a JSON object in
//! `MCP_CONFORMANCE_CONTEXT`: `client_id` with `client_secret` or `private_key_pem`, `valid_jwt` with an assertion, or `idp_…` for
//! a login by a company's own identity provider. There is nobody at a browser then.

use keybound::http::challenge::Challenge;
use keybound::json::Value as Json;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::oauth::{self, Authorization, Credentials, Discovered, Secret, Session, SessionRequest, TokenExchange};
use keybound::{RUSTCRYPTO, SecurityLevel, UnixTime};
use keybound_reqwest::{Client, Loopback, Memory};
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use crate::mcp::Failure;

/// Where the browser comes back to.
const CALLBACK_PORT: u16 = 9450;
const REDIRECT_URI: &str = "http://127.0.0.1:9450/callback";
/// The metadata document that the conformance suite wants to see named; nobody publishes it.
const SUITE_METADATA: &str = "https://conformance-test.local/client-metadata.json";
/// The name of the only session.
const SESSION: &str = "mcp";
/// An assertion of an identity provider for another authorization server.
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Makes sessions.
pub(crate) struct Login {
    client: Client,
    host: Memory,
    context: Value,
    scenario: String,
}

impl Login {
    pub(crate) fn new() -> Result<Self, Failure> {
        let context = std::env::var("MCP_CONFORMANCE_CONTEXT").ok();
        let context = context.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
        let host = Memory::new();
        let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
        let client = Client::new(builder(&scenario).build()?, host.clone())?;
        Ok(Self { client, host, context, scenario })
    }

    /// What sends requests.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.context.get(name).and_then(Value::as_str)
    }

    /// Logs in after a refusal with these fields.
    pub(crate) async fn log_in(&mut self, url: &str, refusal: &HeaderMap) -> Result<Session, Failure> {
        let fields: Vec<&[u8]> = refusal.get_all("www-authenticate").iter().map(|value| value.as_bytes()).collect();
        let challenges = Challenge::parse_fields(&fields).list;
        let found =
            self.client.run(self.client.oauth().discover_with(url, Some(&challenges), None, UnixTime::now())).await?;
        self.identify(&found)?;
        let request = request(&found);
        if self.given("idp_id_token").is_some() {
            return self.by_identity_provider(&found, request).await;
        }
        if let Some(assertion) = self.given("valid_jwt") {
            let step = self.client.oauth().jwt_bearer(request, &Secret::new(assertion), UnixTime::now());
            return Ok(self.client.run(step).await?);
        }
        if self.scenario.contains("client-credentials") {
            return Ok(self.client.client_credentials(request).await?);
        }
        let authorization = self.client.authorize(request).await?;
        self.visit(authorization).await
    }

    /// Logs in once more, for a scope besides what the session has.
    pub(crate) async fn step_up(&self, session: &Session, scope: &str) -> Result<Session, Failure> {
        let step = self.client.oauth().step_up(session, scope, UnixTime::now());
        let authorization = self.client.run(step).await?;
        self.visit(authorization).await
    }

    /// Has the user log in, and redeems what the browser brings back.
    async fn visit(&self, authorization: Authorization) -> Result<Session, Failure> {
        let back = if self.scenario.is_empty() {
            let loopback = Loopback::bind_to(CALLBACK_PORT)?;
            println!("open {}", authorization.url);
            tokio::task::spawn_blocking(move || loopback.wait(&authorization)).await??
        } else {
            self.visit_without_browser(&authorization.url).await?
        };
        Ok(self.client.exchange(&back).await?)
    }

    /// What comes back from a server that approves at once.
    async fn visit_without_browser(&self, url: &str) -> Result<String, Failure> {
        let answer = self.client.request(reqwest::Method::GET, url).send().await?;
        let back = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        back.map(str::to_owned).ok_or_else(|| Failure::new("the login page did not send the browser back"))
    }

    /// Takes the credentials that were given for the server that was found.
    fn identify(&mut self, found: &Discovered) -> Result<(), Failure> {
        let Some(id) = self.given("client_id") else { return Ok(()) };
        let credentials = match (self.given("client_secret"), self.given("private_key_pem")) {
            (Some(secret), _) => Credentials::secret(id, Secret::new(secret)),
            (None, Some(pem)) => {
                let key = SoftKey::from_pkcs8_pem(pem, &RUSTCRYPTO)?;
                let credentials = Credentials::private_key(id, key.public_key().clone(), key.algorithm());
                self.host.add_key(key);
                credentials
            }
            (None, None) => Credentials::public(id),
        };
        let mut builder = builder(&self.scenario).credentials(found.server().issuer(), credentials);
        if let (Some(issuer), Some(id)) = (self.given("idp_issuer"), self.given("idp_client_id")) {
            builder = builder.credentials(issuer, Credentials::public(id));
        }
        self.client = Client::new(builder.build()?, self.host.clone())?;
        Ok(())
    }

    /// Exchanges the user's identity token at the company's provider for an assertion, and that for an access token.
    async fn by_identity_provider(&self, found: &Discovered, request: SessionRequest) -> Result<Session, Failure> {
        let given = |name: &str| self.given(name).ok_or_else(|| Failure::new("the identity provider is not described"));
        let oauth = self.client.oauth();
        let provider = self.client.run(oauth.discover_issuer(given("idp_issuer")?, UnixTime::now())).await?;
        let subject = Secret::new(given("idp_id_token")?);
        let exchange = TokenExchange::new(subject, "urn:ietf:params:oauth:token-type:id_token")
            .requested_type(ID_JAG)
            .audience(found.server().issuer());
        let mut wanted = SessionRequest::new(SESSION, &provider).level(SecurityLevel::Standard);
        if let Some(resource) = found.resource() {
            wanted = wanted.resource(resource.resource());
        }
        let issued = self.client.run(oauth.exchange_for(wanted, &exchange, UnixTime::now())).await?;
        Ok(self.client.run(oauth.jwt_bearer(request, &issued.token, UnixTime::now())).await?)
    }
}

/// Tokens are bound wherever the server can do that.
fn request(found: &Discovered) -> SessionRequest {
    let binds = found.server().dpop_algorithms().is_some();
    let level = if binds { SecurityLevel::Enhanced } else { SecurityLevel::Standard };
    SessionRequest::new(SESSION, found).level(level).offline_access()
}

fn builder(scenario: &str) -> oauth::ClientBuilder {
    let builder = oauth::Client::builder(SecurityLevel::Standard, &RUSTCRYPTO)
        .redirect_uri(REDIRECT_URI)
        .register(Json::object().with("client_name", "Keybound's example MCP client"))
        .allow_loopback()
        .danger_assume_endpoints();
    match std::env::var("MCP_CLIENT_METADATA") {
        Ok(document) => builder.metadata_document(&document),
        Err(_) if !scenario.is_empty() => builder.metadata_document(SUITE_METADATA),
        Err(_) => builder,
    }
}
