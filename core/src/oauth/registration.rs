//! Which client this is at a server: given, described by its own document, or registered (RFC 7591), in that order.

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{DiscoveryDefect, Endpoint, FlowError, StoredDefect};
use super::flow::Io;
use super::metadata::{AuthorizationServer, is_same_issuer};
use super::post::{fetch, object, parsed, refused, text};
use super::step::{Saved, Saving, Slot, Stored};
use crate::http::message::{Body, Request};
use crate::http::url::Url;
use crate::json::Value;
use crate::{SecurityLevel, UnixTime};

/// The version of the stored form of a registration.
pub(super) const FORMAT: u64 = 1;
/// The member that says how a client authenticates.
const METHOD: &str = "token_endpoint_auth_method";
/// The member by which a client is registered for bound tokens alone (RFC 9449 section 5.2).
const BOUND: &str = "dpop_bound_access_tokens";

/// The credentials for sessions of `level` at `server`; registers if there are none yet.
pub(super) async fn credentials(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
) -> Result<Credentials, FlowError> {
    let (credentials, stored) = known(io, client, server, level).await?;
    if let Some(credentials) = credentials {
        return Ok(credentials);
    }
    let metadata = client.registration.as_ref().ok_or(DiscoveryDefect::NoRegistration)?;
    if server.endpoint(Endpoint::Registration).is_none() {
        return Err(DiscoveryDefect::NoRegistration.into());
    }
    let asks = asks_for_bound(client, level);
    let document = register(io, client, server, metadata, asks).await?;
    let missing = || FlowError::Answer(Endpoint::Registration, super::error::AnswerDefect::Missing("client_id"));
    let credentials = Credentials::from_registration(&document).ok_or_else(missing)?;
    let expected = stored.map(|stored| stored.version);
    let slot = slot(server, level);
    let value = Some(kept(&document, asks).to_json().into_bytes());
    match io.save(Saving::new(client, io.now(), slot.clone(), expected, value)?).await? {
        Saved::Stored => Ok(credentials),
        // Another process registered meanwhile: theirs is the one that is kept.
        Saved::Conflict => {
            let stored = io.load(slot).await?.ok_or(FlowError::Contended)?;
            let document = Value::parse_object(&stored.value).map_err(|_| StoredDefect::Malformed)?;
            still_valid(&document, asks, io.now()).ok_or(FlowError::Contended)
        }
    }
}

/// The credentials that are there already for sessions of `level`, and the stored registration. Nothing is sent.
pub(super) async fn known(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
) -> Result<(Option<Credentials>, Option<Stored>), FlowError> {
    if let Some((_, given)) = client.credentials.iter().find(|(issuer, _)| is_same_issuer(issuer, server.issuer())) {
        return Ok((Some(given.clone()), None));
    }
    if let Some(url) = client.metadata_document.as_deref().filter(|_| server.supports_client_id_documents()) {
        return Ok((Some(Credentials::public(url)), None));
    }
    // What was registered before is used also by a client that would not register now.
    let stored = io.load(slot(server, level)).await?;
    let document = stored.as_ref().map(|stored| Value::parse_object(&stored.value));
    let document = document.transpose().map_err(|_| StoredDefect::Malformed)?;
    let asks = asks_for_bound(client, level);
    Ok((document.and_then(|document| still_valid(&document, asks, io.now())), stored))
}

/// Forgets a registration that the server no longer knows: true if there was one.
pub(super) async fn forget(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    level: SecurityLevel,
) -> Result<bool, FlowError> {
    let (_, stored) = known(io, client, server, level).await?;
    let Some(stored) = stored else { return Ok(false) };
    let saving = Saving::new(client, io.now(), slot(server, level), Some(stored.version), None)?;
    Ok(io.save(saving).await? == Saved::Stored)
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
fn kept(document: &Value, asked_for_bound: bool) -> Value {
    let mut kept = Value::object().with("v", FORMAT).with(BOUND, asked_for_bound);
    for name in ["client_id", "client_secret", "client_secret_expires_at", METHOD] {
        if let Some(value) = document.member(name) {
            kept.set(name, value.clone());
        }
    }
    kept
}

/// The credentials of a registration that has not expired and asked for the same. One that does not say what it asked for
/// asked for nothing: that is what leaving the member out means (RFC 9449 section 5.2).
fn still_valid(document: &Value, asks_for_bound: bool, now: UnixTime) -> Option<Credentials> {
    let expires = document.integer("client_secret_expires_at").unwrap_or(0);
    let same = document.boolean(BOUND).unwrap_or(false) == asks_for_bound;
    let valid = same && (expires == 0 || now.secs() < expires);
    Credentials::from_registration(document).filter(|_| valid)
}

async fn register(
    io: &Io,
    client: &Inner,
    server: &AuthorizationServer,
    given: &Value,
    asks_for_bound: bool,
) -> Result<Value, FlowError> {
    let mut metadata = given.clone();
    let mut add = |name: &str, value: Value| {
        if metadata.member(name).is_none() {
            metadata.set(name, value);
        }
    };
    if let Some(uri) = &client.redirect_uri {
        add("redirect_uris", Value::from_iter([uri.as_str()]));
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
    let response = fetch(io, request).await?;
    if !matches!(response.status, 200 | 201) {
        return Err(refused(Endpoint::Registration, &response, parsed(&response.body).as_ref()));
    }
    let mut document = object(Endpoint::Registration, &response)?;
    text(Endpoint::Registration, &document, "client_id")?;
    // A server that does not say what it changed has changed nothing (RFC 7591 section 3.2.1).
    if let (None, Some(method)) = (document.member(METHOD), metadata.member(METHOD)) {
        document.set(METHOD, method.clone());
    }
    Ok(document)
}

/// The way to authenticate that is asked for: none if the server permits that, for there is no secret to lose then.
fn method(server: &AuthorizationServer) -> &'static str {
    let listed = |method: &&'static str| server.permits_authentication(method);
    match server.lists_authentication() {
        true => ["none", "client_secret_basic", "client_secret_post"].into_iter().find(listed).unwrap_or("none"),
        false => "none",
    }
}
