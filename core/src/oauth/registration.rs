//! Which client this is at a server: given, described by its own document, or registered (RFC 7591), in that order.

use alloc::string::String;
use alloc::vec::Vec;

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{AnswerDefect, DiscoveryDefect, Endpoint, FlowError, StoredDefect};
use super::failure::DiscoveryFailure;
use super::flow::Io;
use super::flow::repeat::After;
use super::metadata::{AuthorizationServer, is_same_issuer};
use super::post::{object, parsed, reading, refused, send, text};
use super::session::MAX_CONFLICTS;
use super::step::{Saved, Saving, Slot};
use super::token::seconds;
use crate::http::message::{Body, Request};
use crate::http::url::Url;
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

/// The version of the stored form of a registration.
pub(super) const FORMAT: i64 = 1;
/// The member that says how a client authenticates.
const METHOD: &str = "token_endpoint_auth_method";
/// The member by which a client is registered for bound tokens alone (RFC 9449 section 5.2).
const BOUND: &str = "dpop_bound_access_tokens";
/// The member that says where responses may come to. It is kept, so that a registration for another place is not used.
const REDIRECTS: &str = "redirect_uris";
/// Whether the server compares the port of a redirect URI on this machine.
const WANTS_PORT: &str = "wants_port";
/// The registrations before this one, the newest first.
const EARLIER: &str = "earlier";
/// How many of them are kept.
const MAX_EARLIER: usize = 8;

/// The credentials for sessions of `level` at `server`; registers if there are none yet that fit.
pub(super) async fn credentials(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
) -> Result<Credentials, FlowError> {
    if let Some(given) = given(client, server) {
        return Ok(given);
    }
    let slot = slot(server, level);
    let asks = asks_for_bound(client, level);
    let (mut stored, mut version) = load(io, &slot).await?;
    // What was registered before is used also by a client that would not register now.
    if let Some(credentials) = stored.as_ref().and_then(|stored| fitting(stored, client, asks, io.now())) {
        return Ok(credentials);
    }
    let metadata = client.registration.as_ref().filter(|_| server.endpoint(Endpoint::Registration).is_some());
    let metadata = metadata.ok_or_else(|| unknown(client, server))?;
    let wants_port = stored.as_ref().is_some_and(wants_port);
    let made = register(io, client, server, metadata, asks, wants_port).await?;
    let missing = || FlowError::Answer(Endpoint::Registration, AnswerDefect::Missing("client_id"));
    let credentials = Credentials::from_registration(&made).ok_or_else(missing)?;
    for _ in 0..MAX_CONFLICTS {
        let value = Some(made.clone().with_some(EARLIER, stored.as_ref().and_then(earlier)).to_json().into_bytes());
        if io.save(Saving::new(&client.crypto, io.now(), slot.clone(), version, value)?).await? == Saved::Stored {
            return Ok(credentials);
        }
        // Another process registered meanwhile: theirs is the one that is kept, if it is of use here.
        (stored, version) = load(io, &slot).await?;
        if let Some(credentials) = stored.as_ref().and_then(|stored| fitting(stored, client, asks, io.now())) {
            return Ok(credentials);
        }
    }
    Err(FlowError::Contended)
}

/// The credentials of the client called `client_id`, with which a session or login of `level` began. Nothing is sent.
pub(super) async fn known(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
    client_id: &str,
) -> Result<Option<Credentials>, FlowError> {
    if let Some(given) = given(client, server) {
        return Ok(Some(given).filter(|given| given.client_id() == client_id));
    }
    let (stored, _) = load(io, &slot(server, level)).await?;
    let asks = asks_for_bound(client, level);
    Ok(stored.and_then(|stored| {
        let named = |one: &&Value| one.text("client_id") == Some(client_id);
        let all = core::iter::once(&stored).chain(stored.array(EARLIER).unwrap_or_default());
        all.filter(named).find_map(|one| still_valid(one, asks, io.now()))
    }))
}

/// Forgets a registration that the server no longer knows, the one of `client_id` or the present one: true if there was one.
pub(super) async fn forget(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
    client_id: Option<&str>,
) -> Result<bool, FlowError> {
    if given(client, server).is_some() {
        return Ok(false);
    }
    let slot = slot(server, level);
    let (Some(stored), version) = load(io, &slot).await? else { return Ok(false) };
    if client_id.is_some_and(|client_id| stored.text("client_id") != Some(client_id)) {
        // It was replaced already.
        return Ok(true);
    }
    Ok(io.save(Saving::new(&client.crypto, io.now(), slot, version, None)?).await? == Saved::Stored)
}

