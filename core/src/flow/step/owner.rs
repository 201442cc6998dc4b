//! Whose a key is.

use crate::json::Value;

/// Who deletes a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KeyOwner {
    /// The session that it was made for, or the login that was to become one: the key is deleted with it.
    #[default]
    Session,
    /// The host: other sessions may use it, so no flow asks for its deletion. The active key of a key ring is one.
    Host,
}

impl KeyOwner {
    /// `session` or `host`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Host => "host",
        }
    }

    /// The owner with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Session, Self::Host].into_iter().find(|owner| owner.name() == name)
    }

    /// Reads the owner of a stored key; `None` if it is not one that is known. A key without an owner is the session's, as all were
    /// before there was another.
    pub(crate) fn stored(key: &Value) -> Option<Self> {
        match key.member("owner") {
            None => Some(Self::Session),
            Some(Value::Text(name)) => Self::from_name(name),
            Some(_) => None,
        }
    }
}
