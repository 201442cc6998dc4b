//! Operations of a client, read from JSON and driven step by step.

use std::collections::HashMap;

use keybound::http::challenge::Challenge;
use keybound::http::message::{Body, Request, Response};
use keybound::jose::jwk::PublicJwk;
use keybound::key::KeyProtection;
use keybound::oauth::step::FetchFailed;
use keybound::oauth::{
    Answer, Authorization, Client, Credentials, Demand, DeviceAuthorization, Discovered, FlowError, Secret, Session,
    SessionRequest, Step, TokenExchange,
};
use keybound::{Algorithm, AlgorithmSet, Crypto, SecurityLevel};
use serde_json::{Value, json};

use super::host::Host;
use super::seen::{self, Names};

/// Who answers requests.
pub trait Network {
    /// The response to a request, and what the transcript says of it.
    ///
    /// # Errors
    /// How the network failed.
    fn fetch(&mut self, request: &Request, seen: &Value, host: &Host) -> Result<Response, FetchFailed>;
}

/// A client in the middle of a story.
pub struct Player {
    /// The client.
    pub client: Client,
    /// Its host.
    pub host: Host,
    /// What random values are called.
    pub names: Names,
    /// The steps of the operation under way.
    pub steps: Vec<Value>,
    /// Sessions by name.
    pub sessions: HashMap<String, Session>,
    discovered: Option<Discovered>,
    device: Option<DeviceAuthorization>,
}

/// What an operation came to.
pub type Outcome = Result<Value, FlowError>;

/// The client that a vector describes.
///
/// # Panics
/// If the description is wrong.
pub fn client(config: &Value, crypto: &Crypto, host: &mut Host, names: &mut Names) -> Client {
    let level = SecurityLevel::from_name(text(config, "level").expect("a level")).expect("a known level");
    let mut builder = Client::builder(level, crypto);
    if let Some(uri) = text(config, "redirect_uri") {
        builder = builder.redirect_uri(uri);
    }
    for given in config["credentials"].as_array().into_iter().flatten() {
        let id = text(given, "client_id").expect("an identifier");
        let secret = || Secret::new(text(given, "secret").expect("a secret"));
        let credentials = match text(given, "method").unwrap_or("none") {
            "none" => Credentials::public(id),
            "secret" => Credentials::secret(id, secret()),
            "client_secret_basic" => Credentials::secret_basic(id, secret()),
            "client_secret_post" => Credentials::secret_post(id, secret()),
            "private_key_jwt" => {
                let key = host.create_key(AlgorithmSet::of(&[Algorithm::Es256])).expect("a key");
                names.key(key.public_key.thumbprint(crypto.digest));
                let public_key: PublicJwk = key.public_key;
                Credentials::private_key(id, public_key, Algorithm::Es256).key_id("client-key")
            }
            other => panic!("{other}"),
        };
        builder = builder.credentials(text(given, "issuer").expect("an issuer"), credentials);
    }
    if let Some(url) = text(config, "metadata_document") {
        builder = builder.metadata_document(url);
    }
    if let Some(metadata) = config.get("register") {
        builder = builder.register(core_value(metadata));
    }
    for issuer in config["accept_issuers"].as_array().into_iter().flatten() {
        builder = builder.accept_issuer(issuer.as_str().expect("text"));
    }
    if let Some(tenant) = text(config, "entra_tenant") {
        builder = builder.entra_tenant(tenant);
    }
    for origin in config["also_origins"].as_array().into_iter().flatten() {
        builder = builder.also_origin(origin.as_str().expect("text"));
    }
    if config["push_with_proof"] == true {
        builder = builder.push_with_proof();
    }
    if config["danger_assume_pkce"] == true {
        builder = builder.danger_assume_pkce();
    }
    if config["danger_assume_endpoints"] == true {
        builder = builder.danger_assume_endpoints();
    }
    if config["danger_accept_bearer"] == true {
        builder = builder.danger_accept_bearer();
    }
    builder.build().expect("a client")
}

impl Player {
    /// A player of the client that `config` describes.
    pub fn new(config: &Value, crypto: &Crypto, mut host: Host) -> Self {
        if let Some(place) = text(config, "protection").and_then(KeyProtection::from_name) {
            host.protection = place;
        }
        let mut names = Names::default();
        let client = client(config, crypto, &mut host, &mut names);
        host.is_ring = config["ring"] == true;
        Self { client, host, names, steps: Vec::new(), sessions: HashMap::new(), discovered: None, device: None }
    }

