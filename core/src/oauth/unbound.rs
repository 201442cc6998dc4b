//! The counterpart of `binding.rs` in a build without DPoP: no session has a binding, and nothing here can run.

use alloc::string::String;

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{AnswerDefect, FlowError, StoredDefect};
use super::flow::Io;
use super::kept::Unfit;
use super::metadata::AuthorizationServer;
use crate::http::form::Form;
use crate::http::message::{Request, Response};
use crate::http::url::Url;
use crate::json::Value;
use crate::{Misuse, SecurityLevel, UnixTime};

pub(super) const SCHEME: &str = "Bearer";

/// There are no proofs.
pub(super) const ELSEWHERE: [&str; 0] = [];

/// There is none.
#[derive(Clone)]
pub(super) enum Binding {}

/// Nothing is remembered about servers.
#[derive(Default)]
pub(super) struct Memory;

/// Whom a proof would be for.
pub(super) enum Role {
    AuthorizationServer,
    ResourceServer,
}

/// No server gives a nonce.
pub(super) enum Given {}

/// No one has nonces.
pub(super) enum Place {}

/// A request that waits for its answer.
pub(super) struct UnderWay<'a>(&'a Inner);

impl UnderWay<'_> {
    pub(super) const fn end(self) {}
}

/// No request is challenged for a nonce.
pub(super) struct NonceTries;

impl NonceTries {
    pub(super) const fn new() -> Self {
        Self
    }

    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn begin<'a>(
        &self,
        _: &Io,
        client: &'a Inner,
        _: Option<Place>,
    ) -> Result<UnderWay<'a>, FlowError> {
        Ok(UnderWay(client))
    }

    pub(super) const fn own(&self) -> Option<&Given> {
        None
    }

    pub(super) const fn challenged(&self, _: &Inner, _: Option<&Place>, given: Given, _: UnixTime) -> bool {
        match given {}
    }

    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn end(&self, _: &Io) {}

    pub(super) const fn reset(&self) {}
}

/// No request has a proof.
pub(super) enum Proved {}

impl Proved {
    pub(super) const fn has_nonce(&self) -> bool {
        match *self {}
    }
}

pub(super) enum Again {
    No,
    WithNonce(Given),
    WithClock,
}

impl Binding {
    pub(super) async fn create(
        _: &Io,
        _: &Inner,
        _: &AuthorizationServer,
        _: &Credentials,
        _: SecurityLevel,
    ) -> Result<Self, FlowError> {
        Err(Misuse::LevelNeedsDpop.into())
    }

    pub(super) const fn has_key_of(&self, _: &Self) -> bool {
        match *self {}
    }

    pub(super) async fn delete(&self, _: &Io) -> Result<(), FlowError> {
        match *self {}
    }

    pub(super) fn check(&self, _: &Inner, _: SecurityLevel, _: Option<&AuthorizationServer>) -> Result<(), Unfit> {
        match *self {}
    }

    pub(super) fn announce(&self, _: &mut Form) {
        match *self {}
    }

    pub(super) const fn place(&self, _: &str, _: Role) -> Option<Place> {
        match *self {}
    }

    pub(super) async fn prove(
        &self,
        _: &Io,
        _: &Inner,
        _: &mut Request,
        _: Option<&str>,
        _: Option<&Given>,
    ) -> Result<Proved, FlowError> {
        match *self {}
    }

    pub(super) fn has_nonce(&self, _: &Inner, _: &str, _: Role) -> bool {
        match *self {}
    }

    pub(super) fn is_primed(&self, _: &Inner, _: &str, _: UnixTime) -> bool {
        match *self {}
    }

    pub(super) fn answered(
        &self,
        _: &Inner,
        _: &Request,
        _: &Proved,
        _: &Response,
        _: Option<&str>,
        _: UnixTime,
    ) -> Result<Again, AnswerDefect> {
        match *self {}
    }

    pub(super) fn to_value(&self, _: &Inner, _: &str, _: Option<&str>) -> Value {
        match *self {}
    }

    pub(super) fn from_value(_: &Value, _: &Inner) -> Result<Self, StoredDefect> {
        Err(StoredDefect::Level)
    }
}

/// The origin of a request's URL, under which clocks are remembered.
pub(super) fn origin(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.origin().into())
}

pub(super) fn provable(url: &str) -> String {
    url.into()
}
