//! What a key ring writes down: which keys there have been, and when. Nothing in it is secret.
//!
//! ```
//! use keybound::key::ring::KeyRingRecord;
//!
//! let text = "keybound-key-ring 1\n\
//!     version 2\n\
//!     key 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I 1700000000\n\
//!     key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 1702592000\n";
//! let record = KeyRingRecord::parse(text)?;
//! assert_eq!(record.version(), 2);
//! let first = record.keys().next().expect("never empty");
//! assert_eq!(first.superseded_at, Some(record.active().created_at));
//! assert_eq!(record.to_text(), text);
//! # Ok::<(), keybound::key::ring::InvalidRecord>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::{KeyState, RotationPolicy};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// The keys of a ring in the order they were made; the last one is active. Holds no private material.
///
/// A successor is made in the instant in which its predecessor is superseded, so that one time for each key
/// says everything. Within a record times never fall and no thumbprint occurs twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRingRecord {
    version: u64,
    earlier: Vec<Made>,
    active: Made,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Made {
    thumbprint: Thumbprint,
    at: UnixTime,
}

/// One key of a [`KeyRingRecord`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordedKey {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// When it became the active key.
    pub created_at: UnixTime,
    /// When its successor became the active key; `None` for the active key.
    pub superseded_at: Option<UnixTime>,
}

impl KeyRingRecord {
    /// The most keys a record can hold.
    pub const MAX_KEYS: usize = 128;

    /// How many retired keys a record remembers. Older ones are as unknown as if they had never been, which
    /// refuses to sign as well.
    pub const MAX_RETIRED: usize = 16;

    /// The first line of the text form: what it is, and the version of the format.
    const HEADING: &str = "keybound-key-ring 1";

    /// Longer than any record: 192 characters for the first lines, 80 for each key.
    const MAX_TEXT: usize = 192 + 80 * Self::MAX_KEYS;

    /// The record of a ring whose first key is made at `now`. Its version is 1.
    pub const fn new(thumbprint: Thumbprint, now: UnixTime) -> Self {
        Self { version: 1, earlier: Vec::new(), active: Made { thumbprint, at: now } }
    }

    /// How many keys have been active so far. Every rotation adds one, and nothing else changes it: what a store
    /// compares before it sets.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The active key.
    pub const fn active(&self) -> RecordedKey {
        RecordedKey { thumbprint: self.active.thumbprint, created_at: self.active.at, superseded_at: None }
    }

    /// All keys, the oldest one first and the active one last.
    pub fn keys(&self) -> impl Iterator<Item = RecordedKey> + '_ {
        let superseded_at = self.made().skip(1).map(|next| Some(next.at)).chain([None]);
        self.made().zip(superseded_at).map(|(made, superseded_at)| RecordedKey {
            thumbprint: made.thumbprint,
            created_at: made.at,
            superseded_at,
        })
    }

    /// What may be done with the key at `now`; `None` if the record does not know it.
    ///
    /// This alone knows no time but `now`; [`KeyRing::state`](super::KeyRing::state) does not let a clock that
    /// steps back bring a retired key to life again.
    pub fn state(&self, thumbprint: &Thumbprint, policy: &RotationPolicy, now: UnixTime) -> Option<KeyState> {
        let key = self.keys().find(|key| key.thumbprint == *thumbprint)?;
        Some(key.state(policy, now))
    }

    /// The record after the key of `thumbprint` has become active at `now`, with a version one higher; `None` if
    /// that key is or was in the ring.
    ///
    /// This is the step of every rotation. By itself it serves where the active key is lost (a device store was
    /// wiped): compare-and-set the result in the store, then restore the ring from it. If `now` lies before the
    /// active key was made, the time of that counts.
    ///
    /// Of the retired keys the newest [`MAX_RETIRED`](Self::MAX_RETIRED) stay.
    pub fn succeeded_by(&self, thumbprint: Thumbprint, policy: &RotationPolicy, now: UnixTime) -> Option<Self> {
        if self.made().any(|made| made.thumbprint == thumbprint) {
            return None;
        }
        let at = now.max(self.active.at);
        let earlier: Vec<Made> = self.made().skip(self.forgettable(policy, at)).copied().collect();
        // Only a record that no ring would rotate is still too long here; its oldest keys go.
        let too_many = earlier.len().saturating_add(1).saturating_sub(Self::MAX_KEYS);
        Some(Self {
            version: self.version.saturating_add(1),
            earlier: earlier.into_iter().skip(too_many).collect(),
            active: Made { thumbprint, at },
        })
    }

    /// Whether one more key finds room without pushing out one that is not retired.
    pub(super) fn has_room(&self, policy: &RotationPolicy, now: UnixTime) -> bool {
        self.made().count().saturating_sub(self.forgettable(policy, now)) < Self::MAX_KEYS
    }

    /// How many of the oldest keys are retired and beyond those that are remembered.
    fn forgettable(&self, policy: &RotationPolicy, now: UnixTime) -> usize {
        let retired = self.keys().take_while(|key| matches!(key.state(policy, now), KeyState::Retired { .. }));
        retired.count().saturating_sub(Self::MAX_RETIRED)
    }

    fn made(&self) -> impl Iterator<Item = &Made> + Clone {
        self.earlier.iter().chain([&self.active])
    }

    /// The text form: ASCII, one line for the format, one for the version and one for each key, each ending in a
    /// line feed.
    pub fn to_text(&self) -> String {
        let mut text = String::from(Self::HEADING);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "\nversion {}", self.version);
        for made in self.made() {
            let _ = writeln!(text, "key {} {}", made.thumbprint, made.at);
        }
        text
    }

    /// Reads the text form. Each record has one spelling, and any other is refused.
    ///
    /// # Errors
    /// [`InvalidRecord`] names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidRecord> {
        if text.len() > Self::MAX_TEXT {
            return Err(InvalidRecord::TooLong);
        }
        let mut lines = text.strip_suffix('\n').ok_or(InvalidRecord::Malformed)?.split('\n');
        if lines.next() != Some(Self::HEADING) {
            return Err(InvalidRecord::Format);
        }
        let version = lines.next().and_then(|line| line.strip_prefix("version ")).and_then(number);
        let version = version.filter(|version| *version > 0).ok_or(InvalidRecord::Malformed)?.unsigned_abs();
        let mut earlier = lines.map(parse_key).collect::<Result<Vec<Made>, _>>()?;
        let active = earlier.pop().ok_or(InvalidRecord::Malformed)?;
        let record = Self { version, earlier, active };
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), InvalidRecord> {
        if self.made().count() > Self::MAX_KEYS {
            return Err(InvalidRecord::TooLong);
        }
        if self.made().zip(self.made().skip(1)).any(|(one, next)| one.at > next.at) {
            return Err(InvalidRecord::TimesFall);
        }
        let mut rest = self.made();
        while let Some(one) = rest.next() {
            if rest.clone().any(|other| other.thumbprint == one.thumbprint) {
                return Err(InvalidRecord::RepeatedKey);
            }
        }
        Ok(())
    }
}

