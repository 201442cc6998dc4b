//! Steps and results of flows as JSON.

#[cfg(feature = "grants")]
use std::sync::Arc;

#[cfg(feature = "client")]
use keybound::Algorithm;
use keybound::Spelling;
#[cfg(feature = "servers")]
use keybound::flow::step::Question;
use keybound::flow::step::{KeyUse, Step};
use keybound::http::message::Body;
use keybound::json::Value;
#[cfg(feature = "client")]
use keybound::oauth::{Demand, Outcome};

#[cfg(feature = "grants")]
use super::Device;
use super::{Came, Handle, Next};
#[cfg(feature = "client")]
use crate::client::describe;
use crate::plain::{byte_string, pairs};
#[cfg(feature = "servers")]
use crate::replay::Entry;
#[cfg(feature = "servers")]
use crate::{admission, authorization};

/// What a step wants, as JSON.
pub(super) fn wanted(step: &Next) -> Value {
    let view = Value::object().with("step", step.name());
    match step {
        Step::Done(_) => view,
        #[cfg(feature = "client")]
        Step::CreateKey(step) => view
            .with("algorithms", step.algorithms().iter().map(Algorithm::name).collect::<Value>())
            .with("protections", step.protections().iter().map(|place| place.name()).collect::<Value>()),
        #[cfg(feature = "client")]
        Step::DeleteKey(step) => view.with("thumbprint", step.thumbprint().to_string()),
        Step::Sign(step) => {
            let purpose = match step.purpose() {
                KeyUse::Proof => "proof",
                KeyUse::ClientAssertion => "client_assertion",
            };
            view.with("thumbprint", step.thumbprint().to_string())
                .with("for", purpose)
                .with("algorithm", step.input().algorithm().name())
                .with("message", byte_string(step.input().message()))
                .with_some("digest", step.input().digest().map(|digest| byte_string(&digest)))
        }
        Step::Fetch(step) => {
            let request = step.request();
            let (kind, content) = match &request.body {
                Body::Empty => ("empty", None),
                Body::Bytes(bytes) => ("bytes", Some(byte_string(bytes))),
                Body::Repeatable => ("repeatable", None),
                Body::OneShot => ("one_shot", None),
            };
            let number = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
            view.with("method", request.method.as_str())
                .with("url", request.url.as_str())
                .with("headers", pairs(request.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
                .with("body", kind)
                .with_some("content", content)
                .with_some("max_body", step.max_body().map(number))
                .with_some("timeout", step.timeout())
        }
        #[cfg(feature = "client")]
        Step::Lock(step) => view.with("lock", step.lock()).with("lease", step.lease()),
        #[cfg(feature = "client")]
        Step::Unlock(step) => view.with("lock", step.lock()),
        #[cfg(feature = "client")]
        Step::Load(step) => view.with("slot", step.slot().as_str()),
        #[cfg(feature = "client")]
        Step::Save(step) => view
            .with("slot", step.slot().as_str())
            .with_some("expected", step.expected())
            .with("version", step.version())
            .with_some("value", step.value().map(|value| String::from_utf8_lossy(value).into_owned())),
        Step::Wait(step) => view.with("milliseconds", step.milliseconds()),
        #[cfg(feature = "servers")]
        Step::Share(step) => view.with("name", step.name()).with("timeout", step.timeout()),
        #[cfg(feature = "servers")]
        Step::Ask(step) => {
            let question = match step.question() {
                Question::Keys => "keys",
                Question::Token => "token",
                _ => "unknown",
            };
            view.with("question", question).with("subject", step.subject()).with("timeout", step.timeout())
        }
        #[cfg(feature = "servers")]
        Step::Insert(step) => view.with("entry", Entry::of(step.entry()).to_value()),
        // In a build without clients or without servers, the others' steps do not occur.
        #[allow(unreachable_patterns, reason = "a build may have all")]
        _ => view,
    }
}

/// A result as JSON, `kind` and what can be shown of it, and what is kept of it.
#[cfg_attr(not(feature = "servers"), allow(unused_variables, reason = "only servers' refusals name options"))]
pub(super) fn came(came: Came, spelling: Spelling) -> (Value, Option<Handle>) {
    let kind = |kind: &str| Value::object().with("kind", kind);
    match came {
        #[cfg(feature = "client")]
        Came::Client(outcome) => finished(outcome),
        #[cfg(feature = "servers")]
        Came::Admitted(principal) => {
            let (shown, handle) = admission::admitted(principal);
            (shown, Some(handle))
        }
        #[cfg(feature = "servers")]
        Came::Bound(admitted) => (kind("admitted").with("admitted", authorization::bound(&admitted)), None),
        #[cfg(feature = "servers")]
        Came::Unconsumed(unconsumed) => (admission::unconsumed(unconsumed), None),
        #[cfg(feature = "servers")]
        Came::CarriedOut => (kind("carried_out"), None),
        #[cfg(feature = "servers")]
        Came::Refused(refusal) => (kind("refused").with("refusal", refusal.to_value()), None),
        #[cfg(feature = "servers")]
        Came::RefusedWithError(refusal) => {
            let shown = kind("refused").with("refusal", refusal.to_value());
            (shown.with("error", refusal.into_error().to_json(spelling)), None)
        }
        Came::Shared => (kind("nothing"), None),
    }
}

/// The same of a client's flow.
#[cfg(feature = "client")]
fn finished(outcome: Outcome) -> (Value, Option<Handle>) {
    let kind = |kind: &str| Value::object().with("kind", kind);
    let shown = match outcome {
        Outcome::Discovered(found) => {
            let shown = kind("discovered")
                .with("issuer", found.server().issuer())
                .with_some("resource", found.resource().map(|resource| resource.resource()))
                .with_some("challenged_scope", found.challenged_scope());
            return (shown, Some(Handle::Discovered(found)));
        }
        Outcome::Session(session) => {
            return (kind("session").with("session", describe(&session)), Some(Handle::Session(session)));
        }
        #[cfg(feature = "grants")]
        Outcome::Device(device) => {
            let shown = kind("device")
                .with("user_code", device.user_code())
                .with("verification_uri", device.verification_uri())
                .with_some("verification_uri_complete", device.verification_uri_complete())
                .with("expires_at", device.expires_at());
            return (shown, Some(Handle::Device(Arc::new(Device::new(*device)))));
        }
        Outcome::Authorization(sent) => kind("authorization")
            .with("url", sent.url.as_str())
            .with("state", sent.state.as_str())
            .with("expires_at", sent.expires_at)
            .with("pushed", sent.pushed),
        Outcome::Answer(answer) => {
            let demand = answer.demand.as_ref().map(|demand| match demand {
                Demand::Login(_) => Value::object().with("do", "login"),
                Demand::StepUp(scope) => Value::object().with("do", "step_up").with("scope", scope.as_str()),
                Demand::Resend => Value::object().with("do", "resend"),
                _ => Value::object().with("do", "unknown"),
            });
            kind("answer")
                .with("url", answer.url.as_str())
                .with("status", u64::from(answer.status))
                .with_some("demand", demand)
                .with_some("ignored_challenge", answer.ignored_challenge.map(|error| error.to_string()))
        }
        #[cfg(feature = "grants")]
        Outcome::Issued(issued) => kind("issued")
            .with("token", issued.token.expose())
            .with("token_type", issued.token_type.as_str())
            .with_some("expires_at", issued.expires_at),
        Outcome::Ended(revoked) => kind("ended").with("revoked", Value::Bool(revoked)),
        #[cfg(feature = "grants")]
        Outcome::Claims(claims) => kind("claims").with("claims", claims),
        _ => kind("nothing"),
    };
    (shown, None)
}
