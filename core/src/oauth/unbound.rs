//! The counterpart of `binding.rs` in a build without DPoP: no session has a binding, and nothing here can run.

use alloc::string::String;

use super::client::Inner;
use super::credentials::Credentials;
use super::error::{AnswerDefect, FlowError, StoredDefect};
use super::flow::Io;
use super::metadata::AuthorizationServer;
use crate::http::form::Form;
use crate::http::message::{Request, Response};
use crate::json::Value;
use crate::{Misuse, SecurityLevel, UnixTime};

pub(super) const SCHEME: &str = "Bearer";

/// There is none.
#[derive(Clone)]
pub(super) enum Binding {}

/// Nothing is remembered about servers.
#[derive(Default)]
pub(super) struct Memory;

pub(super) enum Again {
    No,
    WithNonce,
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

    pub(super) async fn delete(&self, _: &Io) -> Result<(), FlowError> {
        match *self {}
    }

    pub(super) fn is_in_hardware(&self) -> bool {
        match *self {}
    }

    pub(super) fn announce(&self, _: &mut Form) {
        match *self {}
    }

    pub(super) async fn prove_to_server(&self, _: &Io, _: &Inner, _: &mut Request) -> Result<(), FlowError> {
        match *self {}
    }

    pub(super) async fn prove_to_resource(&self, _: &Io, _: &Inner, _: &mut Request, _: &str) -> Result<(), FlowError> {
        match *self {}
    }

    pub(super) fn has_server_nonce(&self, _: &Inner, _: &str) -> bool {
        match *self {}
    }

    pub(super) fn has_resource_nonce(&self, _: &Inner, _: &str) -> bool {
        match *self {}
    }

    pub(super) fn is_primed(&self, _: &Inner, _: &str, _: UnixTime) -> bool {
        match *self {}
    }

    pub(super) fn server_answered(
        &self,
        _: &Inner,
        _: &Request,
        _: &Response,
        _: Option<&str>,
        _: UnixTime,
    ) -> Result<Again, AnswerDefect> {
        match *self {}
    }

    pub(super) fn resource_answered(
        &self,
        _: &Inner,
        _: &Request,
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

pub(super) fn provable(url: &str) -> String {
    url.into()
}
