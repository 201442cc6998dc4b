//! Every flow of a client as a value: for hosts in other languages, which drive them all alike.

#[cfg(feature = "grants")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

#[cfg(feature = "grants")]
use super::DeviceAuthorization;
#[cfg(all(feature = "dpop", feature = "grants"))]
use super::adopt::{self, HeldToken};
use super::call::Answer;
use super::client::{Client, Inner};
use super::discovery::Discovered;
use super::error::FlowError;
use super::flow::{Flow, Io};
#[cfg(feature = "grants")]
use super::grant::{IssuedToken, TokenExchange};
use super::login::Authorization;
#[cfg(all(feature = "dpop", feature = "grants"))]
use super::rekey;
use super::request::SessionRequest;
#[cfg(feature = "grants")]
use super::secret::Secret;
use super::session::Session;
use super::step::Step;
use super::{call, discovery, end, login, renew, session};
#[cfg(feature = "grants")]
use super::{device, grant};
use crate::UnixTime;
use crate::http::challenge::Challenge;
use crate::http::message::Request;
#[cfg(feature = "dpop")]
use crate::jose::thumbprint::Thumbprint;
#[cfg(feature = "grants")]
use crate::json::Value;

/// A flow to begin, as the method of [`Client`] with the same name describes it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Operation {
    /// [`Client::discover_with`], with a target, the challenges of a refusal at hand, and an issuer.
    Discover(String, Option<Vec<Challenge>>, Option<String>),
    /// [`Client::discover_issuer`].
    DiscoverIssuer(String),
    /// [`Client::authorize`].
    Authorize(SessionRequest),
    /// [`Client::step_up`], with a scope.
    StepUp(Session, String),
    /// [`Client::exchange`], with the URL the browser came back to.
    Exchange(String),
    /// [`Client::open`], with a name.
    Open(String),
    /// [`Client::open_bound_to`], with a name.
    #[cfg(feature = "dpop")]
    OpenBoundTo(String, Thumbprint),
    /// [`Client::adopt`].
    #[cfg(all(feature = "dpop", feature = "grants"))]
    Adopt(HeldToken),
    /// [`Client::keep`].
    Keep(Session),
    /// [`Client::refresh`].
    Refresh(Session),
    /// [`Client::rekey`].
    #[cfg(all(feature = "dpop", feature = "grants"))]
    Rekey(Session),
    /// [`Client::revoke`].
    Revoke(Session),
    /// [`Client::end`].
    End(Session),
    /// [`Client::call`].
    Call(Session, Request),
    /// [`Client::client_credentials`].
    #[cfg(feature = "grants")]
    ClientCredentials(SessionRequest),
    /// [`Client::token_exchange`].
    #[cfg(feature = "grants")]
    TokenExchange(SessionRequest, TokenExchange),
    /// [`Client::exchange_for`].
    #[cfg(feature = "grants")]
    ExchangeFor(SessionRequest, TokenExchange),
    /// [`Client::jwt_bearer`], with an assertion.
    #[cfg(feature = "grants")]
    JwtBearer(SessionRequest, Secret),
    /// [`Client::device`].
    #[cfg(feature = "grants")]
    Device(SessionRequest),
    /// [`Client::poll_device`].
    #[cfg(feature = "grants")]
    PollDevice(DeviceAuthorization),
    /// [`Client::introspect`].
    #[cfg(feature = "grants")]
    Introspect(Discovered, Secret),
}

/// What an [`Operation`] came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done: keeping, refresh, revocation.
    Nothing,
    /// The session has ended; whether its tokens are revoked.
    Ended(bool),
    /// What protects a target.
    Discovered(Discovered),
    /// Where to send the user's browser.
    Authorization(Authorization),
    /// A session.
    Session(Session),
    /// The resource's answer.
    Answer(Answer),
    /// A login on another device, to be polled.
    #[cfg(feature = "grants")]
    Device(Box<DeviceAuthorization>),
    /// A token that is no access token.
    #[cfg(feature = "grants")]
    Issued(IssuedToken),
    /// What an authorization server says of a token.
    #[cfg(feature = "grants")]
    Claims(Value),
}

impl Client {
    /// Begins a flow.
    ///
    /// # Errors
    /// [`FlowError`], now or when the step is resumed.
    pub fn begin(&self, operation: Operation, now: UnixTime) -> Result<Step<Outcome>, FlowError> {
        let client = self.0.clone();
        Flow::start(now, |io| async move { perform(&io, &client, operation).await })
    }
}

async fn perform(io: &Io, client: &Inner, operation: Operation) -> Result<Outcome, FlowError> {
    Ok(match operation {
        Operation::Discover(target, challenges, issuer) => {
            Outcome::Discovered(discovery::discover(io, client, &target, challenges, issuer.as_deref()).await?)
        }
        Operation::DiscoverIssuer(issuer) => {
            Outcome::Discovered(discovery::discover_issuer(io, client, &issuer).await?)
        }
        Operation::Authorize(request) => Outcome::Authorization(login::begin(io, client, &request).await?),
        Operation::StepUp(session, scope) => {
            let request = login::stepped_up(&session, &scope)?;
            Outcome::Authorization(login::begin(io, client, &request).await?)
        }
        Operation::Exchange(callback) => Outcome::Session(login::exchange(io, client, &callback).await?),
        Operation::Open(name) => Outcome::Session(session::open(io, client, &name).await?),
        #[cfg(feature = "dpop")]
        Operation::OpenBoundTo(name, key) => Outcome::Session(session::open_bound_to(io, client, &name, key).await?),
        #[cfg(all(feature = "dpop", feature = "grants"))]
        Operation::Adopt(held) => Outcome::Session(adopt::adopt(client, held)?),
        Operation::Keep(session) => {
            session::keep(io, client, &session).await?;
            Outcome::Nothing
        }
        Operation::Refresh(session) => {
            renew::refresh(io, client, &session).await?;
            Outcome::Nothing
        }
        #[cfg(all(feature = "dpop", feature = "grants"))]
        Operation::Rekey(session) => {
            rekey::rekey(io, client, &session).await?;
            Outcome::Nothing
        }
        Operation::Revoke(session) => {
            end::revoke(io, client, &session).await?;
            Outcome::Nothing
        }
        Operation::End(session) => Outcome::Ended(end::end(io, client, &session).await?),
        Operation::Call(session, request) => Outcome::Answer(call::call(io, client, &session, request).await?),
        #[cfg(feature = "grants")]
        Operation::ClientCredentials(request) => {
            Outcome::Session(grant::client_credentials(io, client, &request).await?)
        }
        #[cfg(feature = "grants")]
        Operation::TokenExchange(request, exchange) => {
            Outcome::Session(grant::token_exchange(io, client, &request, &exchange).await?)
        }
        #[cfg(feature = "grants")]
        Operation::ExchangeFor(request, exchange) => {
            Outcome::Issued(grant::exchange_for(io, client, &request, &exchange).await?)
        }
        #[cfg(feature = "grants")]
        Operation::JwtBearer(request, assertion) => {
            Outcome::Session(grant::jwt_bearer(io, client, &request, &assertion).await?)
        }
        #[cfg(feature = "grants")]
        Operation::Device(request) => Outcome::Device(Box::new(device::device(io, client, &request).await?)),
        #[cfg(feature = "grants")]
        Operation::PollDevice(device) => Outcome::Session(device::poll_device(io, client, device).await?),
        #[cfg(feature = "grants")]
        Operation::Introspect(at, token) => Outcome::Claims(end::introspect(io, client, at.server(), &token).await?),
    })
}
