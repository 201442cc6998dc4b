//! The token endpoint: every grant, judged before it is used up.

use std::sync::atomic::Ordering;

use keybound::flow::step::Step;
use keybound::http::form::Form;
use keybound::server::authorization::{ClientType, EndpointRequest, Grant};
use keybound::{RUSTCRYPTO, base64url};

use super::authenticate::{Known, authenticate};
use super::http::{Incoming, Outgoing, need, param};
use super::issue::{Ready, check_resource, invalid_grant, issue, narrowed, own, prove};
use super::metadata::DEVICE_CODE;
use super::state::{Granted, State};
use super::{derived, device};

pub(super) fn token(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let known = authenticate(state, request, &form)?;
    let name = need(&form, "grant_type")?;
    let grant: fn(&State, &Incoming, &Form, &Known) -> Result<Outgoing, Outgoing> = match name {
        "authorization_code" => code,
        "refresh_token" => refresh,
        "client_credentials" => client_credentials,
        DEVICE_CODE => device::token,
        "urn:ietf:params:oauth:grant-type:token-exchange" => derived::exchange,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => derived::jwt_bearer,
        _ => return Err(Outgoing::error(400, "unsupported_grant_type", "this grant is not offered here")),
    };
    known.must_be_permitted(name)?;
    // What is wrong with the proof is said first, whatever else is wrong: it costs the client one request less.
    grant(state, request, &form, &known).map_err(|answer| proof_defect(state, request, &known).unwrap_or(answer))
}

/// The refusal of the request's proof, taken by itself.
fn proof_defect(state: &State, request: &Incoming, known: &Known) -> Option<Outgoing> {
    if known.proved.get() {
        return None;
    }
    let (proofs, target) = (request.all("dpop"), state.target(request));
    let endpoint = EndpointRequest::new(&request.method, &target, &proofs, known.kind(), Grant::ClientCredentials)
        .must_bind(state.must_bind(&known.client));
    // Left at its step, the flow uses nothing up.
    match state.authorization().admit(&endpoint.arriving(state.arrival()), state.now()) {
        Ok(Step::Done(Err(refusal))) => Some(Outgoing::from(*refusal)),
        _ => None,
    }
}

fn code(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    let name = need(form, "code")?;
    let verifier = need(form, "code_verifier")?;
    let now = state.now();
    let found = state.kept().codes.get(name, now).cloned().filter(|code| code.granted.client_id == known.id);
    let Some(found) = found else { return Err(invalid_grant("the code is unknown, over, or another client's")) };
    check_resource(form, &found.granted)?;
    if found.used {
        return Err(used_again(state, &found.granted));
    }
    if now >= found.expires {
        return Err(invalid_grant("the code is over: it is good for a minute"));
    }
    if found.redirect_uri.is_some() && found.redirect_uri.as_deref() != param(form, "redirect_uri")? {
        return Err(invalid_grant("redirect_uri is not the one of the authorization request"));
    }
    let challenge = base64url::encode(&RUSTCRYPTO.digest.sha256(&[verifier.as_bytes()]));
    if !(43..=128).contains(&verifier.len()) || challenge != found.challenge {
        return Err(invalid_grant("code_verifier does not fit the code_challenge"));
    }
    let admitted = prove(state, request, known, Grant::AuthorizationCode { dpop_jkt: found.key })?;
    let mut lifetime = state.options.token_lifetime;
    if let Some(intent) = &found.intent {
        if now >= intent.expires_at() {
            return Err(invalid_grant("the intent is over"));
        }
        lifetime = lifetime.min(intent.expires_at().since(now));
    }
    known.use_up(state)?;
    let first = state.kept().codes.get_mut(name, now).is_some_and(|code| !std::mem::replace(&mut code.used, true));
    if !first {
        return Err(used_again(state, &found.granted));
    }
    let refresh = found.intent.is_none().then(|| found.granted.clone());
    issue(state, known, &admitted, Ready { granted: found.granted, refresh, issued_type: None, lifetime })
}

/// Two parties hold what only one should: nobody keeps what came of it (OAuth 2.1 sections 4.1.3 and 4.3.1).
fn used_again(state: &State, granted: &Granted) -> Outgoing {
    State::revoke_family(&mut state.kept(), &granted.family);
    invalid_grant("it was used before; all that came of it is revoked")
}

fn refresh(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    let name = need(form, "refresh_token")?;
    let now = state.now();
    let found = state.kept().refresh.get(name, now).cloned().filter(|found| found.granted.client_id == known.id);
    let Some(found) = found else {
        return Err(invalid_grant("the refresh token is unknown, over, or another client's"));
    };
    check_resource(form, &found.granted)?;
    let granted = Granted { scope: narrowed(form, &found.granted.scope)?, ..found.granted.clone() };
    let admitted = prove(state, request, known, Grant::RefreshToken { bound_to: found.key })?;
    known.use_up(state)?;
    let first = state.kept().refresh.get_mut(name, now).is_some_and(|token| !std::mem::replace(&mut token.used, true));
    if !first {
        return Err(used_again(state, &granted));
    }
    let lifetime = state.options.token_lifetime;
    // The next refresh token is good for what this one was, however little was asked for now.
    state.redeemed.fetch_add(1, Ordering::Relaxed);
    issue(state, known, &admitted, Ready { granted, refresh: Some(found.granted), issued_type: None, lifetime })
}

fn client_credentials(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    if known.kind() == ClientType::Public {
        return Err(Outgoing::error(400, "unauthorized_client", "a public client has no credentials to show"));
    }
    let granted = own(state, form, known, &known.id)?;
    let admitted = prove(state, request, known, Grant::ClientCredentials)?;
    known.use_up(state)?;
    let lifetime = state.options.token_lifetime;
    issue(state, known, &admitted, Ready { granted, refresh: None, issued_type: None, lifetime })
}
