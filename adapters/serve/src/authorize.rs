//! Authorization requests: pushed (RFC 9126) or by redirect, decided, and answered (OAuth 2.1 section 4.1).

use keybound::http::form::Form;
use keybound::http::url::Url;
use keybound::intent::{Intent, REQUEST_TYPE};
use keybound::json::Value;
use keybound::server::authorization::{EndpointRequest, Grant, MAX_CODE_LIFETIME};
use keybound::{SecurityLevel, Thumbprint};

use super::authenticate::authenticate;
use super::client::Client;
use super::http::{Incoming, Outgoing, described, escape, need, param};
use super::issue::{admit, asked_for, audience, next_nonce};
use super::state::{Code, Granted, Pushed, State, unguessable};

/// For how long a pushed request waits, in seconds.
const PUSHED_LIFETIME: u64 = 60;
/// For how long a decision is waited for, in seconds.
const TICKET_LIFETIME: u64 = 600;
/// For how long an intent may be carried out, in seconds.
const INTENT_LIFETIME: u64 = 300;
/// What pushed requests' names begin with (RFC 9126 section 2.2).
const HANDLE: &str = "urn:ietf:params:oauth:request_uri:";

/// An authorization request that can be decided.
struct Asked {
    client_id: String,
    redirect_uri: String,
    /// Whether the request named the redirect URI, so that the token request has to.
    named_uri: bool,
    state: Option<String>,
    challenge: String,
    scope: String,
    audience: String,
    details: Option<Value>,
    key: Option<Thumbprint>,
}

/// Takes a pushed request.
pub(super) fn push(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let known = authenticate(state, request, &form)?;
    if param(&form, "request_uri")?.is_some() {
        return Err(Outgoing::error(400, "invalid_request", "a pushed request has no request_uri"));
    }
    let proofs = request.all("dpop");
    let target = state.target(request);
    let grant = Grant::announcement(&form)?;
    let endpoint = EndpointRequest::new(&request.method, &target, &proofs, known.kind(), grant);
    let admitted = admit(state, &endpoint)?;
    let pushed = Pushed { client_id: known.id.clone(), form, key: admitted.announced(), by_redirect: false };
    read(state, &known.client, &pushed).map_err(|wrong| match wrong {
        Wrong::Here(answer) => answer,
        Wrong::AtClient { error, description, .. } => Outgoing::error(400, error, &description),
    })?;
    known.use_up(state)?;
    let handle = format!("{HANDLE}{}", unguessable()?);
    let now = state.now();
    state.kept().pushed.insert(&handle, pushed, now.saturating_add(PUSHED_LIFETIME), now)?;
    state.spend_nonces()?;
    let document = Value::object().with("request_uri", handle).with("expires_in", PUSHED_LIFETIME);
    let mut answer = Outgoing::json(201, &document);
    if let Some(nonce) = next_nonce(state, admitted.next_nonce()) {
        answer = answer.with("DPoP-Nonce", &nonce);
    }
    Ok(answer)
}

fn unknown_client(status: u16) -> Outgoing {
    Outgoing::page(status, "<p>This client is not known here.")
}

/// Answers the user's browser.
pub(super) fn authorize(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let bad = |text: &str| Outgoing::page(400, &format!("<p>{}", escape(text)));
    let form = Form::parse(request.query.as_bytes()).map_err(|_| bad("The request's parameters cannot be read."))?;
    let once = |name: &str| form.get(name).map_err(|_| bad(&format!("{name} occurs twice.")));
    let client_id = once("client_id")?.ok_or_else(|| bad("client_id is missing."))?;
    let registered = state.client(client_id).ok_or_else(|| unknown_client(400))?;
    let now = state.now();
    let pushed = match once("request_uri")? {
        Some(handle) => {
            let pushed = state.kept().pushed.take(handle, now).filter(|pushed| pushed.client_id == client_id);
            pushed.ok_or_else(|| bad("This request was not pushed by this client, was used before, or is over."))?
        }
        None => {
            let key = match Grant::announcement(&form) {
                Ok(Grant::Announcement { dpop_jkt }) => dpop_jkt,
                // Said to the client when it is known where it is.
                _ => None,
            };
            Pushed { client_id: client_id.into(), form, key, by_redirect: true }
        }
    };
    let asked = match read(state, &registered, &pushed) {
        Ok(asked) => asked,
        Err(Wrong::Here(answer)) => return Err(answer),
        Err(Wrong::AtClient { redirect_uri, state: client_state, error, description }) => {
            return Ok(send_back(
                state,
                &redirect_uri,
                client_state.as_deref(),
                &[("error", error), ("error_description", &described(&description))],
            ));
        }
    };
    if !state.options.consent {
        return decided(state, asked, true);
    }
    let ticket = unguessable()?;
    let page = format!(
        "<h1>{}</h1><p>asks for: <b>{}</b>{}<form method=post action=/decide><input type=hidden name=ticket value={ticket}>\
         <button name=decision value=approve>Approve</button> <button name=decision value=deny>Deny</button></form>",
        escape(&asked.client_id),
        escape(&asked.scope),
        asked.details.as_ref().map(|details| format!("<pre>{}</pre>", escape(&details.to_json()))).unwrap_or_default(),
    );
    state.kept().tickets.insert(&ticket, pushed, now.saturating_add(TICKET_LIFETIME), now)?;
    Ok(Outgoing::page(200, &page))
}

