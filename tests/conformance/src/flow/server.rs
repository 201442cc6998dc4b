//! A small authorization server and API, which checks what clients send and can be told to misbehave.

use std::collections::{HashMap, HashSet, VecDeque};

use keybound::http::form::Form;
use keybound::http::message::{Body, Request, Response};
use keybound::{Context, Policy, Presentation, RUSTCRYPTO, TargetUri, UnixTime, Verifier, base64url};
use serde_json::{Map, Value, json};

/// The issuer identifier.
pub const ISSUER: &str = "https://as.example.com";
/// The resource identifier.
pub const RESOURCE: &str = "https://api.example.com/mcp";

/// An authorization server and an API.
pub struct Server {
    /// Members that replace those of the authorization server's metadata; null removes one.
    pub metadata: Map<String, Value>,
    /// Members that replace those of the resource's metadata; null removes one.
    pub resource: Map<String, Value>,
    /// Whether the resource publishes metadata.
    pub publishes_resource: bool,
    /// Whether the authorization server demands nonces.
    pub nonces: bool,
    /// Whether the API demands nonces.
    pub api_nonces: bool,
    /// Whether each response has a new nonce that replaces the last.
    pub rotating_nonces: bool,
    /// How far the server's clock is ahead.
    pub skew: i64,
    /// The `token_type` of bound tokens.
    pub token_type: &'static str,
    /// Members added to token responses; null removes one.
    pub token_answer: Map<String, Value>,
    /// The scope that the API needs.
    pub needed_scope: Option<&'static str>,
    /// Whether refresh tokens are issued.
    pub refresh_tokens: bool,
    /// Parameters that replace those of authorization responses; null removes one.
    pub redirect: Map<String, Value>,
    /// Answers to the next requests whose URL ends so, before anything else looks at them.
    pub prepared: VecDeque<(&'static str, Response)>,
    /// What the network does to the next requests whose URL ends so.
    pub failures: VecDeque<(&'static str, Failure)>,
    /// How often the token endpoint says that the user has not decided yet.
    pub pending: u8,
    /// Every request, in order.
    pub log: Vec<Request>,
    /// What it remembers.
    pub memory: Memory,
}

/// What a network does to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing is sent.
    NotSent,
    /// The request arrives, and its answer does not.
    Lost,
}

/// What a server remembers.
#[derive(Default)]
pub struct Memory {
    pushed: HashMap<String, Form>,
    codes: HashMap<String, Code>,
    /// Challenge and key of each device code.
    devices: HashMap<String, (Option<String>, Option<String>)>,
    refresh: HashMap<String, (Option<String>, String)>,
    tokens: HashMap<String, Token>,
    jtis: HashSet<String>,
    assertions: HashSet<String>,
    count: usize,
    nonce: usize,
}

struct Code {
    challenge: String,
    redirect_uri: String,
    jkt: Option<String>,
    scope: String,
    details: Option<Value>,
    resource: Option<String>,
}

struct Token {
    jkt: Option<String>,
    scope: String,
    revoked: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            metadata: Map::new(),
            resource: Map::new(),
            publishes_resource: true,
            nonces: false,
            api_nonces: false,
            rotating_nonces: false,
            skew: 0,
            token_type: "DPoP",
            token_answer: Map::new(),
            needed_scope: None,
            refresh_tokens: true,
            redirect: Map::new(),
            prepared: VecDeque::new(),
            failures: VecDeque::new(),
            pending: 0,
            log: Vec::new(),
            memory: Memory::default(),
        }
    }
}

/// Whether the client authenticates.
fn is_confidential(request: &Request, form: &Form) -> bool {
    request.field("authorization").is_some()
        || ["client_secret", "client_assertion"].iter().any(|name| get(form, name).is_some())
}

/// What a server's `Date` field says, in the months that stories happen in.
///
/// # Panics
/// If the time is in no such month.
pub fn date(now: UnixTime) -> String {
    // 1 November 2023.
    let since = now.secs() - 1_698_796_800;
    let (day, second) = (since.div_euclid(86_400) + 1, since.rem_euclid(86_400));
    assert!((1..=30).contains(&day), "stories happen in November 2023");
    let weekday = ["Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon"][usize::try_from(day % 7).expect("below 7")];
    format!("{weekday}, {day:02} Nov 2023 {:02}:{:02}:{:02} GMT", second / 3600, second / 60 % 60, second % 60)
}