/// Has the next registration name the port of the redirect URI, because the server compares it: true if the present one does not.
pub(super) async fn insist_on_port(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
) -> Result<bool, FlowError> {
    let slot = slot(server, level);
    if given(client, server).is_some() {
        return Ok(false);
    }
    let (Some(stored), version) = load(io, &slot).await? else { return Ok(false) };
    let bare = client.redirect_uri.as_deref().and_then(without_port);
    if wants_port(&stored) || !bare.is_some_and(|bare| stored.texts(REDIRECTS).any(|uri| uri == bare)) {
        return Ok(false);
    }
    let stored = stored.with(WANTS_PORT, true).with(REDIRECTS, Value::Array(Vec::new()));
    let saving = Saving::new(&client.crypto, io.now(), slot, version, Some(stored.to_json().into_bytes()))?;
    Ok(io.save(saving).await? == Saved::Stored)
}

/// The client that was given, or described by its own document.
fn given(client: &Inner, server: &AuthorizationServer) -> Option<Credentials> {
    if let Some((_, given)) = client.credentials.iter().find(|(issuer, _)| is_same_issuer(issuer, server.issuer())) {
        return Some(given.clone());
    }
    client.metadata_document.as_deref().filter(|_| server.supports_client_id_documents()).map(Credentials::public)
}

/// Why there is no client for `server`: credentials are often there, for its issuer in another spelling.
fn unknown(client: &Inner, server: &AuthorizationServer) -> DiscoveryFailure {
    let issuers: Vec<&str> = client.credentials.iter().map(|(issuer, _)| issuer.as_str()).collect();
    let failure = DiscoveryFailure::new(DiscoveryDefect::NoRegistration);
    let failure = if issuers.is_empty() {
        failure.found("no credentials")
    } else {
        failure.found(&alloc::format!("credentials for {}", issuers.join(", ")))
    };
    failure.expected(&alloc::format!("credentials for {}", server.issuer()))
}

/// The stored registration and its version.
async fn load(io: &Io, slot: &Slot) -> Result<(Option<Value>, Option<u64>), FlowError> {
    let Some(stored) = io.load(slot.clone()).await? else { return Ok((None, None)) };
    let document = Value::parse_object(&stored.value).map_err(|_| StoredDefect::Malformed)?;
    Ok((Some(document), Some(stored.version)))
}

/// Sessions that are bound and sessions that are not have a registration each: one for bound tokens alone is of no use to the
/// others, and a server that was not told gives unbound tokens to anyone who asks in the client's name. No issuer has a fragment.
fn slot(server: &AuthorizationServer, level: SecurityLevel) -> Slot {
    let kind = if level.binds() { "" } else { "#unbound" };
    Slot(alloc::format!("registration/{}{kind}", server.issuer()))
}

/// Whether a registration for sessions of `level` asks that the client gets bound tokens alone: what the caller's metadata says,
/// else what the level does.
fn asks_for_bound(client: &Inner, level: SecurityLevel) -> bool {
    let said = client.registration.as_ref().and_then(|metadata| metadata.boolean(BOUND));
    said.unwrap_or_else(|| level.binds())
}

/// The parts of a registration that are needed again.
fn kept(document: &Value) -> Value {
    let mut kept = Value::object();
    for name in ["client_id", "client_secret", "client_secret_expires_at", METHOD, BOUND] {
        if let Some(value) = document.member(name) {
            kept.set(name, value.clone());
        }
    }
    kept
}

/// The registrations before the next one: sessions that began with them go on with them.
fn earlier(stored: &Value) -> Option<Value> {
    stored.text("client_id")?;
    let before = stored.array(EARLIER).unwrap_or_default().iter().cloned();
    Some(Value::Array(core::iter::once(kept(stored)).chain(before).take(MAX_EARLIER).collect()))
}

/// Whether the server compares the port of redirect URIs on this machine.
fn wants_port(stored: &Value) -> bool {
    stored.boolean(WANTS_PORT) == Some(true)
}

/// The credentials of a registration that this client can begin a login with.
fn fitting(stored: &Value, client: &Inner, asks_for_bound: bool, now: UnixTime) -> Option<Credentials> {
    still_valid(stored, asks_for_bound, now).filter(|_| fits(stored, client))
}

/// Whether responses of the server may come to this client's redirect URI.
fn fits(stored: &Value, client: &Inner) -> bool {
    let Some(uri) = client.redirect_uri.as_deref() else { return true };
    let bare = without_port(uri);
    match stored.member(REDIRECTS) {
        // Whatever the caller registers, such as a pattern, is the caller's to know.
        Some(known) if client.registration.as_ref().and_then(|given| given.member(REDIRECTS)) == Some(known) => true,
        Some(_) => stored.texts(REDIRECTS).any(|known| known == uri || Some(known) == bare.as_deref()),
        // An earlier version registered the port it had, and did not keep it.
        None => bare.is_none(),
    }
}

