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
mod authenticate;
mod authorize;
mod browser;
mod client;
pub(crate) mod command;
mod derived;
mod described;
mod device;
mod fault;
mod http;
mod issue;
mod listen;
mod metadata;
mod options;
mod register;
mod route;
mod state;
mod token;
mod tokens;

use std::io;
use std::sync::Arc;

use keybound::SecurityLevel;
use keybound::server::authorization::Weakness;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use client::ClientSecret;
pub use fault::Faults;
pub use options::Options;

use state::State;

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
    let router = axum::Router::new().fallback(listen::answer).with_state(state.clone());
    let task = tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Running { issuer: state.issuer.clone(), resource: state.resource.clone(), state, task })
}
