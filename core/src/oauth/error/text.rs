//! Texts of defects, with what they are about.

use core::fmt;

use super::{AnswerDefect, DiscoveryDefect, Downgrade, IdTokenDefect, RedirectDefect, StoredDefect};

impl fmt::Display for AnswerDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::Status(status) => write!(f, " ({status})"),
            Self::Missing(member) => write!(f, " ({member})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for DiscoveryDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::Url(member) => write!(f, " ({member})"),
            Self::NoEndpoint(endpoint) => write!(f, " ({endpoint})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for IdTokenDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::Claim(name) => write!(f, " ({name})"),
            _ => Ok(()),
        }
    }
}

macro_rules! shown_as_text {
    ($($kind:ident)*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    )*};
}

shown_as_text!(RedirectDefect Downgrade StoredDefect);
