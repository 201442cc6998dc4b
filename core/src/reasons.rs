//! Stable names of errors, each written once: the macros here make the method that gives one, and the list of all.
//!
//! Other languages have these lists as types (`tests/contract/faults.json`), and `docs/reasons.md` explains each.

/// Writes `reason` of an error and the list of what it can return. `else` holds what other errors name.
#[allow(unused_macro_rules, reason = "builds without flows have no errors that hold others")]
macro_rules! reasons {
    ($kind:ident { $($pattern:pat => $reason:literal,)* }) => {
        impl $kind {
            /// All that [`reason`](Self::reason) can return.
            pub const REASONS: &'static [&'static str] = &[$($reason,)*];

            /// The stable name, for programs.
            pub const fn reason(&self) -> &'static str {
                match self { $($pattern => $reason,)* }
            }
        }
    };
    ($kind:ident { $($pattern:pat => $reason:literal,)* } else { $($other:pat => $named:expr,)* }) => {
        impl $kind {
            /// What [`reason`](Self::reason) can return, without the reasons of the errors that this one holds.
            pub const REASONS: &'static [&'static str] = &[$($reason,)*];

            /// The stable name, for programs.
            pub fn reason(&self) -> &'static str {
                match self { $($pattern => $reason,)* $($other => $named,)* }
            }
        }
    };
}

/// Stable names and texts of one kind of defect.
#[allow(unused_macros, reason = "builds without flows have no defects")]
macro_rules! defects {
    ($kind:ident { $($variant:ident => $reason:literal, $text:literal;)* }) => {
        impl $kind {
            /// All that [`reason`](Self::reason) can return.
            pub const REASONS: &'static [&'static str] = &[$($reason,)*];

            /// The stable name, for programs.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant { .. } => $reason,)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$variant { .. } => $text,)* }
            }
        }
    };
}

/// `Debug` of an error is its text, with the stable name if it has one: a `main` that returns an error shows its `Debug`. For the crates of
/// this project.
#[doc(hidden)]
#[macro_export]
macro_rules! debug_as_text {
    ($kind:ident) => {
        impl ::core::fmt::Debug for $kind {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(self, f)
            }
        }
    };
    ($kind:ident, with_reason) => {
        impl ::core::fmt::Debug for $kind {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                write!(f, "{self} ({})", self.reason())
            }
        }
    };
}
