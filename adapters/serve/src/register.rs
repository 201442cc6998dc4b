//! Dynamic client registration (RFC 7591), and the documents by which clients describe themselves.

use keybound::json::Value;
use keybound::oauth::Secret;

use super::assertion;
use super::client::{Authentication, Client};
use super::http::{Incoming, Outgoing};
use super::metadata::{GRANTS, METHODS};
use super::state::{State, unguessable};

/// For how long a registration lasts, in seconds.
const LIFETIME: u64 = 86_400;
/// How many redirect URIs a client has at most.
const MAX_REDIRECT_URIS: usize = 20;
/// The longest redirect URI, in bytes.
const MAX_URI_LEN: usize = 2_000;
/// What is kept of a registration as it was sent, for the answer.
const ECHOED: [&str; 13] = [
    "redirect_uris",
    "client_name",
    "client_uri",
    "logo_uri",
    "contacts",
    "tos_uri",
    "policy_uri",
    "scope",
    "jwks",
    "software_id",
    "software_version",
    "application_type",
    "dpop_bound_access_tokens",
];

/// Why metadata of a client are not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotClient {
    error: &'static str,
    text: &'static str,
}

const fn metadata(text: &'static str) -> NotClient {
    NotClient { error: "invalid_client_metadata", text }
}

const fn redirect(text: &'static str) -> NotClient {
    NotClient { error: "invalid_redirect_uri", text }
}

impl From<NotClient> for Outgoing {
    fn from(not: NotClient) -> Self {
        Self::error(400, not.error, not.text)
    }
}

/// Registers a client.
pub(super) fn register(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let kind = request.text("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(metadata("the body must be application/json").into());
    }
    let document = Value::parse_request(&request.body).ok().filter(|document| matches!(document, Value::Object(_)));
    let document = document.ok_or_else(|| metadata("the body is not a JSON object of at most 8 KiB and 256 values"))?;
    let method = method(&document)?.unwrap_or("client_secret_basic");
    let secret =
        if matches!(method, "client_secret_basic" | "client_secret_post") { Some(unguessable()?) } else { None };
    let authentication = match (method, &secret) {
        ("client_secret_basic", Some(secret)) => Authentication::Basic(Secret::new(secret.as_str())),
        (_, Some(secret)) => Authentication::Post(Secret::new(secret.as_str())),
        ("none", None) => Authentication::None,
        (_, None) => keys(&document)?,
    };
    let client = read(&document, authentication)?;
    let id = format!("client-{}", unguessable()?);
    let now = state.now();
    let mut answer = Value::object().with("client_id", id.as_str()).with("client_id_issued_at", now);
    for name in ECHOED {
        answer = answer.with_some(name, document.member(name).cloned());
    }
    let grants: Value = client.grants.iter().flatten().map(String::as_str).collect();
    let has_code = client.may_use("authorization_code");
    answer = answer
        .with("token_endpoint_auth_method", method)
        .with("grant_types", grants)
        .with("response_types", has_code.then_some("code").into_iter().collect::<Value>())
        .with_some("client_secret", secret.as_deref())
        .with_some("client_secret_expires_at", secret.as_ref().map(|_| now.saturating_add(LIFETIME)));
    state.kept().clients.insert(&id, client, now.saturating_add(LIFETIME), now)?;
    Ok(Outgoing::json(201, &answer))
}

/// The client that a document at its own URL describes (Client ID Metadata Document): it has no secret.
pub(super) fn described(document: &Value, url: &str) -> Result<Client, NotClient> {
    if document.text("client_id") != Some(url) {
        return Err(metadata("client_id in the document is not its URL"));
    }
    if document.member("client_secret").is_some() {
        return Err(metadata("a public document holds no secret"));
    }
    let authentication = match method(document)?.unwrap_or("none") {
        "none" => Authentication::None,
        "private_key_jwt" => keys(document)?,
        _ => return Err(metadata("a client without a secret cannot show one")),
    };
    read(document, authentication)
}

/// How the client will authenticate, if it says so.
fn method(document: &Value) -> Result<Option<&str>, NotClient> {
    match document.member("token_endpoint_auth_method") {
        None => Ok(None),
        Some(value) => {
            let known = value.as_text().filter(|method| METHODS.contains(method));
            known.map(Some).ok_or(metadata("token_endpoint_auth_method is not one of those in the metadata"))
        }
    }
}

fn keys(document: &Value) -> Result<Authentication, NotClient> {
    let keys = document.member("jwks").and_then(assertion::keys);
    keys.map(Authentication::Keys).ok_or(metadata("private_key_jwt needs jwks with 1 to 20 public keys"))
}

