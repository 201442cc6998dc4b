//! The label of keys that Keybound made, by which it knows them again.

use std::fmt;

use keybound::oauth::step::KeyOwner;
use keybound::{Algorithm, UnixTime};

/// First in the label.
const NAME: &str = "keybound-1";

/// What a label says: `keybound-1 APPLICATION OWNER ALGORITHM SECONDS`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    /// Whose keys these are, among programs that share a token.
    pub(crate) application: String,
    pub(crate) owner: KeyOwner,
    /// A key of RSA signs with one of several, and Ed25519 has two names.
    pub(crate) algorithm: Algorithm,
    pub(crate) created_at: UnixTime,
}

impl Marker {
    pub(crate) fn parse(label: &[u8]) -> Option<Self> {
        let words: Vec<&str> = std::str::from_utf8(label).ok()?.split(' ').collect();
        let [NAME, application, owner, algorithm, created_at] = words.as_slice() else { return None };
        Some(Self {
            application: (*application).to_owned(),
            owner: KeyOwner::from_name(owner)?,
            algorithm: Algorithm::from_name(algorithm)?,
            created_at: UnixTime::from_secs(created_at.parse().ok()?),
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (application, owner) = (&self.application, self.owner.name());
        write!(f, "{NAME} {application} {owner} {} {}", self.algorithm, self.created_at.secs())
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
            application: "shop".into(),
            owner: KeyOwner::Host,
            algorithm: Algorithm::Es256,
            created_at: UnixTime::from_secs(1_764_515_137),
        };
        assert_eq!(Marker::parse(marker.to_string().as_bytes()), Some(marker.clone()));
        for other in [
            "",
            "keybound",
            "keybound-1 shop host ES256",
            "keybound-1 shop host ES256 1 2",
            "keybound-2 shop host ES256 1",
        ] {
            assert_eq!(Marker::parse(other.as_bytes()), None, "{other}");
        }
    }
}
