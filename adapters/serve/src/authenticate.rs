//! How clients show who they are (OAuth 2.1 section 2.4).

use std::cell::Cell;

use base64ct::Encoding as _;
use keybound::http::form::Form;
use keybound::oauth::Secret;
use keybound::server::authorization::ClientType;

use super::assertion::{Assertion, parts};
use super::client::{Authentication, Client};
use super::http::{Incoming, Outgoing, param};
use super::state::State;

/// A client that showed who it is.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) client: Client,
    assertion: Option<Assertion>,
    /// Whether its proof was judged, so that no signature of it is checked a second time.
    pub(super) proved: Cell<bool>,
}

impl Known {
    pub(super) const fn kind(&self) -> ClientType {
        self.client.kind()
    }

    /// Refuses a grant that the client did not register for (RFC 6749 section 5.2).
    pub(super) fn must_be_permitted(&self, grant: &str) -> Result<(), Outgoing> {
        if self.client.may_use(grant) {
            return Ok(());
        }
        Err(Outgoing::error(400, "unauthorized_client", "this client did not register for this grant"))
    }

    /// Uses the client's assertion up, if it showed one.
    pub(super) fn use_up(&self, state: &State) -> Result<(), Outgoing> {
        match &self.assertion {
            Some(assertion) if !assertion.use_up(state)? => Err(refused("the assertion was used before")),
            _ => Ok(()),
        }
    }
}

fn refused(description: &str) -> Outgoing {
    Outgoing::error(401, "invalid_client", description)
}

/// Finds out which client sent a request (OAuth 2.1 section 2.4).
pub(super) fn authenticate(state: &State, request: &Incoming, form: &Form) -> Result<Known, Outgoing> {
    let basic = match request.all("authorization").as_slice() {
        [] => None,
        [value] => Some(basic(value).ok_or_else(|| challenge("the Authorization field is no Basic credentials"))?),
        _ => return Err(Outgoing::error(400, "invalid_request", "there are two Authorization fields")),
    };
    let (id, secret) = (param(form, "client_id")?, param(form, "client_secret")?);
    let assertion = param(form, "client_assertion")?;
    if [basic.is_some(), secret.is_some(), assertion.is_some()].into_iter().filter(|used| *used).count() > 1 {
        return Err(Outgoing::error(400, "invalid_request", "the client authenticates in more than one way"));
    }
    if let Some(assertion) = assertion {
        return by_assertion(state, request, form, assertion, id);
    }
    let used_basic = basic.is_some();
    let (id, secret) = match basic {
        Some((basic_id, basic_secret)) if id.is_none_or(|id| id == basic_id) => (basic_id, Some(basic_secret)),
        Some(_) => return Err(challenge("client_id is another one than in the Authorization field")),
        None => {
            let id = id.ok_or_else(|| refused("the request does not say which client it comes from"))?;
            (id.to_owned(), secret.map(Secret::new))
        }
    };
    let refuse = |text: &str| if used_basic { challenge(text) } else { refused(text) };
    let client = state.client(&id).ok_or_else(|| refuse("this client is not known"))?;
    match (&client.authentication, secret) {
        (Authentication::None, None) => {}
        (Authentication::Secret(known), Some(shown)) if *known == shown => {}
        (Authentication::Basic(known), Some(shown)) if used_basic && *known == shown => {}
        (Authentication::Post(known), Some(shown)) if !used_basic && *known == shown => {}
        (Authentication::Keys(_), _) => return Err(refuse("this client authenticates with private_key_jwt")),
        _ => {
            return Err(refuse("the client's secret is missing, wrong, not wanted, or not in the place it registered"));
        }
    }
    Ok(Known { id, client, assertion: None, proved: Cell::new(false) })
}

fn challenge(description: &str) -> Outgoing {
    refused(description).with("WWW-Authenticate", "Basic realm=\"keybound serve\"")
}

/// Identifier and secret of Basic credentials, both form-encoded (RFC 6749 section 2.3.1).
fn basic(value: &[u8]) -> Option<(String, Secret)> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(base64ct::Base64::decode_vec(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        let form = Form::parse(format!("v={text}").as_bytes()).ok()?;
        Some(form.get("v").ok()?.unwrap_or_default().to_owned())
    };
    Some((decode(id)?, Secret::new(decode(secret)?)))
}

/// A client that signed an assertion for this issuer (RFC 7523 section 3).
fn by_assertion(
    state: &State,
    request: &Incoming,
    form: &Form,
    assertion: &str,
    id: Option<&str>,
) -> Result<Known, Outgoing> {
    if param(form, "client_assertion_type")? != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        return Err(Outgoing::error(400, "invalid_request", "client_assertion_type is missing or unknown"));
    }
    let (_, claims) = parts(assertion).ok_or_else(|| refused("the assertion is no JWT"))?;
    let subject = claims.text("sub").ok_or_else(|| refused("the assertion has no sub"))?;
    if id.is_some_and(|id| id != subject) {
        return Err(refused("client_id is another one than in the assertion"));
    }
    let client = state.client(subject).ok_or_else(|| refused("this client is not known"))?;
    let Authentication::Keys(keys) = &client.authentication else {
        return Err(refused("this client does not authenticate with private_key_jwt"));
    };
    let endpoint = request.url.clone();
    let assertion = Assertion::read(state, &endpoint, assertion, subject, keys).map_err(refused)?;
    Ok(Known { id: subject.into(), client, assertion: Some(assertion), proved: Cell::new(false) })
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn basic_credentials_are_form_encoded() {
        // a%3Ab:c+d
        let (id, secret) = basic(b"Basic YSUzQWI6Yytk").expect("credentials");
        assert_eq!((id.as_str(), secret.expose()), ("a:b", "c d"));
        for value in [&b"Basic"[..], b"Basic !", b"Bearer YTpi", b"Basic YWI=", b""] {
            assert!(basic(value).is_none());
        }
    }
}
