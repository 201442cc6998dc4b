//! Requests as transcripts show them: decoded, and with names in place of what is random.

use keybound::base64url;
use keybound::http::form::Form;
use keybound::http::message::{Body, Request};
use keybound::{RUSTCRYPTO, Thumbprint};
use serde_json::{Map, Value, json};

/// The names of random values, in the order they were first seen.
#[derive(Default)]
pub struct Names {
    known: Vec<(String, String)>,
}

impl Names {
    /// Gives a thumbprint its name, once.
    pub fn key(&mut self, thumbprint: Thumbprint) {
        if self.known.iter().any(|(known, _)| *known == thumbprint.to_string()) {
            return;
        }
        let number = self.known.iter().filter(|(_, name)| name.starts_with("{key-")).count() + 1;
        self.known.push((thumbprint.to_string(), format!("{{key-{number}}}")));
    }

    /// The name of `value`; `kind` begins the name of a new one.
    pub fn name(&mut self, kind: &str, value: &str) -> String {
        if let Some((_, name)) = self.known.iter().find(|(known, _)| known == value) {
            return name.clone();
        }
        let number = self.known.iter().filter(|(_, name)| name.starts_with(&format!("{{{kind}-"))).count() + 1;
        let name = format!("{{{kind}-{number}}}");
        self.known.push((value.into(), name.clone()));
        name
    }

    /// The text with every known random value replaced by its name.
    pub fn hide(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value, name))
    }

    /// The text with every name replaced by the value it stands for.
    pub fn show(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (value, name)| text.replace(name, value))
    }
}

/// A request as transcripts show it.
///
/// # Panics
/// If it is malformed: the core never makes such a request.
pub fn request(request: &Request, names: &mut Names) -> Value {
    let mut seen = Map::new();
    seen.insert("method".into(), json!(request.method));
    seen.insert("url".into(), json!(request.url));
    let mut fields = Map::new();
    for (name, value) in &request.fields {
        let name = name.to_ascii_lowercase();
        if name == "dpop" {
            assert!(seen.insert("proof".into(), proof(value, request, names)).is_none(), "two proofs");
        } else {
            assert!(fields.insert(name, json!(names.hide(value))).is_none(), "a field twice");
        }
    }
    seen.insert("fields".into(), Value::Object(fields));
    match &request.body {
        Body::Empty => {}
        Body::Repeatable => drop(seen.insert("body".into(), json!("repeatable"))),
        Body::OneShot => drop(seen.insert("body".into(), json!("one_shot"))),
        Body::Bytes(bytes) if request.field("content-type") == Some("application/json") => {
            seen.insert("json".into(), serde_json::from_slice(bytes).expect("JSON"));
        }
        Body::Bytes(bytes) => drop(seen.insert("form".into(), form(bytes, names))),
    }
    Value::Object(seen)
}

/// The parameters of a form or query.
///
/// # Panics
/// If it is malformed or repeats one.
pub fn form(bytes: &[u8], names: &mut Names) -> Value {
    let form = Form::parse(bytes).expect("a form");
    let mut seen = Map::new();
    for (name, value) in form.iter() {
        let shown = match name {
            "state" | "code_challenge" | "code_verifier" => json!(names.name(name, value)),
            "client_assertion" => assertion(value, names),
            "authorization_details" => serde_json::from_str(value).expect("JSON"),
            _ => json!(names.hide(value)),
        };
        assert!(seen.insert(name.into(), shown).is_none(), "{name} twice");
    }
    Value::Object(seen)
}

fn proof(text: &str, request: &Request, names: &mut Names) -> Value {
    let (header, mut claims) = jwt(text);
    let key = keybound::jose::jwk::PublicJwk::parse(&header["jwk"].to_string()).expect("a key");
    let token = request.field("authorization").and_then(|value| value.strip_prefix("DPoP "));
    let ath = token.map(|token| base64url::encode(&RUSTCRYPTO.digest.sha256(&[token.as_bytes()])));
    assert_eq!(claims.get("ath").and_then(Value::as_str), ath.as_deref(), "the hash of the token");
    claims.remove("ath");
    let jti = claims.remove("jti").expect("a jti");
    let mut seen = Map::new();
    seen.insert("key".into(), json!(names.hide(&key.thumbprint(RUSTCRYPTO.digest).to_string())));
    seen.insert("alg".into(), header["alg"].clone());
    seen.insert("jti".into(), json!(names.name("jti", jti.as_str().expect("text"))));
    seen.extend(claims);
    Value::Object(seen)
}

fn assertion(text: &str, names: &mut Names) -> Value {
    let (header, mut claims) = jwt(text);
    let jti = claims.remove("jti").expect("a jti");
    claims.insert("jti".into(), json!(names.name("assertion", jti.as_str().expect("text"))));
    json!({ "header": header, "claims": claims })
}

fn jwt(text: &str) -> (Value, Map<String, Value>) {
    let mut parts = text.split('.').map(|part| base64url::decode(part.as_bytes()).expect("base64url"));
    let mut part = || serde_json::from_slice(&parts.next().expect("three parts")).expect("JSON");
    let header = part();
    let Value::Object(claims) = part() else { panic!("claims are an object") };
    (header, claims)
}
