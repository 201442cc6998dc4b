//! Tokens for other tokens: token exchange (RFC 8693) and assertions as grants (RFC 7523 section 2.1).

use keybound::http::form::Form;
use keybound::json::Value;
use keybound::key::Signer as _;
use keybound::server::authorization::Grant;
use keybound::server::resource::confirmed_key;
use keybound::{RUSTCRYPTO, Thumbprint, UnixTime};

use super::assertion::{Assertion, is_signed, parts};
use super::authenticate::Known;
use super::client::Authentication;
use super::http::{Incoming, Outgoing, need, param};
use super::issue::{Ready, audience, invalid_grant, issue, narrowed, own, prove, refuse_details};
use super::state::{Access, Granted, State};

/// The token type of access tokens (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The token type of JWTs, which the access tokens here are.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Exchanges an access token of this server for a new one, for the same subject and no longer than the old one lasts.
pub(super) fn exchange(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    let subject_token = need(form, "subject_token")?;
    token_type(need(form, "subject_token_type")?)?;
    let issued_type = match param(form, "requested_token_type")? {
        None => ACCESS_TOKEN,
        Some(kind) => token_type(kind)?,
    };
    refuse_details(form)?;
    let audience = audience(state, form)?;
    if form.all("audience").any(|named| named != audience) {
        return Err(Outgoing::error(
            400,
            "invalid_target",
            "audience is not the resource that tokens are issued for here",
        ));
    }
    let subject = live(state, subject_token)?;
    let actor = match (param(form, "actor_token")?, param(form, "actor_token_type")?) {
        (None, None) => None,
        (Some(token), Some(kind)) => token_type(kind).and_then(|_| live(state, token)).map(Some)?,
        // RFC 8693 section 2.1.
        _ => return Err(Outgoing::error(400, "invalid_request", "actor_token and actor_token_type come together")),
    };
    if subject.granted.details.is_some() {
        return Err(invalid_grant("a token for an intent is for this intent alone"));
    }
    let scope = narrowed(form, &subject.granted.scope)?;
    let act = actor.as_ref().map(|actor| act(&actor.granted, subject.granted.actor.as_ref()));
    let actor_of = act.or_else(|| subject.granted.actor.clone());
    let granted = Granted { client_id: known.id.clone(), scope, audience, actor: actor_of, ..subject.granted.clone() };
    let keys: Vec<Thumbprint> =
        [Some(&subject), actor.as_ref()].into_iter().flatten().filter_map(|token| token.key).collect();
    let admitted = prove(state, request, known, Grant::Derived { confirmed: &keys, may_rebind: false })?;
    known.use_up(state)?;
    let lifetime = [Some(&subject), actor.as_ref()].into_iter().flatten().map(|token| left(token, state.now()));
    let lifetime = lifetime.fold(state.options.token_lifetime, u64::min);
    issue(state, known, &admitted, Ready { granted, refresh: None, issued_type: Some(issued_type), lifetime })
}

/// The claim `act` (RFC 8693 section 4.1): who acts now, and who did before.
fn act(actor: &Granted, before: Option<&Value>) -> Value {
    let act = Value::object().with("sub", actor.subject.as_str()).with("client_id", actor.client_id.as_str());
    act.with_some("act", before.cloned())
}

fn token_type(kind: &str) -> Result<&'static str, Outgoing> {
    let known = [ACCESS_TOKEN, JWT].into_iter().find(|known| *known == kind);
    known.ok_or_else(|| Outgoing::error(400, "invalid_request", "this type of token is not taken or issued here"))
}

/// For how many seconds a token is still good.
fn left(token: &Access, now: UnixTime) -> u64 {
    token.claims.time("exp").map_or(0, |end| end.since(now))
}

/// An access token of this server that is good now.
fn live(state: &State, token: &str) -> Result<Access, Outgoing> {
    let now = state.now();
    let jti = verified_jti(state, token).ok_or_else(|| invalid_grant("the token is none of this server"))?;
    let found = state.kept().access.get(&jti, now).cloned().filter(|access| !access.revoked);
    found.ok_or_else(|| invalid_grant("the token is over or revoked"))
}

/// The identifier of an access token that this server signed.
pub(super) fn verified_jti(state: &State, token: &str) -> Option<String> {
    let (header, claims) = parts(token)?;
    let own =
        header.text("typ") == Some("at+jwt") && is_signed(token, state.signer.public_key(), state.signer.algorithm());
    claims.text("jti").filter(|_| own).map(str::to_owned)
}

/// A token for an assertion that the client itself signed, about one of its users. Others' assertions are not taken: no
/// other issuer is known here.
pub(super) fn jwt_bearer(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    let text = need(form, "assertion")?;
    let Authentication::Keys(keys) = &known.client.authentication else {
        return Err(invalid_grant("assertions are taken of clients that registered keys"));
    };
    let endpoint = request.url.clone();
    let assertion = Assertion::read(state, &endpoint, text, &known.id, keys).map_err(invalid_grant)?;
    let subject = assertion.claims.text("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255);
    let subject = subject.ok_or_else(|| invalid_grant("the assertion has no sub, or one of more than 255 bytes"))?;
    let confirmed = confirmed_key(&assertion.claims, RUSTCRYPTO.digest);
    let confirmed =
        confirmed.map_err(|_| invalid_grant("cnf of the assertion names no key that can be checked here"))?;
    let granted = own(state, form, known, subject)?;
    let keys: Vec<Thumbprint> = confirmed.into_iter().collect();
    let admitted = prove(state, request, known, Grant::Derived { confirmed: &keys, may_rebind: false })?;
    known.use_up(state)?;
    if !assertion.use_up(state)? {
        return Err(invalid_grant("the assertion was used before"));
    }
    let lifetime = state.options.token_lifetime;
    issue(state, known, &admitted, Ready { granted, refresh: None, issued_type: None, lifetime })
}
