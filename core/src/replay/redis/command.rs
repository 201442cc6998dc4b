//! A command as its arguments, a reply as a value.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;

/// One command: its name and its arguments, arbitrary bytes. Send all commands of an [`Exchange`](super::Exchange) in one pipeline.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(Vec<Vec<u8>>);

impl Command {
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The name, then the arguments.
    pub fn arguments(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The name, in upper case.
    pub(super) fn name(&self) -> &'static str {
        let name = self.0.first().map_or(&[][..], Vec::as_slice);
        [super::batch::SET, super::open::GET, super::open::GETEX, super::batch::WAIT]
            .into_iter()
            .find(|known| known.as_bytes() == name)
            .unwrap_or(super::info::INFO)
    }
}

/// Shows the name alone: arguments hold what names proofs.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.name())
    }
}

/// What a server replied to one command.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// A simple string or a bulk string, such as `OK`; verbatim strings too.
    Text(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// Null.
    Nil,
    /// An error, with its code and its text, without the leading `-`.
    Error(Vec<u8>),
    /// Anything else: an array, or no reply at all.
    Missing,
}

impl Reply {
    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.text() == Some(b"OK")
    }
}

/// Shows the kind alone.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Integer(_) => "Integer(..)",
            Self::Nil => "Nil",
            Self::Error(_) => "Error(..)",
            Self::Missing => "Missing",
        })
    }
}