fn read(document: &Value, authentication: Authentication) -> Result<Client, NotClient> {
    if document.member("jwks").is_some() && document.member("jwks_uri").is_some() {
        return Err(metadata("jwks and jwks_uri exclude each other"));
    }
    if document.member("jwks").is_some_and(|jwks| assertion::keys(jwks).is_none()) {
        return Err(metadata("jwks holds a key that is not public or not understood"));
    }
    let grants = list(document, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    if !grants.iter().all(|grant| GRANTS.contains(&grant.as_str())) {
        return Err(metadata("grant_types has one that is not offered here"));
    }
    let has_code = grants.iter().any(|grant| grant == "authorization_code");
    if list(document, "response_types")?.is_some_and(|types| types.iter().any(|kind| kind != "code" || !has_code)) {
        return Err(metadata("response_types is code alone, together with the grant authorization_code"));
    }
    if matches!(authentication, Authentication::None) && grants.iter().any(|grant| grant == "client_credentials") {
        return Err(metadata("a client without credentials cannot use client_credentials"));
    }
    let redirect_uris = match document.member("redirect_uris") {
        None => Vec::new(),
        Some(_) => list(document, "redirect_uris")
            .map_err(|_| redirect("redirect_uris is no array of texts"))?
            .unwrap_or_default(),
    };
    if redirect_uris.len() > MAX_REDIRECT_URIS || !redirect_uris.iter().all(|uri| is_redirect_uri(uri)) {
        return Err(redirect("a redirect URI is not absolute, has a fragment, or is http and not on loopback"));
    }
    if has_code && redirect_uris.is_empty() {
        return Err(redirect("the code flow needs a redirect URI"));
    }
    let must_bind = match document.member("dpop_bound_access_tokens") {
        None => false,
        Some(Value::Bool(must_bind)) => *must_bind,
        Some(_) => return Err(metadata("dpop_bound_access_tokens is true or false")),
    };
    Ok(Client { authentication, redirect_uris, must_bind, grants: Some(grants) })
}

/// A member that is an array of texts.
fn list(document: &Value, name: &str) -> Result<Option<Vec<String>>, NotClient> {
    let Some(member) = document.member(name) else { return Ok(None) };
    let wrong = metadata("a member that must be an array of texts is none");
    let Value::Array(elements) = member else { return Err(wrong) };
    elements.iter().map(|element| element.as_text().map(str::to_owned).ok_or(wrong)).collect::<Result<_, _>>().map(Some)
}

/// Whether browsers may be sent there: https, http on this machine, or an app's own scheme (RFC 8252 section 7).
fn is_redirect_uri(uri: &str) -> bool {
    if uri.len() > MAX_URI_LEN || uri.contains('#') || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    match keybound::http::url::Url::parse(uri) {
        Ok(url) => url.is_https() || url.is_loopback(),
        // Schemes that browsers act on themselves have no dot; those of apps are reversed domain names.
        Err(_) => uri.split_once(":/").is_some_and(|(scheme, _)| {
            scheme.contains('.') && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{described, is_redirect_uri};
    use keybound::json::Value;

    #[test]
    fn browsers_are_sent_to_safe_places_alone() {
        for uri in ["https://app.example/cb?x=1", "http://127.0.0.1:5/cb", "http://[::1]/cb", "com.example.app:/cb"] {
            assert!(is_redirect_uri(uri), "{uri}");
        }
        for uri in [
            "",
            "/cb",
            "http://app.example/cb",
            "https://app.example/cb#x",
            "https://app.example/c b",
            "javascript:alert(1)",
            "JavaScript://x.y/%0aalert(1)",
            "data:text/html,x",
            "java.script:alert(1)",
            "https:app.example",
        ] {
            assert!(!is_redirect_uri(uri), "{uri}");
        }
    }

    #[test]
    fn a_client_describes_itself_at_its_own_url() {
        let url = "https://app.example/client";
        let read = |text: &str| described(&Value::parse(text.as_bytes()).expect(text), url);
        assert!(
            read(r#"{"client_id":"https://app.example/client","redirect_uris":["https://app.example/cb"]}"#).is_ok()
        );
        for text in [
            r#"{"client_id":"https://app.example/other","redirect_uris":["https://app.example/cb"]}"#,
            r#"{"redirect_uris":["https://app.example/cb"]}"#,
            r#"{"client_id":"https://app.example/client"}"#,
            r#"{"client_id":"https://app.example/client","redirect_uris":["https://app.example/cb"],"client_secret":"x"}"#,
            r#"{"client_id":"https://app.example/client","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"client_secret_post"}"#,
            r#"{"client_id":"https://app.example/client","redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
