//! Events of a vector, carried out one by one on one server: through the facade that every binding wraps.

use std::collections::HashMap;
use std::sync::Arc;

use keybound::{Crypto, Spelling, base64url};
use keybound_ffi as ffi;
use serde_json::{Value, json};

use super::world::with;

/// A server and the flows of its requests.
pub struct Player {
    server: Server,
    flows: HashMap<String, Vec<Under>>,
}

#[allow(clippy::large_enum_variant, reason = "a story has one")]
enum Server {
    Resource(ffi::ResourceServer),
    Authorization(ffi::AuthorizationServer),
}

/// A flow under way, and whom it admitted.
struct Under {
    flow: ffi::Flow,
    principal: Option<Arc<ffi::Principal>>,
}

impl Player {
    /// A player of the server that a vector describes.
    ///
    /// # Panics
    /// If the description is wrong.
    pub fn new(vector: &Value, crypto: &Crypto) -> Self {
        let verifier = vector["verifier"].to_string();
        let store = vector.get("store").map(|store| {
            let capacity = store["capacity"].as_u64().and_then(|most| u32::try_from(most).ok()).expect("a capacity");
            ffi::MemoryStore::new(capacity, &verifier, crypto, seconds(&store["floor"])).expect("a store")
        });
        let store = store.as_ref();
        let server = match vector.get("resource") {
            Some(options) => {
                let server = ffi::ResourceServer::new(&options.to_string(), &verifier, store, crypto);
                Server::Resource(server.expect("a server"))
            }
            None => {
                let options = with(&vector["authorization"], &vector["verifier"]).to_string();
                Server::Authorization(ffi::AuthorizationServer::new(&options, store, crypto).expect("a server"))
            }
        };
        Self { server, flows: HashMap::new() }
    }

    /// Carries out one event, and gives what is seen then.
    ///
    /// # Panics
    /// If the event is written wrongly, or things that are to go the same way do not.
    pub fn perform(&mut self, event: &Value) -> Value {
        let now = event["now"].as_i64().unwrap_or_default();
        match text(event, "do") {
            "admit" => self.begin(event, |player| match &player.server {
                Server::Resource(server) => incoming(event, |asked| server.admit(asked, now)),
                Server::Authorization(server) => {
                    let proofs = event["proofs"].as_array().expect("proofs").iter();
                    let proofs: Vec<Vec<u8>> = proofs.filter_map(Value::as_str).map(latin1).collect();
                    let proofs: Vec<&[u8]> = proofs.iter().map(Vec::as_slice).collect();
                    server.admit(&event["request"].to_string(), &proofs, now)
                }
            }),
            "check" => self.begin(event, |player| incoming(event, |asked| player.resource().check(asked, now))),
            "carry_out" => self.begin(event, |player| {
                let (method, url, body) = (text(event, "method"), text(event, "url"), text(event, "body"));
                player.principal(event).carry_out(method, url, body.as_bytes(), now)
            }),
            "task" => match self.of(event).iter().find_map(|under| under.flow.task(now).transpose()) {
                None => Value::Null,
                Some(task) => self.keep(event, vec![task]),
            },
            "resume" => {
                let reply = event["reply"].to_string();
                let reply = || ffi::Reply::from_json(&reply).expect("a reply");
                same(self.of(event).iter_mut().map(|under| {
                    let step = under.flow.resume(reply(), now, Spelling::Snake);
                    under.see(step)
                }))
            }
            "abandon" => {
                self.of(event).iter().for_each(|under| under.flow.abandon());
                Value::Null
            }
            "require_scopes" => {
                let scopes: Vec<&str> =
                    event["scopes"].as_array().expect("scopes").iter().filter_map(Value::as_str).collect();
                self.principal(event).require_scopes(&scopes).map_or(Value::Null, |refusal| parsed(&refusal.to_json()))
            }
            "refuse_revoked" => parsed(&self.principal(event).refuse_revoked().to_json()),
            "route" => {
                let [target, mount_path, path] =
                    ["target", "mount_path", "path"].map(|name| text(event, name).as_bytes());
                parsed(&self.resource().route_json(target, mount_path, path))
            }
            other => panic!("{other} is no event"),
        }
    }

