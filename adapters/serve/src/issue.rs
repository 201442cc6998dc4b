//! What every grant has in common: what is granted, the proof, and the token that is issued.

use keybound::RUSTCRYPTO;
use keybound::http::form::Form;
use keybound::nonce::Nonce;
use keybound::replay::ReplayStore;
use keybound::server::authorization::{AccessClaims, Admitted, EndpointRequest, Grant, TokenAnswer, access_token};

use super::authenticate::Known;
use super::http::{Incoming, Outgoing, param};
use super::options::could_be_known;
use super::state::{Access, Granted, KEY_ID, Refresh, State, unguessable};

/// For how long refresh tokens are good, in seconds.
const REFRESH_LIFETIME: u64 = 86_400;
/// What a grant gives, if the proof is admitted.
pub(super) struct Ready {
    pub(super) granted: Granted,
    /// What the refresh token is good for; none is issued otherwise.
    pub(super) refresh: Option<Granted>,
    pub(super) issued_type: Option<&'static str>,
    pub(super) lifetime: u64,
}

/// An error of OAuth, and the sentence about it.
pub(super) type Denied = (&'static str, String);

/// Resource and scope that are granted of those asked for.
///
/// The resource is the API here if none is named (RFC 8707 section 2). The scope is what is known here; the first of these if
/// nothing was asked for. APIs of others have scopes of their own: for their tokens every scope counts as known but `openid`, since no
/// ID tokens are issued.
pub(super) fn asked_for(state: &State, form: &Form) -> Result<(String, String), Denied> {
    let audience = audience(state, form)?;
    let scopes = &state.options.scopes;
    let is_others = audience != state.resource;
    let is_known = |name: &str| scopes.iter().any(|known| known == name) || (is_others && could_be_known(name));
    let asked = form.get("scope").map_err(|_| ("invalid_request", "scope occurs twice".to_owned()))?;
    let asked = asked.or(scopes.first().map(String::as_str)).unwrap_or_default();
    let known: Vec<&str> = asked.split(' ').filter(|name| is_known(name)).collect();
    if known.is_empty() {
        let all = scopes.join(", ");
        return Err(("invalid_scope", format!("none of the scopes in '{asked}' is known here; known are {all}")));
    }
    Ok((audience, known.join(" ")))
}

/// The resource that tokens are asked for.
pub(super) fn audience(state: &State, form: &Form) -> Result<String, Denied> {
    let asked = form.all("resource").next().unwrap_or(&state.resource);
    if form.all("resource").any(|resource| resource != asked) {
        return Err(("invalid_target", "resource is given twice; a token is for one".to_owned()));
    }
    if state.is_resource(asked) {
        return Ok(asked.to_owned());
    }
    // A slash more or less makes it another resource, which is hard to see.
    let same = |known: &&str| known.trim_end_matches('/') == asked.trim_end_matches('/');
    let hint = match state.resources().find(same) {
        Some(known) => format!("they are issued for '{known}'; the slash at the end counts"),
        None => format!("they are issued for {}", state.resources().collect::<Vec<_>>().join(", ")),
    };
    Err(("invalid_target", format!("no tokens are issued here for the resource '{asked}'; {hint}")))
}

impl From<Denied> for Outgoing {
    fn from((error, text): Denied) -> Self {
        Self::error(400, error, &text)
    }
}

/// Refuses resources other than the one that was granted.
pub(super) fn check_resource(form: &Form, granted: &Granted) -> Result<(), Outgoing> {
    if form.all("resource").all(|resource| resource == granted.audience) {
        return Ok(());
    }
    Err(Outgoing::error(400, "invalid_target", "resource is not the one that was granted"))
}

/// The scope asked for, if it is no more than `had` (RFC 6749 section 6).
pub(super) fn narrowed(form: &Form, had: &str) -> Result<String, Outgoing> {
    let Some(asked) = param(form, "scope")? else { return Ok(had.to_owned()) };
    if asked.split(' ').all(|name| had.split(' ').any(|known| known == name)) {
        return Ok(asked.to_owned());
    }
    Err(Outgoing::error(400, "invalid_scope", "that is more than was granted"))
}

pub(super) fn invalid_grant(text: &str) -> Outgoing {
    Outgoing::error(400, "invalid_grant", text)
}

/// What a request without an earlier approval is granted.
pub(super) fn own(state: &State, form: &Form, known: &Known, subject: &str) -> Result<Granted, Outgoing> {
    refuse_details(form)?;
    let (audience, scope) = asked_for(state, form)?;
    Ok(Granted {
        client_id: known.id.clone(),
        subject: subject.into(),
        scope,
        audience,
        details: None,
        actor: None,
        family: unguessable()?,
    })
}

/// Refuses details where no intent can be declared: passed over, they would turn into a token that is good for more.
pub(super) fn refuse_details(form: &Form) -> Result<(), Outgoing> {
    match param(form, "authorization_details")? {
        None => Ok(()),
        Some(_) => {
            let text = "authorization_details are taken in authorization requests alone: they need a user who agrees";
            Err(Outgoing::error(400, "invalid_authorization_details", text))
        }
    }
}

/// Judges the proof of a token request.
pub(super) fn prove(state: &State, request: &Incoming, known: &Known, grant: Grant<'_>) -> Result<Admitted, Outgoing> {
    let proofs = request.all("dpop");
    let target = state.target(request);
    let endpoint = EndpointRequest::new(&request.method, &target, &proofs, known.kind(), grant);
    known.proved.set(true);
    admit(state, &endpoint.must_bind(state.must_bind(&known.client)))
}

/// Judges a proof and consumes it.
pub(super) fn admit(state: &State, endpoint: &EndpointRequest<'_>) -> Result<Admitted, Outgoing> {
    let begun = state.authorization().admit(&endpoint.arriving(state.arrival()), state.now());
    state.decided(begun)?.map_err(|refusal| Outgoing::from(*refusal))
}

/// The nonce to send along: the one the proof's own makes due, or a new one for every answer if that is the fault.
pub(super) fn next_nonce(state: &State, due: Option<&Nonce>) -> Option<String> {
    if state.faults().new_nonce_each_call && state.options.nonces {
        return state
            .authorization()
            .fresh_nonce(state.proofs.epoch(), state.now())
            .map(|nonce| nonce.as_str().to_owned());
    }
    due.map(|nonce| nonce.as_str().to_owned())
}

/// Issues what a grant gives.
pub(super) fn issue(state: &State, known: &Known, admitted: &Admitted, ready: Ready) -> Result<Outgoing, Outgoing> {
    let Ready { granted, refresh, issued_type, lifetime } = ready;
    let now = state.now();
    let expires = now.saturating_add(lifetime);
    let jti = unguessable()?;
    let key = admitted.access_binding();
    let scope = Some(granted.scope.as_str()).filter(|scope| !scope.is_empty());
    let claims = AccessClaims {
        issuer: &state.issuer,
        audience: &granted.audience,
        subject: &granted.subject,
        client_id: &granted.client_id,
        scope: &granted.scope,
        id: &jti,
        issued_at: now,
        lifetime,
        bound_to: key,
    };
    let claims = claims
        .to_value()
        .with_some("authorization_details", granted.details.clone())
        .with_some("act", granted.actor.clone());
    let unavailable = |_| Outgoing::error(503, "temporarily_unavailable", "the token could not be signed");
    let token = access_token(&claims, KEY_ID, &state.signer, &RUSTCRYPTO).map_err(unavailable)?;
    let refresh = refresh.filter(|_| known.client.may_use("refresh_token"));
    let refresh = refresh.map(|granted| unguessable().map(|name| (name, granted))).transpose()?;
    {
        let mut kept = state.kept();
        let access = Access { granted: granted.clone(), key, claims, revoked: false };
        kept.access.insert(&jti, access, expires, now)?;
        if let Some((name, granted)) = &refresh {
            let refresh = Refresh { granted: granted.clone(), key: admitted.refresh_binding(), used: false };
            kept.refresh.insert(name, refresh, now.saturating_add(REFRESH_LIFETIME), now)?;
        }
    }
    state.spend_nonces()?;
    let mut answer = TokenAnswer::new(&token, admitted).expires_in(lifetime);
    if let Some(scope) = scope {
        answer = answer.scope(scope);
    }
    if let Some((refresh, _)) = &refresh {
        answer = answer.refresh_token(refresh);
    }
    if let Some(details) = granted.details {
        answer = answer.authorization_details(details);
    }
    if let Some(kind) = issued_type {
        answer = answer.member("issued_token_type", kind);
    }
    if state.faults().bearer_token_type {
        answer = answer.member("token_type", "Bearer");
    }
    let mut answer = Outgoing::from(answer.finish());
    if let Some(nonce) = next_nonce(state, None) {
        answer.fields.retain(|(name, _)| name != "DPoP-Nonce");
        answer = answer.with("DPoP-Nonce", &nonce);
    }
    Ok(answer)
}
