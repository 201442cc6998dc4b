//! What becomes of tokens: introspection (RFC 7662) and revocation (RFC 7009).

use keybound::server::authorization::{ClientType, introspection};

use super::authenticate::authenticate;
use super::derived::verified_jti;
use super::http::{Incoming, Outgoing, need, param};
use super::state::State;

/// Says what a token is. No proof is asked of resource servers (RFC 9449 section 6.2).
pub(super) fn introspect(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let known = authenticate(state, request, &form)?;
    if known.kind() == ClientType::Public {
        return Err(Outgoing::error(401, "invalid_client", "only confidential clients may ask about tokens"));
    }
    let token = need(&form, "token")?;
    known.use_up(state)?;
    let now = state.now();
    let kept = state.kept();
    let access = verified_jti(state, token).and_then(|jti| kept.access.get(&jti, now));
    let document = match (access, kept.refresh.get(token, now)) {
        (Some(access), _) if !access.revoked => introspection(Some(access.claims.clone()), access.key),
        (None, Some(refresh)) if !refresh.used && refresh.granted.client_id == known.id => {
            let claims = keybound::json::Value::object()
                .with("client_id", refresh.granted.client_id.as_str())
                .with("scope", refresh.granted.scope.as_str())
                .with("sub", refresh.granted.subject.as_str());
            introspection(Some(claims), refresh.key)
        }
        _ => introspection(None, None),
    };
    Ok(Outgoing::json(200, &document))
}

/// Revokes a token, and with a refresh token everything that came of it. Unknown tokens are revoked already.
pub(super) fn revoke(state: &State, request: &Incoming) -> Result<Outgoing, Outgoing> {
    let form = request.form()?;
    let known = authenticate(state, request, &form)?;
    let token = need(&form, "token")?;
    // A hint that is wrong or unknown changes nothing (RFC 7009 section 2.1).
    param(&form, "token_type_hint")?;
    known.use_up(state)?;
    let now = state.now();
    let jti = verified_jti(state, token);
    let mut kept = state.kept();
    let refresh = kept.refresh.get(token, now).map(|refresh| &refresh.granted);
    let access = jti.as_ref().and_then(|jti| kept.access.get(jti, now)).map(|access| &access.granted);
    let Some(granted) = refresh.or(access).cloned() else {
        return Ok(Outgoing::new(200).with("Cache-Control", "no-store"));
    };
    if granted.client_id != known.id {
        return Err(Outgoing::error(400, "invalid_request", "the token was issued to another client"));
    }
    match jti.and_then(|jti| kept.access.get_mut(&jti, now)) {
        Some(access) => access.revoked = true,
        None => State::revoke_family(&mut kept, &granted.family),
    }
    Ok(Outgoing::new(200).with("Cache-Control", "no-store"))
}