    /// Begins as many flows as the event says, which all see the same.
    fn begin(&mut self, event: &Value, begin: impl Fn(&Self) -> Result<ffi::Flow, ffi::Error>) -> Value {
        let begun = (0..event["times"].as_u64().unwrap_or(1)).map(|_| begin(self)).collect();
        self.keep(event, begun)
    }

    fn keep(&mut self, event: &Value, begun: Vec<Result<ffi::Flow, ffi::Error>>) -> Value {
        let begun: Result<Vec<_>, _> = begun.into_iter().collect();
        let mut begun: Vec<Under> = match begun {
            Ok(begun) => begun.into_iter().map(|flow| Under { flow, principal: None }).collect(),
            Err(error) => return json!({ "error": error.reason }),
        };
        let seen = same(begun.iter_mut().map(|under| {
            let step = under.flow.step(Spelling::Snake);
            under.see(step)
        }));
        self.flows.insert(text(event, "as").into(), begun);
        seen
    }

    fn resource(&self) -> &ffi::ResourceServer {
        match &self.server {
            Server::Resource(server) => server,
            Server::Authorization(_) => panic!("this is an authorization server"),
        }
    }

    fn of(&mut self, event: &Value) -> &mut [Under] {
        self.flows.get_mut(text(event, "of")).expect("a flow that was begun")
    }

    fn principal(&self, event: &Value) -> Arc<ffi::Principal> {
        let under = self.flows[text(event, "of")].first().expect("a flow");
        Arc::clone(under.principal.as_ref().expect("an admitted request"))
    }
}

impl Under {
    /// A step as vectors show it.
    fn see(&mut self, step: Result<ffi::Step, ffi::Error>) -> Value {
        let step = match step {
            Ok(step) => parsed(&step),
            Err(error) => return json!({ "error": error.reason }),
        };
        if let Some(ffi::Handle::Principal(principal)) = self.flow.handle() {
            self.principal = Some(principal);
        }
        match step["milliseconds"].as_u64() {
            // Pauses between attempts are random, and shorter than a second.
            Some(0..1_000) => json!({ "step": "wait", "below": 1 }),
            _ => step,
        }
    }
}

/// Plays a vector back.
///
/// # Errors
/// The first difference.
pub fn play_back(vector: &Value, crypto: &Crypto) -> Result<(), String> {
    let mut player = Player::new(vector, crypto);
    for (number, event) in vector["events"].as_array().ok_or("no events")?.iter().enumerate() {
        let seen = player.perform(event);
        if seen != event["seen"] {
            return Err(format!("event {number}:\n  played {seen}\n  known  {}", event["seen"]));
        }
    }
    Ok(())
}

/// The request of an event, as the facade takes it.
fn incoming<T>(event: &Value, judge: impl FnOnce(&ffi::Incoming<'_>) -> T) -> T {
    let request = &event["request"];
    let optional = |name: &str| request.get(name).and_then(Value::as_str);
    let fields = request["fields"].as_array().expect("fields").iter();
    let fields: Vec<(&str, Vec<u8>)> =
        fields.map(|field| (field[0].as_str().expect("a name"), latin1(field[1].as_str().expect("a value")))).collect();
    let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    let certificate = optional("certificate").map(|hash| base64url::decode(hash.as_bytes()).expect("base64url"));
    let raw = optional("target").map(latin1).unwrap_or_default();
    judge(&ffi::Incoming {
        method: text(request, "method"),
        target: optional("url").map_or(ffi::Target::Raw(&raw), ffi::Target::Url),
        fields: &fields,
        peer: optional("peer"),
        client_certificate: certificate.as_deref(),
        epoch: optional("epoch"),
        ticks: None,
    })
}

/// What all of them see.
fn same(seen: impl Iterator<Item = Value>) -> Value {
    let mut all: Vec<Value> = seen.collect();
    all.dedup();
    assert_eq!(all.len(), 1, "these saw different things: {all:?}");
    all.remove(0)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

fn seconds(value: &Value) -> i64 {
    value.as_i64().expect("seconds")
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// The bytes of a byte string.
fn latin1(text: &str) -> Vec<u8> {
    ffi::from_byte_string(text).expect("a byte string")
}