impl RecordedKey {
    /// What may be done with this key at `now`.
    pub(super) fn state(&self, policy: &RotationPolicy, now: UnixTime) -> KeyState {
        match self.superseded_at.map(|at| at.saturating_add(policy.retire_after())) {
            None => KeyState::Active,
            Some(until) if now < until => KeyState::Retiring { until },
            Some(since) => KeyState::Retired { since },
        }
    }
}

fn parse_key(line: &str) -> Result<Made, InvalidRecord> {
    let (thumbprint, at) =
        line.strip_prefix("key ").and_then(|rest| rest.split_once(' ')).ok_or(InvalidRecord::Malformed)?;
    let thumbprint = Thumbprint::parse(thumbprint).ok_or(InvalidRecord::Malformed)?;
    let at = number(at).map(UnixTime::from_secs).ok_or(InvalidRecord::Malformed)?;
    Ok(Made { thumbprint, at })
}

/// A decimal number in the one spelling that is written: no plus, no leading zeros, no `-0`.
fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if canonical { text.parse().ok() } else { None }
}

/// Why a text is not a key ring's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidRecord {
    /// The first line is not that of this format, or of a version this build does not know.
    Format,
    /// More keys than [`KeyRingRecord::MAX_KEYS`], or more text than those can take.
    TooLong,
    /// A line is missing, unknown or not in its one spelling.
    Malformed,
    /// A key is older than the one before it.
    TimesFall,
    /// Two lines name the same key.
    RepeatedKey,
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "not a key ring's record of a known version",
            Self::TooLong => "the record has too many keys",
            Self::Malformed => "a line of the record is missing or malformed",
            Self::TimesFall => "a key of the record is older than the one before it",
            Self::RepeatedKey => "the record names a key twice",
        })
    }
}

