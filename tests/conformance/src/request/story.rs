//! A story: events on one server, written down with what is seen after each.

use std::path::PathBuf;

use keybound::RUSTCRYPTO;
use serde_json::{Value, json};

use super::player::Player;
use super::world::{self, BEGIN};

/// A story under way.
pub struct Story {
    name: &'static str,
    vector: Value,
    events: Vec<Value>,
    player: Player,
    /// The clock.
    pub now: i64,
}

impl Story {
    /// Begins a story about a resource with these options, and a verifier with these.
    pub fn new(name: &'static str, about: &str, resource: &Value, verifier: &Value) -> Self {
        Self::of(name, json!({ "about": about, "resource": resource, "verifier": verifier }))
    }

    /// Begins a story whose proofs are used up in the memory of the server.
    pub fn with_memory(name: &'static str, about: &str, resource: &Value, verifier: &Value) -> Self {
        let store = json!({ "capacity": 100, "floor": BEGIN - 1_000 });
        Self::of(name, json!({ "about": about, "resource": resource, "verifier": verifier, "store": store }))
    }

    /// Begins a story about an authorization server.
    pub fn of_authorization(name: &'static str, about: &str, options: &Value, verifier: &Value) -> Self {
        Self::of(name, json!({ "about": about, "authorization": options, "verifier": verifier }))
    }

    fn of(name: &'static str, mut vector: Value) -> Self {
        // A resource issues nonces unless it is told not to; most stories are about something else.
        if vector.get("resource").is_some() && vector["verifier"].get("nonces").is_none() {
            vector["verifier"]["nonces"] = json!(false);
        }
        let player = Player::new(&vector, &RUSTCRYPTO);
        Self { name, vector, events: Vec::new(), player, now: BEGIN }
    }

    /// Carries out an event, writes it down, and gives what is seen.
    pub fn perform(&mut self, mut event: Value) -> Value {
        event["now"] = json!(self.now);
        let seen = self.player.perform(&event);
        event["seen"] = seen.clone();
        self.events.push(event);
        seen
    }

    /// A request arrives, which is called `name` from here on.
    pub fn admit(&mut self, name: &str, request: &Value) -> Value {
        self.perform(json!({ "do": "admit", "as": name, "request": request }))
    }

    /// A request arrives at an authorization server, its client authenticated and its grant looked up.
    pub fn ask(&mut self, name: &str, request: &Value, proofs: &[&str]) -> Value {
        self.perform(json!({ "do": "admit", "as": name, "request": request, "proofs": proofs }))
    }

    /// So many requests at once.
    pub fn admit_many(&mut self, name: &str, times: u64, request: &Value) -> Value {
        self.perform(json!({ "do": "admit", "as": name, "times": times, "request": request }))
    }

    /// The host answers.
    pub fn resume(&mut self, name: &str, reply: &Value) -> Value {
        self.perform(json!({ "do": "resume", "of": name, "reply": reply }))
    }

    /// Shared work is done, and so is the task of this name.
    pub fn ok(&mut self, name: &str) -> Value {
        self.resume(name, &json!({ "ok": true }))
    }

    /// The task of a request that shares its work; null, if another does it.
    pub fn task(&mut self, name: &str, task: &str) -> Value {
        self.perform(json!({ "do": "task", "of": name, "as": task }))
    }

    /// An answer of HTTP.
    pub fn answer(&mut self, name: &str, status: u16, body: &Value) -> Value {
        let headers = [["Content-Type", "application/json"]];
        let body = body.to_string();
        self.resume(name, &json!({ "response": { "status": status, "headers": headers, "body": body } }))
    }

    /// The store answers, in its first life.
    pub fn insert(&mut self, name: &str, insertion: &str) -> Value {
        self.resume(name, &json!({ "inserted": { "insertion": insertion, "epoch": "1" } }))
    }

    /// The reason for which a request is refused at once.
    ///
    /// # Panics
    /// If it is not.
    pub fn refused(&mut self, name: &str, request: &Value) -> String {
        let seen = self.admit(name, request);
        reason(&seen)
    }

    /// The request is admitted, as soon as the store has its proof.
    ///
    /// # Panics
    /// If it is not.
    pub fn admitted(&mut self, name: &str, request: &Value) {
        let seen = self.admit(name, request);
        assert_eq!(seen["step"], "insert", "{seen}");
        let seen = self.insert(name, "fresh");
        assert_eq!(seen["result"]["kind"], "admitted", "{seen}");
    }

    /// Time passes.
    pub fn wait(&mut self, seconds: i64) {
        self.now += seconds;
    }

    /// A request by the client, with the token of `claims` signed by the issuer.
    pub fn request(&self, jti: &str, claims: &Value) -> Value {
        world::bound(&world::ISSUER_KEY.token(claims), jti, self.now)
    }

    /// Compares the story with the vector of this name. With `KEYBOUND_WRITE_REQUESTS` in the environment it is written.
    ///
    /// # Panics
    /// If they differ.
    pub fn end(mut self) {
        self.vector["events"] = self.events.into();
        let text = serde_json::to_string_pretty(&self.vector).expect("JSON") + "\n";
        let path = folder().join(self.name).with_extension("json");
        if std::env::var_os("KEYBOUND_WRITE_REQUESTS").is_some() {
            std::fs::write(&path, &text).expect("the vector can be written");
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            known == text,
            "{} is not what happens now; write it with KEYBOUND_WRITE_REQUESTS=1 and look at the change",
            path.display()
        );
    }
}

/// The reason of the refusal that a flow ended with.
///
/// # Panics
/// If it did not.
pub fn reason(seen: &Value) -> String {
    let reason = seen["result"]["refusal"]["reason"].as_str();
    reason.unwrap_or_else(|| panic!("no refusal: {seen}")).to_owned()
}

/// Where the vectors of requests are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors/requests")
}
