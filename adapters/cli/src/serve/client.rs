//! Clients: who they are, how they show it, and how they register (RFC 7591).

use base64ct::Encoding as _;
use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::jose::jwk::PublicJwk;
use keybound::json::Value;
use keybound::oauth::Secret;
use keybound::server::authorization::ClientType;
use keybound::{Algorithm, RUSTCRYPTO, base64url};

use super::http::{Answer, Incoming, param};
use super::metadata::{ASSERTION_ALGORITHMS, METHODS};
use super::state::{State, unguessable};

/// A confidential client known from the beginning.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// Its identifier.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
}

/// A client as it was registered.
#[derive(Clone, Debug)]
pub(super) struct Client {
    authentication: Authentication,
    pub(super) redirect_uris: Vec<String>,
    /// Whether it gets bound tokens alone (RFC 9449 section 5.2).
    pub(super) must_bind: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) client: Client,
}

#[derive(Clone, Debug)]
enum Authentication {
    None,
    Secret(Secret),
    Keys(Vec<(Option<String>, PublicJwk)>),
}

/// A client that showed who it is.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) kind: ClientType,
    pub(super) must_bind: bool,
    /// An assertion that is used up when the request succeeds: its identifier and its end.
    assertion: Option<(String, keybound::UnixTime)>,
}

/// How long after its end an assertion's identifier is remembered, in seconds.
const ASSERTION_MARGIN: u64 = 60;
/// The longest life of an assertion, in seconds.
const MAX_ASSERTION_LIFETIME: i64 = 600;

impl Client {
    pub(super) fn with_secret(secret: Secret) -> Self {
        Self { authentication: Authentication::Secret(secret), redirect_uris: Vec::new(), must_bind: false }
    }

    pub(super) fn public_on_loopback() -> Self {
        let redirect_uris = vec!["http://127.0.0.1/callback".into(), "http://localhost/callback".into()];
        Self { authentication: Authentication::None, redirect_uris, must_bind: false }
    }

    pub(super) const fn kind(&self) -> ClientType {
        match self.authentication {
            Authentication::None => ClientType::Public,
            Authentication::Secret(_) | Authentication::Keys(_) => ClientType::Confidential,
        }
    }

    /// Whether authorization responses may go to `uri`: exactly as registered, the port apart on loopback (RFC 8252 section
    /// 7.3).
    pub(super) fn may_return_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || same_but_for_port(known, uri))
    }
}

fn same_but_for_port(known: &str, uri: &str) -> bool {
    let (Ok(known), Ok(uri)) = (Url::parse(known), Url::parse(uri)) else { return false };
    let host = |url: &Url| url.origin().rsplit_once(':').map_or(url.origin(), |(host, _)| host).to_owned();
    let plain = |url: &Url| {
        let origin = url.origin().to_owned();
        // `http://host` has one colon, `http://host:port` two.
        if origin.matches(':').count() > 1 && !origin.ends_with(']') { host(url) } else { origin }
    };
    !known.is_https()
        && known.is_loopback()
        && uri.is_loopback()
        && !uri.is_https()
        && plain(&known) == plain(&uri)
        && (known.path(), known.query()) == (uri.path(), uri.query())
}

impl Known {
    /// Uses the client's assertion up, if it showed one: when everything else about the request is good, so that a retry with
    /// a nonce is not refused for it.
    pub(super) fn use_up(&self, state: &State) -> Result<(), Answer> {
        let Some((jti, until)) = &self.assertion else { return Ok(()) };
        let now = state.now();
        let mut kept = state.kept();
        if kept.assertions.get(jti, now).is_some() {
            return Err(refused("the assertion was used before"));
        }
        kept.assertions.insert(jti, (), until.saturating_add(ASSERTION_MARGIN), now)
    }
}

fn refused(description: &str) -> Answer {
    Answer::error(401, "invalid_client", description)
}