/// Takes the user's decision.
pub(super) fn decide(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let now = state.now();
    let ticket = state.kept().tickets.take(need(&form, "ticket")?, now);
    let pushed = ticket.ok_or_else(|| Outgoing::page(400, "<p>This page was used before, or is over."))?;
    let registered = state.client(&pushed.client_id).ok_or_else(|| unknown_client(400))?;
    match read(state, &registered, &pushed) {
        Ok(asked) => decided(state, asked, need(&form, "decision")? == "approve"),
        Err(Wrong::Here(answer)) => Err(answer),
        Err(Wrong::AtClient { .. }) => Err(Outgoing::page(400, "<p>This request cannot be granted any more.")),
    }
}

/// What is wrong with a request, and whom to tell: the user where the client cannot be trusted, else the client.
enum Wrong {
    Here(Outgoing),
    AtClient { redirect_uri: String, state: Option<String>, error: &'static str, description: String },
}

impl From<Outgoing> for Wrong {
    fn from(answer: Outgoing) -> Self {
        Self::Here(answer)
    }
}

fn read(state: &State, registered: &Client, pushed: &Pushed) -> Result<Asked, Wrong> {
    let form = &pushed.form;
    let here = |text: &str| Wrong::Here(Outgoing::error(400, "invalid_request", text));
    if param(form, "client_id")?.is_some_and(|id| id != pushed.client_id) {
        return Err(here("client_id is another client's"));
    }
    let named = param(form, "redirect_uri")?;
    let redirect_uri = match (named, registered.redirect_uris.as_slice()) {
        (Some(uri), _) if registered.may_return_to(uri) => uri.to_owned(),
        (Some(_), _) => return Err(here("redirect_uri is not one of those registered")),
        (None, [only]) => only.clone(),
        (None, _) => return Err(here("redirect_uri is missing")),
    };
    let client_state = form.get("state").ok().flatten().map(str::to_owned);
    let wrong = |error, text: &str| {
        let (redirect_uri, state) = (redirect_uri.clone(), client_state.clone());
        Err(Wrong::AtClient { redirect_uri, state, error, description: text.to_owned() })
    };
    // Only these may occur more than once (RFC 6749 section 3.1, RFC 8707 section 2).
    if form.iter().any(|(name, _)| name != "resource" && form.get(name).is_err()) {
        return wrong("invalid_request", "a parameter occurs twice");
    }
    if pushed.by_redirect && state.options.level == SecurityLevel::Maximum {
        return wrong("invalid_request", "push the request: this server takes no other");
    }
    let get = |name: &str| form.get(name).ok().flatten();
    if get("request").is_some() {
        return wrong("request_not_supported", "request objects are not taken here: push the request instead");
    }
    match get("response_type") {
        Some("code") if registered.may_use("authorization_code") => {}
        Some("code") => return wrong("unauthorized_client", "this client did not register for authorization_code"),
        Some(_) => return wrong("unsupported_response_type", "response_type must be code"),
        None => return wrong("invalid_request", "response_type is missing"),
    }
    if get("response_mode").is_some_and(|mode| mode != "query") {
        return wrong("invalid_request", "response_mode must be query");
    }
    if state.options.consent && get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return wrong("interaction_required", "the user has to be asked");
    }
    if Grant::announcement(form).is_err() {
        return wrong("invalid_request", "dpop_jkt is not a thumbprint");
    }
    let Some(challenge) = get("code_challenge") else {
        return wrong("invalid_request", "code_challenge is missing: PKCE is required");
    };
    if get("code_challenge_method") != Some("S256")
        || keybound::base64url::decode(challenge.as_bytes()).ok().is_none_or(|c| c.len() != 32)
    {
        return wrong("invalid_request", "code_challenge must be of the method S256");
    }
    // Details are an intent here, and its token is good for nothing else: no scope beside them, asked for or not.
    let granted = match get("authorization_details") {
        Some(_) => audience(state, form).map(|audience| (audience, String::new())),
        None => asked_for(state, form),
    };
    let (audience, scope) = match granted {
        Ok(granted) => granted,
        Err((error, text)) => return wrong(error, &text),
    };
    let details = match get("authorization_details").map(|text| Value::parse_request(text.as_bytes())) {
        None => None,
        Some(Ok(details)) => Some(details),
        Some(Err(_)) => return wrong("invalid_authorization_details", "authorization_details are not JSON"),
    };
    if let Some(details) = &details {
        let known = |detail: &Value| detail.text("type") == Some(REQUEST_TYPE);
        let all_known = matches!(details, Value::Array(details) if details.iter().all(known));
        let Some(key) = pushed.key else {
            return wrong("invalid_request", "authorization_details need dpop_jkt or a proof: they are for one key");
        };
        if !all_known || Intent::declare(details.clone(), key, INTENT_LIFETIME, state.now()).is_err() {
            return wrong("invalid_authorization_details", "authorization_details are not an array of known types");
        }
    }
    Ok(Asked {
        client_id: pushed.client_id.clone(),
        named_uri: named.is_some(),
        redirect_uri: redirect_uri.clone(),
        state: client_state.clone(),
        challenge: challenge.into(),
        scope,
        audience,
        details,
        key: pushed.key,
    })
}

