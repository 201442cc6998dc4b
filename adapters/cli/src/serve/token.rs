//! The token endpoint: every grant, judged before it is used up.

use keybound::http::form::Form;
use keybound::json::Value;
use keybound::key::{Signer as _, SigningInput};
use keybound::nonce::Nonce;
use keybound::replay::{Insertion, ReplayStore};
use keybound::server::authorization::{
    Admitted, Checked, ClientType, EndpointRequest, Grant, TokenAnswer, confirmation,
};
use keybound::{RUSTCRYPTO, Thumbprint, base64url};

use super::authorize::{USER, granted_scope};
use super::client::{self, Known, is_signed, parts};
use super::http::{Answer, Incoming, need, param};
use super::state::{Access, Granted, KEY_ID, Refresh, State, unguessable};

/// For how long refresh tokens are good, in seconds.
const REFRESH_LIFETIME: u64 = 86_400;
/// The token type of access tokens in token exchange (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The token type of JWTs.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What a grant gives, if the proof is admitted.
struct Ready {
    granted: Granted,
    refreshes: bool,
    /// Members of the answer besides the usual ones.
    issued_type: Option<&'static str>,
    lifetime: u64,
}

pub(super) fn token(state: &State, request: &Incoming) -> Result<Answer, Answer> {
    let form = request.form()?;
    let known = client::authenticate(state, request, &form)?;
    if form.all("resource").any(|resource| resource != state.resource) {
        return Err(Answer::error(400, "invalid_target", "resource is not the API of this server"));
    }
    match need(&form, "grant_type")? {
        "authorization_code" => code(state, request, &form, &known),
        "refresh_token" => refresh(state, request, &form, &known),
        "client_credentials" => client_credentials(state, request, &form, &known),
        "urn:ietf:params:oauth:grant-type:device_code" => super::device::token(state, request, &form, &known),
        "urn:ietf:params:oauth:grant-type:token-exchange" => exchange(state, request, &form, &known),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => jwt_bearer(state, request, &form, &known),
        _ => Err(Answer::error(400, "unsupported_grant_type", "this grant is not offered here")),
    }
}

fn invalid_grant(text: &str) -> Answer {
    Answer::error(400, "invalid_grant", text)
}