    /// Does one operation.
    ///
    /// # Errors
    /// What the flow ended with.
    ///
    /// # Panics
    /// If the operation is written wrongly.
    pub fn perform(&mut self, operation: &Value, network: &mut dyn Network) -> Outcome {
        let now = self.host.now;
        let client = self.client.clone();
        match text(operation, "do").expect("what to do") {
            "wait" => {
                self.host.now = now.saturating_add(operation["seconds"].as_u64().expect("seconds"));
                Ok(json!({}))
            }
            "rotate" => {
                self.host.rotate();
                Ok(json!({}))
            }
            "discover" => {
                let challenges = operation["challenges"].as_array().map(|lines| {
                    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_str().unwrap().as_bytes()).collect();
                    Challenge::parse_fields(&lines).list
                });
                let (target, issuer) = (text(operation, "target").expect("a target"), text(operation, "issuer"));
                let step = client.discover_with(target, challenges.as_deref(), issuer, now);
                let found = self.drive(step, network)?;
                Ok(self.found(found))
            }
            "discover_issuer" => {
                let step = client.discover_issuer(text(operation, "issuer").expect("an issuer"), now);
                let found = self.drive(step, network)?;
                Ok(self.found(found))
            }
            "authorize" => {
                let step = client.authorize(self.request(operation), now);
                let authorization = self.drive(step, network)?;
                Ok(self.sent(&authorization))
            }
            "step_up" => {
                let session = self.session(operation);
                let step = client.step_up(&session, text(operation, "scope").expect("a scope"), now);
                let authorization = self.drive(step, network)?;
                Ok(self.sent(&authorization))
            }
            "exchange" => {
                let callback = self.names.show(text(operation, "callback").expect("a URL"));
                let step = client.exchange(&callback, now);
                self.started(step, network)
            }
            "client_credentials" => self.started(client.client_credentials(self.request(operation), now), network),
            "token_exchange" => {
                let step = client.token_exchange(self.request(operation), &exchange(operation), now);
                self.started(step, network)
            }
            "exchange_for" => {
                let step = client.exchange_for(self.request(operation), &exchange(operation), now);
                let issued = self.drive(step, network)?;
                Ok(json!({ "token": issued.token.expose(), "token_type": issued.token_type }))
            }
            "jwt_bearer" => {
                let assertion = Secret::new(text(operation, "assertion").expect("an assertion"));
                self.started(client.jwt_bearer(self.request(operation), &assertion, now), network)
            }
            "device" => {
                let step = client.device(self.request(operation), now);
                let device = self.drive(step, network)?;
                let shown = json!({ "user_code": device.user_code(), "verification_uri": device.verification_uri() });
                self.device = Some(device);
                Ok(shown)
            }
            "poll_device" => {
                let device = self.device.take().expect("a device login");
                self.started(client.poll_device(device, now), network)
            }
            "open" => self.started(client.open(text(operation, "session").expect("a name"), now), network),
            "refresh" => {
                let session = self.session(operation);
                let step = client.refresh(&session, now);
                self.drive(step, network)?;
                Ok(self.shown(&session))
            }
            "rekey" => {
                let session = self.session(operation);
                let step = client.rekey(&session, now);
                self.drive(step, network)?;
                Ok(self.shown(&session))
            }
            "look" => {
                let session = self.session(operation);
                let subject = session.subject().map(|subject| json!({ "issuer": subject.issuer, "sub": subject.sub }));
                let named = operation["members"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let member = |name: &str| session.member(name).map(|value| value.expose().to_owned());
                let members: serde_json::Map<_, _> = named.map(|name| (name.to_owned(), json!(member(name)))).collect();
                Ok(json!({ "subject": subject, "members": members }))
            }
            "keep" => {
                let session = self.session(operation);
                let step = client.keep(&session, now);
                self.drive(step, network).map(|()| json!({}))
            }
            "revoke" => {
                let session = self.session(operation);
                let step = client.revoke(&session, now);
                self.drive(step, network).map(|()| json!({}))
            }
            "end" => {
                let session = self.session(operation);
                let step = client.end(&session, now);
                self.drive(step, network).map(|revoked| json!({ "revoked": revoked }))
            }
            "introspect" => {
                let token = self.session(operation).danger_access_token().expect("a token");
                let at = self.discovered.clone().expect("a discovery");
                let step = client.introspect(&at, token, now);
                let said = self.drive(step, network)?;
                let said: Value = serde_json::from_str(&said.to_json()).expect("JSON");
                Ok(serde_json::from_str(&self.names.hide(&said.to_string())).expect("JSON"))
            }
            "call" => {
                let session = self.session(operation);
                let mut request =
                    Request::new(text(operation, "method").unwrap_or("GET"), text(operation, "url").expect("a URL"));
                request.body = match text(operation, "body") {
                    None => Body::Empty,
                    Some("repeatable") => Body::Repeatable,
                    Some("one_shot") => Body::OneShot,
                    Some(other) => panic!("{other}"),
                };
                let step = client.call(&session, request, now);
                let answer = self.drive(step, network)?;
                Ok(answered(&answer))
            }
            other => panic!("no operation {other}"),
        }
    }

