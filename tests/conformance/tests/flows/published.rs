//! Logins through what known servers publish and answer: `tests/vectors/servers`, a file for each server.
//!
//! A file has the client, the operations of a whole session, and the answers in the order in which they are asked for, each with
//! the URL that must be asked. An `id_token` is written as its claims, and signed here. `come_back` is the browser's return from the login page, with the parameters the server adds.

use std::collections::VecDeque;
use std::path::PathBuf;

use keybound::http::form::Form;
use keybound::http::message::{Request, Response};
use keybound::oauth::step::FetchFailed;
use keybound_conformance::flow::Story;
use keybound_conformance::flow::host::Host;
use keybound_conformance::flow::identity::signed;
use keybound_conformance::flow::operations::{Network, text};
use keybound_conformance::flow::server::{answer, with};
use serde_json::{Value, json};

/// The answers that are left.
struct Published(VecDeque<Value>);

impl Network for Published {
    fn fetch(&mut self, request: &Request, _: &Value, _: &Host) -> Result<Response, FetchFailed> {
        let next =
            self.0.pop_front().unwrap_or_else(|| panic!("{} was asked, and nothing more is expected", request.url));
        assert_eq!(text(&next, "url"), Some(&*request.url));
        let mut body = next["body"].clone();
        if let Some(id_token) = body.get_mut("id_token").filter(|token| token.is_object()) {
            *id_token = signed(id_token).into();
        }
        let mut response = answer(u16::try_from(next["status"].as_u64().expect("a status"))?, &body);
        response.fields.clear();
        match &next["body"] {
            Value::Null => response.body.clear(),
            Value::String(page) => response.body = page.clone().into_bytes(),
            _ => {}
        }
        for (name, value) in next["fields"].as_object().expect("fields") {
            response = with(response, name, value.as_str().expect("text"));
        }
        Ok(response)
    }
}

/// The URL that the browser comes back to after the login page of `sent`.
fn come_back(operation: &Value, sent: &Value, config: &Value) -> Value {
    let mut query = Form::new();
    query.push("code", "code-1");
    if let Some(issuer) = text(operation, "iss") {
        query.push("iss", issuer);
    }
    for (name, value) in operation["parameters"].as_object().into_iter().flatten() {
        query.push(name, value.as_str().expect("text"));
    }
    let state = text(&sent["query"], "state").unwrap_or("{state-1}");
    let redirect = text(config, "redirect_uri").expect("a redirect URI");
    json!({ "do": "exchange", "callback": format!("{redirect}?{}&state={state}", query.encode()) })
}

/// Plays the session of one server; gives the outcomes of its operations.
fn play(name: &'static str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/servers").join(name).with_extension("json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON");
    let about = text(&file, "about").expect("a sentence").to_owned();
    let answers = file["answers"].as_array().expect("answers").iter().cloned().collect();
    let published = Published(answers);
    let mut story = Story::new(format!("server-{name}").leak(), about.leak(), file["client"].clone(), published);
    let mut outcomes = Vec::new();
    let mut sent = Value::Null;
    for operation in file["operations"].as_array().expect("operations") {
        let operation = match text(operation, "do") {
            Some("come_back") => come_back(operation, &sent, &file["client"]),
            _ => operation.clone(),
        };
        let outcome = match story.perform(operation) {
            Ok(outcome) => outcome,
            Err(error) => json!({ "error": error.reason(), "says": error.to_string() }),
        };
        if outcome.get("query").is_some() {
            sent = outcome.clone();
        }
        outcomes.push(outcome);
    }
    assert!(story.server.0.is_empty(), "{name}: {} answers were not asked for", story.server.0.len());
    story.end();
    outcomes
}

/// A whole session went well: nothing failed, and both calls were answered.
fn goes_well(name: &'static str) -> Vec<Value> {
    let outcomes = play(name);
    for outcome in &outcomes {
        assert!(outcome.get("error").is_none(), "{name}: {outcome}");
    }
    assert!(outcomes.iter().filter(|outcome| outcome["status"] == 200).count() >= 1, "{name}: {outcomes:?}");
    outcomes
}

fn session(outcomes: &[Value]) -> &Value {
    outcomes.iter().rfind(|outcome| outcome.get("access_token").is_some()).expect("a session")
}

#[test]
fn keycloak() {
    let outcomes = goes_well("keycloak");
    assert_eq!(session(&outcomes)["scope"], "openid email profile");
}

#[test]
fn spring_authorization_server() {
    goes_well("spring");
}

#[test]
fn okta() {
    goes_well("okta");
}

#[test]
fn auth0() {
    let outcomes = goes_well("auth0");
    assert_eq!(session(&outcomes)["issuer"], "https://tenant.example.com/", "as published");
}

#[test]
fn entra_id() {
    let outcomes = goes_well("entra");
    assert_eq!(session(&outcomes)["expires_at"], 1_700_000_000 + 4_273);
    assert_eq!(outcomes[3]["members"]["ext_expires_in"], "4273");
}

#[test]
fn github() {
    let outcomes = play("github");
    assert_eq!(outcomes[2]["error"], "denied", "an error inside 200 is one");
    assert_eq!((&outcomes[5]["status"], &session(&outcomes)["expires_at"]), (&json!(200), &Value::Null));
}

#[test]
fn google() {
    goes_well("google");
}

#[test]
fn bluesky() {
    let outcomes = goes_well("bluesky");
    let subject = json!({ "issuer": "https://bsky.example.com", "sub": "did:plc:ewvi7nxzyoun6zhxrhs64oiz" });
    assert_eq!(outcomes[3]["subject"], subject);
}
