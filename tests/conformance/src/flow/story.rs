//! Stories: played against the server, written down, and played back from what was written.

use std::path::PathBuf;

use keybound::UnixTime;
use keybound::http::message::{Request, Response};
use keybound::oauth::FlowError;
use keybound::oauth::step::FetchFailed;
use serde_json::{Value, json};

use super::host::{Host, repeating};
use super::operations::{Network, Outcome, Player, text};
use super::server::{Failure, Server};

/// When stories begin.
const BEGIN: UnixTime = UnixTime::from_secs(1_700_000_000);

/// A story under way, with the servers that answer its client.
pub struct Story<S = Server> {
    name: &'static str,
    about: &'static str,
    config: Value,
    operations: Vec<Value>,
    /// The client and its host.
    pub player: Player,
    /// The servers.
    pub server: S,
}

impl Network for Server {
    fn fetch(&mut self, request: &Request, _: &Value, host: &Host) -> Result<Response, FetchFailed> {
        let failure = self.failures.iter().position(|(end, _)| request.url.ends_with(end));
        match failure.and_then(|at| self.failures.remove(at)) {
            None => Ok(self.respond(request, host.now)),
            Some((_, Failure::NotSent)) => Err(FetchFailed::NotSent("connection refused".into())),
            Some((_, Failure::Lost)) => {
                // The request arrived, and the server has done what it asked for.
                drop(self.respond(request, host.now));
                Err(FetchFailed::Lost("connection reset".into()))
            }
        }
    }
}

/// The client of most stories: public, registered with the server beforehand.
pub fn public(level: &str) -> Value {
    json!({
        "level": level,
        "redirect_uri": "https://app.example.com/callback",
        "credentials": [{ "issuer": super::server::ISSUER, "client_id": "app" }],
    })
}

impl<S: Network> Story<S> {
    /// Begins a story called `name`.
    pub fn new(name: &'static str, about: &'static str, config: Value, server: S) -> Self {
        let crypto = repeating();
        let player = Player::new(&config, &crypto, Host::new(crypto, BEGIN));
        Self { name, about, config, operations: Vec::new(), player, server }
    }

    /// Does an operation and writes down what happened.
    ///
    /// # Errors
    /// What the flow ended with.
    pub fn perform(&mut self, operation: Value) -> Outcome {
        self.player.steps.clear();
        let outcome = self.player.perform(&operation, &mut self.server);
        let steps = std::mem::take(&mut self.player.steps);
        let hidden: Value = serde_json::from_str(&self.player.names.hide(&operation.to_string())).expect("JSON");
        self.operations.push(json!({ "operation": hidden, "steps": steps, "outcome": ended(&outcome) }));
        assert!(self.player.host.is_unlocked(), "a flow that ended holds no lock");
        outcome
    }

    /// The operation, which succeeds.
    ///
    /// # Panics
    /// If it does not.
    pub fn ok(&mut self, operation: Value) -> Value {
        let what = operation.to_string();
        self.perform(operation).unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// The operation, which fails; the reason of its error.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn err(&mut self, operation: Value) -> &'static str {
        let what = operation.to_string();
        match self.perform(operation) {
            Ok(outcome) => panic!("{what} succeeded: {outcome}"),
            Err(error) => error.reason(),
        }
    }

    /// Compares the transcript with the vector of this name. With `KEYBOUND_WRITE_FLOWS` in the environment it is written.
    ///
    /// # Panics
    /// If they differ.
    pub fn end(self) {
        let transcript =
            json!({ "about": self.about, "client": self.config, "begin": BEGIN.secs(), "flow": self.operations });
        let text = serde_json::to_string_pretty(&transcript).expect("JSON") + "\n";
        let path = folder().join(self.name).with_extension("json");
        if std::env::var_os("KEYBOUND_WRITE_FLOWS").is_some() {
            std::fs::write(&path, &text).expect("the vector can be written");
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            known == text,
            "{} is not what happens now; write it with KEYBOUND_WRITE_FLOWS=1 and look at the change",
            path.display()
        );
    }
}

impl Story {
    /// Discovers the API.
    pub fn discover(&mut self) {
        self.ok(json!({ "do": "discover", "target": super::server::RESOURCE, "challenges": [] }));
    }

    /// Has the user approve the last authorization request; gives the URL that the browser comes back to.
    ///
    /// # Panics
    /// If there was none.
    pub fn approve(&mut self) -> String {
        let sent = &self.operations.last().expect("an operation")["outcome"];
        let mut form = keybound::http::form::Form::new();
        for (name, value) in sent["query"].as_object().expect("an authorization URL") {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form.push(name, &self.player.names.show(&value));
        }
        let url = format!("{}?{}", sent["url"].as_str().expect("a URL"), form.encode());
        self.server.approve(&url)
    }