fn code(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Answer, Answer> {
    let name = need(form, "code")?;
    let verifier = need(form, "code_verifier")?;
    let now = state.now();
    let found = state.kept().codes.get(name, now).cloned().filter(|code| code.granted.client_id == known.id);
    let Some(found) = found else { return Err(invalid_grant("the code is unknown, over, or another client's")) };
    if found.used {
        // Two parties hold the code: nobody keeps what came of it (OAuth 2.1 section 4.1.3).
        State::revoke_family(&mut state.kept(), &found.granted.family);
        return Err(invalid_grant("the code was used before; its tokens are revoked"));
    }
    if found.redirect_uri.as_deref() != param(form, "redirect_uri")? && found.redirect_uri.is_some() {
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
    match state.kept().codes.get_mut(name, now) {
        Some(code) if !code.used => code.used = true,
        _ => return Err(invalid_grant("the code was used before")),
    }
    let refreshes = found.intent.is_none();
    issue(state, &admitted, Ready { granted: found.granted, refreshes, issued_type: None, lifetime })
}

fn refresh(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Answer, Answer> {
    let name = need(form, "refresh_token")?;
    let now = state.now();
    let found = state.kept().refresh.get(name, now).cloned().filter(|found| found.granted.client_id == known.id);
    let Some(found) = found else {
        return Err(invalid_grant("the refresh token is unknown, over, or another client's"));
    };
    let mut granted = found.granted.clone();
    if let Some(scope) = param(form, "scope")? {
        let had: Vec<&str> = granted.scope.split(' ').collect();
        if !scope.split(' ').all(|name| had.contains(&name)) {
            return Err(Answer::error(400, "invalid_scope", "a refresh gives no more than was granted"));
        }
        granted.scope = scope.into();
    }
    let admitted = prove(state, request, known, Grant::RefreshToken { bound_to: found.key })?;
    known.use_up(state)?;
    {
        let mut kept = state.kept();
        match kept.refresh.get_mut(name, now) {
            Some(refresh) if !refresh.used => refresh.used = true,
            // A rotated token came back: either the client or a thief holds the other one.
            _ => {
                State::revoke_family(&mut kept, &granted.family);
                return Err(invalid_grant("the refresh token was used before; the session is revoked"));
            }
        }
    }
    let lifetime = state.options.token_lifetime;
    issue(state, &admitted, Ready { granted, refreshes: true, issued_type: None, lifetime })
}

fn client_credentials(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Answer, Answer> {
    if known.kind == ClientType::Public {
        return Err(Answer::error(400, "unauthorized_client", "a public client has no credentials to show"));
    }
    let granted = own(state, form, known, &known.id)?;
    let admitted = prove(state, request, known, Grant::ClientCredentials)?;
    known.use_up(state)?;
    let lifetime = state.options.token_lifetime;
    issue(state, &admitted, Ready { granted, refreshes: false, issued_type: None, lifetime })
}

/// What a request without an earlier approval is granted.
fn own(state: &State, form: &Form, known: &Known, subject: &str) -> Result<Granted, Answer> {
    let scope = granted_scope(param(form, "scope")?);
    let scope = scope.ok_or_else(|| Answer::error(400, "invalid_scope", "none of these scopes is known here"))?;
    Ok(Granted {
        client_id: known.id.clone(),
        subject: subject.into(),
        scope,
        audience: state.resource.clone(),
        details: None,
        family: unguessable()?,
    })
}

/// Exchanges an access token of this server for a new one (RFC 8693).
fn exchange(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Answer, Answer> {
    let wrong = |text: &str| Answer::error(400, "invalid_request", text);
    if ![ACCESS_TOKEN, JWT].contains(&need(form, "subject_token_type")?) {
        return Err(wrong("subject_token_type is not one that is taken here"));
    }
    if param(form, "requested_token_type")?.is_some_and(|kind| ![ACCESS_TOKEN, JWT].contains(&kind)) {
        return Err(wrong("requested_token_type is not one that is issued here"));
    }
    let mut keys: Vec<Thumbprint> = Vec::new();
    let subject = live(state, need(form, "subject_token")?)?;
    keys.extend(subject.key);
    if let Some(actor) = param(form, "actor_token")? {
        need(form, "actor_token_type")?;
        keys.extend(live(state, actor)?.key);
    }
    let mut granted = subject.granted;
    granted.client_id.clone_from(&known.id);
    if let Some(asked) = param(form, "scope")? {
        let had: Vec<&str> = granted.scope.split(' ').collect();
        if !asked.split(' ').all(|name| had.contains(&name)) {
            return Err(Answer::error(400, "invalid_scope", "an exchange gives no more than the token had"));
        }
        granted.scope = asked.into();
    }
    let admitted = prove(state, request, known, Grant::Derived { confirmed: &keys, may_rebind: false })?;
    known.use_up(state)?;
    let lifetime = state.options.token_lifetime;
    issue(state, &admitted, Ready { granted, refreshes: false, issued_type: Some(ACCESS_TOKEN), lifetime })
}

/// An access token of this server that is good now.
fn live(state: &State, token: &str) -> Result<Access, Answer> {
    let now = state.now();
    let jti = verified_jti(state, token).ok_or_else(|| invalid_grant("the token is none of this server"))?;
    let found = state.kept().access.get(&jti, now).cloned().filter(|access| !access.revoked);
    found.ok_or_else(|| invalid_grant("the token is over or revoked"))
}

/// The identifier of an access token that this server signed.
pub(super) fn verified_jti(state: &State, token: &str) -> Option<String> {
    let (_, claims) = parts(token)?;
    let own = is_signed(token, state.signer.public_key(), state.signer.algorithm());
    claims.text("jti").filter(|_| own).map(str::to_owned)
}

/// A token for an assertion that a confidential client signed for one of its users (RFC 7523 section 2.1).
fn jwt_bearer(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Answer, Answer> {
    let assertion = need(form, "assertion")?;
    // The only issuer of assertions that is trusted here is this server itself: its own access tokens.
    let subject = live(state, assertion)?;
    let keys: Vec<Thumbprint> = subject.key.into_iter().collect();
    let mut granted = own(state, form, known, USER)?;
    granted.subject = subject.granted.subject;
    let admitted = prove(state, request, known, Grant::Derived { confirmed: &keys, may_rebind: false })?;
    known.use_up(state)?;
    let lifetime = state.options.token_lifetime;
    issue(state, &admitted, Ready { granted, refreshes: false, issued_type: None, lifetime })
}

/// Judges the proof of a token request.
pub(super) fn prove(state: &State, request: &Incoming, known: &Known, grant: Grant<'_>) -> Result<Admitted, Answer> {
    let proofs = request.all("dpop");
    let target = request.target(state);
    let endpoint =
        EndpointRequest::new(&request.method, &target, &proofs, known.kind, grant).must_bind(known.must_bind);
    admit(state, &endpoint)
}

/// Judges a proof and consumes it.
pub(super) fn admit(state: &State, endpoint: &EndpointRequest<'_>) -> Result<Admitted, Answer> {
    let now = state.now();
    let server = state.authorization();
    match server.check(endpoint, now)? {
        Checked::Admitted(admitted) => Ok(admitted),
        Checked::Pending(pending) => {
            let insertion = match state.proofs.insert(pending.replay_entry(), now) {
                Ok(insertion) if !state.faults().store_failing => insertion,
                _ => Insertion::Unavailable,
            };
            Ok(server.settle(endpoint, pending, insertion, now)?)
        }
    }
}

/// The nonce to send along: the one the proof's own makes due, or a new one for every answer if that is the fault.
pub(super) fn next_nonce(state: &State, due: Option<&Nonce>) -> Option<String> {
    if state.faults().new_nonce_each_call && state.options.nonces {
        return state.authorization().fresh_nonce(state.now()).map(|nonce| nonce.as_str().to_owned());
    }
    due.map(|nonce| nonce.as_str().to_owned())
}

/// Issues what a grant gives.
pub(super) fn give(state: &State, admitted: &Admitted, granted: Granted) -> Result<Answer, Answer> {
    let lifetime = state.options.token_lifetime;
    issue(state, admitted, Ready { granted, refreshes: true, issued_type: None, lifetime })
}

fn issue(state: &State, admitted: &Admitted, ready: Ready) -> Result<Answer, Answer> {
    let Ready { granted, refreshes, issued_type, lifetime } = ready;
    let now = state.now();
    let expires = now.saturating_add(lifetime);
    let jti = unguessable()?;
    let key = admitted.access_binding();
    let claims = Value::object()
        .with("iss", state.issuer.as_str())
        .with("aud", granted.audience.as_str())
        .with("sub", granted.subject.as_str())
        .with("client_id", granted.client_id.as_str())
        .with("scope", granted.scope.as_str())
        .with("iat", now)
        .with("exp", expires)
        .with("jti", jti.as_str())
        .with_some("authorization_details", granted.details.clone())
        .with_some("cnf", key.map(confirmation));
    let token = sign(state, &claims)?;
    let refresh = if refreshes { Some(unguessable()?) } else { None };
    {
        let mut kept = state.kept();
        let access = Access { granted: granted.clone(), key, claims, revoked: false };
        kept.access.insert(&jti, access, expires, now)?;
        if let Some(name) = &refresh {
            let key = admitted.refresh_binding();
            let refresh = Refresh { granted: granted.clone(), key, used: false };
            kept.refresh.insert(name, refresh, now.saturating_add(REFRESH_LIFETIME), now)?;
        }
    }
    state.spend_nonces()?;
    let mut answer = TokenAnswer::new(&token, admitted).expires_in(lifetime).scope(&granted.scope);
    if let Some(refresh) = &refresh {
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
    let mut answer = Answer::from(answer.finish());
    if let Some(nonce) = next_nonce(state, None) {
        answer.fields.retain(|(name, _)| name != "DPoP-Nonce");
        answer = answer.with("DPoP-Nonce", &nonce);
    }
    Ok(answer)
}

/// An access token (RFC 9068).
fn sign(state: &State, claims: &Value) -> Result<String, Answer> {
    let algorithm = state.signer.algorithm();
    let header = Value::object().with("typ", "at+jwt").with("alg", algorithm.name()).with("kid", KEY_ID);
    let mut text = base64url::encode(header.to_json().as_bytes());
    text.push('.');
    base64url::encode_into(claims.to_json().as_bytes(), &mut text);
    let unavailable = |_| Answer::error(503, "temporarily_unavailable", "the token could not be signed");
    let input = SigningInput::new(algorithm, text.as_bytes(), RUSTCRYPTO.digest);
    let signature = state.signer.sign(&input).map_err(unavailable)?;
    text.push('.');
    base64url::encode_into(signature.as_bytes(), &mut text);
    Ok(text)
}
