//! What a session does otherwise than usual, because its caller or its server needs that.

use crate::json::Value;

/// A set of switches, kept with a session and with a login under way.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Switches(u8);

impl Switches {
    /// The subject was expected by the caller: a response that names none is refused.
    pub(super) const EXPECTS_SUBJECT: Self = Self(1);
    /// The session is not stored before it is kept.
    pub(super) const PROVISIONAL: Self = Self(2);
    /// The authorization request is not pushed.
    pub(super) const NOT_PUSHED: Self = Self(4);
    /// No `resource` parameter is sent.
    pub(super) const NO_RESOURCE: Self = Self(8);
    /// A refresh says the scope again.
    pub(super) const SCOPE_ON_REFRESH: Self = Self(16);
    /// The server is taken to support PKCE.
    pub(super) const PKCE_ASSUMED: Self = Self(32);
    /// The subject is from an ID token that was checked, and so are those of refreshes.
    pub(super) const IDENTIFIED: Self = Self(64);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::EXPECTS_SUBJECT, "expects_subject"),
        (Self::PROVISIONAL, "provisional"),
        (Self::NOT_PUSHED, "not_pushed"),
        (Self::NO_RESOURCE, "no_resource"),
        (Self::SCOPE_ON_REFRESH, "scope_on_refresh"),
        (Self::PKCE_ASSUMED, "pkce_assumed"),
        (Self::IDENTIFIED, "identified"),
    ];

    pub(super) const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The version of the stored form. A program that knows the first alone would not compare subjects, and would store what is
    /// not to be stored yet: it has to refuse these.
    pub(super) const fn format(self) -> u64 {
        if self.has(Self::EXPECTS_SUBJECT.with(Self::PROVISIONAL)) { 2 } else { 1 }
    }

    /// Adds them to a stored value.
    pub(super) fn add_to(self, stored: Value) -> Value {
        let names = Self::NAMES.iter().filter(|(one, _)| self.has(*one)).map(|(_, name)| *name);
        stored.with_some("switches", (self != Self::default()).then(|| names.collect::<Value>()))
    }

    pub(super) fn stored(value: &Value) -> Self {
        let known = |name: &str| Self::NAMES.iter().find(|(_, known)| *known == name).map(|(one, _)| *one);
        value.texts("switches").filter_map(known).fold(Self::default(), Self::with)
    }
}
