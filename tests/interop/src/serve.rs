//! `keybound serve`, inside the test.

use keybound::oauth::Secret;
use keybound_cli::serve::{ClientSecret, Faults, Options, Running, start};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A confidential client of the server.
pub const SERVICE: &str = "service";
/// Its secret.
pub const SECRET: &str = "a-secret-of-the-service";

/// A running authorization server and API.
#[derive(Debug)]
pub struct Serve {
    running: Running,
    /// Runs it, and ends after it.
    _runtime: Runtime,
}

impl Serve {
    /// Starts both, which demand nonces, with these faults.
    ///
    /// # Panics
    /// If that fails.
    pub fn start(faults: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads");
        let mut wrong = Faults::default();
        faults.iter().for_each(|fault| wrong.add(fault).expect("a fault"));
        let clients = vec![ClientSecret { client_id: SERVICE.into(), secret: Secret::new(SECRET) }];
        let options = Options { clients, faults: wrong, ..Options::default() };
        let running = runtime.block_on(start(options)).expect("a server");
        Self { running, _runtime: runtime }
    }

    /// What a client has to know.
    pub fn about(&self) -> Value {
        json!({
            "issuer": self.running.issuer, "resource": self.running.resource,
            "client_id": SERVICE, "client_secret": SECRET,
        })
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.running.issuer
    }
}
