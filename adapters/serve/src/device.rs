//! Logins on another device (RFC 8628).

use keybound::http::form::Form;
use keybound::json::Value;
use keybound::server::authorization::{EndpointRequest, Grant};
use keybound::{RUSTCRYPTO, UnixTime};

use super::authenticate::{Known, authenticate};
use super::http::{Incoming, Outgoing, escape, need};
use super::issue::{Ready, admit, asked_for, check_resource, invalid_grant, issue, next_nonce, prove, refuse_details};
use super::metadata::DEVICE_CODE;
use super::state::{Device, Granted, State, unguessable};

/// For how long the user may decide, in seconds.
const LIFETIME: u64 = 600;
/// The pause between two questions, in seconds.
const INTERVAL: u64 = 1;
/// The letters of user codes: no vowels, so no words (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

pub(super) fn begin(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let known = authenticate(state, request, &form)?;
    known.must_be_permitted(DEVICE_CODE)?;
    refuse_details(&form)?;
    let (audience, scope) = asked_for(state, &form)?;
    let proofs = request.all("dpop");
    let target = state.target(request);
    let grant = Grant::announcement(&form)?;
    let admitted = admit(state, &EndpointRequest::new(&request.method, &target, &proofs, known.kind(), grant))?;
    if state.must_bind(&known.client) && admitted.announced().is_none() {
        return Err(Outgoing::error(400, "invalid_request", "this client gets bound tokens: send a proof or dpop_jkt"));
    }
    known.use_up(state)?;
    let (now, code) = (state.now(), unguessable()?);
    let user_code = user_code()?;
    let granted = Granted {
        client_id: known.id,
        subject: state.options.user.clone(),
        scope,
        audience,
        details: None,
        actor: None,
        family: code.clone(),
    };
    let device = Device {
        granted,
        user_code: user_code.clone(),
        key: admitted.announced(),
        approved: None,
        approves_itself: state.options.device_approval.map(|after| now.saturating_add(after)),
        asked: UnixTime::from_secs(0),
        interval: INTERVAL,
        expires: now.saturating_add(LIFETIME),
    };
    // Remembered beyond its end, so that a device that still asks learns that it is over.
    state.kept().devices.insert(&code, device, now.saturating_add(2 * LIFETIME), now)?;
    let page = format!("{}/device", state.issuer);
    let complete = format!("{page}?user_code={user_code}");
    let document = Value::object()
        .with("device_code", code)
        .with("user_code", user_code)
        .with("verification_uri", page)
        .with("verification_uri_complete", complete)
        .with("expires_in", LIFETIME)
        .with("interval", INTERVAL);
    let mut answer = Outgoing::json(200, &document);
    if let Some(nonce) = next_nonce(state, admitted.next_nonce()) {
        answer = answer.with("DPoP-Nonce", &nonce);
    }
    Ok(answer)
}

fn user_code() -> Result<String, Outgoing> {
    let mut bytes = [0; 8];
    let unavailable = |_| Outgoing::error(503, "temporarily_unavailable", "there is no randomness");
    RUSTCRYPTO.random.fill(&mut bytes).map_err(unavailable)?;
    let letters: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    Ok(format!("{}-{}", &letters[..4], &letters[4..]))
}

/// The page on which the user enters the code.
pub(super) fn page(_: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = Form::parse(request.query.as_bytes()).unwrap_or_default();
    let code = form.get("user_code").ok().flatten().unwrap_or_default();
    Ok(Outgoing::page(
        200,
        &format!(
            "<h1>Log a device in</h1><form method=post action=/device><input name=user_code value=\"{}\" \
             placeholder=\"XXXX-XXXX\"> <button name=decision value=approve>Approve</button> \
             <button name=decision value=deny>Deny</button></form>",
            escape(code)
        ),
    ))
}

/// Takes the user's decision.
pub(super) fn decide(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let entered: String = need(&form, "user_code")?.chars().filter(char::is_ascii_alphabetic).collect();
    let approved = need(&form, "decision")? == "approve";
    let now = state.now();
    let mut kept = state.kept();
    let same =
        |device: &Device| now < device.expires && device.user_code.replace('-', "").eq_ignore_ascii_case(&entered);
    let found = kept.devices.values_mut().find(|(_, device)| device.approved.is_none() && same(device));
    let Some((_, device)) = found else { return Err(Outgoing::page(400, "<p>No device waits with this code.")) };
    device.approved = Some(approved);
    Ok(Outgoing::page(200, if approved { "<p>Approved. Go back to the device." } else { "<p>Denied." }))
}

/// Answers a device that asks for its token.
pub(super) fn token(state: &State, request: &Incoming, form: &Form, known: &Known) -> Result<Outgoing, Outgoing> {
    let name = need(form, "device_code")?;
    let now = state.now();
    let found = state.kept().devices.get(name, now).cloned().filter(|device| device.granted.client_id == known.id);
    let Some(found) = found else {
        return Err(invalid_grant("the device code is unknown, used, or another client's"));
    };
    check_resource(form, &found.granted)?;
    if now >= found.expires {
        return Err(Outgoing::error(400, "expired_token", "the device code is over; begin again"));
    }
    let admitted = prove(state, request, known, Grant::DeviceCode { bound_to: found.key })?;
    known.use_up(state)?;
    let mut kept = state.kept();
    let gone = || invalid_grant("the device code was used before");
    let device = kept.devices.get_mut(name, now).ok_or_else(gone)?;
    let too_fast = now.since(device.asked) < device.interval && device.asked.secs() > 0;
    device.asked = now;
    if device.approved.is_none() && device.approves_itself.is_some_and(|at| now >= at) {
        device.approved = Some(true);
    }
    match device.approved {
        Some(true) => {
            kept.devices.take(name, now).ok_or_else(gone)?;
            drop(kept);
            let (refresh, lifetime) = (Some(found.granted.clone()), state.options.token_lifetime);
            issue(state, known, &admitted, Ready { granted: found.granted, refresh, issued_type: None, lifetime })
        }
        Some(false) => {
            kept.devices.take(name, now);
            Err(Outgoing::error(400, "access_denied", "the user said no"))
        }
        None if too_fast => {
            device.interval = device.interval.saturating_add(5);
            Err(Outgoing::error(400, "slow_down", "the device asks too often"))
        }
        None => Err(Outgoing::error(400, "authorization_pending", "the user has not decided yet")),
    }
}
