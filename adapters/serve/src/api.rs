//! The echo API: says who called, with what.

use keybound::json::Value;
use keybound::nonce::Role;
use keybound::replay::ReplayStore;
use keybound::server::resource::{IncomingRequest, Principal, ResourceServer};
use keybound::{RUSTCRYPTO, Refusal, UnixTime, base64url};

use super::http::{Incoming, Outgoing};
use super::state::State;

/// Where intents are carried out, in the API.
pub(super) const INTENTS: &str = "/intent";

/// Answers a request to `path` of the API.
pub(super) fn answer(state: &State, request: &Incoming, path: &str) -> Result<Outgoing, Outgoing> {
    let now = state.now();
    let server = state.api();
    let target = state.target(request);
    let fields: Vec<(&str, &[u8])> =
        request.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let mut incoming = IncomingRequest::new(&request.method, &target, &fields);
    incoming.arrival = state.arrival();
    let principal = state.decided(server.admit(&incoming, now))?.map_err(|refusal| Outgoing::from(*refusal))?;
    let revoked = principal
        .claims()
        .text("jti")
        .is_some_and(|jti| state.kept().access.get(jti, now).is_none_or(|access| access.revoked));
    if revoked {
        return Err(server.refuse_revoked(&principal).into());
    }
    if let Some((_, scope)) = state.options.scopes_at.iter().find(|(known, _)| known == path) {
        server.require_scopes(&principal, &[scope])?;
    }
    if path == INTENTS {
        carry_out(state, &server, request, &principal, now)?;
    }
    let fields: Vec<_> =
        principal.headers().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    state.spend_nonces()?;
    let mut answer = Outgoing::json(200, &echo(request, &principal));
    answer.fields.extend(fields);
    if state.faults().new_nonce_each_call && state.options.nonces {
        answer.fields.retain(|(name, _)| name != "DPoP-Nonce");
        if let Some(nonce) = state.api().verifier().fresh_nonce(Role::ResourceServer, state.proofs.epoch(), now) {
            answer = answer.with("DPoP-Nonce", nonce.as_str());
        }
    }
    if request.method == "HEAD" {
        answer.body.clear();
    }
    answer.principal = Some(principal);
    Ok(answer)
}

/// Lets through the one request that the token's intent names, once.
fn carry_out(
    state: &State,
    server: &ResourceServer,
    request: &Incoming,
    principal: &Principal,
    now: UnixTime,
) -> Result<(), Outgoing> {
    let mut url = request.url.clone();
    if !request.query.is_empty() {
        url = format!("{url}?{}", request.query);
    }
    let carried_out = server.carry_out(principal, &request.method, &url, &request.body, now);
    state.decided(carried_out)?.map(drop).map_err(|refusal| told(*refusal))
}

/// A refusal with its reason in the body, which this API for development tells everyone.
fn told(refusal: Refusal) -> Outgoing {
    let (status, reason) = (refusal.status(), refusal.reason());
    let mut answer = Outgoing::from(refusal);
    let body = Outgoing::error(
        status,
        reason,
        "this request is not what the token's authorization_details permit, or not any more",
    );
    answer.body = body.body;
    answer.fields.extend(body.fields.into_iter().filter(|(name, _)| name == "Content-Type"));
    answer
}

/// The path in a URL without a query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/")
}

fn echo(request: &Incoming, principal: &Principal) -> Value {
    let scopes: Vec<&str> = principal.scopes().collect();
    let body = (!request.body.is_empty()).then(|| base64url::encode(&RUSTCRYPTO.digest.sha256(&[&request.body])));
    Value::object()
        .with("method", request.method.as_str())
        .with("path", path_of(&request.url))
        .with_some("query", Some(request.query.as_str()).filter(|query| !query.is_empty()))
        .with_some("subject", principal.subject())
        .with_some("client_id", principal.client_id())
        .with("scope", scopes.join(" "))
        .with_some("bound_to", principal.thumbprint().map(|key| key.to_string()))
        .with_some("body_sha256", body)
}
