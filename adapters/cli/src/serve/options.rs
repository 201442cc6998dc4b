//! How the servers behave.

use std::net::SocketAddr;

use keybound::SecurityLevel;

use super::client::ClientSecret;
use super::fault::Faults;

/// How the servers behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What is demanded of clients. Standard: the API takes Bearer tokens beside bound ones. Enhanced: the API takes bound tokens
    /// alone. Maximum: all tokens are bound, requests for authorization are pushed, proofs carry nonces and FAPI 2.0's algorithms.
    pub level: SecurityLevel,
    /// Whether proofs must carry nonces, at both servers; at the level Maximum they must.
    pub nonces: bool,
    /// For how long access tokens are good, in seconds.
    pub token_lifetime: u64,
    /// Whether the user is asked; otherwise every login is approved at once.
    pub consent: bool,
    /// After how many seconds a device login is approved by itself; `None` leaves it to the user.
    pub device_approval: Option<u64>,
    /// Resources besides the API that tokens are issued for: identifiers of APIs of your own.
    pub also_resources: Vec<String>,
    /// What to do wrong.
    pub faults: Faults,
    /// Clients known from the beginning, besides `keybound-demo`, which is public and may come back to any port on loopback.
    pub clients: Vec<ClientSecret>,
}

impl Default for Options {
    /// On a free port of 127.0.0.1, at the level Enhanced, with nonces, tokens of five minutes, and logins that are approved at once.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            level: SecurityLevel::Enhanced,
            nonces: true,
            token_lifetime: 300,
            consent: false,
            device_approval: Some(0),
            also_resources: Vec::new(),
            faults: Faults::default(),
            clients: Vec::new(),
        }
    }
}