/// An answer with a JSON body.
pub fn answer(status: u16, body: &Value) -> Response {
    let fields = vec![("content-type".into(), b"application/json".to_vec())];
    Response { status, fields, body: body.to_string().into_bytes() }
}

/// The same with one more field.
#[must_use]
pub fn with(mut response: Response, name: &str, value: &str) -> Response {
    response.fields.push((name.into(), value.as_bytes().to_vec()));
    response
}

fn error(status: u16, error: &str) -> Response {
    answer(status, &json!({ "error": error }))
}

fn merged(mut base: Value, changes: &Map<String, Value>) -> Value {
    let members = base.as_object_mut().expect("an object");
    for (name, value) in changes {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    base
}

impl Server {
    /// Revokes every access token that was issued so far.
    pub fn revoke_all(&mut self) {
        self.memory.tokens.values_mut().for_each(|token| token.revoked = true);
    }

    /// Takes every refresh token back as well.
    pub fn forget_all(&mut self) {
        self.revoke_all();
        self.memory.refresh.clear();
    }

    /// Answers a request.
    ///
    /// # Panics
    /// If the request breaks a rule that no client of ours may break.
    pub fn respond(&mut self, request: &Request, now: UnixTime) -> Response {
        self.log.push(request.clone());
        if let Some(at) = self.prepared.iter().position(|(end, _)| request.url.ends_with(end)) {
            return self.prepared.remove(at).expect("just found").1;
        }
        let now = UnixTime::from_secs(now.secs() + self.skew);
        let form = match &request.body {
            Body::Bytes(bytes) => Form::parse(bytes).unwrap_or_default(),
            _ => Form::new(),
        };
        let path = request.url.strip_prefix(ISSUER).and_then(|path| path.split('?').next());
        match path {
            Some("/.well-known/oauth-authorization-server") => answer(200, &self.server_metadata()),
            Some("/register") => answer(201, &json!({ "client_id": "registered", "client_id_issued_at": now.secs() })),
            Some(path @ ("/par" | "/token" | "/device" | "/revoke" | "/introspect")) => {
                match self.judge_server_proof(request, now) {
                    Ok(jkt) => {
                        let response = self.endpoint(path, request, &form, jkt, now);
                        if self.rotating_nonces { with(response, "dpop-nonce", &self.next_nonce()) } else { response }
                    }
                    Err(refusal) => refusal,
                }
            }
            Some(_) => answer(404, &json!({})),
            None => self.api(request, now),
        }
    }

    /// Lets the user approve at the URL the client gave, and gives the URL the browser comes back to.
    ///
    /// # Panics
    /// If the client's URL lacks something.
    pub fn approve(&mut self, url: &str) -> String {
        let query = url.strip_prefix(&format!("{ISSUER}/authorize?")).expect("the authorization endpoint");
        let front = Form::parse(query.as_bytes()).expect("a form");
        let request = match get(&front, "request_uri") {
            Some(handle) => {
                assert_eq!(front.iter().count(), 2, "the client's identifier and the handle alone (RFC 9126)");
                self.memory.pushed.remove(&handle).expect("a handle that is used once")
            }
            None => front,
        };
        assert_eq!(get(&request, "response_type").as_deref(), Some("code"));
        assert_eq!(get(&request, "code_challenge_method").as_deref(), Some("S256"));
        self.memory.count += 1;
        let code = format!("code-{}", self.memory.count);
        let redirect_uri = get(&request, "redirect_uri").expect("a redirect URI");
        let answer = json!({ "code": code, "state": get(&request, "state").expect("a state"), "iss": ISSUER });
        let details = get(&request, "authorization_details").map(|text| serde_json::from_str(&text).expect("JSON"));
        self.memory.codes.insert(
            code,
            Code {
                challenge: get(&request, "code_challenge").expect("a challenge"),
                redirect_uri: redirect_uri.clone(),
                jkt: get(&request, "dpop_jkt"),
                scope: get(&request, "scope").unwrap_or_default(),
                details,
                resource: get(&request, "resource"),
            },
        );
        let mut query = Form::new();
        for (name, value) in merged(answer, &self.redirect).as_object().expect("an object") {
            query.push(name, value.as_str().expect("text"));
        }
        format!("{redirect_uri}?{}", query.encode())
    }

    fn server_metadata(&self) -> Value {
        let at = |path: &str| format!("{ISSUER}{path}");
        merged(
            json!({
                "issuer": ISSUER,
                "authorization_endpoint": at("/authorize"),
                "token_endpoint": at("/token"),
                "registration_endpoint": at("/register"),
                "pushed_authorization_request_endpoint": at("/par"),
                "device_authorization_endpoint": at("/device"),
                "revocation_endpoint": at("/revoke"),
                "introspection_endpoint": at("/introspect"),
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported":
                    ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
                "authorization_response_iss_parameter_supported": true,
                "dpop_signing_alg_values_supported": ["ES256", "Ed25519"],
            }),
            &self.metadata,
        )
    }

    fn current_nonce(&self) -> String {
        format!("nonce-{}", self.memory.nonce + 1)
    }

    fn next_nonce(&mut self) -> String {
        self.memory.nonce += 1;
        self.current_nonce()
    }

    /// The thumbprint of a valid proof, if there is one.
    fn judge_server_proof(&mut self, request: &Request, now: UnixTime) -> Result<Option<String>, Response> {
        let Some(proof) = request.field("dpop") else { return Ok(None) };
        let wanted = self.current_nonce();
        match self.judge(request, proof, Context::TokenEndpoint { dpop_jkt: None }, now) {
            Err(()) => Err(with(error(400, "invalid_dpop_proof"), "date", &date(now))),
            Ok((_, nonce)) if self.nonces && nonce.as_deref() != Some(&wanted) => {
                Err(with(error(400, "use_dpop_nonce"), "dpop-nonce", &wanted))
            }
            Ok((jkt, _)) => Ok(Some(jkt)),
        }
    }

    /// The thumbprint and nonce of a proof.
    fn judge(
        &mut self,
        request: &Request,
        proof: &str,
        context: Context<'_>,
        now: UnixTime,
    ) -> Result<(String, Option<String>), ()> {
        let verifier = Verifier::new(Policy::default(), &RUSTCRYPTO);
        let url = request.url.replace("wss:", "https:");
        let target = TargetUri::parse(&url).expect("a target");
        let proofs = [proof.as_bytes()];
        let presentation = Presentation::new(&request.method, &target, &proofs, context);
        let verified = verifier.check(&presentation, now).map_err(drop)?.danger_skip_replay_check();
        let claims = base64url::decode(proof.split('.').nth(1).expect("claims").as_bytes()).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        let jti = claims["jti"].as_str().expect("a jti").to_owned();
        assert!(self.memory.jtis.insert(jti), "a proof was used twice");
        Ok((verified.thumbprint().to_string(), claims["nonce"].as_str().map(str::to_owned)))
    }

    fn endpoint(&mut self, path: &str, request: &Request, form: &Form, jkt: Option<String>, now: UnixTime) -> Response {
        if let Some(assertion) = get(form, "client_assertion") {
            assert!(self.memory.assertions.insert(assertion), "an assertion was used twice");
        }
        let authenticated = request.field("authorization").is_some()
            || ["client_id", "client_assertion"].iter().any(|name| get(form, name).is_some());
        assert!(authenticated, "the client says who it is");
        self.memory.count += 1;
        let number = self.memory.count;
        match path {
            "/par" => {
                assert!(get(form, "request_uri").is_none(), "no handle is pushed (RFC 9126 section 2.1)");
                let mut pushed = form.clone();
                if let Some(jkt) = jkt {
                    assert!(get(form, "dpop_jkt").is_none_or(|announced| announced == jkt));
                    pushed = Form::new();
                    form.iter()
                        .filter(|(name, _)| *name != "dpop_jkt")
                        .for_each(|(name, value)| pushed.push(name, value));
                    pushed.push("dpop_jkt", &jkt);
                }
                let handle = format!("urn:ietf:params:oauth:request_uri:{number}");
                self.memory.pushed.insert(handle.clone(), pushed);
                answer(201, &json!({ "request_uri": handle, "expires_in": 60 }))
            }
            "/device" => {
                let code = format!("device-{number}");
                let key = jkt.or_else(|| get(form, "dpop_jkt"));
                assert_eq!(get(form, "code_challenge_method").as_deref(), Some("S256"));
                self.memory.devices.insert(code.clone(), (get(form, "code_challenge"), key));
                let uri = format!("{ISSUER}/activate");
                answer(
                    200,
                    &json!({
                        "device_code": code, "user_code": "WDJB-MJHT", "verification_uri": uri,
                        "verification_uri_complete": format!("{uri}?user_code=WDJB-MJHT"), "expires_in": 900, "interval": 5,
                    }),
                )
            }
            "/revoke" => {
                let token = get(form, "token").expect("a token");
                self.memory.refresh.remove(&token);
                if let Some(token) = self.memory.tokens.get_mut(&token) {
                    token.revoked = true;
                }
                answer(200, &json!({}))
            }
            "/introspect" => match self.memory.tokens.get(&get(form, "token").unwrap_or_default()) {
                Some(token) if !token.revoked => {
                    let cnf = token.jkt.as_ref().map(|jkt| json!({ "jkt": jkt }));
                    answer(200, &json!({ "active": true, "scope": token.scope, "cnf": cnf }))
                }
                _ => answer(200, &json!({ "active": false })),
            },
            _ => {
                let bound = jkt.clone().filter(|_| !is_confidential(request, form));
                self.token(form, (jkt, bound), number, now)
            }
        }
    }

    /// `refresh_key` is the key that refresh tokens are bound to: those of public clients alone (RFC 9449 section 5).
    fn token(
        &mut self,
        form: &Form,
        (jkt, refresh_key): (Option<String>, Option<String>),
        number: usize,
        _: UnixTime,
    ) -> Response {
        let grant = get(form, "grant_type").expect("a grant type");
        let mut details = None;
        let mut scope = get(form, "scope").unwrap_or_default();
        match grant.rsplit(':').next().expect("a name") {
            "authorization_code" => {
                let Some(code) = self.memory.codes.remove(&get(form, "code").unwrap_or_default()) else {
                    return error(400, "invalid_grant");
                };
                assert_eq!(code.challenge, challenge(form), "PKCE (RFC 7636 section 4.6)");
                assert_eq!(Some(code.redirect_uri), get(form, "redirect_uri"));
                assert_eq!(code.resource, get(form, "resource"), "one resource (RFC 8707)");
                if code.jkt.is_some() && code.jkt != jkt {
                    return error(400, "invalid_dpop_proof");
                }
                scope = code.scope;
                details = code.details;
            }
            "refresh_token" => {
                let Some((bound, granted)) =
                    self.memory.refresh.remove(&get(form, "refresh_token").unwrap_or_default())
                else {
                    return error(400, "invalid_grant");
                };
                if bound != refresh_key {
                    return error(400, "invalid_grant");
                }
                scope = granted;
            }
            "device_code" => {
                let code = get(form, "device_code").unwrap_or_default();
                match self.memory.devices.get(&code) {
                    Some((_, bound)) if bound.is_some() && *bound != jkt => return error(400, "invalid_grant"),
                    Some((announced, _)) if announced.as_deref() != Some(&*challenge(form)) => {
                        return error(400, "invalid_grant");
                    }
                    Some(_) if self.pending > 0 => {
                        self.pending -= 1;
                        return error(400, if self.pending == 1 { "slow_down" } else { "authorization_pending" });
                    }
                    Some(_) => drop(self.memory.devices.remove(&code)),
                    None => return error(400, "expired_token"),
                }
            }
            "client_credentials" | "token-exchange" | "jwt-bearer" => {}
            _ => return error(400, "unsupported_grant_type"),
        }
        let token = format!("at-{number}");
        let is_bound = jkt.is_some() && self.token_type == "DPoP";
        self.memory.tokens.insert(
            token.clone(),
            Token { jkt: jkt.clone().filter(|_| is_bound), scope: scope.clone(), revoked: false },
        );
        let mut body = json!({
            "access_token": token,
            "token_type": if jkt.is_some() { self.token_type } else { "Bearer" },
            "expires_in": 300,
        });
        if !scope.is_empty() {
            body["scope"] = json!(scope);
        }
        if let Some(details) = details {
            body["authorization_details"] = details;
        }
        if self.refresh_tokens && grant != "client_credentials" {
            let refresh = format!("rt-{number}");
            self.memory.refresh.insert(refresh.clone(), (refresh_key, scope));
            body["refresh_token"] = json!(refresh);
        }
        let response = answer(200, &merged(body, &self.token_answer));
        with(response, "cache-control", "no-store")
    }

    fn api(&mut self, request: &Request, now: UnixTime) -> Response {
        let root = "https://api.example.com/.well-known/oauth-protected-resource";
        if let Some(rest) = request.url.strip_prefix(root) {
            let metadata = json!({
                "resource": RESOURCE, "authorization_servers": [ISSUER], "scopes_supported": ["read"],
                "dpop_signing_alg_values_supported": ["ES256", "Ed25519"],
            });
            let published = self.publishes_resource && rest == "/mcp";
            return if published { answer(200, &merged(metadata, &self.resource)) } else { answer(404, &json!({})) };
        }
        assert!(request.url.contains("://api.example.com/"), "a token or a request went to {}", request.url);
        let challenge = |error: &str| {
            let error = if error.is_empty() { String::new() } else { format!(", error=\"{error}\"") };
            let response = Response { status: 401, fields: Vec::new(), body: Vec::new() };
            with(response, "www-authenticate", &format!("DPoP algs=\"ES256\", resource_metadata=\"{root}/mcp\"{error}"))
        };
        let Some((scheme, token)) = request.field("authorization").and_then(|value| value.split_once(' ')) else {
            return challenge("");
        };
        let Some(known) = self.memory.tokens.get(token).filter(|token| !token.revoked) else {
            return challenge("invalid_token");
        };
        let (jkt, scope) = (known.jkt.clone(), known.scope.clone());
        match jkt {
            None if scheme != "Bearer" => return challenge("invalid_token"),
            None => {}
            Some(_) if scheme != "DPoP" => return challenge("invalid_token"),
            Some(jkt) => {
                let bound_to = keybound::Thumbprint::parse(&jkt).expect("a thumbprint");
                let proof = request.field("dpop").unwrap_or_default().to_owned();
                let wanted = self.current_nonce();
                match self.judge(request, &proof, Context::Resource { access_token: token, bound_to }, now) {
                    Err(()) => return with(challenge("invalid_dpop_proof"), "date", &date(now)),
                    Ok((_, nonce)) if self.api_nonces && nonce.as_deref() != Some(&wanted) => {
                        return with(challenge("use_dpop_nonce"), "dpop-nonce", &wanted);
                    }
                    Ok(_) => {}
                }
            }
        }
        if let Some(needed) = self.needed_scope.filter(|needed| !scope.split(' ').any(|name| name == *needed)) {
            let response = Response { status: 403, fields: Vec::new(), body: Vec::new() };
            let text = format!("{scheme} error=\"insufficient_scope\", scope=\"{needed}\"");
            return with(response, "www-authenticate", &text);
        }
        let status = if request.url.starts_with("wss:") { 101 } else { 200 };
        let response = Response { status, fields: Vec::new(), body: Vec::new() };
        if self.rotating_nonces { with(response, "dpop-nonce", &self.next_nonce()) } else { response }
    }
}

/// The challenge of the verifier in a token request.
fn challenge(form: &Form) -> String {
    let verifier = get(form, "code_verifier").expect("a verifier");
    base64url::encode(&RUSTCRYPTO.digest.sha256(&[verifier.as_bytes()]))
}

fn get(form: &Form, name: &str) -> Option<String> {
    form.get(name).expect("a parameter once").map(str::to_owned)
}