/// Finds out which client sent a request (OAuth 2.1 section 2.4).
pub(super) fn authenticate(state: &State, request: &Incoming, form: &Form) -> Result<Known, Answer> {
    let basic = match request.all("authorization").as_slice() {
        [] => None,
        [value] => Some(basic(value).ok_or_else(|| challenge("the Authorization field is no Basic credentials"))?),
        _ => return Err(Answer::error(400, "invalid_request", "there are two Authorization fields")),
    };
    let (id, secret) = (param(form, "client_id")?, param(form, "client_secret")?);
    let assertion = param(form, "client_assertion")?;
    if [basic.is_some(), secret.is_some(), assertion.is_some()].into_iter().filter(|used| *used).count() > 1 {
        return Err(Answer::error(400, "invalid_request", "the client authenticates in more than one way"));
    }
    if let Some(assertion) = assertion {
        return by_assertion(state, form, assertion, id);
    }
    let used_basic = basic.is_some();
    let (id, secret) = match basic {
        Some((basic_id, basic_secret)) if id.is_none_or(|id| id == basic_id) => (basic_id, Some(basic_secret)),
        Some(_) => return Err(challenge("client_id is another one than in the Authorization field")),
        None => {
            let id = id.ok_or_else(|| refused("the request does not say which client it comes from"))?;
            (id.to_owned(), secret.map(Secret::new))
        }
    };
    let refuse = |text: &str| if used_basic { challenge(text) } else { refused(text) };
    let client = find(state, &id).ok_or_else(|| refuse("this client is not known"))?;
    match (&client.authentication, secret) {
        (Authentication::None, None) => {}
        (Authentication::Secret(known), Some(shown)) if *known == shown => {}
        (Authentication::Keys(_), _) => return Err(refuse("this client authenticates with private_key_jwt")),
        _ => return Err(refuse("the client's secret is missing, wrong, or not wanted")),
    }
    Ok(Known { id, kind: client.kind(), must_bind: client.must_bind, assertion: None })
}

/// The client with this identifier.
pub(super) fn find(state: &State, id: &str) -> Option<Client> {
    state.kept().clients.get(id, state.now()).map(|registered| registered.client.clone())
}

fn challenge(description: &str) -> Answer {
    refused(description).with("WWW-Authenticate", "Basic realm=\"keybound serve\"")
}

/// Identifier and secret of Basic credentials, both form-encoded (RFC 6749 section 2.3.1).
fn basic(value: &[u8]) -> Option<(String, Secret)> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(base64ct::Base64::decode_vec(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        let form = Form::parse(format!("v={text}").as_bytes()).ok()?;
        Some(form.get("v").ok()?.unwrap_or_default().to_owned())
    };
    Some((decode(id)?, Secret::new(decode(secret)?)))
}

/// A client that signed an assertion for this issuer (RFC 7523 section 3).
fn by_assertion(state: &State, form: &Form, assertion: &str, id: Option<&str>) -> Result<Known, Answer> {
    if param(form, "client_assertion_type")? != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        return Err(Answer::error(400, "invalid_request", "client_assertion_type is missing or unknown"));
    }
    let (header, claims) = parts(assertion).ok_or_else(|| refused("the assertion is no JWT"))?;
    let subject = claims.text("sub").ok_or_else(|| refused("the assertion has no sub"))?;
    if claims.text("iss") != Some(subject) || id.is_some_and(|id| id != subject) {
        return Err(refused("iss, sub and client_id of the assertion are not the same"));
    }
    let client = find(state, subject).ok_or_else(|| refused("this client is not known"))?;
    let Authentication::Keys(keys) = &client.authentication else {
        return Err(refused("this client does not authenticate with private_key_jwt"));
    };
    let algorithm = header.text("alg").filter(|name| ASSERTION_ALGORITHMS.contains(name));
    let algorithm =
        algorithm.and_then(Algorithm::from_name).ok_or_else(|| refused("the assertion's alg is not taken"))?;
    let kid = header.text("kid");
    let fits = |known: &Option<String>| kid.is_none() || known.as_deref() == kid;
    let candidates = keys.iter().filter(|(known, key)| fits(known) && key.key_type() == algorithm.key_type());
    if !candidates.into_iter().any(|(_, key)| is_signed(assertion, key, algorithm)) {
        return Err(refused("the assertion's signature does not verify"));
    }
    let token_endpoint = format!("{}/token", state.issuer);
    let audience = |text: &str| text == state.issuer || text == token_endpoint;
    let named = claims.text("aud").is_some_and(audience) || claims.texts("aud").any(audience);
    let now = state.now();
    let expires = claims.time("exp").filter(|end| now < *end && end.secs() - now.secs() <= MAX_ASSERTION_LIFETIME);
    let (Some(expires), true) = (expires, named) else {
        return Err(refused("the assertion is for another server, over, or good for more than ten minutes"));
    };
    let jti = claims.text("jti").filter(|jti| !jti.is_empty() && jti.len() <= 512);
    let jti = jti.ok_or_else(|| refused("the assertion has no jti"))?;
    let name = format!("{subject}\n{jti}");
    if state.kept().assertions.get(&name, now).is_some() {
        return Err(refused("the assertion was used before"));
    }
    let assertion = Some((name, expires));
    Ok(Known { id: subject.into(), kind: ClientType::Confidential, must_bind: client.must_bind, assertion })
}

/// Header and claims of a JWT, unverified.
pub(super) fn parts(jwt: &str) -> Option<(Value, Value)> {
    if jwt.len() > 16 * 1024 || jwt.split('.').count() != 3 {
        return None;
    }
    let mut segments = jwt.split('.');
    let mut object = || Value::parse_object(&base64url::decode(segments.next()?.as_bytes()).ok()?).ok();
    Some((object()?, object()?))
}

