//! The authorization server and the API of `keybound serve`, in memory and without a socket: a request in, its answer out.
//!
//! It is for development and tests. It knows one user, who approves every login at once unless [`Options::consent`] is set, and it can be
//! told to [misbehave](Faults). What a token or proof must be is decided by the crate `keybound`, as in production.
//!
//! ```
//! use keybound_serve::{Options, Server};
//!
//! let resource = Some("https://api.example.com".to_owned());
//! let server = Server::new("https://login.example.com", Options { resource, ..Options::default() })?;
//! let request = server.request("GET", "https://api.example.com/items", Vec::new(), Vec::new());
//! assert_eq!(server.answer(&request).status, 401);
//! # Ok::<(), keybound::Misuse>(())
//! ```
#![forbid(unsafe_code)]

mod api;
mod assertion;
mod authenticate;
mod authorize;
mod client;
mod clock;
mod derived;
mod described;
mod device;
mod fault;
mod http;
mod issue;
mod metadata;
mod options;
mod place;
mod register;
mod route;
mod state;
mod token;
mod tokens;

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use keybound::Misuse;
use keybound::server::authorization::Weakness;
use keybound::server::resource::EXPOSED_FIELDS;

pub use client::{ClientSecret, PublicClient};
pub use clock::Clock;
pub use fault::Faults;
pub use http::{Incoming, Outgoing};
pub use options::Options;

use state::State;

/// Both servers. They are shared between threads as they are.
#[derive(Debug)]
pub struct Server(State);

impl Server {
    /// Servers under these names, which are URLs.
    ///
    /// # Errors
    /// [`Misuse`] if a name cannot be used, there is no randomness, or the level Maximum is to do without nonces.
    pub fn new(issuer: &str, options: Options) -> Result<Self, Misuse> {
        State::new(issuer, options).map(Self)
    }

    /// The issuer identifier of the authorization server.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The resource identifier of the API.
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// A request to an absolute URL, as the servers know themselves: a host makes it of its own name and the path, never of the field `Host`.
    pub fn request(&self, method: &str, url: &str, fields: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Incoming {
        let (url, query) = url.split_once('?').unwrap_or((url, ""));
        let place = self.0.places.of(url);
        Incoming { method: method.to_owned(), url: url.to_owned(), place, query: query.to_owned(), fields, body }
    }

    /// The answer to a request, which is always there.
    pub fn answer(&self, request: &Incoming) -> Outgoing {
        self.finished(request, route::route(&self.0, request))
    }

    /// The answer of the host's own choosing, dated and readable as all answers are.
    pub fn refuse(&self, request: &Incoming, answer: Outgoing) -> Outgoing {
        self.finished(request, answer)
    }

    /// Every answer has a date, from which clients learn that their clock is wrong; every answer to scripts exposes the same fields and is open to all, whatever its status.
    fn finished(&self, request: &Incoming, mut answer: Outgoing) -> Outgoing {
        let for_scripts = ["access-control-allow-origin", "access-control-expose-headers"];
        answer.fields.retain(|(name, _)| !for_scripts.iter().any(|known| name.eq_ignore_ascii_case(known)));
        let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.now().secs().unsigned_abs());
        answer = answer.with("Date", &httpdate::fmt_http_date(clock));
        if route::is_visited(request.endpoint()) {
            return answer;
        }
        answer = answer.with("Access-Control-Allow-Origin", "*");
        if self.0.faults().drop_cors {
            return answer;
        }
        answer.with("Access-Control-Expose-Headers", EXPOSED_FIELDS)
    }

    /// What they do wrong now.
    pub fn faults(&self) -> Faults {
        self.0.faults()
    }

    /// Changes what is done wrong, from the next request on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.set_faults(faults);
    }

    /// Revokes every access token that was issued so far, as an operator would after a breach.
    pub fn revoke_access_tokens(&self) {
        self.0.revoke_access_tokens();
    }

    /// How many refresh tokens were redeemed so far.
    pub fn redeemed(&self) -> u64 {
        self.0.redeemed.load(Ordering::Relaxed)
    }

    /// What about these servers' settings leaves a thief more than need be.
    pub fn weakness(&self) -> Option<Weakness> {
        self.0.authorization().weakness(self.0.options.token_lifetime)
    }
}