impl core::error::Error for InvalidRecord {}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::{KeyState, RotationPolicy};
    use super::{InvalidRecord, KeyRingRecord};
    use crate::jose::thumbprint::Thumbprint;
    use crate::time::UnixTime;
    use alloc::format;
    use alloc::string::String;

    const TEXT: &str = "keybound-key-ring 1\nversion 7\n\
        key AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE -5\n\
        key AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI 1700000000\n";

    fn key(number: u16) -> Thumbprint {
        let [high, low] = number.to_be_bytes();
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (high, low);
        Thumbprint::from_bytes(bytes)
    }

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn the_text_has_one_spelling() {
        assert_eq!(KeyRingRecord::parse(TEXT).unwrap().to_text(), TEXT);
        let wrong = [
            ("key-ring 1", "key-ring 2", InvalidRecord::Format),
            ("keybound-key-ring 1\n", "", InvalidRecord::Format),
            ("keybound-key-ring 1\n", "\u{feff}keybound-key-ring 1\n", InvalidRecord::Format),
            ("version 7", "version 0", InvalidRecord::Malformed),
            ("version 7", "version 07", InvalidRecord::Malformed),
            ("version 7", "version +7", InvalidRecord::Malformed),
            ("version 7", "version -7", InvalidRecord::Malformed),
            ("version 7", "version 9223372036854775808", InvalidRecord::Malformed),
            ("version 7", "version  7", InvalidRecord::Malformed),
            ("version 7\n", "", InvalidRecord::Malformed),
            (" -5", " -0", InvalidRecord::Malformed),
            (" -5", " -05", InvalidRecord::Malformed),
            (" -5", " 5 ", InvalidRecord::Malformed),
            (" -5", "", InvalidRecord::Malformed),
            (" -5\n", " -5\r\n", InvalidRecord::Malformed),
            (" -5\n", " -5\n\n", InvalidRecord::Malformed),
            ("AQE -5", "AQF -5", InvalidRecord::Malformed),
            ("AQE -5", "AQE= -5", InvalidRecord::Malformed),
            ("1700000000\n", "1700000000", InvalidRecord::Malformed),
            ("1700000000\n", "1700000000\nnote x\n", InvalidRecord::Malformed),
            ("key A", "Key A", InvalidRecord::Malformed),
            ("1700000000", "-6", InvalidRecord::TimesFall),
            (
                "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI",
                "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
                InvalidRecord::RepeatedKey,
            ),
        ];
        for (from, to, error) in wrong {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from:?}");
            assert_eq!(KeyRingRecord::parse(&text), Err(error), "{from:?} -> {to:?}");
        }
        assert_eq!(KeyRingRecord::parse("keybound-key-ring 1\nversion 1\n"), Err(InvalidRecord::Malformed));
        assert_eq!(KeyRingRecord::parse(""), Err(InvalidRecord::Malformed));
    }

    #[test]
    fn every_cut_is_noticed() {
        let record = KeyRingRecord::parse(TEXT).unwrap();
        for end in 0..TEXT.len() {
            let text = TEXT.get(..end).unwrap();
            match KeyRingRecord::parse(text) {
                // Whole lines lost at the end: the version tells it is not the record that was stored.
                Ok(cut) => assert!(cut != record && text.ends_with('\n')),
                Err(error) => assert_ne!(error, InvalidRecord::TimesFall),
            }
        }
    }

    #[test]
    fn the_longest_record_can_be_read_and_a_longer_one_cannot() {
        let mut text = String::from("keybound-key-ring 1\nversion 9223372036854775807\n");
        for number in 0..128 {
            text += &format!("key {} {}\n", key(number), i64::MIN);
        }
        assert_eq!(KeyRingRecord::parse(&text).unwrap().to_text(), text);
        text += &format!("key {} 0\n", key(128));
        assert_eq!(KeyRingRecord::parse(&text), Err(InvalidRecord::TooLong));
    }

    #[test]
    fn sixteen_retired_keys_are_remembered() {
        let policy = RotationPolicy::new(100, 150).unwrap();
        let mut record = KeyRingRecord::new(key(0), at(0));
        for number in 1..1000 {
            record = record.succeeded_by(key(number), &policy, at(i64::from(number) * 100)).unwrap();
            assert!(record.keys().count() <= 16 + 3, "{number}");
        }
        assert_eq!(record.version(), 1000);
        assert_eq!(record.state(&key(999), &policy, at(99_900)), Some(KeyState::Active));
        assert_eq!(record.state(&key(998), &policy, at(99_900)), Some(KeyState::Retiring { until: at(100_050) }));
        assert_eq!(record.state(&key(997), &policy, at(99_900)), Some(KeyState::Retiring { until: at(99_950) }));
        assert_eq!(record.state(&key(996), &policy, at(99_900)), Some(KeyState::Retired { since: at(99_850) }));
        assert_eq!(record.state(&key(0), &policy, at(99_900)), None);
    }

    #[test]
    fn a_key_comes_once() {
        let policy = RotationPolicy::new(100, 100).unwrap();
        let record = KeyRingRecord::new(key(1), at(0)).succeeded_by(key(2), &policy, at(100)).unwrap();
        assert_eq!(record.succeeded_by(key(1), &policy, at(1000)), None);
        assert_eq!(record.succeeded_by(key(2), &policy, at(1000)), None);
    }

    #[test]
    fn times_do_not_fall_when_the_clock_steps_back() {
        let policy = RotationPolicy::new(100, 100).unwrap();
        let record = KeyRingRecord::new(key(1), at(1000)).succeeded_by(key(2), &policy, at(-1)).unwrap();
        assert_eq!(record.active().created_at, at(1000));
        assert_eq!(KeyRingRecord::parse(&record.to_text()).unwrap(), record);
    }
}