/// Whether a JWT is signed by this key.
pub(super) fn is_signed(jwt: &str, key: &PublicJwk, algorithm: Algorithm) -> bool {
    let Some((message, signature)) = jwt.rsplit_once('.') else { return false };
    let (Ok(signature), Some(verifier)) = (base64url::decode(signature.as_bytes()), RUSTCRYPTO.verifier(algorithm))
    else {
        return false;
    };
    verifier.verify(key, message.as_bytes(), &signature).is_ok()
}

/// Registers a client (RFC 7591).
pub(super) fn register(state: &State, request: &Incoming) -> Result<Answer, Answer> {
    let bad = |text: &str| Answer::error(400, "invalid_client_metadata", text);
    let metadata = Value::parse_object(&request.body).map_err(|_| bad("the body is no JSON object"))?;
    let method = metadata.text("token_endpoint_auth_method").unwrap_or("client_secret_basic");
    if !METHODS.contains(&method) {
        return Err(bad("token_endpoint_auth_method is not one of those in the metadata"));
    }
    let redirect_uris: Vec<String> = metadata.texts("redirect_uris").map(str::to_owned).collect();
    let grants: Vec<&str> = match metadata.array("grant_types") {
        Some(_) => metadata.texts("grant_types").collect(),
        None => vec!["authorization_code"],
    };
    let usable = |uri: &String| {
        let absolute = uri.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && scheme != "javascript");
        absolute && !uri.contains('#') && uri.bytes().all(|byte| byte.is_ascii_graphic()) && uri.len() <= 2_000
    };
    if redirect_uris.len() > 20 || !redirect_uris.iter().all(usable) {
        return Err(Answer::error(400, "invalid_redirect_uri", "a redirect URI is not absolute or has a fragment"));
    }
    if grants.contains(&"authorization_code") && redirect_uris.is_empty() {
        return Err(Answer::error(400, "invalid_redirect_uri", "the code flow needs a redirect URI"));
    }
    let mut document = metadata.clone().with("token_endpoint_auth_method", method);
    let authentication = match method {
        "none" => Authentication::None,
        "private_key_jwt" => Authentication::Keys(keys(&metadata).ok_or_else(|| bad("jwks holds no usable key"))?),
        _ => {
            let secret = unguessable()?;
            document = document.with("client_secret", secret.as_str()).with("client_secret_expires_at", 0_u64);
            Authentication::Secret(Secret::new(secret))
        }
    };
    let id = format!("client-{}", unguessable()?);
    let must_bind = metadata.boolean("dpop_bound_access_tokens").unwrap_or(false);
    let (now, until) = (state.now(), state.now().saturating_add(86_400));
    let client = Client { authentication, redirect_uris, must_bind };
    state.kept().clients.insert(&id, Registered { client }, until, now)?;
    Ok(Answer::json(201, &document.with("client_id", id).with("client_id_issued_at", now)))
}

fn keys(metadata: &Value) -> Option<Vec<(Option<String>, PublicJwk)>> {
    let keys = metadata.member("jwks")?.array("keys")?;
    let usable = |key: &Value| Some((key.text("kid").map(str::to_owned), PublicJwk::parse(&key.to_json()).ok()?));
    let usable: Vec<_> = keys.iter().take(20).filter_map(usable).collect();
    (!usable.is_empty()).then_some(usable)
}

#[cfg(test)]
mod tests {
    use super::{Client, basic};

    #[test]
    fn redirect_uris_on_loopback_may_have_any_port() {
        let client = Client::public_on_loopback();
        for uri in ["http://127.0.0.1:1234/callback", "http://127.0.0.1/callback", "http://localhost:5/callback"] {
            assert!(client.may_return_to(uri), "{uri}");
        }
        for uri in [
            "http://127.0.0.1:1234/callback/",
            "http://127.0.0.1:1234/callback?x=1",
            "https://127.0.0.1:1234/callback",
            "http://127.0.0.2:1234/callback",
            "http://evil.example/callback",
            "http://127.0.0.1:1234@evil.example/callback",
            "",
        ] {
            assert!(!client.may_return_to(uri), "{uri}");
        }
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        // a%3Ab:c+d
        let (id, secret) = basic(b"Basic YSUzQWI6Yytk").expect("credentials");
        assert_eq!((id.as_str(), secret.expose()), ("a:b", "c d"));
        for value in [&b"Basic"[..], b"Basic !", b"Bearer YTpi", b"Basic YWI=", b""] {
            assert!(basic(value).is_none());
        }
    }
}
