//! Streamable HTTP: one POST request for each message, answered in JSON or as a stream of events.

use std::fmt;

use keybound::oauth::{Demand, Session};
use keybound_reqwest::Needs;
use reqwest::Method;
use serde_json::{Value, json};

use crate::login::Login;

/// The version of the protocol that is spoken unless `MCP_CONFORMANCE_PROTOCOL_VERSION` names another.
const VERSION: &str = "2025-11-25";
/// The first version without connections: each request says for itself who sends it.
const FIRST_STATELESS: &str = "2026-07-28";
/// How often a message is sent again after a login.
const MAX_LOGINS: u8 = 3;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A connection to a server.
pub(crate) struct Server {
    url: String,
    login: Login,
    session: Option<Session>,
    connection: Option<String>,
    version: String,
    name: String,
    sent: u64,
}

impl Server {
    /// Connects: `initialize` and `notifications/initialized`, or `server/discover` in versions without connections.
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_else(|_| VERSION.into());
        let login = Login::new()?;
        let (name, connection, session) = (String::new(), None, None);
        let mut server = Self { url: url.into(), login, session, connection, version, name, sent: 0 };
        let answer = if server.is_stateless() {
            server.request("server/discover", json!({})).await?
        } else {
            let asked =
                json!({ "protocolVersion": server.version, "capabilities": {}, "clientInfo": about_this_client() });
            let answer = server.request("initialize", asked).await?;
            server.version = answer["protocolVersion"].as_str().unwrap_or(VERSION).into();
            server.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
            answer
        };
        let about = answer.get("serverInfo").unwrap_or(&answer["_meta"]["io.modelcontextprotocol/serverInfo"]);
        server.name = about["name"].as_str().unwrap_or("a server without a name").into();
        Ok(server)
    }

    fn is_stateless(&self) -> bool {
        self.version.as_str() >= FIRST_STATELESS
    }

    /// What the server calls itself.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a request and gives its result.
    pub(crate) async fn request(&mut self, method: &str, mut params: Value) -> Result<Value, Failure> {
        self.sent += 1;
        if self.is_stateless() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": about_this_client(),
            });
        }
        let id = self.sent;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answers = self.post(&message).await?;
        let answer = answers.into_iter().find(|answer| answer["id"] == id);
        let mut answer = answer.ok_or_else(|| Failure(format!("{method} was not answered")))?;
        match answer.get("error") {
            Some(error) => Err(Failure(format!("{method}: {error}"))),
            None => Ok(answer["result"].take()),
        }
    }

    /// Sends a message, logging in or asking for more scope where the server wants that.
    async fn post(&mut self, message: &Value) -> Result<Vec<Value>, Failure> {
        let mut logins = 0;
        loop {
            let request = self.message(message);
            let response = match &self.session {
                Some(session) => self.login.client().call(session, request).await,
                None => Ok(request.send().await?),
            };
            let response = match response {
                Err(error) if error.needs_login() && logins < MAX_LOGINS => {
                    self.session = None;
                    logins += 1;
                    continue;
                }
                response => response?,
            };
            let demand = response.extensions().get::<Needs>().map(|needs| needs.0.clone());
            match demand {
                Some(Demand::StepUp(scope)) if logins < MAX_LOGINS => {
                    let session = self.session.take().ok_or_else(|| Failure("there is no session".into()))?;
                    self.session = Some(self.login.step_up(&session, &scope).await?);
                }
                _ if response.status() == 401 && logins < MAX_LOGINS => {
                    self.session = Some(self.login.log_in(&self.url, response.headers()).await?);
                }
                _ => return self.read(response).await,
            }
            logins += 1;
        }
    }

    fn message(&self, message: &Value) -> reqwest::RequestBuilder {
        let mut request = self
            .login
            .client()
            .request(Method::POST, &self.url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", &self.version)
            .body(message.to_string());
        if let Some(connection) = &self.connection {
            request = request.header("Mcp-Session-Id", connection);
        }
        request
    }

    /// The messages of an answer: one, or those of a stream of events.
    async fn read(&mut self, response: reqwest::Response) -> Result<Vec<Value>, Failure> {
        let status = response.status();
        let text_of =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(connection) = text_of("mcp-session-id") {
            self.connection = Some(connection);
        }
        let kind = text_of("content-type").unwrap_or_default();
        let body = response.text().await?;
        if !status.is_success() {
            return Err(Failure(format!("the server answered {status}: {body}")));
        }
        if kind.starts_with("text/event-stream") {
            let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
            return data.map(|data| Ok(serde_json::from_str(data.trim())?)).collect();
        }
        if body.is_empty() { Ok(Vec::new()) } else { Ok(vec![serde_json::from_str(&body)?]) }
    }
}

fn about_this_client() -> Value {
    json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") })
}

impl Failure {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }
}
