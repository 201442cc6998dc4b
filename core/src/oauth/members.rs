//! What a token response says besides the tokens: whose they are, and the members that other specifications add.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::{AnswerDefect, Endpoint, FlowError};
use super::secret::Secret;
use crate::json::Value;

/// The account that a session's tokens are for, as its authorization server names it.
///
/// Identify an account by both members: another issuer may give the same `sub` to another account.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Subject {
    /// The authorization server's issuer identifier.
    pub issuer: String,
    /// The `sub` of the ID token or of the token response, 1 to 2,048 bytes.
    pub sub: String,
}

/// What a token response says besides the tokens.
#[derive(Clone, Default)]
pub(super) struct Members {
    pub(super) sub: Option<String>,
    others: Vec<(String, Secret)>,
}

/// The members that have a place of their own.
const READ: [&str; 7] =
    ["access_token", "token_type", "expires_in", "refresh_token", "scope", "authorization_details", "sub"];
/// The longest `sub`, in bytes: that of a DID in the AT Protocol.
pub(super) const MAX_SUB_LEN: usize = 2_048;
/// How many other members are kept.
const MAX_OTHERS: usize = 32;
/// How long their names and values may be in all, in bytes: an ID token with many groups has 10 KiB.
const MAX_OTHERS_LEN: usize = 32_768;

impl Members {
    /// Reads a token response. What is beyond the bounds is left out, since a login does not depend on it.
    pub(super) fn read(document: &Value) -> Self {
        let sub = document.text("sub").filter(|sub| is_sub(sub)).map(String::from);
        let mut members = Self { sub, others: Vec::new() };
        for (name, value) in entries(document).iter().filter(|(name, _)| !READ.contains(&name.as_str())) {
            match value {
                Value::Null => {}
                Value::Text(text) => members.keep(name, text),
                value => members.keep(name, Secret::new(value.to_json()).expose()),
            }
        }
        members
    }

    /// Refuses a response for another account than `expected`, and where `required` one that names none.
    pub(super) fn check(&self, expected: Option<&str>, required: bool) -> Result<(), FlowError> {
        match (self.sub.as_deref(), expected) {
            (Some(sub), Some(expected)) if sub != expected => Err(FlowError::SubjectMismatch),
            (None, Some(_)) if required => Err(FlowError::Answer(Endpoint::Token, AnswerDefect::Missing("sub"))),
            _ => Ok(()),
        }
    }

    /// Takes the `sub` of an ID token that came with the tokens, which has to be the response's own if that has one.
    pub(super) fn identify(&mut self, sub: &str) -> Result<(), FlowError> {
        self.check(Some(sub), false)?;
        self.sub = Some(sub.into());
        Ok(())
    }

    /// These members of a renewal, and those of before that it leaves out.
    pub(super) fn after(mut self, before: &Self) -> Self {
        for (name, value) in &before.others {
            self.keep(name, value.expose());
        }
        self.sub = self.sub.or_else(|| before.sub.clone());
        self
    }

    /// Another member: a text as it is, everything else as JSON.
    pub(super) fn other(&self, name: &str) -> Option<&Secret> {
        self.others.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn keep(&mut self, name: &str, value: &str) {
        let length = |name: &str, value: &str| name.len().saturating_add(value.len());
        let used = self.others.iter().map(|(name, value)| length(name, value.expose())).sum::<usize>();
        let fits = used.saturating_add(length(name, value)) <= MAX_OTHERS_LEN && self.others.len() < MAX_OTHERS;
        if fits && self.other(name).is_none() {
            self.others.push((name.into(), Secret::new(value)));
        }
    }

    /// Adds them to a stored session.
    pub(super) fn add_to(&self, mut stored: Value) -> Value {
        if !self.others.is_empty() {
            let mut others = Value::object();
            for (name, value) in &self.others {
                others.set(name, value.expose().into());
            }
            stored.set("members", others);
        }
        stored.with_some("sub", self.sub.as_deref())
    }

    /// Those of a stored session; it has none if an earlier version stored it.
    pub(super) fn stored(value: &Value) -> Self {
        let mut members = Self { sub: value.text("sub").map(String::from), others: Vec::new() };
        for (name, value) in value.member("members").map(entries).unwrap_or_default() {
            members.keep(name, value.as_text().unwrap_or_default());
        }
        members
    }
}

/// Names and values of an object.
fn entries(value: &Value) -> &[(String, Value)] {
    if let Value::Object(members) = value { members } else { &[] }
}

/// Whether a text can be a `sub` at all.
pub(super) fn is_sub(text: &str) -> bool {
    (1..=MAX_SUB_LEN).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::{MAX_OTHERS, MAX_OTHERS_LEN, Members};
    use crate::json::Value;
    use crate::oauth::FlowError;

    fn read(text: &str) -> Members {
        Members::read(&Value::parse_object(text.as_bytes()).unwrap())
    }

    fn other(members: &Members, name: &str) -> Option<String> {
        members.other(name).map(|value| value.expose().into())
    }

    #[test]
    fn members_are_texts_or_json() {
        let members = read(r#"{"access_token":"a","sub":"s","id_token":"a.b.c","n":5,"team":{"id":"T"},"none":null}"#);
        assert_eq!(other(&members, "id_token").as_deref(), Some("a.b.c"));
        assert_eq!(other(&members, "n").as_deref(), Some("5"));
        assert_eq!(other(&members, "team").as_deref(), Some(r#"{"id":"T"}"#));
        for name in ["access_token", "sub", "none", "unknown"] {
            assert_eq!(other(&members, name), None, "{name}");
        }
        let again = Members::stored(&members.add_to(Value::object()));
        assert_eq!((again.sub.as_deref(), other(&again, "n").as_deref()), (Some("s"), Some("5")));
    }

    #[test]
    fn members_are_bounded() {
        let many: Vec<String> = (0..MAX_OTHERS + 4).map(|number| format!("\"m{number}\":1")).collect();
        assert_eq!(read(&format!("{{{}}}", many.join(","))).others.len(), MAX_OTHERS);
        let large = "x".repeat(MAX_OTHERS_LEN);
        let members = read(&format!(r#"{{"large":"{large}","id_token":"a.b.c","sub":"{large}"}}"#));
        assert_eq!((other(&members, "large"), &members.sub), (None, &None));
        assert_eq!(other(&members, "id_token").as_deref(), Some("a.b.c"));
    }

    #[test]
    fn a_renewal_leaves_what_it_does_not_name() {
        let after = read(r#"{"id_token":"new"}"#).after(&read(r#"{"sub":"s","id_token":"old","team":"T"}"#));
        assert_eq!(other(&after, "id_token").as_deref(), Some("new"));
        assert_eq!((other(&after, "team").as_deref(), after.sub.as_deref()), (Some("T"), Some("s")));
    }

    #[test]
    fn a_subject_is_compared_where_it_is_named() {
        assert!(matches!(read(r#"{"sub":"b"}"#).check(Some("a"), false), Err(FlowError::SubjectMismatch)));
        assert!(read(r#"{"sub":"a"}"#).check(Some("a"), true).is_ok());
        assert!(read("{}").check(Some("a"), false).is_ok());
        // A number is not the text that was expected.
        assert!(matches!(read(r#"{"sub":5}"#).check(Some("5"), true), Err(FlowError::Answer(..))));
    }
}