    /// The session an operation is about.
    ///
    /// # Panics
    /// If there is none.
    pub fn session(&self, operation: &Value) -> Session {
        self.sessions.get(text(operation, "session").expect("a session")).expect("a session of this name").clone()
    }

    fn request(&self, operation: &Value) -> SessionRequest {
        let name = text(operation, "session").expect("a session");
        let mut request = match self.sessions.get(name).filter(|_| operation["again"] == true) {
            Some(session) => SessionRequest::again(session),
            None => SessionRequest::new(name, self.discovered.as_ref().expect("a discovery")),
        };
        if let Some(details) = operation.get("authorization_details") {
            request = request.authorization_details(core_value(details));
        }
        if let Some(details) = operation.get("intent") {
            request = request.intent(core_value(details));
        }
        if let Some(seconds) = operation["intent_lifetime"].as_u64() {
            request = request.intent_lifetime(seconds);
        }
        // An intent drops the scope that was discovered, and keeps the one that is asked for.
        if let Some(scope) = text(operation, "scope") {
            request = request.scope(scope);
        }
        if let Some(resource) = text(operation, "resource") {
            request = request.resource(resource);
        }
        if let Some(level) = text(operation, "level") {
            request = request.level(SecurityLevel::from_name(level).expect("a level"));
        }
        if let Some(sub) = text(operation, "expect_subject") {
            request = request.expect_subject(sub);
        }
        type Switch = fn(SessionRequest) -> SessionRequest;
        let switches: [(&str, Switch); 5] = [
            ("provisional", SessionRequest::provisional),
            ("without_pushed_request", SessionRequest::without_pushed_request),
            ("without_resource", SessionRequest::without_resource),
            ("scope_on_refresh", SessionRequest::scope_on_refresh),
            ("danger_assume_pkce", SessionRequest::danger_assume_pkce),
        ];
        for (_, switch) in switches.iter().filter(|(name, _)| operation[name] == true) {
            request = switch(request);
        }
        for (name, value) in operation["parameters"].as_object().into_iter().flatten() {
            request = request.parameter(name, value.as_str().expect("text"));
        }
        request
    }

    fn found(&mut self, found: Discovered) -> Value {
        let shown = json!({
            "issuer": found.server().issuer(),
            "resource": found.resource().map(|resource| resource.resource()),
        });
        self.discovered = Some(found);
        shown
    }

    /// The authorization URL as transcripts show it.
    fn sent(&mut self, authorization: &Authorization) -> Value {
        let (at, query) = authorization.url.split_once('?').expect("a query");
        let query = seen::form(query.as_bytes(), &mut self.names);
        json!({ "url": at, "query": query, "pushed": authorization.pushed })
    }

    fn started(&mut self, step: Result<Step<Session>, FlowError>, network: &mut dyn Network) -> Outcome {
        let session = self.drive(step, network)?;
        self.sessions.insert(session.name().into(), session.clone());
        Ok(self.shown(&session))
    }

    fn shown(&self, session: &Session) -> Value {
        let key = session.thumbprint().map(|thumbprint| self.names.hide(&thumbprint.to_string()));
        json!({
            "session": session.name(),
            "level": session.level().name(),
            "issuer": session.issuer(),
            "resource": session.resource(),
            "scope": session.scope(),
            "key": key,
            "access_token": session.danger_access_token().map(|token| token.expose().to_owned()),
            "expires_at": session.expires_at().map(|time| time.secs()),
        })
    }

