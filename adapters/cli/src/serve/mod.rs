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

mod browser;
pub(crate) mod command;
mod described;
mod listen;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use keybound::SecurityLevel;
use keybound::server::authorization::Weakness;
use keybound_serve::Server;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use keybound_serve::{ClientSecret, Faults, Options};

/// The servers and what their listener needs.
#[derive(Debug)]
struct Listening {
    server: Server,
    /// Whether other machines cannot reach it.
    for_this_machine: bool,
    /// Held while the document of a client is fetched, so that there is one at a time.
    describing: tokio::sync::Mutex<()>,
}

/// Servers that run until this is dropped or [stopped](Self::stop).
#[derive(Debug)]
pub struct Running {
    /// The issuer identifier of the authorization server.
    pub issuer: String,
    /// The resource identifier of the API.
    pub resource: String,
    listening: Arc<Listening>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Changes what is done wrong, from the next request on.
    pub fn set_faults(&self, faults: Faults) {
        self.listening.server.set_faults(faults);
    }

    /// Revokes every access token that was issued so far, as an operator would after a breach.
    pub fn revoke_access_tokens(&self) {
        self.listening.server.revoke_access_tokens();
    }

    /// How many refresh tokens were redeemed so far.
    pub fn redeemed(&self) -> u64 {
        self.listening.server.redeemed()
    }

    /// What about these servers' settings leaves a thief more than need be.
    pub fn weakness(&self) -> Option<Weakness> {
        self.listening.server.weakness()
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

/// Starts both servers on a free port of 127.0.0.1, on the current runtime.
///
/// # Errors
/// As for [`start_at`].
pub async fn start(options: Options) -> io::Result<Running> {
    start_at(SocketAddr::from(([127, 0, 0, 1], 0)), options).await
}

/// Starts both servers at an address, on the current runtime; port 0 takes a free one.
///
/// # Errors
/// If the address cannot be listened on, there is no randomness, or the level Maximum is to do without nonces.
pub async fn start_at(address: SocketAddr, options: Options) -> io::Result<Running> {
    if options.level == SecurityLevel::Maximum && !options.nonces {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the level maximum requires nonces"));
    }
    let listener = TcpListener::bind(address).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let server = Server::new(&origin, options).map_err(io::Error::other)?;
    let (issuer, resource) = (server.issuer().to_owned(), server.resource().to_owned());
    let describing = tokio::sync::Mutex::default();
    let listening = Arc::new(Listening { server, for_this_machine: address.ip().is_loopback(), describing });
    let router = axum::Router::new().fallback(listen::answer).with_state(listening.clone());
    let task = tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Running { issuer, resource, listening, task })
}
