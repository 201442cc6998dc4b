//! The label of keys that Keybound made, by which it knows them again.

use std::fmt;

use keybound::oauth::step::KeyOwner;
use keybound::{Algorithm, UnixTime};

/// First in the label.
const NAME: &str = "keybound-1";

/// What a label says: `keybound-1 OWNER ALGORITHM SECONDS`, 32 bytes being enough for most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    pub(crate) owner: KeyOwner,
    /// A key of RSA signs with one of several, and Ed25519 has two names.
    pub(crate) algorithm: Algorithm,
    pub(crate) created_at: UnixTime,
}

impl Marker {
    pub(crate) fn parse(label: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(label).ok()?.split(' ');
        let (NAME, owner, algorithm, created_at) = (words.next()?, words.next()?, words.next()?, words.next()?) else {
            return None;
        };
        if words.next().is_some() {
            return None;
        }
        Some(Self {
            owner: KeyOwner::from_name(owner)?,
            algorithm: Algorithm::from_name(algorithm)?,
            created_at: UnixTime::from_secs(created_at.parse().ok()?),
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME} {} {} {}", self.owner.name(), self.algorithm, self.created_at.secs())
    }
}

#[cfg(test)]
mod tests {
    use keybound::oauth::step::KeyOwner;
    use keybound::{Algorithm, UnixTime};

    use super::Marker;

    #[test]
    fn a_label_says_what_was_written() {
        let marker = Marker {
            owner: KeyOwner::Host,
            algorithm: Algorithm::Es256,
            created_at: UnixTime::from_secs(1_764_515_137),
        };
        assert_eq!(Marker::parse(marker.to_string().as_bytes()), Some(marker));
        for other in ["", "keybound", "keybound-1 host ES256", "keybound-1 host ES256 1 2", "keybound-2 host ES256 1"] {
            assert_eq!(Marker::parse(other.as_bytes()), None, "{other}");
        }
    }
}