fn decided(state: &State, asked: Asked, approved: bool) -> Result<Outgoing, Outgoing> {
    if !approved {
        let said = [("error", "access_denied"), ("error_description", "the user said no")];
        return Ok(send_back(state, &asked.redirect_uri, asked.state.as_deref(), &said));
    }
    let now = state.now();
    let code = unguessable()?;
    // Details with a key are an intent: a short token, for this key, once.
    let intent = match (&asked.details, asked.key) {
        (Some(details), Some(key)) => Intent::declare(details.clone(), key, INTENT_LIFETIME, now).ok(),
        _ => None,
    };
    let granted = Granted {
        client_id: asked.client_id,
        subject: state.options.user.clone(),
        scope: asked.scope,
        audience: asked.audience,
        details: asked.details,
        actor: None,
        family: code.clone(),
    };
    let kept = Code {
        granted,
        redirect_uri: asked.named_uri.then(|| asked.redirect_uri.clone()),
        challenge: asked.challenge,
        key: asked.key,
        intent,
        expires: now.saturating_add(MAX_CODE_LIFETIME),
        used: false,
    };
    // Remembered beyond its end, so that a second use is noticed for as long as its tokens live.
    let until = now.saturating_add(MAX_CODE_LIFETIME + state.options.token_lifetime);
    state.kept().codes.insert(&code, kept, until, now)?;
    Ok(send_back(state, &asked.redirect_uri, asked.state.as_deref(), &[("code", &code)]))
}

/// Sends the browser back to the client, with the name of the issuer (RFC 9207).
fn send_back(state: &State, redirect_uri: &str, client_state: Option<&str>, said: &[(&str, &str)]) -> Outgoing {
    let mut form = Form::new();
    said.iter().for_each(|(name, value)| form.push(name, value));
    form.push_some("state", client_state);
    let wrong = format!("{}/other", state.issuer);
    form.push("iss", if state.faults().wrong_iss { &wrong } else { &state.issuer });
    let url = match Url::parse(redirect_uri) {
        Ok(url) => url.with_query(&form),
        // An app's own scheme.
        Err(_) => format!("{redirect_uri}{}{}", if redirect_uri.contains('?') { '&' } else { '?' }, form.encode()),
    };
    Outgoing::redirect(&url)
}
