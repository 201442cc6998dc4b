//! What a session does otherwise than usual, because its user or its server needs that.

use clap::Args as Arguments;
use keybound::http::url::Url;
use keybound::oauth::SessionRequest;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// Options of a session, which it remembers.
#[derive(Arguments, Clone, Default)]
pub(super) struct Switches {
    /// The account (sub) that the tokens must be for, at the login and at each refresh. The server has to name it.
    #[arg(long, value_name = "SUB")]
    expect_subject: Option<String>,
    /// Another origin whose URLs get the session's token, for example https://files.example.com. Give it as often as you like.
    #[arg(long, value_name = "ORIGIN")]
    also_origin: Vec<String>,
    /// Send the login's request in the URL although the server takes pushed requests.
    #[arg(long)]
    pub(super) without_pushed_request: bool,
    /// Send no resource parameter, for servers whose scopes name the API, such as Entra ID.
    #[arg(long)]
    without_resource: bool,
    /// Say the scope again at each refresh.
    #[arg(long)]
    scope_on_refresh: bool,
    /// Take the server to support PKCE although it does not say so. If it does not, codes can be injected.
    #[arg(long)]
    danger_assume_pkce: bool,
}

/// One that is on or off: its name, its place, and what it does.
type Switch = (&'static str, fn(&mut Switches) -> &mut bool, fn(SessionRequest) -> SessionRequest);

const SWITCHES: [Switch; 4] = [
    ("without_pushed_request", |all| &mut all.without_pushed_request, SessionRequest::without_pushed_request),
    ("without_resource", |all| &mut all.without_resource, SessionRequest::without_resource),
    ("scope_on_refresh", |all| &mut all.scope_on_refresh, SessionRequest::scope_on_refresh),
    ("danger_assume_pkce", |all| &mut all.danger_assume_pkce, SessionRequest::danger_assume_pkce),
];

impl Switches {
    /// These, and those that the session was made with.
    pub(super) fn with(&self, before: Option<&Self>) -> Result<Self, Failure> {
        let (mut both, mut before) = (self.clone(), before.cloned().unwrap_or_default());
        both.also_origin = before.also_origin.drain(..).collect();
        for given in &self.also_origin {
            let origin = origin(given)?;
            if !both.also_origin.contains(&origin) {
                both.also_origin.push(origin);
            }
        }
        both.expect_subject = both.expect_subject.or(before.expect_subject.take());
        for (_, place, _) in SWITCHES {
            *place(&mut both) |= *place(&mut before);
        }
        Ok(both)
    }

    /// Origins besides the resource's that get the token.
    pub(super) fn also_origins(&self) -> impl Iterator<Item = &str> {
        self.also_origin.iter().map(String::as_str)
    }

    pub(super) fn apply(&self, mut request: SessionRequest) -> SessionRequest {
        if let Some(sub) = &self.expect_subject {
            request = request.expect_subject(sub);
        }
        let mut all = self.clone();
        for (_, place, switch) in SWITCHES {
            request = if *place(&mut all) { switch(request) } else { request };
        }
        request
    }

    pub(super) fn to_value(&self) -> Value {
        let mut all = self.clone();
        let on =
            SWITCHES.into_iter().filter(|(_, place, _)| *place(&mut all)).map(|(name, ..)| (name.into(), json!(true)));
        let mut value: Map<String, Value> = on.collect();
        value.extend(self.expect_subject.as_ref().map(|sub| ("expect_subject".into(), json!(sub))));
        if !self.also_origin.is_empty() {
            value.insert("also_origin".into(), json!(self.also_origin));
        }
        Value::Object(value)
    }

    /// Those of a session; none if an older version made it.
    pub(super) fn read(value: &Value) -> Self {
        let expect_subject = value["expect_subject"].as_str().map(str::to_owned);
        let origins = value["also_origin"].as_array().into_iter().flatten();
        let also_origin = origins.filter_map(|origin| origin.as_str().map(str::to_owned)).collect();
        let mut all = Self { expect_subject, also_origin, ..Self::default() };
        for (name, place, _) in SWITCHES {
            *place(&mut all) = value[name] == true;
        }
        all
    }
}

/// An origin as it is compared: without the slash that people add.
fn origin(given: &str) -> Result<String, Failure> {
    let url = Url::parse(given).ok().filter(|url| matches!(url.path(), "" | "/") && url.query().is_none());
    let url = url.ok_or_else(|| {
        Failure::usage(format!(
            "{given} is not an origin; give --also-origin scheme and host, such as https://files.example.com"
        ))
    })?;
    Ok(url.origin().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Switches, origin};

    #[test]
    fn origins_are_added_once_and_without_a_slash() {
        let with = |origins: &[&str], before: Option<&Switches>| {
            let also_origin = origins.iter().map(|origin| (*origin).to_owned()).collect();
            Switches { also_origin, ..Switches::default() }.with(before)
        };
        let first = with(&["https://files.example/"], None).unwrap();
        let both = with(&["https://files.example", "https://b.example:8443"], Some(&Switches::read(&first.to_value())));
        assert_eq!(
            both.unwrap().also_origins().collect::<Vec<_>>(),
            ["https://files.example", "https://b.example:8443"]
        );
        for not in ["files.example", "https://files.example/a", "https://files.example?x", "ftp://files.example", ""] {
            assert!(origin(not).is_err(), "{not}");
        }
    }

    #[test]
    fn they_are_remembered_and_added_to() {
        let value = json!({ "expect_subject": "did:plc:a", "without_resource": true, "danger_assume_pkce": true });
        let before = Switches::read(&value);
        assert_eq!(before.to_value(), value);
        let given =
            Switches { scope_on_refresh: true, expect_subject: Some("did:plc:b".into()), ..Switches::default() };
        let both = json!({
            "expect_subject": "did:plc:b", "without_resource": true, "danger_assume_pkce": true, "scope_on_refresh": true,
        });
        assert_eq!(given.with(Some(&before)).unwrap().to_value(), both);
        assert_eq!(given.with(None).unwrap().to_value(), given.to_value());
        assert_eq!(Switches::read(&json!(null)).to_value(), json!({}));
    }
}