/// A redirect URI on the loopback address with its port left out: servers take any port then (RFC 8252 section 7.3). That does not
/// go for `localhost`.
fn without_port(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|url| url.is_loopback() && !url.is_https())?;
    let root = url.root();
    let (host, port) = root.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = host.ends_with(|last: char| last.is_ascii_digit() || last == ']');
    let rest = uri.get(root.len()..).filter(|_| is_port && is_address)?;
    Some([host, rest].concat())
}

/// The credentials of a registration that has not expired and asked for the same. One that does not say what it asked for
/// asked for nothing: that is what leaving the member out means (RFC 9449 section 5.2).
fn still_valid(document: &Value, asks_for_bound: bool, now: UnixTime) -> Option<Credentials> {
    let is_over = seconds(document, "client_secret_expires_at").is_some_and(|end| now.secs().unsigned_abs() >= end);
    let same = document.boolean(BOUND).unwrap_or(false) == asks_for_bound;
    let valid = same && !is_over;
    Credentials::from_registration(document).filter(|_| valid)
}

/// Registers, and gives what is kept of that.
async fn register(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    given: &Value,
    asks_for_bound: bool,
    wants_port: bool,
) -> Result<Value, FlowError> {
    let uri = client.redirect_uri.as_deref();
    let bare = uri.and_then(without_port).filter(|_| given.member(REDIRECTS).is_none());
    let mut wants_port = wants_port;
    let (metadata, document) = loop {
        let bare = bare.as_deref().filter(|_| !wants_port);
        match ask(io, client, server, given, asks_for_bound, bare.or(uri)).await {
            Err(error) if bare.is_some() && is_refused(&error) => wants_port = true,
            answer => break answer?,
        }
    };
    let redirects = metadata.member(REDIRECTS).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let mut made = kept(&document).with("v", FORMAT).with(BOUND, asks_for_bound).with(REDIRECTS, redirects);
    // A server that does not say what it changed has changed nothing (RFC 7591 section 3.2.1).
    if let (None, Some(method)) = (document.member(METHOD), metadata.member(METHOD)) {
        made.set(METHOD, method.clone());
    }
    Ok(if wants_port { made.with(WANTS_PORT, true) } else { made })
}

/// Whether a server refused what was to be registered.
fn is_refused(error: &FlowError) -> bool {
    match error {
        FlowError::Denied(denial) => denial.status == 400 || denial.error == "invalid_redirect_uri",
        FlowError::Answer(_, defect) => *defect == AnswerDefect::Status(400),
        _ => false,
    }
}

/// Sends a registration: what was asked for, and what the server answered.
async fn ask(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    given: &Value,
    asks_for_bound: bool,
    redirect_uri: Option<&str>,
) -> Result<(Value, Value), FlowError> {
    let mut metadata = given.clone();
    let mut add = |name: &str, value: Value| {
        if metadata.member(name).is_none() {
            metadata.set(name, value);
        }
    };
    if let Some(uri) = redirect_uri {
        add(REDIRECTS, Value::from_iter([uri]));
        let in_browser = Url::parse(uri).is_ok_and(|url| !url.is_loopback());
        add("application_type", if in_browser { "web" } else { "native" }.into());
    }
    let device = server.endpoint(Endpoint::DeviceAuthorization).map(|_| "urn:ietf:params:oauth:grant-type:device_code");
    add("grant_types", ["authorization_code", "refresh_token"].into_iter().chain(device).collect());
    add("response_types", Value::from_iter(["code"]));
    add(METHOD, method(server).into());
    if asks_for_bound {
        // So that the server refuses requests for unbound tokens in this client's name (RFC 9449 section 5.2).
        add(BOUND, true.into());
    }
    let url = server.require(Endpoint::Registration, client.rule)?;
    let request = Request::new("POST", url.as_str())
        .with_field("Accept", "application/json")
        .with_field("Content-Type", "application/json")
        .with_body(Body::Bytes(metadata.to_json().into_bytes()));
    let response = send(io, client.crypto.random, reading(request), After::NotSent).await?;
    if !matches!(response.status, 200 | 201) {
        return Err(refused(Endpoint::Registration, &response, parsed(&response.body).as_ref()));
    }
    let document = object(Endpoint::Registration, &response)?;
    text(Endpoint::Registration, &document, "client_id")?;
    Ok((metadata, document))
}

/// The way to authenticate that is asked for: none if the server permits that, for there is no secret to lose then.
fn method(server: &AuthorizationServer) -> &'static str {
    let listed = |method: &&'static str| server.permits_authentication(method);
    match server.lists_authentication() {
        true => ["none", "client_secret_basic", "client_secret_post"].into_iter().find(listed).unwrap_or("none"),
        false => "none",
    }
}