    /// A whole login: authorize, approve, exchange.
    pub fn log_in(&mut self, operation: Value) -> Value {
        self.ok(operation);
        let callback = self.approve();
        self.ok(json!({ "do": "exchange", "callback": callback }))
    }
}

/// Where the vectors of flows are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/flows")
}

/// An outcome as transcripts show it.
fn ended(outcome: &Result<Value, FlowError>) -> Value {
    match outcome {
        Ok(value) => value.clone(),
        Err(error) => json!({ "error": error.reason() }),
    }
}

/// Answers requests from a transcript.
struct Written {
    answers: std::vec::IntoIter<Value>,
    show: Vec<(String, String)>,
}

impl Network for Written {
    fn fetch(&mut self, _: &Request, _: &Value, host: &Host) -> Result<Response, FetchFailed> {
        let answer = self.answers.next().ok_or("the transcript has no further answer")?;
        if answer == "not_sent" {
            return Err(FetchFailed::NotSent("connection refused".into()));
        }
        if answer.is_null() {
            return Err(FetchFailed::Lost("connection reset".into()));
        }
        self.show =
            host.created.iter().enumerate().map(|(i, key)| (format!("{{key-{}}}", i + 1), key.to_string())).collect();
        let show = |text: &str| self.show.iter().fold(text.to_owned(), |text, (name, key)| text.replace(name, key));
        let fields = answer["fields"].as_object().into_iter().flatten();
        let lines = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        let fields = fields.flat_map(|(name, value)| lines(value).into_iter().map(move |line| (name.clone(), line)));
        let line = |(name, value): (String, Value)| (name, show(value.as_str().unwrap_or_default()).into_bytes());
        let fields = fields.map(line).collect();
        let body = match &answer["body"] {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            value => show(&value.to_string()).into_bytes(),
        };
        Ok(Response { status: u16::try_from(answer["status"].as_u64().unwrap_or_default())?, fields, body })
    }
}

/// Plays a vector whose answers were changed, up to the first flow that fails: whatever a server says, nothing panics and no
/// rule of the transcripts (one proof, the right hash of the token, no field twice) is broken.
///
/// # Panics
/// If the vector is written wrongly.
pub fn play_changed(vector: &Value) {
    let crypto = repeating();
    let begin = UnixTime::from_secs(vector["begin"].as_i64().expect("a beginning"));
    let mut player = Player::new(&vector["client"], &crypto, Host::new(crypto, begin));
    for part in vector["flow"].as_array().expect("a flow") {
        let steps = part["steps"].as_array().expect("steps");
        let fetched = steps.iter().filter(|step| step["step"] == "fetch").map(|step| step["answer"].clone());
        let mut written = Written { answers: fetched.collect::<Vec<_>>().into_iter(), show: Vec::new() };
        player.steps.clear();
        if player.perform(&part["operation"], &mut written).is_err() {
            return;
        }
    }
}

/// Plays a vector back: the same operations with the written answers must give the same steps and outcomes.
///
/// # Errors
/// The first difference.
pub fn play_back(vector: &Value) -> Result<(), String> {
    let crypto = repeating();
    let begin = UnixTime::from_secs(vector["begin"].as_i64().ok_or("no beginning")?);
    let mut player = Player::new(&vector["client"], &crypto, Host::new(crypto, begin));
    for part in vector["flow"].as_array().ok_or("no flow")? {
        let operation = &part["operation"];
        if let Some(place) = text(operation, "do").filter(|what| *what == "host") {
            return Err(format!("{place} is no operation"));
        }
        let steps = part["steps"].as_array().ok_or("no steps")?;
        let fetched = steps.iter().filter(|step| step["step"] == "fetch").map(|step| step["answer"].clone());
        let mut written = Written { answers: fetched.collect::<Vec<_>>().into_iter(), show: Vec::new() };
        player.steps.clear();
        let outcome = ended(&player.perform(operation, &mut written));
        for (number, (played, known)) in player.steps.iter().zip(steps).enumerate() {
            if played != known {
                return Err(format!("{operation}, step {number}:\n  played {played}\n  known  {known}"));
            }
        }
        if player.steps.len() != steps.len() {
            return Err(format!("{operation}: {} steps instead of {}", player.steps.len(), steps.len()));
        }
        if outcome != part["outcome"] {
            return Err(format!("{operation}:\n  played {outcome}\n  known  {}", part["outcome"]));
        }
    }
    Ok(())
}
