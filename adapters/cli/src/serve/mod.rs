//! `keybound serve`: an authorization server and an echo API for development, in memory, that can be told to misbehave.
//!
//! ```
//! use keybound_cli::serve::{Faults, Options, start};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let running = start(Options::default()).await?;
//! println!("{} protects {}", running.issuer, running.resource);
//! running.set_faults(Faults { store_failing: true, ..Faults::default() });
//! running.stop();
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod api;
mod assertion;
mod authorize;
mod browser;
mod client;
pub(crate) mod command;
mod derived;
mod described;
mod device;
mod fault;
mod http;
mod metadata;
mod register;
mod route;
mod state;
mod token;
mod tokens;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use keybound::SecurityLevel;
use keybound::server::authorization::Weakness;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use client::ClientSecret;
pub use fault::Faults;

use state::State;

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

/// Servers that run until this is dropped or [stopped](Self::stop).
#[derive(Debug)]
pub struct Running {
    /// The issuer identifier of the authorization server.
    pub issuer: String,
    /// The resource identifier of the API.
    pub resource: String,
    state: Arc<State>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Changes what is done wrong, from the next request on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// Revokes every access token that was issued so far, as an operator would after a breach.
    pub fn revoke_access_tokens(&self) {
        self.state.revoke_access_tokens();
    }

    /// How many refresh tokens were redeemed so far.
    pub fn redeemed(&self) -> u64 {
        self.state.redeemed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// What about these servers' settings leaves a thief more than need be.
    pub fn weakness(&self) -> Option<Weakness> {
        self.state.authorization().weakness(self.state.options.token_lifetime)
    }

    /// Stops listening.
    pub fn stop(self) {
        self.task.abort();
    }

    /// Waits until the servers end, which they do only by an error.
    ///
    /// # Errors
    /// Why they ended.
    pub async fn wait(mut self) -> io::Result<()> {
        (&mut self.task).await.unwrap_or(Ok(()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts both servers on the current runtime.
///
/// # Errors
/// If the address cannot be listened on, there is no randomness, or the level Maximum is to do without nonces.
pub async fn start(options: Options) -> io::Result<Running> {
    if options.level == SecurityLevel::Maximum && !options.nonces {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the level maximum requires nonces"));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let state = Arc::new(State::new(&origin, options).map_err(io::Error::other)?);
    let router = axum::Router::new().fallback(http::answer).with_state(state.clone());
    let task = tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Running { issuer: state.issuer.clone(), resource: state.resource.clone(), state, task })
}