    fn drive<T>(&mut self, step: Result<Step<T>, FlowError>, network: &mut dyn Network) -> Result<T, FlowError> {
        let mut step = step?;
        loop {
            let name = step.name();
            let mut record = |rest: Value| {
                let mut shown = json!({ "step": name });
                shown.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
                self.steps.push(shown);
            };
            let now = self.host.now;
            step = match step {
                Step::Done(result) => return Ok(result),
                Step::CreateKey(step) => {
                    let algorithms: Vec<_> = step.algorithms().iter().map(Algorithm::name).collect();
                    let protections: Vec<_> = step.protections().iter().map(|place| place.name()).collect();
                    record(json!({ "algorithms": algorithms, "protections": protections }));
                    let key = self.host.create_key(step.algorithms());
                    if let Ok(key) = &key {
                        self.names.key(key.public_key.thumbprint(keybound::RUSTCRYPTO.digest));
                    }
                    step.resume(key, now)?
                }
                Step::DeleteKey(step) => {
                    record(json!({ "key": self.names.hide(&step.thumbprint().to_string()) }));
                    self.host.delete_key(step.thumbprint());
                    step.resume(Ok(()), now)?
                }
                Step::Sign(step) => {
                    let purpose = format!("{:?}", step.purpose()).to_lowercase();
                    record(json!({ "key": self.names.hide(&step.thumbprint().to_string()), "for": purpose }));
                    match self.host.key(step.thumbprint()) {
                        Ok(key) => step.resume_with(key, now)?,
                        Err(fault) => step.resume(Err(fault), now)?,
                    }
                }
                Step::Fetch(step) => {
                    let shown = seen::request(step.request(), &mut self.names);
                    let answer = network.fetch(step.request(), &shown, &self.host);
                    let said = match &answer {
                        Ok(response) => seen_response(response, &self.names),
                        Err(FetchFailed::NotSent(_)) => json!("not_sent"),
                        Err(FetchFailed::Lost(_)) => Value::Null,
                    };
                    record(json!({ "request": shown, "answer": said }));
                    step.resume(answer, now)?
                }
                Step::Lock(step) => {
                    record(json!({ "lock": self.names.hide(step.lock()), "lease": step.lease() }));
                    self.host.lock(step.lock());
                    step.resume(Ok(()), now)?
                }
                Step::Unlock(step) => {
                    record(json!({ "lock": self.names.hide(step.lock()) }));
                    self.host.unlock(step.lock());
                    step.resume(Ok(()), now)?
                }
                Step::Load(step) => {
                    record(json!({ "slot": self.names.hide(step.slot().as_str()) }));
                    let stored = self.host.load(step.slot());
                    step.resume(Ok(stored), now)?
                }
                Step::Save(step) => {
                    let what = if step.value().is_some() { "store" } else { "delete" };
                    let fresh = step.expected().is_none();
                    let slot = match step.slot().as_str().strip_prefix("login/") {
                        Some(state) => format!("login/{}", self.names.name("state", state)),
                        None => step.slot().as_str().to_owned(),
                    };
                    record(json!({ "slot": slot, "action": what, "new": fresh }));
                    let saved = self.host.save(step.slot(), step.expected(), step.version(), step.value());
                    step.resume(saved, now)?
                }
                Step::Share(_) | Step::Ask(_) | Step::Insert(_) => panic!("a client asks for what servers need"),
                Step::Wait(step) => {
                    let seconds = step.milliseconds() / 1_000;
                    // Pauses between attempts are random, and shorter than a second.
                    let shown = if seconds == 0 { json!({ "below": 1 }) } else { json!({ "seconds": seconds }) };
                    record(shown);
                    self.host.now = now.saturating_add(seconds);
                    step.resume((), self.host.now)?
                }
            };
        }
    }
}

fn exchange(operation: &Value) -> TokenExchange {
    let secret = |name: &str| Secret::new(text(operation, name).expect("a token"));
    let mut exchange =
        TokenExchange::new(secret("subject_token"), text(operation, "subject_token_type").expect("a type"));
    if let Some(kind) = text(operation, "requested_token_type") {
        exchange = exchange.requested_type(kind);
    }
    if let Some(audience) = text(operation, "audience") {
        exchange = exchange.audience(audience);
    }
    exchange
}

fn answered(answer: &Answer) -> Value {
    let demand = answer.demand.as_ref().map(|demand| match demand {
        Demand::Login(_) => json!("login"),
        Demand::StepUp(scope) => json!({ "step_up": scope }),
        Demand::Resend => json!("resend"),
        _ => json!("unknown"),
    });
    let mut shown = json!({ "status": answer.status, "url": answer.url, "demand": demand });
    if answer.ignored_challenge.is_some() {
        shown["ignored_challenge"] = json!(true);
    }
    shown
}

fn seen_response(response: &Response, names: &Names) -> Value {
    let mut fields = serde_json::Map::new();
    for (name, value) in &response.fields {
        let value = json!(names.hide(&String::from_utf8_lossy(value)));
        match fields.get_mut(name) {
            None => drop(fields.insert(name.clone(), value)),
            Some(Value::Array(lines)) => lines.push(value),
            Some(first) => *first = json!([first, value]),
        }
    }
    let mut shown = json!({ "status": response.status, "fields": fields });
    if !response.body.is_empty() {
        let body = names.hide(&String::from_utf8_lossy(&response.body));
        shown["body"] = serde_json::from_str(&body).unwrap_or(Value::String(body));
    }
    shown
}

/// A member that is text.
pub fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn core_value(value: &Value) -> keybound::json::Value {
    keybound::json::Value::parse(value.to_string().as_bytes()).expect("JSON")
}
